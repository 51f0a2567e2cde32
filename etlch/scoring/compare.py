"""Read tables of numbers, return scores with intervals, comparisons and win rates."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from etlch.core.errors import EtlchError, nearest
from etlch.core.settings import ScoreSettings
from etlch.metrics.registry import METRICS, Metric, metrics_of
from etlch.scoring.inputs import is_baseline, names_of
from etlch.scoring.summary import Comparison, Score, SeedScore, System, TypeScore, WinRate
from etlch.scoring.tables import Table
from etlch.stats import analysis
from etlch.stats.corrections import correct
from etlch.stats.effects import over_seeds
from etlch.stats.paper import unpaired
from etlch.tasks import Task

TIE = 1e-12
"""Differences up to this are a tie: sums in another order differ in the last digits."""


@dataclass(frozen=True)
class Compared:
    """Everything that is computed from the tables. `resamples` is the largest of the tasks'."""

    scores: tuple[Score, ...]
    comparisons: tuple[Comparison, ...]
    resamples: int


@dataclass(frozen=True)
class _Cell:
    """One metric of one system: where it is defined, and its rows summed by article."""

    table: Table
    metric: Metric
    records: NDArray[np.int32]
    measured: analysis.Measured


def compare(
    tables: Sequence[Table],
    of_task: Callable[[str], Sequence[Metric]],
    wanted: Collection[str],
    settings: ScoreSettings,
) -> Compared:
    """Score every system and compare it with its baselines, task by task, on the same draws.

    Args:
        tables: one per system.
        of_task: the metrics of a task by its name.
        wanted: names of metrics; those without columns in a table are passed over.
        settings: baseline, resamples, seed.
    """
    scores: list[Score] = []
    comparisons: list[Comparison] = []
    resamples = 0
    for task in dict.fromkeys(table.system.task for table in tables):
        held = [table for table in tables if table.system.task == task]
        found = _compare_task(held, [metric for metric in of_task(task) if metric.name in wanted], settings)
        scores += found.scores
        comparisons += found.comparisons
        resamples = max(resamples, found.resamples)
    return Compared(tuple(scores), tuple(_corrected(comparisons)), resamples)


def _compare_task(tables: list[Table], metrics: list[Metric], settings: ScoreSettings) -> Compared:
    clusters = 1 + max(int(table.articles.max()) for table in tables)
    cells = [cell for table in tables for cell in _cells(table, metrics, clusters)]
    measured = [cell.measured for cell in cells]
    by_place = {(cell.table.system, cell.metric.name): index for index, cell in enumerate(cells)}
    asked: list[tuple[int, int]] = []
    pairs: list[tuple[int, int]] = []
    for first, second in opponents([table.system for table in tables], settings):
        for metric in metrics:
            one, two = by_place.get((first, metric.name)), by_place.get((second, metric.name))
            if one is not None and two is not None:
                asked.append((one, two))
                pairs.append(_on_common_records(cells, one, two, clusters, measured))
    found = analysis.analyse(measured, pairs, settings.seed, settings.resamples)
    results = found.comparisons
    if settings.test != "paired":
        results = tuple(
            unpaired(result, measured[one], measured[two], settings.test)
            for (one, two), result in zip(pairs, results, strict=True)
        )
    return Compared(
        tuple(_score(cell, found.estimates[index]) for index, cell in enumerate(cells)),
        tuple(
            _comparison(cells[one], cells[two], result)
            for (one, two), result in zip(asked, results, strict=True)
        ),
        found.resamples,
    )


def _cells(table: Table, metrics: list[Metric], clusters: int) -> list[_Cell]:
    """Make a cell for every metric that the table has columns for; shared columns are summed once."""
    made: dict[tuple[str, ...], _Cell] = {}
    cells = []
    for metric in metrics:
        if not set(metric.columns) <= set(table.columns):
            continue
        if metric.columns not in made:
            made[metric.columns] = _cell(table, metric, clusters)
        first = made[metric.columns]
        if not len(first.records):
            continue  # it applies to the task, but to none of these records
        if first.metric is not metric:
            assert metric.score is not None
            first = replace(first, metric=metric, measured=replace(first.measured, score=metric.score))
        cells.append(first)
    return cells


def _cell(table: Table, metric: Metric, clusters: int, only: NDArray[np.int32] | None = None) -> _Cell:
    rows = table.matrix[:, [table.columns.index(column) for column in metric.columns]]
    held = ~np.isnan(rows).any(axis=1)
    if only is not None:
        held &= np.isin(table.records, only)
    rows = rows[held] if metric.score else rows[held, 0]
    cluster = table.articles[held].astype(np.int64)
    measured = analysis.measured(rows, cluster, clusters, metric.score, metric.yes_no)
    return _Cell(table, metric, np.sort(table.records[held]), measured)


def _on_common_records(
    cells: list[_Cell], one: int, two: int, clusters: int, measured: list[analysis.Measured]
) -> tuple[int, int]:
    """Return the pair itself, or a new pair of the records that both have a value for."""
    first, second = cells[one], cells[two]
    if np.array_equal(first.records, second.records):
        return one, two
    common = np.intersect1d(first.records, second.records)
    for cell in (first, second):
        measured.append(_cell(cell.table, cell.metric, clusters, common).measured)
    return len(measured) - 2, len(measured) - 1


