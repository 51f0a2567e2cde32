"""Labels go out to annotation tools and come back the same: made-up documents, offsets in characters."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etlch.core.records import Fact, Located, Record, Span
from etlch.dataset.readers.find import read_path
from etlch.dataset.readers.labelled import LabelledText
from etlch.dataset.readers.rows import RowOptions
from etlch.dataset.writers import FORMATS, READ_AS, expressible, write_labels
from etlch.tasks import find_task

TYPES = ("Person", "組織", "Named thing", "Treatment.Drug")
# one, two, three and four bytes in UTF-8; a surrogate pair in UTF-16; what ends lines; what tags are made of
LETTERS = "ab Z9\n\t#=-|.,王小明，。　é𠮷😀\u2028"


@st.composite
def documents(draw: st.DrawFn, task: str) -> Record:
    text = draw(st.text(LETTERS, min_size=1, max_size=40).filter(lambda drawn: drawn.strip() != ""))
    edges = [place for place, char in enumerate(text) if not char.isspace()]
    spans = st.tuples(st.sampled_from(edges), st.sampled_from(edges)).map(
        lambda pair: (min(pair), max(pair) + 1)
    )
    kinds = st.sampled_from(TYPES)
    facts: dict[Fact, tuple[Span | None, ...]]
    if task == "kge":
        facts = {
            (text[slice(*head)], kind, text[slice(*tail)]): (head, None, tail)
            for head, kind, tail in draw(st.lists(st.tuples(spans, kinds, spans), max_size=4))
        }
    else:
        facts = {
            (kind, text[slice(*span)]): (None, span)
            for kind, span in draw(st.lists(st.tuples(kinds, spans), max_size=5))
        }
    located = tuple(Located(fact, places) for fact, places in facts.items())
    return Record("x", "x", task, "zh-TW", "i", text, "", None, located)


def numbered(records: list[Record]) -> list[Record]:
    return [
        Record(f"a{place}-x", f"a{place}", item.task, item.language, "i", item.input, "", None, item.facts)
        for place, item in enumerate(records)
    ]


def out_and_in(records: list[Record], form: str, folder: Path) -> tuple[str, dict[str, LabelledText]]:
    task = find_task(records[0].task)
    written = write_labels(records, task, form, "out")
    for name, content in written.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode("utf-8"))
    first = folder / next(iter(written.files))
    source = read_path(first.parent if form == "brat" else first, task, RowOptions(drop=frozenset()))
    (kind,) = source.formats
    return kind, {text.name: text for texts in source.texts.values() for text in texts}


def spread(text: str) -> str:
    return "".join(" " if char.isspace() else char for char in text).strip()


@pytest.mark.parametrize(
    ("form", "task"), [(form, task) for form in FORMATS for task in ("ner", "json", "kge")]
)
def test_what_goes_out_comes_back(form: str, task: str) -> None:
    if form == "bio" and task == "kge":
        return  # BIO has no relations; that they are counted is tested below

    @settings(max_examples=60, deadline=None)
    @given(st.lists(documents(task), min_size=1, max_size=4))
    def check(made: list[Record]) -> None:
        records = numbered(made)
        if form == "bio" and not any(expressible(item, find_task(task), form) for item in records):
            return  # a file of nothing but O has no tags to be known by
        with tempfile.TemporaryDirectory() as folder:
            kind, back = out_and_in(records, form, Path(folder))
        assert READ_AS[kind] == form
        assert set(back) == {record.article_id for record in records}
        for record in records:
            text = back[record.article_id]
            wanted = set(expressible(record, find_task(task), form))
            if form != "bio":
                assert text.text == record.input
                assert {item.fact for item in text.facts} == wanted
                assert not text.dropped
            else:
                assert text.text == spread(record.input)
                shift = len(record.input) - len(record.input.lstrip())
                assert {
                    moved(item.fact[0], item.spans[1], shift, record.input) for item in text.facts
                } == wanted
            for item in text.facts:
                for place in find_task(task).grounded:
                    span = item.spans[place]
                    assert span is not None and text.text[slice(*span)] == item.fact[place]

    check()


def moved(kind: str, span: Span | None, shift: int, text: str) -> Fact:
    assert span is not None
    return kind, text[span[0] + shift : span[1] + shift]


def entity(kind: str, text: str, start: int, end: int) -> Located:
    return Located((kind, text[start:end]), (None, (start, end)))


TEXT = "王小明 works at Acme Labs."


def record(task: str, *facts: Located) -> Record:
    return Record(f"a1-{task}", "a1", task, "en", "i", TEXT, "", None, facts)


def test_what_a_format_cannot_hold_is_counted() -> None:
    ner = record(
        "ner", entity("Person", TEXT, 0, 3), entity("Org", TEXT, 13, 22), entity("Brand", TEXT, 13, 17)
    )
    assert write_labels([ner], find_task("ner"), "bio", "x").left_out == {
        "overlaps another (BIO has one type for each token)": 1
    }
    kge = record("kge", Located(("王小明", "works at", "Acme Labs"), ((0, 3), None, (13, 22))))
    assert write_labels([kge], find_task("kge"), "bio", "x").left_out == {"triple (BIO has entities only)": 1}
    assert write_labels([kge], find_task("kge"), "brat", "x").left_out == {
        "type with a space (brat has none)": 1
    }
    derived = record("json", Located(("class", "job"), (None, None)))
    assert write_labels([derived], find_task("json"), "doccano", "x").left_out == {"no place in the text": 1}


def test_the_files_are_those_of_the_tools() -> None:
    ner = record("ner", entity("Person", TEXT, 0, 3), entity("Org", TEXT, 13, 22))
    assert write_labels([ner], find_task("ner"), "bio", "x").files["x.bio"].splitlines()[2:] == [
        "王\tB-Person",
        "小\tI-Person",
        "明\tI-Person",
        "works\tO",
        "at\tO",
        "Acme\tB-Org",
        "Labs\tI-Org",
        ".\tO",
    ]
    brat = write_labels([ner], find_task("ner"), "brat", "x").files
    assert brat == {"x/a1.txt": TEXT, "x/a1.ann": "T1\tPerson 0 3\t王小明\nT2\tOrg 13 22\tAcme Labs\n"}
    (row,) = map(
        json.loads, write_labels([ner], find_task("ner"), "doccano", "x").files["x.jsonl"].splitlines()
    )
    assert row == {"id": "a1", "text": TEXT, "label": [[0, 3, "Person"], [13, 22, "Org"]]}
    (task,) = json.loads(write_labels([ner], find_task("ner"), "label-studio", "x").files["x.json"])
    assert task["annotations"][0]["result"][1]["value"] == {
        "start": 13,
        "end": 22,
        "text": "Acme Labs",
        "labels": ["Org"],
    }
