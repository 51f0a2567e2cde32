"""Near copies against a plain set computation, written here, of the definition in the contract."""

from __future__ import annotations

import random
import unicodedata

import pytest

from etlch.dataset.dedup import Deduplicator, shingles, similarity


def by_definition(left: str, right: str) -> float:
    """Jaccard similarity of the sets of 5-character shingles, as sets of strings."""

    def cut(text: str) -> set[str]:
        plain = "".join(
            char for char in unicodedata.normalize("NFKC", text).lower().replace("臺", "台") if char.isalnum()
        )
        return {plain[at : at + 5] for at in range(max(1, len(plain) - 4))}

    first, second = cut(left), cut(right)
    return len(first & second) / len(first | second)


def text(seed: int, length: int, alphabet: str) -> str:
    return "".join(random.Random(seed).choices(alphabet, k=length))


HAN = "".join(chr(code) for code in range(0x4E00, 0x4E00 + 800))
LATIN = "abcdefghijklmnop "


def changed(source: str, edits: int, seed: int) -> str:
    rng, chars = random.Random(seed), list(source)
    for place in rng.sample(range(len(chars)), edits):
        chars[place] = "囧"
    return "".join(chars)


@pytest.mark.parametrize("alphabet", [HAN, LATIN])
@pytest.mark.parametrize("edits", [0, 5, 20, 35, 80])
def test_similarity_is_the_definition(alphabet: str, edits: int) -> None:
    source = text(edits, 1000, alphabet)
    other = changed(source, edits, 1)
    assert similarity(source, other) == pytest.approx(by_definition(source, other), abs=1e-9)


def test_every_near_copy_is_found_and_nothing_else() -> None:
    copies = Deduplicator()
    sources = [text(seed, 600, HAN) for seed in range(60)]
    assert [copies.add(str(seed), source) for seed, source in enumerate(sources)] == [None] * 60
    near: list[int] = []
    far: list[int] = []
    for seed, source in enumerate(sources):
        other = changed(source, 4 + seed % 20, seed)
        found = copies.find(other)
        similar = by_definition(source, other) >= 0.8
        assert found == (str(seed) if similar else None)
        (near if similar else far).append(seed)
    assert len(near) > 20 and len(far) > 10


def test_the_earliest_copy_is_named_and_copies_are_not_remembered() -> None:
    copies = Deduplicator()
    source = text(1, 500, HAN)
    assert copies.add("first", source) is None
    assert copies.add("second", source + "完") == "first"
    assert copies.add("third", changed(source, 3, 2)) == "first"


def test_form_does_not_matter() -> None:
    assert similarity("臺北 101 大樓，高 508 公尺。", "台北１０１大樓高508公尺") == 1.0
    assert similarity("The Harbour Bridge opened.", "the HARBOUR bridge opened") == 1.0


def test_short_texts_are_one_shingle() -> None:
    assert len(shingles("")) == len(shingles("abc")) == 1
    assert similarity("abc", "abd") == 0.0 and similarity("abc", "ABC!") == 1.0
