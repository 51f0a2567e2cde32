"""Prediction files as they are in the wild, and the alignment rule of DESIGN.md line by line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from etlch.core.errors import EtlchError
from etlch.core.records import Json, Key, to_dict
from etlch.metrics.predictions import (
    Aligned,
    align,
    own_key,
    parse_row,
    read_aligned,
    without_markers,
)
from etlch.metrics.readers.containers import RawRow, raw_rows

KEY = Key(
    "a1-ner", "a1", "ner", "en", "Do NER.", "Ann Lee went to Oslo in spring.", '{"Person": ["Ann Lee"]}', None
)


def row(**columns: Json) -> RawRow:
    return RawRow(7, json.dumps(columns).encode())


def aligned(key: Key = KEY, **columns: Json) -> Aligned:
    path = Path("p.jsonl")
    return align(parse_row(row(**columns), path), key, path)


@pytest.mark.parametrize(
    "content",
    [
        '{"label": "g", "predict": "p"}\n{"label": "g", "predict": "q"}\n',
        '{"predict": "p", "label": "g", "prompt": "<|im_start|>user"}\r\n\r\n{"predict": "q", "prompt": "x"}',
        '\ufeff{"predict": "p"}\r{"predict": "q"}\r',
        '[{"predict": "p", "label": "g"}, {"predict": "q"}]',
        '\ufeff \n[\n {"predict": "p"},\n {"predict": ["q", "another beam"]}\n]\n',
    ],
)
def test_lines_and_arrays_with_any_line_ending_give_the_same_predictions(
    tmp_path: Path, content: str
) -> None:
    path = tmp_path / "generated_predictions.jsonl"
    path.write_bytes(content.encode())
    assert [parse_row(raw, path).text for raw in raw_rows(path)] == ["p", "q"]


def test_line_numbers_count_blank_lines(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('\n\n{"predict": "p"}\n\n{"predict": null}\n')
    rows = list(raw_rows(path))
    assert [raw.number for raw in rows] == [3, 5]
    with pytest.raises(EtlchError, match="line 5: no column 'predict'"):
        parse_row(rows[1], path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"predict": "\xff"}', "not UTF-8"),
        (b'["predict"]', "a JSON list where an object belongs"),
        (b'{"predict": "p"', "not JSON"),
        (b'{"label": "p"}', "no column"),
        (b'{"predict": null}', "no column"),
        (b"x" * (16 * 1024 * 1024 + 1), "longer than 16 MiB"),
    ],
)
def test_lines_that_are_no_rows_are_named(content: bytes, message: str) -> None:
    with pytest.raises(EtlchError, match=f"f.jsonl, line 3: {message}"):
        parse_row(RawRow(3, content), Path("f.jsonl"))


def test_a_line_over_the_limit_is_read_in_part_only_and_the_next_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    long = b'{"predict": "' + b"x" * (33 * 1024 * 1024) + b'"}\n'
    path.write_bytes(long + b'{"predict": "q"}\n')
    first, second = raw_rows(path)
    assert len(first.content) == 16 * 1024 * 1024 + 1
    assert parse_row(second, path).text == "q"


def test_a_label_equal_to_gold_up_to_white_space_and_composition_belongs() -> None:
    key = Key("1", "1", "ner", "en", "", "", '{"Place": ["Orl\u00e9ans"]}', None)
    found = aligned(key, predict="p", label='{"Place":  ["Orle\u0301ans"]}\n\ufffd')
    assert not found.truncated


def test_a_label_cut_short_belongs_and_is_counted_as_truncated() -> None:
    assert aligned(predict="p", label='{"Person": ["An\ufffd').truncated


@pytest.mark.parametrize("label", ["", None])
def test_without_a_label_the_prompt_decides(label: str | None) -> None:
    assert not aligned(
        predict="p", label=label, prompt="user\nDo NER. Ann Lee went to\nOslo in spring."
    ).truncated
    with pytest.raises(EtlchError, match="line 7: does not belong to record 'a1-ner'"):
        aligned(predict="p", label=label, prompt="user\nDo NER. Bob went to Lima.")


def test_only_the_first_64_characters_of_the_input_must_be_in_the_prompt() -> None:
    key = Key("1", "1", "ner", "en", "", "x" * 64 + "cut away", "g", None)
    assert aligned(key, predict="p", prompt="user" + "x" * 64)
    with pytest.raises(EtlchError):
        aligned(key, predict="p", prompt="user" + "x" * 63)


@pytest.mark.parametrize("label", ['{"Person": ["Bob"]}', '{"Person": ["Ann Lee"]} and more', "\ufffd"])
def test_any_other_label_is_misaligned(label: str) -> None:
    with pytest.raises(EtlchError, match="does not belong"):
        aligned(predict="p", label=label)


def test_a_row_that_carries_the_keys_id_needs_no_label() -> None:
    assert aligned(predict="p", id="a1-ner").key == KEY


@pytest.mark.parametrize(
    "block",
    [
        "<think>\n\n</think>\n\n",
        "<think></think>",
        "</think>\n",
        "<seed:think></seed:think>",
        "◁think▷◁/think▷",
    ],
)
def test_an_empty_block_of_thoughts_before_the_label_is_the_templates(block: str) -> None:
    """As LlamaFactory's templates qwen3, hy3, glm4_7, seed_oss and kimi_vl write it before labels."""
    found = aligned(label=block + KEY.gold, predict=block + "{}")
    assert (found.text, found.truncated) == ("{}", False)
    assert aligned(label=block + KEY.gold, predict="{}").text == "{}"
    assert aligned(label=KEY.gold, predict=block + "{}").text == block + "{}"  # the model's own


