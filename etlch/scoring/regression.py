"""Read two scorings of the same records, return the significant drops between them, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan, nan
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from etlch.core.errors import EtlchError
from etlch.core.files import read_lines
from etlch.core.records import Json
from etlch.core.settings import ScoreSettings
from etlch.metrics.registry import ROW, Metric
from etlch.scoring.compare import known_metrics
from etlch.scoring.summary import SCORES, Summary, System, read_summary
from etlch.stats import analysis
from etlch.tasks import all_tasks

GATED = ("facts_f1", "leaf_f1", "rouge_l", "json_parse_ok")
"""Metrics that --max-drop watches unless --metrics names others."""


@dataclass
class _Numbers:
    """One system's records: ids and articles in file order, and each column's values."""

    articles: dict[str, str]
    columns: dict[str, dict[str, float]]


@dataclass(frozen=True)
class Earlier:
    """A scoring as it stands on disk. `systems` are by label and task."""

    summary: Summary
    systems: dict[tuple[str, str], _Numbers]


def read_earlier(path: Path) -> Earlier:
    """Read summary.json and the scores.jsonl beside it; `path` is either's folder or the summary.

    Raises:
        EtlchError: one of them is missing or damaged.
    """
    summary = read_summary(path)
    scores = (path if path.is_dir() else path.parent) / SCORES
    systems: dict[tuple[str, str], _Numbers] = {}
    for number, value in read_lines(scores):
        try:
            label = System(value["model"], value["task"], value["size"], value["seed"]).label
            held = systems.setdefault((label, value["task"]), _Numbers({}, {}))
            held.articles[value["id"]] = value["article_id"]
            for column, one in _columns(value):
                held.columns.setdefault(column, {})[value["id"]] = one
        except (KeyError, TypeError, AttributeError) as error:
            raise EtlchError(
                f"{scores}, line {number}: not a line of scores.jsonl ({error})",
                "Score again with etlch-score.",
            ) from error
    return Earlier(summary, systems)


def _columns(value: dict[str, Json]) -> list[tuple[str, float]]:
    rows = [
        (f"{family}.{part}", one)
        for family, row in value["rows"].items()
        for part, one in zip(ROW, row, strict=True)
    ]
    return [*value["values"].items(), *rows]


def drops(
    old: Earlier, new: Earlier, systems: Sequence[System], most: float, settings: ScoreSettings
) -> list[str]:
    """Return the drops that are significantly larger than allowed.

    A metric has dropped too far when the whole 95 % interval of the paired difference, new minus
    old on the records that both hold, lies below −most.

    Raises:
        EtlchError: no system is in both, or the old ROUGE was computed with other tokens.
    """
    names = settings.metrics or GATED
    tasks = all_tasks(Path(settings.task_file) if settings.task_file else None)
    metrics = known_metrics(names, tasks.values())
    _check_tokens(old.summary, new.summary, names)
    failures = []
    compared = 0
    for system in systems:
        before, after = (side.systems.get((system.label, system.task)) for side in (old, new))
        if before is None or after is None:
            continue
        for metric in metrics:
            if set(metric.columns) <= set(before.columns) & set(after.columns):
                found = _paired(before, after, metric, settings)
                compared += found.n > 0
                if found.interval.high is not None and found.interval.high < -most:
                    failures.append(_said(system, metric, found, most))
    if not compared:
        raise EtlchError(
            "--against: no model, task and record of the earlier summary is in the new one",
            "Compare scorings of the same test set and model names.",
        )
    return failures


def _check_tokens(old: Summary, new: Summary, names: Sequence[str]) -> None:
    tokens = [_part(summary.signature, "tok") for summary in (old, new)]
    if tokens[0] != tokens[1] and any(name.startswith("rouge") for name in names):
        raise EtlchError(
            f"--against: ROUGE was computed with tok:{tokens[0]} before and tok:{tokens[1]} now",
            f"Score with --tokenizer {tokens[0]}, or gate other metrics with --metrics.",
        )


def _part(signature: str, name: str) -> str:
    return dict(part.partition(":")[::2] for part in signature.split("|")).get(name, "")


def _paired(
    before: _Numbers, after: _Numbers, metric: Metric, settings: ScoreSettings
) -> analysis.Comparison:
    rows = [_rows(side, metric) for side in (before, after)]
    common = sorted(set(rows[0]) & set(rows[1]))
    articles = {name: number for number, name in enumerate(sorted({after.articles[key] for key in common}))}
    cluster = np.array([articles[after.articles[key]] for key in common], dtype=np.int64)
    sides = []
    for held in rows:
        values: NDArray[np.float64] = np.array([held[key] for key in common], dtype=np.float64)
        values = values.reshape(len(common), len(metric.columns))
        only = values if metric.score else values[:, 0]
        sides.append(analysis.measured(only, cluster, len(articles), metric.score, metric.yes_no))
    return analysis.analyse(sides[::-1], [(0, 1)], settings.seed, settings.resamples).comparisons[0]


def _rows(side: _Numbers, metric: Metric) -> dict[str, list[float]]:
    """Each record's row, of records for which the metric is defined."""
    found = {key: [side.columns[column].get(key, nan) for column in metric.columns] for key in side.articles}
    return {key: row for key, row in found.items() if not any(map(isnan, row))}


def _said(system: System, metric: Metric, found: analysis.Comparison, most: float) -> str:
    assert found.difference is not None
    return (
        f"{system.label} {system.task} {metric.name} changed by {found.difference:+.4f} "
        f"[{found.interval.low:+.4f}, {found.interval.high:+.4f}], significantly more than -{most:g}"
    )
