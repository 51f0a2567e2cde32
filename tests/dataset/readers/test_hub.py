"""Data sets of the library `datasets`, saved by the library itself: splits, class names, tokens with tags."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Sequence, Value

from etlch.core.errors import EtlchError
from etlch.dataset.readers.find import read_path
from etlch.dataset.readers.hub import load
from etlch.dataset.readers.rows import RowOptions
from etlch.tasks import find_task

TAGS = ["O", "B-PER", "I-PER", "B-LOC"]
ROWS: list[dict[str, Any]] = [
    {"id": "0", "tokens": ["Ada", "Moss", "left", "Riverton", "."], "ner_tags": [1, 2, 0, 3, 0]},
    {"id": "1", "tokens": ["王", "小", "明", "來", "了"], "ner_tags": [1, 2, 2, 0, 0]},
    {"id": "2", "tokens": ["Nothing", "."], "ner_tags": [0, 0]},
]


def data_set(first: int, last: int) -> Dataset:
    tags = Sequence(ClassLabel(names=TAGS))
    features = Features({"id": Value("string"), "tokens": Sequence(Value("string")), "ner_tags": tags})
    return Dataset.from_list(ROWS[first:last], features=features)


def test_splits_and_class_names_of_a_saved_data_set(tmp_path: Path) -> None:
    path = tmp_path / "mine"
    DatasetDict({"train": data_set(0, 2), "validation": data_set(2, 3)}).save_to_disk(str(path))
    source = read_path(path, find_task("ner"), RowOptions())
    assert source.formats == {"data set: tokens with tags": 2}
    assert {split: len(texts) for split, texts in source.texts.items()} == {"train": 2, "validation": 1}
    first, second = source.texts["train"]
    assert first.text == "Ada Moss left Riverton."
    assert [(item.fact, item.spans[1]) for item in first.facts] == [
        (("PER", "Ada Moss"), (0, 8)),
        (("LOC", "Riverton"), (14, 22)),
    ]
    assert second.text == "王小明來了" and [item.fact for item in second.facts] == [("PER", "王小明")]
    assert source.texts["validation"][0].facts == ()


def test_one_split_without_a_name(tmp_path: Path) -> None:
    data_set(0, 3).save_to_disk(str(tmp_path / "one"))
    assert len(read_path(tmp_path / "one", find_task("ner"), RowOptions()).texts[""]) == 3


def test_rows_of_tokens_and_tags_in_a_json_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    rows = [{**row, "ner_tags": [TAGS[number] for number in row["ner_tags"]]} for row in ROWS]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    source = read_path(path, find_task("ner"), RowOptions())
    assert source.formats == {"tokens with tags": 1}
    assert sum(len(text.facts) for text in source.texts[""]) == 3


def test_a_name_that_does_not_load_is_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The library reads HF_HUB_OFFLINE once, when it is imported.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EtlchError, match="neither a file, a folder nor a data set that loads"):
        read_path(Path("nobody/nothing-of-this-name"), find_task("ner"), RowOptions())


@pytest.mark.parametrize("place", ["nope", "合約 文件", "a/b/c", "mine.txt/x y"])
def test_a_mistyped_path_is_not_asked_of_the_hub(place: str) -> None:
    with pytest.raises(EtlchError, match="does not exist"):
        load(place)
