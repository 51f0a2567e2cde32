"""Score rows or a DataFrame in Python, return the summary of `etlch-score` with its tables as DataFrames."""

from __future__ import annotations

import dataclasses
import math
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etlch.core.config import parse_settings
from etlch.core.errors import EtlchError
from etlch.core.extras import need
from etlch.core.files import dumps, write_text
from etlch.core.records import Json
from etlch.core.settings import ScoreSettings
from etlch.scoring import score as scoring
from etlch.scoring.sample_lines import read_samples
from etlch.scoring.summary import Sample, Summary

if TYPE_CHECKING:
    from pandas import DataFrame

_WHOLE = ("size", "seed")
"""Columns that are whole numbers; a DataFrame with gaps holds them as floats."""


@dataclass(frozen=True)
class Scores:
    """What a scoring found. Every table is a DataFrame whose columns are the keys of summary.json.

    Attributes:
        summary: the content of summary.json.
        rows: each record's own numbers, as in scores.jsonl.
    """

    summary: Summary
    rows: tuple[Mapping[str, Json], ...] = field(repr=False)

    @property
    def scores(self) -> DataFrame:
        """Metrics of every model with their 95 % intervals: model, task, size, metric, value, low, high, n."""
        return _frame(self.summary.scores)

    @property
    def comparisons(self) -> DataFrame:
        """Models against baselines: difference, low, high, p, p_adjusted, q, effect size."""
        return _frame(self.summary.comparisons)

    @property
    def win_rates(self) -> DataFrame:
        """Wins of every model over every baseline."""
        return _frame(self.summary.win_rates)

    @property
    def types(self) -> DataFrame:
        """Precision, recall and F1 by type of fact."""
        return _frame(self.summary.types)

    @property
    def seeds(self) -> DataFrame:
        """Mean and spread over the seeds of a model."""
        return _frame(self.summary.seeds)

    @property
    def records(self) -> DataFrame:
        """One row per model and record: id, article_id, prediction, and each metric's own value."""
        table: DataFrame = _pandas().DataFrame(self.rows)
        return table


def score(
    rows: DataFrame | Iterable[Mapping[str, Json]] | Path | str | Sequence[Path | str],
    *,
    gold: DataFrame | Iterable[Mapping[str, Json]] | Path | str | None = None,
    task: str | None = None,
    model: str | None = None,
    baseline: str | Sequence[str] | None = None,
    out: Path | str | None = None,
    **settings: Any,
) -> Scores:
    """Score predictions, as `etlch-score` does with files.

    Args:
        rows: predictions: a DataFrame, dicts, or paths of run folders and prediction files. Columns are those of
            prediction files: prompt, predict, label, and where there are any id, article_id, task, model, size,
            seed, role. A label or prediction may be a parsed object.
        gold: keys of each model's rows, line by line: id, article_id, task, language, instruction, input, gold, schema.
        task: json, kge, ner, or the name of a task of one's own (`task_file=`); found from the labels otherwise.
        model: score this model only; where the rows name none, its name.
        baseline: compare with this model, or these.
        out: a folder for summary.json, scores.jsonl and keys.jsonl; nothing is kept otherwise.
        settings: any other key of docs/metrics.md, section Settings, e.g. metrics=["facts_f1"], cosine="off".

    Raises:
        EtlchError: rows that cannot be scored, or an unknown setting. Nothing is written then.
    """
    told = {"task": task, "model": model, "baseline": baseline, **settings}
    chosen = parse_settings(
        ScoreSettings, {name: value for name, value in told.items() if value is not None}, "etlch.score"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            paths = _paths(rows, folder)
            keys = None if gold is None else _paths(gold, folder / "gold")[0]
            if model is None and paths == [folder / "rows.jsonl"]:
                chosen = dataclasses.replace(chosen, model="model")
            found = scoring.score(
                paths, chosen, keys, None if out is None else Path(out), scratch=folder / "scores"
            )
        except EtlchError as error:
            place = re.escape(str(folder))
            what = re.sub(rf"{place}/gold/rows\.jsonl", "gold", error.what)
            what = re.sub(rf"{place}/(rows[^/]*?)\.jsonl", r"\1", what)
            raise EtlchError(what, error.hint, code=error.code) from error
        assert found.out is not None
        return Scores(found.summary, tuple(map(_flat, read_samples(found.out))))


def _paths(rows: Any, folder: Path) -> list[Path]:
    """Return the files that hold rows, written into a folder where they are values.

    A file holds the rows of one model, as the rows of several models without ids meet line by line.
    """
    if isinstance(rows, Path | str):
        return [Path(rows)]
    if hasattr(rows, "to_dict") and hasattr(rows, "columns"):
        rows = rows.to_dict(orient="records")
    listed = list(rows)
    if listed and all(isinstance(item, Path | str) for item in listed):
        return [Path(item) for item in listed]
    plain = [_plain(item) for item in listed]
    systems: dict[tuple[Json, ...], list[str]] = {}
    for item in plain:
        system = tuple(item.get(name) for name in ("model", "size", "seed"))
        systems.setdefault(system, []).append(f"{dumps(item)}\n")
    found = []
    for system, lines in (systems or {(None,): []}).items():
        label = "-".join(re.sub(r"[^\w.-]+", "-", str(part)) for part in system if part is not None)
        found.append(folder / f"rows{' of ' if label else ''}{label}.jsonl")
        write_text(found[-1], "".join(lines))
    return found


def _plain(row: Mapping[str, Any]) -> dict[str, Json]:
    """Return a row as JSON values: NaN is no value, numbers of numpy become Python's, objects become JSON text."""
    found: dict[str, Json] = {}
    for name, value in row.items():
        plain = value.item() if hasattr(value, "item") else value
        if isinstance(plain, float) and math.isnan(plain):
            continue
        if name in _WHOLE and isinstance(plain, float) and plain.is_integer():
            plain = int(plain)
        if name in ("predict", "prediction", "label", "gold") and isinstance(plain, dict | list):
            plain = dumps(plain)
        found[str(name)] = plain
    return found


def _flat(sample: Sample) -> dict[str, Json]:
    system, key = sample.system, sample.key
    return {
        "model": system.model,
        "task": system.task,
        "size": system.size,
        "seed": system.seed,
        "id": key.id,
        "article_id": key.article_id,
        "label": key.gold,
        "predict": sample.predicted,
        "reading": sample.reading,
        **sample.values,
        **{
            f"{name}.{part}": value
            for name, row in sample.rows.items()
            for part, value in zip(("tp", "predicted", "gold"), row, strict=True)
        },
    }


def _frame(items: Sequence[Any]) -> DataFrame:
    table: DataFrame = _pandas().DataFrame([dataclasses.asdict(item) for item in items])
    return table


def _pandas() -> Any:
    need("pandas", "a table as a DataFrame", "pandas")
    import pandas

    return pandas
