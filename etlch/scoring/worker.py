"""Measure a stretch of raw rows. This runs in every worker process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from math import nan
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from etlch.core.errors import EtlchError
from etlch.core.files import dumps
from etlch.core.records import Json, Key, task_of, test_name, test_of, to_dict
from etlch.core.settings import ScoreSettings
from etlch.metrics.comparators import parse_rules
from etlch.metrics.predictions import Aligned, align, own_key, parse_row
from etlch.metrics.readers.containers import RawRow
from etlch.metrics.readers.gold import parse_key
from etlch.metrics.readers.layouts import Layout, failure
from etlch.metrics.reading import ParseConfig
from etlch.metrics.record import Measures, measure
from etlch.metrics.registry import FLOORS, ROW, metrics_of
from etlch.scoring.detect import FileContext, LabelShape
from etlch.scoring.sample_lines import sample_line
from etlch.scoring.summary import Sample, System
from etlch.tasks import find_task
from etlch.tasks.base import Task
from etlch.tasks.schema_file import read_schema


@dataclass(frozen=True)
class Plan:
    """What is the same for all rows of one file.

    Attributes:
        layout: which column of the file is which.
        by_content: whether rows without ids are known by their prompts.
        keep_samples: whether lines for scores.jsonl are wanted.
        keep_keys: whether lines for keys.jsonl are.
        keep_texts: whether the texts are, to be embedded.
    """

    path: Path
    keys: Path | None
    system: System
    layout: Layout
    context: FileContext
    settings: ScoreSettings
    groups: frozenset[str]
    by_content: bool
    keep_samples: bool
    keep_keys: bool
    keep_texts: bool


@dataclass(frozen=True)
class Chunk:
    """Some rows of one file, each with its key where the file has keys."""

    plan: Plan
    rows: tuple[RawRow, ...]
    keys: tuple[RawRow, ...] | None


@dataclass(frozen=True)
class Part:
    """The rows of one system in a chunk, in their order.

    Attributes:
        lines: line numbers in the file.
        columns: names of the columns of `matrix`.
        matrix: (rows, columns), NaN where a metric does not apply to the record.
        samples, keys: lines for scores.jsonl and keys.jsonl, where wanted.
        texts: (gold, predicted), where wanted.
        types: type → sums of its rows.
        unparseable, truncated, odd_gold: line numbers.
        mapped: entries of the label map that matched something.
    """

    system: System
    ids: tuple[str, ...]
    articles: tuple[str, ...]
    lines: tuple[int, ...]
    columns: tuple[str, ...]
    matrix: NDArray[np.float64]
    samples: tuple[str, ...]
    keys: tuple[str, ...]
    texts: tuple[tuple[str, str], ...]
    types: Mapping[str, tuple[float, float, float]]
    unparseable: tuple[int, ...]
    truncated: tuple[int, ...]
    odd_gold: tuple[int, ...]
    mapped: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Block:
    """What became of a chunk.

    Attributes:
        parts: its rows by system.
        skipped: line numbers of rows that could not be used, with the reason of each.
        failed: the same of rows that carry a failed request instead of an answer; they are in `parts`, empty.
    """

    parts: tuple[Part, ...]
    skipped: tuple[tuple[int, str], ...]
    failed: tuple[tuple[int, str], ...] = ()


Measured = tuple[Aligned, Measures]


def columns_of(task: Task) -> tuple[str, ...]:
    """Return the columns of a task's matrix, all but cosine, in the order of METRICS."""
    return tuple(
        dict.fromkeys(
            column for metric in metrics_of(task) if metric.name != "cosine" for column in metric.columns
        )
    )


FEW_ROWS, EVERY = 64, 16
"""Of a chunk of up to FEW_ROWS rows every one is also scored by chance, of a longer one every EVERY."""


def measure_chunk(chunk: Chunk) -> Block:
    """Parse, align and measure some rows.

    Raises:
        EtlchError: a row that cannot be used, unless the settings skip it; a row that does not
            belong to its key, whatever the settings say.
    """
    by_system: dict[System, list[Measured]] = {}
    skipped: list[tuple[int, str]] = []
    failed: list[tuple[int, str]] = []
    for place, raw in enumerate(chunk.rows):
        try:
            aligned = _aligned(chunk.plan, raw, chunk.keys[place] if chunk.keys is not None else None)
        except Unusable as error:
            if chunk.plan.settings.bad_lines == "refuse":
                raise EtlchError(error.what, error.hint) from error
            skipped.append((raw.number, error.what))
            continue
        if not aligned.text and (why := failure(aligned.columns, chunk.plan.layout)):
            failed.append((raw.number, why))
        system = _system(chunk.plan, aligned)
        config = _config(chunk.plan, system.task)
        by_system.setdefault(system, []).append((aligned, measure(aligned.key, aligned.text, config)))
    parts = tuple(
        _part(system, _with_floors(rows, _config(chunk.plan, system.task)), chunk.plan)
        for system, rows in by_system.items()
    )
    return Block(parts, tuple(skipped), tuple(failed))


def _with_floors(rows: list[Measured], config: ParseConfig) -> list[Measured]:
    """Return the rows with what some of their predictions score against the label of the next other article.

    It is the score that unrelated answers of this form get. Every EVERY row of a long chunk is taken.
    """
    bare = replace(config, json=False, grounding=False)
    step = 1 if len(rows) <= FEW_ROWS else EVERY
    found = list(rows)
    for place in range(0, len(rows), step):
        aligned, own = rows[place]
        others = (rows[(place + gap) % len(rows)][0].key for gap in range(1, len(rows)))
        other = next((key for key in others if key.article_id != aligned.key.article_id), None)
        if other is None:
            continue
        by_chance = measure(replace(other, input=""), aligned.text, bare)
        values, counts = dict(own.values), dict(own.rows)
        if "rouge_l" in by_chance.values:
            values["rouge_l_floor"] = by_chance.values["rouge_l"]
        counts |= {f"{name}_floor": row for name, row in by_chance.rows.items() if name in FLOORS}
        found[place] = (aligned, replace(own, values=values, rows=counts))
    return found


