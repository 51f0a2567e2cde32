"""Read the gates asked for and a summary, return the failures in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import isnan, nan
from pathlib import Path

from etlch.core.errors import EtlchError
from etlch.core.locale import _
from etlch.core.settings import ScoreSettings
from etlch.scoring.compare import known_metrics
from etlch.scoring.recipes import Recipe, recipes_of
from etlch.scoring.regression import Earlier, find_regressions, read_earlier
from etlch.scoring.summary import Score, Summary, System
from etlch.tasks import Task


@dataclass(frozen=True)
class Gates:
    """What must hold.

    Attributes:
        floors: (metric, lowest score that passes).
        earlier: what --against names, read before it can be overwritten; None without.
        max_drop: the largest drop that passes.
    """

    floors: tuple[tuple[str, float], ...]
    earlier: Earlier | None
    max_drop: float


def parse_gates(
    floors: Sequence[str], against: Path | None, max_drop: float | None, tasks: Iterable[Task] = ()
) -> Gates:
    """Read the options; the metrics of `tasks` of the user's own are known too.

    Raises:
        EtlchError: not METRIC=X, an unknown metric, or one of --against and --max-drop alone.
    """
    found = []
    for text in floors:
        name, _rest, number = text.partition("=")
        known_metrics([name], tasks)
        try:
            floor = float(number)
        except ValueError:
            floor = nan
        if isnan(floor):
            raise EtlchError(
                _("--fail-under {text}: no number after '='").format(text=text), _("Example: facts_f1=0.80")
            )
        found.append((name, floor))
    if (against is None) != (max_drop is None):
        raise EtlchError(
            _("--against and --max-drop need each other"),
            _("Example: --against old/summary.json --max-drop 0.01"),
        )
    if max_drop is not None and not 0 <= max_drop <= 1:
        raise EtlchError(
            _("--max-drop {max_drop} is not between 0 and 1").format(max_drop=max_drop),
            _("Example: --max-drop 0.01"),
        )
    return Gates(tuple(found), None if against is None else read_earlier(against), max_drop or 0.0)


def gated(systems: Sequence[System]) -> tuple[System, ...]:
    """Return the systems that gates apply to: tuned ones, or all where no system has a role."""
    tuned = tuple(system for system in systems if system.role == "tuned")
    return tuned if tuned or any(system.role for system in systems) else tuple(systems)


def check(
    gates: Gates,
    summary: Summary,
    out: Path | None,
    settings: ScoreSettings,
    progress: Callable[[str], None] = lambda message: None,
) -> list[str]:
    """Return what failed; `progress` is told what --max-drop takes for training luck.

    Raises:
        EtlchError: a gate's metric was not computed, so that nobody knows whether it holds.
    """
    failures = []
    unreadable = summary.counts.unreadable_gold
    if unreadable and settings.unreadable_gold == "fail" and (gates.floors or gates.earlier is not None):
        failures.append(
            f"{unreadable} labels cannot be read, so the scores leave them out; `unreadable_gold: allow` lets that pass"
        )
    recipes = recipes_of(gated(summary.systems))
    for metric, floor in gates.floors:
        scores = [(recipe, _score(summary, recipe, metric)) for recipe in recipes]
        known = [(recipe, score) for recipe, score in scores if score is not None]
        if not known:
            raise EtlchError(
                _("--fail-under {metric}: no model that the gate applies to has this metric").format(
                    metric=metric
                ),
                _("Gates apply to models of role tuned, or to all where no roles are known."),
            )
        failures += [
            f"{recipe.system.label} {recipe.system.task} {metric} {_shown(score, len(recipe.runs))} is under {floor:g}"
            for recipe, score in known
            if score.value is None or score.value < floor
        ]
    if gates.earlier is not None:
        if out is None:
            raise EtlchError(
                _("--against needs the new scores on disk"), _("Name a folder for them with --out.")
            )
        found = find_regressions(
            gates.earlier, read_earlier(out), gated(summary.systems), gates.max_drop, settings
        )
        progress(found.note)
        failures += found.failures
    return failures


def _score(summary: Summary, recipe: Recipe, metric: str) -> Score | None:
    """Return a recipe's mean over its seeds; where it is undefined, a training's score that says why."""
    mean = summary.mean_score(recipe.system, metric)
    runs = [score for run in recipe.runs if (score := summary.score(run, metric)) is not None]
    return mean or next((score for score in runs if score.value is None), runs[0] if runs else None)


def _shown(score: Score, seeds: int) -> str:
    if score.value is None:
        return f"undefined ({score.reason})"
    return f"{score.value:.4f}" + (f" (mean of {seeds} seeds)" if seeds > 1 else "")
