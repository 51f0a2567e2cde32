"""Read two scorings of the same records, return the significant drops between them, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isnan, nan
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from etlch.core.errors import EtlchError
from etlch.core.files import read_lines
from etlch.core.locale import _
from etlch.core.records import Json
from etlch.core.settings import ScoreSettings
from etlch.metrics.registry import ROW, Metric
from etlch.scoring.compare import known_metrics
from etlch.scoring.recipes import Recipe, recipes_of
from etlch.scoring.summary import SCORES, Summary, System, read_summary
from etlch.stats import analysis
from etlch.stats.seeds import mean_difference
from etlch.tasks import all_tasks

GATED = ("facts_f1", "leaf_f1", "rouge_l", "json_parse_ok")
"""Metrics that --max-drop watches unless --metrics names others."""

SEED_SD = 0.03
"""Standard deviation of a score between trainings of one recipe, where nothing says another.

Of small models tuned on some hundred records; docs/statistics.md tells how to measure one's own.
"""

PRIOR_FREEDOM = 4
"""What SEED_SD weighs beside a measured one: two or three seeds alone tell a variance too badly.

Variances shrunk towards a prior one: Smyth, Statistical Applications in Genetics and Molecular Biology
3 (2004) article 3.
"""

ALPHA = 0.05
"""The chance that a mere retraining breaks a build."""


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
            numbers = systems.setdefault((label, value["task"]), _Numbers({}, {}))
            numbers.articles[value["id"]] = value["article_id"]
            for column, one in _columns(value):
                numbers.columns.setdefault(column, {})[value["id"]] = one
        except (KeyError, TypeError, AttributeError) as error:
            raise EtlchError(
                _("{scores}, line {number}: not a line of scores.jsonl ({error})").format(
                    scores=scores, number=number, error=error
                ),
                _("Score again with etlch-score."),
            ) from error
    return Earlier(summary, systems)


def _columns(value: dict[str, Json]) -> list[tuple[str, float]]:
    rows = [
        (f"{family}.{part}", one)
        for family, row in value["rows"].items()
        for part, one in zip(ROW, row, strict=True)
    ]
    return [*value["values"].items(), *rows]


@dataclass(frozen=True)
class Regressions:
    """What --max-drop found: drops that are too large, in words, and what was taken for training luck."""

    failures: tuple[str, ...]
    note: str


@dataclass(frozen=True)
class _Change:
    """One metric of one recipe, new minus old, with its standard error over articles and trainings."""

    system: System
    metric: Metric
    difference: float
    error: float
    freedom: float


def find_regressions(
    old: Earlier, new: Earlier, systems: Sequence[System], most: float, settings: ScoreSettings
) -> Regressions:
    """Find the drops that are significantly larger than allowed.

    Trainings of one recipe are averaged on both sides. A metric has dropped too far where the upper bound
    of the difference, new minus old on the records that all hold, lies below −most. The bound knows of the
    articles and of what training again does by luck, and it is one-sided at 5 % over all that is watched
    together (Bonferroni), so that a mere retraining breaks at most one build in twenty.

    Args:
        old: the earlier scoring.
        new: the one to judge.
        systems: of `new`, those that the gate applies to.
        most: the largest drop that passes.
        settings: metrics, task_file, seed_sd.

    Raises:
        EtlchError: no system is in both, or the old ROUGE was computed with other tokens.
    """
    names = settings.metrics or GATED
    tasks = all_tasks(Path(settings.task_file) if settings.task_file else None)
    metrics = known_metrics(names, tasks.values())
    _check_tokens(old.summary, new.summary, names)
    luck = _Luck(old.summary, new.summary, settings.seed_sd)
    earlier = {_who(recipe.system): recipe for recipe in recipes_of(old.summary.systems)}
    changes = [
        change
        for recipe in recipes_of(systems)
        if _who(recipe.system) in earlier
        for metric in metrics
        if (change := _change(old, new, (earlier[_who(recipe.system)], recipe), metric, luck)) is not None
    ]
    if not changes:
        raise EtlchError(
            _("--against: no model, task and record of the earlier summary is in the new one"),
            _("Compare scorings of the same test set and model names."),
        )
    failures = [text for change in changes if (text := _said(change, most, len(changes)))]
    return Regressions(tuple(failures), luck.note)


class _Luck:
    """The variance of a score between trainings of one recipe, and where it is known from."""

    def __init__(self, old: Summary, new: Summary, given: float | None) -> None:
        self._means = [*old.seeds, *new.seeds]
        self._given = given

    def of(self, task: str, metric: str) -> tuple[float, float]:
        """Return (variance, degrees of freedom): as given, as measured on the task, or as assumed."""
        if self._given is not None:
            return self._given**2, inf
        known = {
            item for item in self._means if (item.task, item.metric) == (task, metric) and item.seeds > 1
        }
        freedom = sum(item.seeds - 1 for item in known)
        if not freedom:
            return SEED_SD**2, inf
        squares = sum(item.sd**2 * (item.seeds - 1) for item in known)
        whole = freedom + PRIOR_FREEDOM
        return (squares + PRIOR_FREEDOM * SEED_SD**2) / whole, whole

    @property
    def note(self) -> str:
        """One line on what was taken for the standard deviation between trainings."""
        if self._given is not None:
            return f"--max-drop: standard deviation between trainings {self._given:g}, as given (seed_sd)"
        if any(item.seeds > 1 for item in self._means):
            return "--max-drop: standard deviation between trainings as measured between the seeds of both scorings"
        return (
            f"--max-drop: one training each, so a standard deviation of {SEED_SD:g} between trainings is assumed and "
            f"drops under about {2.3 * SEED_SD:.2f} go unseen; the setting seed_sd says another (0: the same weights)"
        )


def _who(system: System) -> tuple[str, str, int | None]:
    return system.model, system.task, system.size


def _change(
    old: Earlier, new: Earlier, recipes: tuple[Recipe, Recipe], metric: Metric, luck: _Luck
) -> _Change | None:
    """Compare the trainings of one recipe then and now, or None where they share no record of the metric."""
    sides = [
        [found for run in recipe.runs if (found := side.systems.get((run.label, run.task))) is not None]
        for side, recipe in zip((old, new), recipes, strict=True)
    ]
    columns = set(metric.columns)
    if not all(sides) or not all(columns <= set(run.columns) for side in sides for run in side):
        return None
    rows = [[_rows(run, metric) for run in side] for side in sides]
    common = sorted(set.intersection(*(set(run) for side in rows for run in side)))
    if not common:
        return None
    before, after = ([_measured(run, common, sides[1][0], metric) for run in side] for side in rows)
    variance, freedom = luck.of(recipes[1].system.task, metric.name)
    luck_of_all = variance * (1 / len(before) + 1 / len(after))
    moved = mean_difference(after, before, luck_of_all, freedom)
    return _Change(recipes[1].system, metric, *moved) if moved is not None else None


def _measured(
    rows: dict[str, list[float]], common: Sequence[str], numbers: _Numbers, metric: Metric
) -> analysis.Measured:
    names = sorted({numbers.articles[key] for key in common})
    articles = {name: number for number, name in enumerate(names)}
    cluster = np.array([articles[numbers.articles[key]] for key in common], dtype=np.int64)
    values: NDArray[np.float64] = np.array([rows[key] for key in common], dtype=np.float64)
    values = values.reshape(len(common), len(metric.columns))
    only = values if metric.score else values[:, 0]
    return analysis.measured(only, cluster, len(articles), metric.score, metric.yes_no)


def _check_tokens(old: Summary, new: Summary, names: Sequence[str]) -> None:
    tokens = [_part(summary.signature, "tok") for summary in (old, new)]
    if tokens[0] != tokens[1] and any(name.startswith("rouge") for name in names):
        raise EtlchError(
            _("--against: ROUGE was computed with tok:{tokens} before and tok:{tokens2} now").format(
                tokens=tokens[0], tokens2=tokens[1]
            ),
            _("Score with --tokenizer {tokens}, or gate other metrics with --metrics.").format(
                tokens=tokens[0]
            ),
        )


def _part(signature: str, name: str) -> str:
    return dict(part.partition(":")[::2] for part in signature.split("|")).get(name, "")


def _rows(side: _Numbers, metric: Metric) -> dict[str, list[float]]:
    """Each record's row, of records for which the metric is defined."""
    found = {key: [side.columns[column].get(key, nan) for column in metric.columns] for key in side.articles}
    return {key: row for key, row in found.items() if not any(map(isnan, row))}


def _said(change: _Change, most: float, watched: int) -> str:
    """Return the failure in words; empty where the change may be luck or is allowed."""
    from scipy.special import stdtrit

    reach = float(stdtrit(min(change.freedom, 1e9), 1 - ALPHA / watched)) * change.error
    if change.difference + reach >= -most:
        return ""
    low, high = change.difference - reach, change.difference + reach
    return (
        f"{change.system.label} {change.system.task} {change.metric.name} changed by {change.difference:+.4f} "
        f"[{low:+.4f}, {high:+.4f}], significantly more than -{most:g}"
    )
