"""Read one metric of several trainings of a recipe, return the recipe's estimate and comparisons.

A recipe is a base model, a data size and its settings; each seed is one training of it. What is wanted
of a recipe is its mean over trainings, so two things vary: the articles of the test set, and the luck
of each training. Their variances are added up and the t-quantile takes the degrees of freedom of the
sum (Satterthwaite, Biometrics Bulletin 2 (1946) 110–114). Drawing three seeds with replacement would
show two thirds of their variance and none of the uncertainty about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import exp, log, sqrt

import numpy as np
from scipy.special import stdtr, stdtrit

from etlch.core.locale import N_
from etlch.stats.analysis import Comparison, Estimate, Measured, analyse
from etlch.stats.effects import detectable_difference
from etlch.stats.intervals import LEVEL, Interval, spread_of
from etlch.stats.ratio import deviations, influence
from etlch.stats.resampling import Floats, flipped_sums, flips_are_exact, resamples_for


def estimate_recipe(runs: Sequence[Measured], level: float = LEVEL) -> Estimate:
    """Return the mean score of a recipe's trainings, with an interval over articles and trainings.

    Args:
        runs: two or more trainings, on the same records.
        level: of confidence.
    """
    n, clusters = int(runs[0].records.sum()), int(np.count_nonzero(runs[0].records))
    scores = _scores(runs)
    if not np.isfinite(scores).all() or clusters < 2:
        reason = N_("the metric is undefined on these records") if n else N_("no records")
        return Estimate(None, Interval(None, None, "", reason), n, clusters, reason)
    parts = _mean_deviations(runs)
    error, freedom = _error([(spread_of(parts) ** 2, clusters - 1), _between(scores)])
    value = float(scores.mean())
    return Estimate(value, _on_log_odds(value, error, freedom, level), n, clusters)


def compare_recipes(
    first: Sequence[Measured],
    second: Sequence[Measured],
    seed: int,
    resamples: int | None = None,
    level: float = LEVEL,
) -> Comparison:
    """Compare the means of two recipes' trainings: first minus second.

    A side of one training counts as fixed: what is found holds for those weights alone.

    Args:
        first: trainings of the first recipe, on the same records as those of the second.
        second: trainings of the second.
        seed: of the sign flips.
        resamples: as many patterns of signs at most; by default as `resamples_for` says.
        level: of confidence.

    Returns:
        A comparison whose p is the larger of the t-test's and of the sign flips of the articles, so that
        it is never smaller than so few articles allow.
    """
    alone = analyse([first[0], second[0]], [(0, 1)], seed, 1, level).comparisons[0]
    one, two = _scores(first), _scores(second)
    if alone.difference is None or not (np.isfinite(one).all() and np.isfinite(two).all()):
        return replace(alone, difference=None, p=None, test="")
    parts = _mean_influence(first, second)
    if not np.isfinite(parts).all():
        return replace(alone, difference=float(one.mean() - two.mean()), p=None, test="")
    moved = _mean_deviations(first) - _mean_deviations(second)
    error, freedom = _error([(spread_of(moved) ** 2, len(moved) - 1), _between(one), _between(two)])
    difference = float(one.mean() - two.mean())
    resamples = resamples_for(len(parts)) if resamples is None else resamples
    p, floor = _flip_p(parts, seed, resamples)
    if error > 0:
        p = max(p, 2 * float(stdtr(freedom, -abs(difference) / error)))
    half = error * float(stdtrit(freedom, 0.5 + level / 2))
    return replace(
        alone,
        difference=difference,
        interval=Interval(round(difference - half, 10), round(difference + half, 10), "t"),
        p=p,
        test="articles-x-seeds",
        effect=None,
        detectable=detectable_difference(error * sqrt(len(parts)), len(parts)),
        reason="",
        floor=floor,
        agree=_agree(one, two, difference),
    )


def mean_difference(
    first: Sequence[Measured], second: Sequence[Measured], seed_variance: float, seed_freedom: float
) -> tuple[float, float, float] | None:
    """Compare the means of two groups of trainings, with a variance between trainings known from elsewhere.

    Args:
        first: trainings, on the same records as those of `second`.
        second: the others.
        seed_variance: what training again adds to the variance of the difference; 0 for the same weights.
        seed_freedom: degrees of freedom that it is known with, infinite for a number that was given.

    Returns:
        (first minus second, standard error, degrees of freedom); None where a score is undefined.
    """
    scores = [float(_scores(side).mean()) for side in (first, second)]
    if not np.isfinite(scores).all():
        return None
    moved = _mean_deviations(first) - _mean_deviations(second)
    error, freedom = _error([(spread_of(moved) ** 2, len(moved) - 1), (seed_variance, seed_freedom)])
    return scores[0] - scores[1], error, freedom


def _mean_deviations(runs: Sequence[Measured]) -> Floats:
    present = runs[0].records > 0
    found: Floats = np.mean([deviations(run.rows[present], run.score) for run in runs], axis=0)
    return found


def _scores(runs: Sequence[Measured]) -> Floats:
    return np.array([float(run.score(run.rows.sum(axis=0))) for run in runs])


def _between(scores: Floats) -> tuple[float, float]:
    """Return (variance of their mean, degrees of freedom); one training adds none."""
    k = len(scores)
    return (float(np.var(scores, ddof=1)) / k, k - 1) if k > 1 else (0.0, 1)


def _error(parts: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Add variances up; return the standard error and Satterthwaite's degrees of freedom."""
    whole = sum(variance for variance, _ in parts)
    if whole <= 0:
        return 0.0, 1.0
    freedom = whole**2 / sum(variance**2 / max(1.0, known) for variance, known in parts)
    return sqrt(whole), freedom


def _mean_influence(first: Sequence[Measured], second: Sequence[Measured]) -> Floats:
    """Return each article's influence on the difference of the means: the mean over all pairs."""
    present = first[0].records > 0
    pairs = [influence(a.rows[present], b.rows[present], a.score) for a in first for b in second]
    found: Floats = np.mean(pairs, axis=0)
    return found


def _flip_p(parts: Floats, seed: int, resamples: int) -> tuple[float, float]:
    """Return the two-sided sign-flip p of the articles and the smallest it can be."""
    sums = flipped_sums(parts[:, None], resamples, seed)[0]
    slack = 1e-9 * float(np.abs(parts).sum())
    far = int(np.count_nonzero(np.abs(sums) >= abs(float(parts.sum())) - slack))
    if flips_are_exact(len(parts), resamples):
        return far / len(sums), 2 / len(sums)
    return (far + 1) / (len(sums) + 1), 1 / (len(sums) + 1)


def _agree(one: Floats, two: Floats, difference: float) -> bool:
    """Whether each seed differs from the other recipe's mean in the direction of the means."""
    sides = [*(one - two.mean()), *(one.mean() - two)]
    return all(side * difference > 0 for side in sides) or difference == 0


def _on_log_odds(value: float, error: float, freedom: float, level: float) -> Interval:
    half = error * float(stdtrit(freedom, 0.5 + level / 2))
    if not 0 < value < 1 or half <= 0:
        return Interval(round(value - half, 10), round(value + half, 10), "t")
    odds, half = log(value / (1 - value)), min(700.0, half / (value * (1 - value)))
    low, high = (1 / (1 + exp(-max(-700.0, min(700.0, at)))) for at in (odds - half, odds + half))
    return Interval(round(low, 10), round(high, 10), "logit-t")
