"""Read dataset_info.json and run.yaml, return where the listed data sets are not the promised ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from etlch.core.errors import EtlchError
from etlch.core.files import read_text
from etlch.core.manifest import Manifest
from etlch.core.records import TRAIN
from etlch.core.run_folder import Run
from etlch.dataset.splits import FOLD, few_shot
from etlch.export.data_files import COLUMNS, INFO, SHOT_COLUMNS
from etlch.quality.check_rows import DataProblem
from etlch.text.json_text import loads


def expected(run: Run, stored: Manifest) -> dict[str, dict[str, str]]:
    """Return the data sets that a run must have, by stem, with the `columns` entry of each.

    Args:
        run: gives the stems.
        stored: tests, sizes, mixes and few-shot test sets.
    """
    columns, shots = {}, stored.settings.export.shots
    for name in stored.tests():
        columns[run.test_stem(name)] = COLUMNS
        if shots:
            columns[few_shot(run.test_stem(name), shots)] = SHOT_COLUMNS
    for task in stored.settings.plan.tasks:
        for source, sizes in training_sizes(stored, task):
            for size in sizes:
                columns[run.stem(task, f"train{source}", size)] = COLUMNS
                if size >= FOLD:
                    columns[run.stem(task, f"val{source}", size)] = COLUMNS
    return columns


def training_sizes(stored: Manifest, task: str) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Return the sizes of a task's training sets by source: "" (the run's own records) and "-human" (imported)."""
    count = stored.imported.get(task, {}).get(TRAIN, 0)
    human = tuple(size for size in stored.settings.export.human_sizes if size <= count)
    return ("", stored.settings.own_sizes), ("-human", human)


def check_info(run: Run, wanted: Mapping[str, dict[str, str]]) -> Iterator[DataProblem]:
    """Check dataset_info.json: its entries, their columns and their formatting."""
    path = run.llamafactory / INFO
    name = f"{run.llamafactory.name}/{INFO}"
    if not path.is_file():
        yield DataProblem(name, None, "the file is missing")
        return
    try:
        text = read_text(path)
    except EtlchError as error:
        yield DataProblem(name, None, error.what)
        return
    info, trouble = loads(text)
    if trouble or not isinstance(info, dict):
        yield DataProblem(name, None, f"not a JSON object {trouble}".rstrip())
        return
    if not text.isascii():
        yield DataProblem(name, None, "not ASCII: LlamaFactory reads it in the machine's own encoding")
    for stem in [*wanted, *(entry for entry in info if entry not in wanted)]:
        entry = info.get(stem)
        for reason in _entry_problems(stem, entry, wanted.get(stem)):
            yield DataProblem(name, _line_of(text, stem), f"{stem}: {reason}")


def _entry_problems(stem: str, entry: object, columns: dict[str, str] | None) -> list[str]:
    if columns is None:
        return ["no such data set is promised"]
    if entry is None:
        return ["the entry is missing"]
    if not isinstance(entry, dict):
        return ["the entry is not an object"]
    problems = []
    if entry.get("file_name") != f"{stem}.json":
        problems.append(f"file_name is {entry.get('file_name')!r}, not '{stem}.json'")
    if entry.get("formatting") != "alpaca":
        problems.append(f"formatting is {entry.get('formatting')!r}, not 'alpaca'")
    if entry.get("columns") != columns:
        problems.append(f"columns must be {columns}: LlamaFactory ignores what is not named")
    return problems


def _line_of(text: str, stem: str) -> int | None:
    place = text.find(f'"{stem}"')
    return None if place < 0 else text.count("\n", 0, place) + 1