def test_an_end_marker_of_the_trainer_is_no_part_of_the_label() -> None:
    assert not aligned(predict="p", label='{"Person": ["Ann Lee"]}\n\nEND\n\n').truncated


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ('{"a": 1}\n\nEND\n\n', '{"a": 1}'),
        ("x</s>", "x"),
        ("x<|im_end|>\n<|endoftext|>", "x"),
        ("THE END", "THE END"),
        ("END", ""),
        ("WEEKEND", "WEEKEND"),
    ],
)
def test_end_markers_of_letters_stand_on_a_line_of_their_own(text: str, bare: str) -> None:
    assert without_markers(text, ("END", "</s>", "<|im_end|>", "<|endoftext|>")) == bare


def test_wrong_length_is_refused_with_the_place(tmp_path: Path) -> None:
    keys = tmp_path / "k.jsonl"
    keys.write_text((json.dumps(to_dict(KEY)) + "\n") * 2)
    line = json.dumps({"predict": "p", "label": KEY.gold}) + "\n"
    short, long, empty = (tmp_path / f"{name}.jsonl" for name in ("short", "long", "empty"))
    short.write_text(line)
    long.write_text(line * 3)
    empty.write_text("\n")
    with pytest.raises(EtlchError, match="ends after 1 rows"):
        list(read_aligned(short, keys))
    with pytest.raises(EtlchError, match="line 3: the keys end after 2 rows"):
        list(read_aligned(long, keys))
    with pytest.raises(EtlchError, match=r"ends after 0 rows"):
        list(read_aligned(empty, keys))
    assert [found.text for found in read_aligned_twice(tmp_path, keys, line)] == ["p", "p"]


def read_aligned_twice(folder: Path, keys: Path, line: str) -> list[Aligned]:
    whole = folder / "whole.jsonl"
    whole.write_text(line * 2)
    return list(read_aligned(whole, keys))


def test_a_row_without_keys_is_its_own_gold() -> None:
    path = Path("p.jsonl")
    key = own_key(
        parse_row(row(predict="p", label="g", id=5, input="text", task="kge"), path), path, "ner", "en"
    )
    assert (key.id, key.gold, key.task, key.language, key.input) == ("5", "g", "kge", "en", "text")
    with pytest.raises(EtlchError, match="no label, and no keys"):
        own_key(parse_row(row(predict="p"), path), path, "ner", "en")


def test_rows_without_ids_meet_only_where_their_labels_begin_alike() -> None:
    path = Path("p.jsonl")
    ids = [
        own_key(parse_row(row(predict="p", label=label), path), path, "ner", "en").id
        for label in ("gold", " gold\n", "other")
    ]
    assert ids[0] == ids[1] != ids[2]
