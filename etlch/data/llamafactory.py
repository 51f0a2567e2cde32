"""Records and splits walk in; LlamaFactory's data files, their keys and dataset_info.json walk out.

A data file holds strings only, in the alpaca form: LlamaFactory drops a row whose output is
not a string with no more than a log line, and fails on columns of mixed types. Everything
else that scoring needs stands in the keys beside it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from etlch.data.splits import Splits
from etlch.errors import EtlchError
from etlch.files import Run, dumps, read_text, write_nouns, write_text
from etlch.labels import loads
from etlch.records import Key, Record

INFO = "dataset_info.json"
COLUMNS = {"prompt": "instruction", "query": "input", "response": "output"}
"""All three are named: once `columns` is there, LlamaFactory ignores every column it does not name."""


class DataSet(NamedTuple):
    """One data set: its name, its rows, and whether keys stand beside it."""

    stem: str
    records: tuple[Record, ...]
    with_keys: bool


def write_data(run: Run, records: Sequence[Record], splits: Splits, tasks: Sequence[str]) -> list[str]:
    """Write every data set of a run and remove those that an earlier export left behind.

    Args:
        run: where to write.
        records: all records; several tasks per article.
        splits: article ids by use.
        tasks: which tasks to write.

    Returns:
        The names of the data sets, as in dataset_info.json.

    Raises:
        EtlchError: an article has no record for one of the tasks.
    """
    held = {(record.article_id, record.task): record for record in records}
    sets = [
        DataSet(stem, tuple(_record(held, article_id, task) for article_id in ids), with_keys)
        for task in tasks
        for stem, ids, with_keys in _sets(run, splits, task)
        if ids
    ]
    before = _listed(run)
    for made in sets:
        write_text(run.data(made.stem), data_text(made.records))
        if made.with_keys:
            write_nouns(run.keys(made.stem), map(key, made.records))
    stems = [made.stem for made in sets]
    write_text(run.llamafactory / INFO, info_text(stems))
    for stem in before.difference(stems):
        run.data(stem).unlink(missing_ok=True)
        run.keys(stem).unlink(missing_ok=True)
    return stems


def data_text(records: Iterable[Record]) -> str:
    """Return a data file's text: a JSON array of {instruction, input, output}, one row a line."""
    rows = (dumps({name: getattr(record, name) for name in COLUMNS.values()}) for record in records)
    return "[\n" + ",\n".join(rows) + "\n]\n"


def info_text(stems: Iterable[str]) -> str:
    """Return dataset_info.json. ASCII only: LlamaFactory opens it in the machine's own encoding."""
    entries = {
        stem: {"file_name": f"{stem}.json", "formatting": "alpaca", "columns": COLUMNS} for stem in stems
    }
    return json.dumps(entries, ensure_ascii=True, indent=2) + "\n"


def key(record: Record) -> Key:
    """Return the gold side of one row."""
    return Key(
        id=record.id,
        article_id=record.article_id,
        task=record.task,
        language=record.language,
        instruction=record.instruction,
        input=record.input,
        gold=record.output,
        schema=record.schema,
    )


def _sets(run: Run, splits: Splits, task: str) -> Iterator[tuple[str, tuple[str, ...], bool]]:
    """Yield (stem, article ids, has keys) of each data set of a task."""
    yield run.stem(task, "test"), splits.test, True
    for size in splits.train:
        yield run.stem(task, "train", size), splits.train[size], False
        yield run.stem(task, "val", size), splits.val[size], True


def _record(held: dict[tuple[str, str], Record], article_id: str, task: str) -> Record:
    record = held.get((article_id, task))
    if record is None:
        raise EtlchError(
            f"article {article_id} has no record for the task '{task}'",
            "Run `etlch-data generate` on this folder again; it writes only what is missing.",
        )
    return record


def _listed(run: Run) -> set[str]:
    """Return the data sets of the last export whose names are plain file names."""
    path = run.llamafactory / INFO
    value, _ = loads(read_text(path)) if path.is_file() else ({}, "")
    return {stem for stem in value if "/" not in stem} if isinstance(value, dict) else set()
