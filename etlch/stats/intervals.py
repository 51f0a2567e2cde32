"""Read counts or bootstrap values, return confidence intervals inside the scale of the score."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log, sqrt

import numpy as np
from scipy.special import ndtr, ndtri, stdtrit

from etlch.core.locale import N_
from etlch.stats.resampling import Floats

LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """Bounds around a value.

    Attributes:
        low: lower bound, None where there is none.
        high: upper bound, None where there is none.
        method: "wilson", "newcombe", "newcombe-paired", "logit-t", "t", "bootstrap" or "".
        reason: why there are no bounds, or why they are closer than the truth allows.
    """

    low: float | None
    high: float | None
    method: str
    reason: str = ""


def wilson(hits: float, n: float, level: float = LEVEL) -> Interval:
    """Wilson's score interval of one rate (Wilson 1927; Brown, Cai and DasGupta 2001).

    Unlike p ± 1.96 · se it is inside [0, 1] and keeps a width at 0 and at n hits.

    Args:
        hits: how many said yes; a fraction where `n` is an effective size.
        n: of how many.
        level: of confidence.
    """
    if n <= 0:
        return Interval(None, None, "wilson", "no records")
    z2 = _z(level) ** 2
    rate = hits / n
    centre = (rate + z2 / (2 * n)) / (1 + z2 / n)
    half = sqrt(z2 * (rate * (1 - rate) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    # At 0 and n hits the outer bound is exact; rounding would leave it a hair beside.
    low = 0.0 if hits <= 0 else max(0.0, centre - half)
    high = 1.0 if hits >= n else min(1.0, centre + half)
    return Interval(low, high, "wilson")


def newcombe(hits: float, n: float, hits2: float, n2: float, level: float = LEVEL) -> Interval:
    """Newcombe's hybrid score interval of a difference of two unpaired rates.

    Method 10 of Newcombe, Statistics in Medicine 17 (1998) 873–890. For two systems on the
    same records use `newcombe_paired`.

    Args:
        hits: of the first sample.
        n: size of the first sample.
        hits2: of the second sample.
        n2: size of the second sample.
        level: of confidence.
    """
    if n <= 0 or n2 <= 0:
        return Interval(None, None, "newcombe", "no records")
    return _square_and_add(hits / n, n, hits2 / n2, n2, phi=0.0, level=level, method="newcombe")


def newcombe_paired(
    both: float, first: float, second: float, neither: float, level: float = LEVEL
) -> Interval:
    """Newcombe's score interval of a difference of two paired rates.

    Method 10 of Newcombe, Statistics in Medicine 17 (1998) 2635–2650, which keeps a width
    where no pair is discordant.

    Args:
        both: records on which both systems say yes.
        first: records on which only the first does.
        second: records on which only the second does.
        neither: records on which none does.
        level: of confidence.
    """
    n = both + first + second + neither
    if n <= 0:
        return Interval(None, None, "newcombe-paired", "no records")
    margins = (both + first) * (second + neither) * (both + second) * (first + neither)
    phi = 0.0
    if margins > 0:
        cross = both * neither - first * second
        if cross > 0:
            cross = max(cross - n / 2, 0.0)  # the article's continuity correction
        phi = cross / sqrt(margins)
    return _square_and_add(
        (both + first) / n, n, (both + second) / n, n, phi=phi, level=level, method="newcombe-paired"
    )


def _square_and_add(
    p: float, n: float, q: float, m: float, *, phi: float, level: float, method: str
) -> Interval:
    one, two = wilson(p * n, n, level), wilson(q * m, m, level)
    assert one.low is not None and one.high is not None and two.low is not None and two.high is not None
    down, up = p - one.low, one.high - p
    down2, up2 = q - two.low, two.high - q
    below = sqrt(max(0.0, down**2 - 2 * phi * down * up2 + up2**2))
    above = sqrt(max(0.0, up**2 - 2 * phi * up * down2 + down2**2))
    return Interval(max(-1.0, p - q - below), min(1.0, p - q + above), method)


def percentile(values: Floats, articles: int, level: float = LEVEL) -> Interval:
    """The percentile interval of bootstrap values, expanded for few articles.

    The plain percentile interval (Efron and Tibshirani 1993, chapter 13) is as narrow as a normal
    interval with the variance divided by n: with ten articles it covers the truth 86 to 91 times
    in 100 instead of 95. Cutting at Φ(−√(n/(n − 1)) · t) instead of α/2 gives it the width of a
    t-interval (Hesterberg, The American Statistician 69 (2015) 371–386, section 5.3); from 300
    articles on nobody can see the difference.

    Args:
        values: one per resample; NaN where the metric was undefined, these are left out.
        articles: how many were resampled.
        level: of confidence.
    """
    if articles < 2:
        return Interval(None, None, "bootstrap", "one article: nothing to resample")
    defined = values[~np.isnan(values)]
    if len(defined) * 2 < len(values) or not len(defined):
        return Interval(None, None, "bootstrap", "undefined in most resamples")
    t = float(stdtrit(articles - 1, 0.5 + level / 2))
    tail = float(ndtr(-sqrt(articles / (articles - 1)) * t))
    low, high = np.quantile(defined, (tail, 1 - tail))
    reason = "" if high > low else N_("all resamples agree, so they cannot show any spread")
    # Matrix products differ in their last digits between processors; the same rows and seed
    # should still write the same bytes, and the draws know no tenth decimal.
    return Interval(round(float(low), 10), round(float(high), 10), "bootstrap", reason)


def logit_t(value: float, deviations: Floats, level: float = LEVEL) -> Interval:
    """The interval of a score between 0 and 1, a t-interval on the scale of log-odds.

    Near 0 and 1 the bootstrap's percentiles cut off the tail that matters; log-odds have none to cut.
    The degrees of freedom are 2n/(kurtosis − 1), at most n − 1: where few articles carry the whole
    variance it is known as badly as from few articles (the approximate variance of a sample variance,
    Cochran, Sampling Techniques, 1977, section 2.15). docs/statistics.md has how often it covers.

    Args:
        value: the score. At 0 and at 1 Wilson's interval of so many articles is returned.
        deviations: (articles,), each article's part in it, as `ratio.deviations` returns them.
        level: of confidence.
    """
    n = len(deviations)
    if n < 2 or not np.isfinite(deviations).all():
        return Interval(None, None, "logit-t", "one article: no spread to see")
    square = float((deviations**2).sum())
    if value in (0.0, 1.0):
        return wilson(value * n, n, level)
    half = spread_of(deviations) * float(stdtrit(_freedom(deviations), 0.5 + level / 2))
    if square <= 1e-24 or not 0 < value < 1:
        reason = "" if square > 1e-24 else N_("all articles agree, so they cannot show any spread")
        return Interval(round(value - half, 10), round(value + half, 10), "t", reason)
    odds, half = log(value / (1 - value)), half / (value * (1 - value))
    return Interval(round(_expit(odds - half), 10), round(_expit(odds + half), 10), "logit-t")


def spread_of(deviations: Floats) -> float:
    """Return the standard error of a score from its articles' deviations: √(n/(n − 1) · Σ d²)."""
    n = len(deviations)
    return sqrt(n / (n - 1) * float((deviations**2).sum())) if n > 1 else 0.0


def _freedom(deviations: Floats) -> float:
    n, square = len(deviations), float((deviations**2).sum())
    kurtosis = n * float((deviations**4).sum()) / square**2 if square > 0 else 1.0
    return min(n - 1.0, max(1.0, 2 * n / (kurtosis - 1))) if kurtosis > 1 else n - 1.0


def _expit(odds: float) -> float:
    return 1 / (1 + exp(-odds)) if odds > -700 else 0.0


def _z(level: float) -> float:
    return float(ndtri(0.5 + level / 2))
