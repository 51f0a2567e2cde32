"""Token columns come back as the annotations they were written from, whatever the script."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from etlch.dataset.readers.columns import read

TOKENS = st.lists(st.text(alphabet="台北王小明ab1", min_size=1, max_size=3), min_size=1, max_size=12)


@given(TOKENS, st.data())
@settings(max_examples=200, deadline=None)
def test_what_was_tagged_is_read_again(tokens: list[str], data: st.DataObject) -> None:
    tags, wanted, place = [], [], 0
    starts = [sum(map(len, tokens[:at])) for at in range(len(tokens) + 1)]
    while place < len(tokens):
        length = data.draw(st.integers(0, min(3, len(tokens) - place)))
        if length:
            kind = data.draw(st.sampled_from(["PER", "LOC"]))
            tags += [f"B-{kind}", *[f"I-{kind}"] * (length - 1)]
            wanted.append((kind, (starts[place], starts[place + length])))
        else:
            tags.append("O")
        place += length or 1
    if not wanted:
        return
    text = "".join(tokens)
    lines = [
        f"# text = {text}",
        *(f"{at}\t{token}\t{tag}" for at, (token, tag) in enumerate(zip(tokens, tags, strict=True))),
    ]
    (found,) = read(lines, "x")
    assert [(item.fact[0], item.spans[1]) for item in found.facts] == wanted
    assert all(item.fact[1] == text[slice(*span)] for item in found.facts if (span := item.spans[1]))