class Unusable(EtlchError):
    """A row that may be skipped and counted, in contrast to one that belongs elsewhere."""


def _aligned(plan: Plan, raw: RawRow, key_row: RawRow | None) -> Aligned:
    try:
        prediction = parse_row(raw, plan.path, plan.layout)
        if key_row is None or plan.keys is None:
            columns = prediction.columns
            task = str(columns.get("task") or plan.context.task)
            language = plan.context.shapes.get(task, LabelShape("en")).language
            key = own_key(
                prediction,
                plan.path,
                task,
                language,
                by_prompt=plan.context.by_prompt,
                by_content=plan.by_content,
            )
            key = _with_schema(key, plan.settings.schema)
            return Aligned(key, prediction.line, prediction.text, False, columns)
    except EtlchError as error:
        raise Unusable(error.what, error.hint) from error
    settings = plan.settings
    key = parse_key(key_row, plan.keys, settings.columns, settings.task or "", settings.language or "")
    task = key.task or plan.context.task
    shape = plan.context.shapes.get(task, LabelShape("en"))
    key = replace(key, task=task, language=key.language or shape.language)
    key = _with_schema(key, settings.schema)
    return align(prediction, key, plan.path, plan.settings.end_markers)


def _with_schema(key: Key, schema: str | None) -> Key:
    """Return a key of the task schema with the user's schema, where it carries none of its own."""
    if schema is None or key.schema is not None or task_of(key.task) != "schema":
        return key
    return replace(key, schema=read_schema(schema).label)


def _system(plan: Plan, aligned: Aligned) -> System:
    """The folder says who answered; else columns of the row; else options and file names."""
    columns, system = aligned.columns, plan.system
    task = test_name(aligned.key.task or plan.context.task, test_of(system.task))
    if system.role or not columns:
        return replace(system, task=task)
    return System(
        model=str(columns.get("model") or system.model),
        task=task,
        size=_whole(columns.get("size"), system.size),
        seed=_whole(columns.get("seed"), system.seed),
        role=str(columns.get("role") or ""),
    )


def _whole(value: Json, otherwise: int | None) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else otherwise


def _config(plan: Plan, task: str) -> ParseConfig:
    task = task_of(task)
    settings, shape = plan.settings, plan.context.shapes.get(task, LabelShape(""))
    return ParseConfig(
        task=_task(task, settings.task_file),
        tokenizer=settings.tokenizer,
        nested=shape.nested,
        label_map=settings.label_map,
        markers=settings.end_markers,
        empty_values=frozenset(settings.empty_values),
        compare=parse_rules(settings.compare),
        policies=settings.policies,
        rouge="rouge" in plan.groups,
        json="json" in plan.groups,
        facts="facts" in plan.groups,
        grounding="grounding" in plan.groups,
    )


@lru_cache(maxsize=64)
def _task(name: str, task_file: str | None) -> Task:
    return find_task(name, Path(task_file) if task_file else None)


def _part(system: System, rows: list[Measured], plan: Plan) -> Part:
    columns = columns_of(_task(task_of(system.task), plan.settings.task_file))
    types: dict[str, tuple[float, float, float]] = {}
    for _, found in rows:
        for name, row in found.types.items():
            one, two, three = types.get(name, (0.0, 0.0, 0.0))
            types[name] = (one + row.hits, two + row.predicted, three + row.gold)
    return Part(
        system=system,
        ids=tuple(aligned.key.id for aligned, _ in rows),
        articles=tuple(aligned.key.article_id for aligned, _ in rows),
        lines=tuple(aligned.line for aligned, _ in rows),
        columns=columns,
        matrix=np.array([_numbers(found, columns) for _, found in rows], dtype=np.float64),
        samples=tuple(_sample(plan, system, *row) for row in rows) if plan.keep_samples else (),
        keys=tuple(dumps(to_dict(aligned.key)) for aligned, _ in rows) if plan.keep_keys else (),
        texts=tuple((aligned.key.gold, aligned.text) for aligned, _ in rows) if plan.keep_texts else (),
        types=types,
        unparseable=tuple(aligned.line for aligned, found in rows if not found.reading),
        truncated=tuple(aligned.line for aligned, _ in rows if aligned.truncated),
        odd_gold=tuple(aligned.line for aligned, found in rows if found.gold_problem),
        mapped=frozenset().union(*(found.mapped for _, found in rows)),
    )


def _numbers(found: Measures, columns: tuple[str, ...]) -> list[float]:
    values = dict(found.values)
    for family, row in found.rows.items():
        values.update(zip((f"{family}.{part}" for part in ROW), row, strict=True))
    return [values.get(column, nan) for column in columns]


def _sample(plan: Plan, system: System, aligned: Aligned, found: Measures) -> str:
    rows = {name: (row.hits, row.predicted, row.gold) for name, row in found.rows.items()}
    return sample_line(
        Sample(
            system,
            aligned.key,
            aligned.line,
            aligned.text,
            found.reading,
            aligned.truncated,
            found.values,
            rows,
            plan.context.shapes.get(task_of(system.task), LabelShape("")).nested,
        )
    )
