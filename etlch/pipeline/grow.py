"""Grow a run where its student errs: read its answers on validation, return the settings of a larger size, or why to stop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from etlch.core.errors import EtlchError
from etlch.core.growth import Growth
from etlch.core.manifest import read_finished
from etlch.core.records import HUMAN
from etlch.core.run_data import RunData, read_run
from etlch.core.run_folder import Run
from etlch.core.settings import Settings
from etlch.metrics.facts import strict
from etlch.metrics.registry import f1
from etlch.pipeline.mistakes import (
    Answer,
    Mistakes,
    Student,
    answers,
    given_student,
    mistakes,
    place_of,
    students,
)
from etlch.pipeline.setup import chosen_prompts
from etlch.stats.analysis import Comparison, Measured, analyse, measured
from etlch.stats.corrections import holm
from etlch.stats.seeds import compare_recipes

LEVEL = 0.05


@dataclass(frozen=True)
class Step:
    """What is to be done with a run.

    Attributes:
        settings: of the grown run; None where it shall not grow.
        told: why, a line each.
    """

    settings: Settings | None
    told: tuple[str, ...]


def next_step(
    run: Run, by: int, *, source: Path | None = None, at_random: bool = False, anyway: bool = False
) -> Step:
    """Return the settings with which a run grows, or why it should not.

    The topics and facts of the new records are drawn by the errors of the tuned models of the largest size on its
    validation sets, pooled over seeds. The test set is never looked at.

    Args:
        run: a finished run of a teacher.
        by: how many records each task gains.
        source: a summary.json, of which only the names of models are taken, or validation predictions.
        at_random: grow as the plan always was, for comparison.
        anyway: grow even where the last growth brought nothing.

    Raises:
        EtlchError: the run is of labels of people or of the user's own texts, or nothing was predicted.
    """
    before = read_finished(run)
    settings, largest = before.settings, max(before.settings.plan.sizes)
    if settings.teacher.name == HUMAN:
        raise EtlchError(
            f"{run.folder} holds labels of people, and nobody can be asked for more",
            "A run that `etlch-data generate` made grows; `import --into` brings such labels into one.",
        )
    if before.counts.get("articles", 0) < settings.needed:
        return Step(settings, (f"the growth to size {largest} was stopped before its end, and goes on",))
    data = read_run(run.folder)
    told: list[str] = []
    found = [] if at_random and source is None else _chosen(run, settings, largest, source, told)
    if len(settings.plan.sizes) > 1 and found:
        smaller = sorted(settings.plan.sizes)[-2]
        goes_on, lines = _gain(run, settings, found, smaller)
        told += lines
        if not goes_on and not anyway:
            return Step(None, (*told, "Nothing was added. --anyway grows in spite of that."))
    position = 1 + max(place_of(name) for name in _own(data))
    steps: tuple[Growth, ...] = settings.plan.growth
    if not at_random:
        made = _mistakes(run, settings, data, found, position)
        steps = (*steps, made.growth)
        told += _in_words(made, found)
    elif steps:
        steps = (*steps, Growth(position))
    told.append(f"size {largest} grows to {largest + by}" + (", at random" if at_random else ""))
    plan = replace(settings.plan, sizes=(*settings.plan.sizes, largest + by), growth=steps)
    return Step(replace(settings, plan=plan), tuple(told))


def _own(data: RunData) -> set[str]:
    return {record.article_id for record in data.records if not record.split}


def _chosen(run: Run, settings: Settings, size: int, source: Path | None, told: list[str]) -> list[Student]:
    """Return the trainings of one recipe whose errors count."""
    if settings.plan.articles:
        raise EtlchError(
            f"{run.folder} is made of your own texts, which cannot be written where a student errs",
            "Name --at-random, or a larger size with `etlch-data generate`.",
        )
    if source is not None and source.suffix != ".json":
        return [given_student(run, settings.plan, size, source)]
    found = students(run, settings.plan, size)
    if source is not None:
        from etlch.scoring.summary import read_summary

        names = {(one.model, one.seed) for one in read_summary(source).systems if one.size == size}
        found = [one for one in found if (one.card.name, one.card.seed) in names]
        told.append(f"of {source} only the names of models are taken: its scores are of the test set")
    if not found:
        raise EtlchError(
            f"no tuned model of size {size} has answered its validation sets",
            f"`etlch-data run {run.folder} --best` trains and asks it (a size of 10 or more has a validation set),"
            " or name such predictions with --from.",
        )
    first = found[0].card.name
    return [one for one in found if one.card.name == first]


def _mistakes(
    run: Run, settings: Settings, data: RunData, found: Sequence[Student], position: int
) -> Mistakes:
    read = [answers(run, settings.plan, one) for one in found]
    return mistakes(data, chosen_prompts(settings.plan), read, position)


def _in_words(made: Mistakes, found: Sequence[Student]) -> list[str]:
    names = ", ".join(one.name for one in found)
    lines = [f"{names}: {made.wrong:,} errors in {made.seen:,} facts of validation"]
    for kind in ("domains", "genres", "lengths", "facts", "forms"):
        weights: Mapping[str | int, float] = getattr(made.growth, kind)
        heavy = sorted(((value, str(name)) for name, value in weights.items() if value > 1), reverse=True)
        if heavy:
            lines.append(f"  {kind}: " + ", ".join(f"{name} ×{value:g}" for value, name in heavy[:4]))
    if len(lines) == 1:
        lines.append("  no kind of fact, topic or sentence is harder than another")
    return lines


def _gain(run: Run, settings: Settings, found: Sequence[Student], smaller: int) -> tuple[bool, list[str]]:
    """Tell whether the largest size is better than the one before, on the validation records that both answered."""
    name = found[0].card.name
    earlier = [one for one in students(run, settings.plan, smaller) if one.card.name == name]
    if not earlier:
        return True, [
            f"size {smaller} has no validation answers: whether size {found[0].card.size} gained is not known"
        ]
    large = [answers(run, settings.plan, one) for one in found]
    small = [answers(run, settings.plan, one) for one in earlier]
    common = sorted(set.intersection(*(set(one) for one in (*large, *small))))
    lines, results = [], []
    for task in settings.plan.tasks:
        ids = [one for one in common if large[0][one].key.task == task]
        if ids:
            results.append((task, _compare(large, small, ids, settings.plan.seed)))
    ps = holm([result.p for _, result in results])
    gains = False
    for (task, result), p in zip(results, ps, strict=True):
        better = p is not None and p < LEVEL and (result.difference or 0) > 0
        gains |= better
        shown = "no p" if p is None else f"p {p:.3f}"
        difference = "undefined" if result.difference is None else f"{result.difference:+.3f}"
        least = "" if better or result.detectable is None else f", {result.detectable:.3f} would be seen"
        lines.append(
            f"{task}: size {found[0].card.size} against {smaller}: F1 {difference} ({shown}, {result.clusters} articles{least})"
        )
    if not gains and all(result.floor * len(results) >= LEVEL for _, result in results):
        return True, [*lines, "so few validation articles cannot show a gain: it grows"]
    return gains, lines if gains else [
        *lines,
        f"no significant gain on validation from {smaller} to {found[0].card.size}",
    ]


def _compare(
    large: Sequence[Mapping[str, Answer]],
    small: Sequence[Mapping[str, Answer]],
    ids: Sequence[str],
    seed: int,
) -> Comparison:
    articles = {
        name: number for number, name in enumerate(sorted({large[0][one].key.article_id for one in ids}))
    }
    cluster = np.array([articles[large[0][one].key.article_id] for one in ids])

    def rows(side: Mapping[str, Answer]) -> Measured:
        return measured(np.array([strict(side[one].pair) for one in ids]), cluster, len(articles), f1)

    one, two = [rows(side) for side in large], [rows(side) for side in small]
    if len(one) == len(two) == 1:
        return analyse([one[0], two[0]], [(0, 1)], seed).comparisons[0]
    return compare_recipes(one, two, seed)