def opponents(systems: Sequence[System], settings: ScoreSettings) -> list[tuple[System, System]]:
    """Return (model, baseline) pairs of the systems of one task.

    Baselines are the one asked for; else all with role base or baseline; else, where no system
    has a role, the first. A baseline that has a size (a dictionary of so many training records)
    stands against the models of that size.
    """
    if settings.baseline is not None:
        bases = [system for system in systems if settings.baseline in names_of(system)]
    else:
        bases = [system for system in systems if is_baseline(system)]
        if not bases and not any(system.role for system in systems):
            bases = list(systems[:1])
    return [
        (system, base)
        for system in systems
        if system not in bases
        for base in bases
        if base.size in (None, system.size) or settings.baseline is not None
    ]


def _score(cell: _Cell, found: analysis.Estimate) -> Score:
    system = cell.table.system
    return Score(
        model=system.model,
        task=system.task,
        size=system.size,
        metric=cell.metric.name,
        value=found.value,
        low=found.interval.low,
        high=found.interval.high,
        n=found.n,
        seed=system.seed,
        reason=found.reason or found.interval.reason,
    )


def _comparison(first: _Cell, second: _Cell, found: analysis.Comparison) -> Comparison:
    system = first.table.system
    return Comparison(
        model=system.model,
        baseline=second.table.system.label,
        task=system.task,
        size=system.size,
        metric=first.metric.name,
        difference=found.difference,
        low=found.interval.low,
        high=found.interval.high,
        p=found.p,
        p_adjusted=None,
        test=found.test,
        n=found.n,
        seed=system.seed,
        clusters=found.clusters,
        effect=found.effect,
        effect_name=found.effect_name,
        detectable=found.detectable,
        reason=found.reason or found.interval.reason,
    )


def _corrected(comparisons: list[Comparison]) -> list[Comparison]:
    """Adjust by Holm within each task and metric, and by Benjamini-Hochberg over all."""
    families = [(item.task, item.metric) for item in comparisons]
    corrected = correct([item.p for item in comparisons], families)
    return [
        replace(item, p_adjusted=found.holm, family=found.family_size, q=found.benjamini_hochberg)
        for item, found in zip(comparisons, corrected, strict=True)
    ]


def win_rates(
    comparisons: Sequence[Comparison], counted: Callable[[str], Collection[str]]
) -> tuple[WinRate, ...]:
    """Count the paper's wins of every model over every baseline on every task.

    Only the metrics that are `counted` for a task's name enter; one that was not computed, or is undefined,
    is not applicable.
    """
    cells: dict[tuple[str, str, int | None, int | None, str], list[Comparison]] = {}
    for item in comparisons:
        if item.metric in counted(item.task) and item.difference is not None:
            cells.setdefault((item.model, item.baseline, item.size, item.seed, item.task), []).append(item)
    return tuple(
        WinRate(
            model=model,
            baseline=baseline,
            size=size,
            task=task,
            won=sum(_won(item) for item in held),
            applicable=len(held),
            significant=sum(_won(item) == 1 and item.significant for item in held),
            seed=seed,
            metrics=tuple(item.metric for item in held),
        )
        for (model, baseline, size, seed, task), held in cells.items()
    )


def _won(item: Comparison) -> float:
    assert item.difference is not None
    if abs(item.difference) <= TIE:
        return 0.5
    return float(item.difference > 0)


def seed_scores(scores: Sequence[Score]) -> tuple[SeedScore, ...]:
    """Return mean and standard deviation of every metric over the seeds of one model and size."""
    groups: dict[tuple[str, str, int | None, str], list[Score]] = {}
    for score in scores:
        if score.seed is not None:
            groups.setdefault((score.model, score.task, score.size, score.metric), []).append(score)
    found = []
    for (model, task, size, metric), held in groups.items():
        spread = over_seeds([score.value for score in held])
        if spread.n > 1 and spread.mean is not None and spread.sd is not None:
            found.append(SeedScore(model, task, size, metric, spread.mean, spread.sd, spread.n))
    return tuple(found)


def type_scores(tables: Sequence[Table], support: int) -> tuple[TypeScore, ...]:
    """Return the scores of every type of every system, the most frequent first.

    Types that only predictions name, and those with fewer than `support` gold facts, have counts
    only: a rate of three facts says nothing.
    """
    found = []
    for table in tables:
        order = sorted(table.types.items(), key=lambda item: (-item[1][2], -item[1][1], item[0]))
        for name, (hits, predicted, gold) in order:
            enough = gold >= max(support, 1)
            found.append(
                TypeScore(
                    model=table.system.model,
                    task=table.system.task,
                    size=table.system.size,
                    type=name,
                    hits=int(hits),
                    predicted=int(predicted),
                    gold=int(gold),
                    precision=(hits / predicted if predicted else 0.0) if enough else None,
                    recall=hits / gold if enough else None,
                    f1=2 * hits / (predicted + gold) if enough else None,
                    seed=table.system.seed,
                )
            )
    return tuple(found)


def known_metrics(wanted: Sequence[str], tasks: Iterable[Task] = ()) -> tuple[Metric, ...]:
    """Return the metrics to compute, in the order of tables; none named means all.

    Args:
        wanted: names of metrics.
        tasks: whose own metrics are known too.

    Raises:
        EtlchError: a name is unknown; says the nearest.
    """
    known = {metric.name: metric for metric in METRICS}
    known |= {metric.name: metric for task in tasks for metric in metrics_of(task)}
    names = list(known)
    for name in wanted:
        if name not in known:
            raise EtlchError(
                f"there is no metric '{name}'.{nearest(name, names)}", f"Metrics: {', '.join(names)}."
            )
    return tuple(metric for metric in known.values() if not wanted or metric.name in wanted)
