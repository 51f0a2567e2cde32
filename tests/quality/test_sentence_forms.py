"""Sentences with their values masked, counted by hand; self-BLEU beside NLTK's BLEU."""

from __future__ import annotations

import random

import pytest

from etlch.core.records import Article, Located, Record
from etlch.dataset.splits import split
from etlch.quality.numbers import Proportion
from etlch.quality.sentence_forms import masked_sentences, self_bleu, sentence_forms

TEXTS = (
    "Ann Bell runs Orion. Orion lies in Oslo.",
    "Bo Lund runs Vega. It was cold.",
    "Cy Moe runs Lyra. Lyra owes 1,200 dollars to Ms. Moe.",
)
NAMES = (("Ann Bell", "Orion", "Oslo"), ("Bo Lund", "Vega"), ("Cy Moe", "Lyra", "Ms. Moe"))


def test_values_are_masked_wherever_they_stand_and_numbers_too() -> None:
    text = TEXTS[2]
    spans = {(text.index(name), text.index(name) + len(name)) for name in NAMES[2]}
    assert masked_sentences(text, spans) == ["□ runs □.", "□ owes □ dollars to □."]
    assert masked_sentences("安娜住在奧斯陸。安娜很高興！", {(0, 2), (4, 7)}) == ["□住在□。", "□很高興！"]


def test_the_forms_of_three_articles_counted_by_hand() -> None:
    articles = [Article(f"a{n}", "t", "d", "en", "s", text) for n, text in enumerate(TEXTS)]
    records = [
        Record(
            f"a{n}-ner", f"a{n}", "ner", "en", "i", text, "{}", None,
            tuple(
                Located(("X", name), (None, (text.index(name), text.index(name) + len(name)))) for name in names
            ),
        )
        for n, (text, names) in enumerate(zip(TEXTS, NAMES, strict=True))
    ]  # fmt: skip
    found = sentence_forms(articles, records, split(["a0", "a1", "a2"], 1, [2]), 0)
    # □ runs □. (three times) · □ lies in □. · It was cold. · □ owes □ dollars to □.
    assert found.distinct == Proportion(4, 6)
    assert found.seen == Proportion(1, 2)  # the test article is the first: its second form is its own
    # runs lies in It was cold owes dollars to, and the full stop
    assert found.vocabulary == 10


def test_self_bleu_is_nltk_s() -> None:
    bleu = pytest.importorskip("nltk.translate.bleu_score")
    rng = random.Random(1)
    words = [[rng.choice("abcde") for _ in range(rng.randint(4, 12))] for _ in range(30)]
    expected = [
        bleu.sentence_bleu(
            words[:place] + words[place + 1 :],
            one,
            smoothing_function=bleu.SmoothingFunction(epsilon=0.1).method1,
        )
        for place, one in enumerate(words)
    ]
    assert self_bleu(words) == pytest.approx(sum(expected) / len(expected))
    assert self_bleu([["a", "b", "c", "d"]] * 3) == pytest.approx(1.0)
    assert self_bleu(words[:1]) == 0.0
