"""Read tables of numbers, return scores with intervals, comparisons and win rates."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from etlch.core.errors import EtlchError, nearest, warn_user
from etlch.core.locale import _
from etlch.core.settings import ScoreSettings
from etlch.metrics.registry import METRICS, RENAMED, Metric, metrics_of
from etlch.scoring.inputs import is_baseline, named_so
from etlch.scoring.recipes import Recipe, recipes_of
from etlch.scoring.summary import Choice, Comparison, Score, SeedScore, System, TypeScore
from etlch.scoring.tables import Table
from etlch.stats import analysis, seeds
from etlch.stats.choice import corrected_best
from etlch.stats.corrections import correct
from etlch.stats.effects import over_seeds
from etlch.stats.paper import unpaired
from etlch.tasks import Task

CHOSEN_BY = ("facts_f1", "leaf_f1", "rouge_l", "json_parse_ok")
"""Metrics by which a reader may choose the best model: those that headlines speak of."""


@dataclass(frozen=True)
class Compared:
    """Everything that is computed from the tables. `resamples` is the largest of the tasks'."""

    scores: tuple[Score, ...]
    comparisons: tuple[Comparison, ...]
    seeds: tuple[SeedScore, ...]
    choices: tuple[Choice, ...]
    resamples: int


@dataclass(frozen=True)
class _Cell:
    """One metric of one system: where it is defined, and its rows summed by article."""

    table: Table
    metric: Metric
    records: NDArray[np.int32]
    measured: analysis.Measured


@dataclass(frozen=True)
class _Pair:
    """A recipe and a baseline on one metric, with the cells of their trainings."""

    recipe: Recipe
    baseline: Recipe
    metric: Metric
    first: tuple[_Cell, ...]
    second: tuple[_Cell, ...]


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
    means: list[SeedScore] = []
    choices: list[Choice] = []
    resamples = 0
    for task in dict.fromkeys(table.system.task for table in tables):
        rows = [table for table in tables if table.system.task == task]
        found = _compare_task(rows, [metric for metric in of_task(task) if metric.name in wanted], settings)
        scores += found.scores
        comparisons += found.comparisons
        means += found.seeds
        choices += found.choices
        resamples = max(resamples, found.resamples)
    return Compared(tuple(scores), tuple(_corrected(comparisons)), tuple(means), tuple(choices), resamples)


def _compare_task(tables: list[Table], metrics: list[Metric], settings: ScoreSettings) -> Compared:
    clusters = 1 + max(int(table.articles.max()) for table in tables)
    cells = [cell for table in tables for cell in _cells(table, metrics, clusters)]
    recipes = recipes_of([table.system for table in tables], settings.baselines)
    grid = {(cell.table.system, cell.metric.name): cell for cell in cells}
    pairs = _pairs(recipes, metrics, grid, settings)
    single = [pair for pair in pairs if len(pair.first) == len(pair.second) == 1]
    measured = [cell.measured for cell in cells]
    places = [_on_common_records(pair.first[0], pair.second[0], cells, clusters, measured) for pair in single]
    found = analysis.analyse(measured, places, settings.seed, settings.resamples)
    results = found.comparisons
    if settings.test != "paired":
        results = tuple(
            unpaired(result, measured[one], measured[two], settings.test)
            for (one, two), result in zip(places, results, strict=True)
        )
    answers = dict(zip(map(id, single), results, strict=True))
    for pair in pairs:
        if id(pair) not in answers:
            answers[id(pair)] = _of_recipes(pair, clusters, settings)
    return Compared(
        tuple(_score(cell, found.estimates[index]) for index, cell in enumerate(cells)),
        tuple(_comparison(pair, answers[id(pair)]) for pair in pairs),
        tuple(_seed_scores(recipes, metrics, grid, clusters)),
        tuple(_choices(recipes, pairs, grid, clusters, settings.seed)),
        found.resamples,
    )


def _of_recipes(pair: _Pair, clusters: int, settings: ScoreSettings) -> analysis.Comparison:
    sides = _of_common_records([*pair.first, *pair.second], clusters)
    first, second = sides[: len(pair.first)], sides[len(pair.first) :]
    return seeds.compare_recipes(first, second, settings.seed, settings.resamples)


def _pairs(
    recipes: Sequence[Recipe],
    metrics: Sequence[Metric],
    grid: Mapping[tuple[System, str], _Cell],
    settings: ScoreSettings,
) -> list[_Pair]:
    """Return what is compared: recipes and their baselines, on every metric that both have."""
    by_system = {recipe.system: recipe for recipe in recipes}
    pairs = []
    for one, two in opponents(list(by_system), settings):
        first, second = by_system[one], by_system[two]
        for metric in (item for item in metrics if item.compared):
            cells = [
                [grid[run, metric.name] for run in side.runs if (run, metric.name) in grid]
                for side in (first, second)
            ]
            if all(cells):
                pairs.append(_Pair(first, second, metric, tuple(cells[0]), tuple(cells[1])))
    return pairs


