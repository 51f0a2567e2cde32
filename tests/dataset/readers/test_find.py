"""Labelled data in every format that is read: a few made-up rows each, with the facts counted by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from etlch.core.errors import EtlchError
from etlch.core.records import Json
from etlch.dataset.readers.find import read_path, split_of
from etlch.dataset.readers.labelled import LabelledText
from etlch.dataset.readers.rows import RowOptions
from etlch.tasks import find_task

ADA = "Ada Moss lives in Riverton."
ENTITIES = [("Person", "Ada Moss", (0, 8)), ("Location", "Riverton", (18, 26))]


def read(
    tmp_path: Path, name: str, content: str, task: str = "ner", **columns: str
) -> tuple[str, list[LabelledText]]:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    source = read_path(path, find_task(task), RowOptions(columns=columns))
    (kind,) = source.formats
    return kind, [text for texts in source.texts.values() for text in texts]


def entities(text: LabelledText) -> list[tuple[str, str, Json]]:
    return [(item.fact[0], item.fact[1], item.spans[1]) for item in text.facts]


def lines(*rows: Json) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ({"id": 1, "text": ADA, "label": [[0, 8, "Person"], [18, 26, "Location"]]}, "doccano"),
        (
            {
                "text": ADA,
                "entities": [
                    {"id": 5, "label": "Person", "start_offset": 0, "end_offset": 8},
                    {"id": 6, "label": "Location", "start_offset": 18, "end_offset": 26},
                ],
                "relations": [],
            },
            "spans (doccano, spaCy)",
        ),
        ({"text": ADA, "entities": [[0, 8, "Person"], [18, 26, "Location"]]}, "spans (doccano, spaCy)"),
        (
            {
                "text": ADA,
                "ents": [
                    {"start": 0, "end": 8, "label": "Person"},
                    {"start": 18, "end": 26, "label": "Location"},
                ],
            },
            "spans (doccano, spaCy)",
        ),
        (
            {
                "sentence": ADA,
                "entities": [
                    {"name": "Ada Moss", "type": "Person", "pos": [0, 8]},
                    {"name": "Riverton", "type": "Location", "pos": [18, 26]},
                ],
            },
            "InstructUIE",
        ),
        (
            {
                "data": {"text": ADA},
                "annotations": [
                    {
                        "result": [
                            {
                                "id": "a",
                                "type": "labels",
                                "value": {"start": 0, "end": 8, "labels": ["Person"]},
                            },
                            {
                                "id": "b",
                                "type": "labels",
                                "value": {"start": 18, "end": 26, "labels": ["Location"]},
                            },
                        ]
                    }
                ],
            },
            "Label Studio",
        ),
    ],
)
def test_rows_with_offsets_keep_them(tmp_path: Path, row: Json, kind: str) -> None:
    found, (text,) = read(tmp_path, "rows.jsonl", lines(row))
    assert (found, text.text, entities(text), text.dropped) == (kind, ADA, ENTITIES, ())


LABEL = '{"Person": ["Ada Moss"], "Location": ["Riverton"]}'


@pytest.mark.parametrize(
    "row",
    [
        {"instruction": "Extract.", "input": ADA, "output": LABEL},
        {"conversations": [{"from": "human", "value": ADA}, {"from": "gpt", "value": LABEL}]},
        {"messages": [{"role": "user", "content": ADA}, {"role": "assistant", "content": LABEL}]},
        {
            "instruction": json.dumps({"instruction": "NER", "schema": ["Person"], "input": ADA}),
            "output": LABEL,
        },
        {"Instance": {"sentence": ADA, "label": "Person: Ada Moss; Location: Riverton", "id": "7"}},
        {
            "text": ADA,
            "label": [{"text": "Ada Moss", "type": "Person"}, {"text": "Riverton", "type": "Location"}],
        },
    ],
)
def test_rows_with_a_label_in_any_notation(tmp_path: Path, row: Json) -> None:
    _, (text,) = read(tmp_path, "rows.jsonl", lines(row))
    assert text.text == ADA
    assert [item.fact for item in text.facts] == [("Person", "Ada Moss"), ("Location", "Riverton")]


def test_columns_of_any_names_and_tables(tmp_path: Path) -> None:
    row = {"doc": {"body": ADA}, "gold": {"spans": [[0, 8, "Person"]]}}
    _, (text,) = read(tmp_path, "own.jsonl", lines(row), text="doc.body", label="gold.spans")
    assert entities(text) == ENTITIES[:1]
    _, (row_of_csv,) = read(tmp_path, "t.csv", 'text,label\nAda left.,"{""Person"": [""Ada""]}"\n')
    assert [item.fact for item in row_of_csv.facts] == [("Person", "Ada")]


IOB2 = """# newdoc id = d1
# sent_id = d1-1
# text = 王小明在台北市工作。
1\t王小明\tB-PER\t-
2\t在\tO\t-
3\t台北\tB-LOC\t-
4\t市\tI-LOC\t-
5\t工作\tO\t-
6\t。\tO\t-

