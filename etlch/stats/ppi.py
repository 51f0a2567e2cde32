"""Estimate a ratio such as F1 against the truth from few checked clusters and many unchecked ones.

Prediction-powered inference with power tuning (PPI++): Angelopoulos, Duchi and Zrnic, "PPI++: Efficient
Prediction-Powered Inference", arXiv 2311.01453, for an estimate that solves E[a − θ·b] = 0. The labels of a
teacher take the place of their predictions, and checked articles that of their labelled data.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy.special import stdtrit

from etlch.stats.intervals import LEVEL, Interval, wilson
from etlch.stats.resampling import Floats


@dataclass(frozen=True)
class Corrected:
    """An estimate of a ratio against the truth.

    Attributes:
        value: the estimate; None where its denominator is not positive.
        interval: its interval, inside [0, 1].
        tuning: λ: how far the unchecked clusters count, from 0 (not at all) to 1.
        checked: clusters whose truth is known.
        unchecked: clusters of which only the teacher's labels are known.
    """

    value: float | None
    interval: Interval
    tuning: float
    checked: int
    unchecked: int


def corrected_ratio(
    truth: tuple[Floats, Floats],
    proxy: tuple[Floats, Floats],
    unchecked: tuple[Floats, Floats],
    level: float = LEVEL,
) -> Corrected:
    """Return the ratio of the sums of numerators and denominators that the truth gives, with its interval.

    F1 has the numerators 2·tp and the denominators predicted + gold.

    Args:
        truth: numerators and denominators of the checked clusters by the truth, shape (n,) each.
        proxy: of the same clusters by the teacher's labels, shape (n,) each.
        unchecked: of the other clusters by the teacher's labels, shape (N,) each; N may be 0.
        level: of confidence.

    The variance is that of the linearised estimate: Var(r − λ·r̃)/n + λ²·Var(r̃)/N over the squared
    denominator, r = a − θ·b. λ is the paper's plug-in optimum, Cov(r, r̃) / ((1 + n/N)·Var(r̃)), cut to [0, 1].
    The quantile is Student's with n − 1 degrees of freedom, as few clusters are checked.
    """
    n, many = len(truth[0]), len(unchecked[0])
    if n < 2:
        return Corrected(None, Interval(None, None, "ppi", "fewer than two checked clusters"), 0.0, n, many)
    human = _ratio(*truth)
    if human is None:
        return Corrected(None, Interval(None, None, "ppi", "nothing to find"), 0.0, n, many)
    tuning = _tuning(truth, proxy, many, human)
    estimate = human
    if tuning:
        above, below = (
            tuning * float(unchecked[side].mean()) + float((truth[side] - tuning * proxy[side]).mean())
            for side in (0, 1)
        )
        if below <= 0:  # too few clusters for the correction: what was checked stands alone
            tuning = 0.0
        else:
            estimate = above / below
    scale = float(truth[1].mean())
    if tuning:
        scale = tuning * float(unchecked[1].mean()) + float((truth[1] - tuning * proxy[1]).mean())
    error = _standard_error(truth, proxy, unchecked, estimate, tuning) / scale
    if error == 0.0:
        # No spread at all, e.g. everything right: the truth may still differ in up to 1 of n clusters.
        found = wilson(min(max(estimate, 0.0), 1.0) * n, n, level)
        return Corrected(_cut(estimate), Interval(found.low, found.high, "wilson"), tuning, n, many)
    half = float(stdtrit(n - 1, (1 + level) / 2)) * error
    interval = Interval(_cut(estimate - half), _cut(estimate + half), "ppi" if tuning else "linearised")
    return Corrected(_cut(estimate), interval, tuning, n, many)


def checked_ratio(numerators: Floats, denominators: Floats, level: float = LEVEL) -> Corrected:
    """Return a ratio of sums over checked clusters alone, with its linearised interval."""
    empty = np.zeros(0)
    none = np.zeros(len(numerators))
    return corrected_ratio((numerators, denominators), (none, none), (empty, empty), level)


def _ratio(above: Floats, below: Floats) -> float | None:
    total = float(below.sum())
    return float(above.sum()) / total if total > 0 else None


def _residuals(side: tuple[Floats, Floats], value: float) -> Floats:
    found: Floats = side[0] - value * side[1]
    return found


def _tuning(truth: tuple[Floats, Floats], proxy: tuple[Floats, Floats], many: int, value: float) -> float:
    known, guessed = _residuals(truth, value), _residuals(proxy, value)
    spread = float(guessed.var(ddof=1))
    if not many or spread == 0.0:
        return 0.0
    shared = float(np.cov(known, guessed)[0, 1])
    return min(max(shared / ((1 + len(known) / many) * spread), 0.0), 1.0)


def _standard_error(
    truth: tuple[Floats, Floats],
    proxy: tuple[Floats, Floats],
    unchecked: tuple[Floats, Floats],
    value: float,
    tuning: float,
) -> float:
    known = _residuals(truth, value) - tuning * _residuals(proxy, value)
    variance = float(known.var(ddof=1)) / len(known)
    if tuning:
        rest = _residuals(unchecked, value)
        variance += tuning**2 * (float(rest.var(ddof=1)) / len(rest) if len(rest) > 1 else 0.0)
    return sqrt(variance)


def _cut(value: float) -> float:
    return min(max(value, 0.0), 1.0)