def _seed_scores(
    recipes: Sequence[Recipe],
    metrics: Sequence[Metric],
    grid: Mapping[tuple[System, str], _Cell],
    clusters: int,
) -> Iterator[SeedScore]:
    """Yield every metric's mean over the seeds of each recipe that has several."""
    for recipe in recipes:
        for metric in metrics:
            runs = [grid[run, metric.name] for run in recipe.runs if (run, metric.name) in grid]
            if len(runs) < 2:
                continue
            sides = _of_common_records(runs, clusters)
            found = seeds.estimate_recipe(sides)
            spread = over_seeds([analysis.value_of(side) for side in sides])
            if found.value is not None and spread.sd is not None:
                who = (recipe.system.model, recipe.system.task, recipe.system.size, metric.name)
                low, high = found.interval.low, found.interval.high
                yield SeedScore(*who, found.value, spread.sd, len(runs), low, high, found.n)


def _choices(
    recipes: Sequence[Recipe],
    pairs: Sequence[_Pair],
    grid: Mapping[tuple[System, str], _Cell],
    clusters: int,
    seed: int,
) -> Iterator[Choice]:
    """Yield the best of the compared recipes by each metric that headlines speak of."""
    contenders = [recipe for recipe in recipes if any(pair.recipe is recipe for pair in pairs)]
    for name in CHOSEN_BY:
        cells = [[grid[run, name] for run in recipe.runs if (run, name) in grid] for recipe in contenders]
        known = [(recipe, runs) for recipe, runs in zip(contenders, cells, strict=True) if runs]
        rows = (
            iter(_of_common_records([cell for _, runs in known for cell in runs], clusters))
            if known
            else iter(())
        )
        found = corrected_best([[next(rows) for _ in runs] for _, runs in known], seed)
        if found is not None:
            system = known[found[0]][0].system
            yield Choice(system.task, name, system.label, len(known), found[1], found[2])


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
    used = ~np.isnan(rows).any(axis=1)
    if only is not None:
        used &= np.isin(table.records, only)
    rows = rows[used] if metric.score else rows[used, 0]
    cluster = table.articles[used].astype(np.int64)
    measured = analysis.measured(rows, cluster, clusters, metric.score, metric.yes_no)
    return _Cell(table, metric, np.sort(table.records[used]), measured)


def _on_common_records(
    first: _Cell, second: _Cell, cells: list[_Cell], clusters: int, measured: list[analysis.Measured]
) -> tuple[int, int]:
    """Return the places of two cells in `measured`; where their records differ, of new ones of the common records."""
    if np.array_equal(first.records, second.records):
        place = {id(cell): at for at, cell in enumerate(cells)}
        return place[id(first)], place[id(second)]
    measured += _of_common_records([first, second], clusters)
    return len(measured) - 2, len(measured) - 1


def _of_common_records(cells: Sequence[_Cell], clusters: int) -> list[analysis.Measured]:
    """Return the rows of cells, of the records that all of them have a value for."""
    common = cells[0].records
    if all(np.array_equal(common, cell.records) for cell in cells[1:]):
        return [cell.measured for cell in cells]
    for cell in cells[1:]:
        common = np.intersect1d(common, cell.records)
    return [_cell(cell.table, cell.metric, clusters, common).measured for cell in cells]


def assumed_baselines(systems: Sequence[System]) -> list[System]:
    """Return what a task's systems are compared with where nobody said: none where one of them has a role.

    Models without a size, where others have one: training sets make sizes, and what has none was not trained on
    them. Else the first.
    """
    if any(system.role for system in systems):
        return []
    unsized = [system for system in systems if system.size is None]
    return unsized if 0 < len(unsized) < len(systems) else list(systems[:1])


def opponents(systems: Sequence[System], settings: ScoreSettings) -> list[tuple[System, System]]:
    """Return (model, baseline) pairs of the systems of one task.

    Baselines are those asked for; else all with role base or baseline; else those that are assumed. A baseline that has a size (a dictionary of so many training records)
    stands against the models of that size.
    """
    if settings.baselines:
        bases = [system for system in systems if named_so(system, settings.baselines)]
    else:
        bases = [system for system in systems if is_baseline(system)]
        bases = bases or assumed_baselines(systems)
    return [
        (system, base)
        for system in systems
        if system not in bases
        for base in bases
        if base.size in (None, system.size) or settings.baselines
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


def _comparison(pair: _Pair, found: analysis.Comparison) -> Comparison:
    system = pair.recipe.system
    return Comparison(
        model=system.model,
        baseline=pair.baseline.system.label,
        task=system.task,
        size=system.size,
        metric=pair.metric.name,
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
        seeds=len(pair.first),
        baseline_seeds=len(pair.second),
        scope="weights" if "weights" in (pair.recipe.scope, pair.baseline.scope) else "recipes",
        agree=found.agree,
        floor=found.floor,
    )


def _corrected(comparisons: list[Comparison]) -> list[Comparison]:
    """Adjust by Holm within each task and metric, and by Benjamini-Hochberg over all."""
    families = [(item.task, item.metric) for item in comparisons]
    corrected = correct([item.p for item in comparisons], families)
    return [
        replace(item, p_adjusted=found.holm, family=found.family_size, q=found.benjamini_hochberg)
        for item, found in zip(comparisons, corrected, strict=True)
    ]


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
        if name in RENAMED:
            warn_user(
                f"the metric '{name}' is called '{RENAMED[name]}' now; the old name goes with the next release"
            )
    wanted = [RENAMED.get(name, name) for name in wanted]
    for name in wanted:
        if name not in known:
            raise EtlchError(
                _("there is no metric '{name}'.{nearest}").format(name=name, nearest=nearest(name, names)),
                _("Metrics: {names}.").format(names=", ".join(names)),
            )
    return tuple(metric for metric in known.values() if not wanted or metric.name in wanted)