# sent_id = d1-2
# text = 沒有人。
1\t沒有\tO\t-
2\t人\tO\t-
3\t。\tO\t-
"""


def test_token_columns_with_the_sentence_in_a_comment(tmp_path: Path) -> None:
    kind, (first, second) = read(tmp_path, "zh-test.iob2", IOB2)
    assert kind == "token columns (IOB2, BIO, BIOES)"
    assert (first.name, first.document) == ("d1-1", "zh-test.iob2:d1")
    assert entities(first) == [("PER", "王小明", (0, 3)), ("LOC", "台北市", (4, 7))]
    assert (second.text, second.facts) == ("沒有人。", ())


@pytest.mark.parametrize(
    "tags",
    [
        ("B-P", "I-P", "O", "O", "B-L", "O"),
        ("B-P", "E-P", "O", "O", "S-L", "O"),
        ("I-P", "I-P", "O", "O", "U-L", "O"),
    ],
)
def test_bio_bioes_bilou_and_iob1_are_one_thing(tmp_path: Path, tags: tuple[str, ...]) -> None:
    tokens = ["Ada", "Moss", "lives", "in", "Riverton", "."]
    content = (
        "-DOCSTART- -X- O\n\n"
        + "\n".join(f"{token} {tag}" for token, tag in zip(tokens, tags, strict=True))
        + "\n"
    )
    _, (text,) = read(tmp_path, "x.conll", content)
    assert text.text == ADA
    assert entities(text) == [("P", "Ada Moss", (0, 8)), ("L", "Riverton", (18, 26))]


def test_brat_keeps_offsets_and_says_what_it_drops(tmp_path: Path) -> None:
    folder = tmp_path / "brat"
    folder.mkdir()
    (folder / "d1.txt").write_text(ADA, encoding="utf-8")
    notes = "T1\tPerson 0 8\tAda Moss\nT2\tLocation 18 26\tRiverton\nT3\tX 0 3;9 14\tAda lives\nR1\tlives_in Arg1:T1 Arg2:T2\n"
    (folder / "d1.ann").write_text(notes + "E1\tLife:T1\n", encoding="utf-8")
    source = read_path(folder, find_task("ner"), RowOptions())
    (text,) = source.texts[""]
    assert entities(text) == ENTITIES
    assert text.dropped == ("discontinuous span", "event")
    (relation,) = read_path(folder, find_task("kge"), RowOptions()).texts[""][0].facts
    assert relation.fact == ("Ada Moss", "lives_in", "Riverton")
    assert relation.spans == ((0, 8), None, (18, 26))


def test_pubtator_counts_title_and_abstract_as_one_text(tmp_path: Path) -> None:
    content = "7|t|Ada Moss.\n7|a|She lives in Riverton.\n7\t0\t8\tAda Moss\tPerson\t-\n7\t23\t31\tRiverton\tLocation\t-\n"
    kind, (text,) = read(tmp_path, "x.pubtator", content)
    assert kind == "PubTator"
    assert entities(text) == [("Person", "Ada Moss", (0, 8)), ("Location", "Riverton", (23, 31))]


def test_triples_one_a_row_meet_by_their_text(tmp_path: Path) -> None:
    rows = [
        {"sent": ADA, "sub_label": "Ada Moss", "rel_label": "residence", "obj_label": "Riverton"},
        {"sent": ADA, "sub_label": "Riverton", "rel_label": "unknown", "obj_label": "Ada Moss"},
    ]
    _, (text,) = read(tmp_path, "rows.jsonl", lines(*rows), "kge")
    assert [item.fact for item in text.facts] == [("Ada Moss", "residence", "Riverton")]
    assert text.dropped == ("relation 'unknown'",)
    table = "東方\t上航\t合併\t東方將與上航合併\n上航\t東方\tunknown\t東方將與上航合併\n"
    _, (row,) = read(tmp_path, "train.txt", table, "kge")
    assert [item.fact for item in row.facts] == [("東方", "合併", "上航")]


def test_events_become_fields_with_their_spans(tmp_path: Path) -> None:
    listed = {
        "content": "甲於2019年質押。",
        "events": [{"type": "質押", "mentions": [{"word": "甲", "span": [0, 1], "role": "主體"}]}],
    }
    _, (text,) = read(tmp_path, "a.jsonl", lines(listed), "json")
    assert entities(text) == [("event_type", "質押", None), ("主體", "甲", (0, 1))]
    roles = {
        "event_type": "Adverse",
        "Effect": {"text": [["rash"]], "start": [[4]], "Side": {"text": [["left"]], "start": [[9]]}},
    }
    nested = {"context": "The rash left.", "annotations": [{"events": [roles]}]}
    _, (other,) = read(tmp_path, "b.jsonl", lines(nested), "json")
    assert entities(other) == [
        ("event_type", "Adverse", None),
        ("Effect", "rash", (4, 8)),
        ("Effect.Side", "left", (9, 13)),
    ]


def test_offsets_that_do_not_hold_their_mention_are_dropped_and_said(tmp_path: Path) -> None:
    row = {"text": ADA, "entities": [{"start": 1, "end": 8, "label": "Person", "text": "Ada Moss"}]}
    _, (text,) = read(tmp_path, "rows.jsonl", lines(row))
    assert (text.facts, text.dropped) == ((), ("offsets that do not hold their mention",))


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("zh_gsd-ud-dev.iob2", "validation"),
        ("ai/train.txt", "train"),
        ("test_base.json", "test"),
        ("contest.json", ""),
    ],
)
def test_official_splits_are_known_by_words_of_file_names(name: str, split: str) -> None:
    assert split_of(name) == split


def test_a_file_of_no_known_format_is_refused_with_its_columns(tmp_path: Path) -> None:
    with pytest.raises(EtlchError, match="its columns are a, b") as caught:
        read(tmp_path, "x.jsonl", lines({"a": 1, "b": 2}))
    assert "--column text=NAME" in caught.value.hint


def test_files_of_a_folder_that_are_not_read_are_counted(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text(lines({"text": ADA, "label": []}), encoding="utf-8")
    (tmp_path / "notes.docx").write_bytes(b"PK")
    assert read_path(tmp_path, find_task("ner"), RowOptions()).unread == {".docx": 1}


def test_an_empty_file_and_a_column_without_texts_are_told_as_what_they_are(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("\n", encoding="utf-8")
    with pytest.raises(EtlchError, match=r"rows\.jsonl holds no rows"):
        read_path(path, find_task("ner"), RowOptions())
    path.write_text('{"body": "Ada left.", "label": []}\n', encoding="utf-8")
    with pytest.raises(EtlchError, match="no text stands in the column nope; its columns are body, label"):
        read_path(path, find_task("ner"), RowOptions(columns={"text": "nope"}))
