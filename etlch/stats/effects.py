"""Read rates, spreads and sample sizes, return effect sizes and detectable differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import asin, sqrt

import numpy as np
from scipy.special import ndtri, stdtrit

from etlch.stats.resampling import Floats, Score


@dataclass(frozen=True)
class Spread:
    """One size trained with several seeds.

    Attributes:
        mean: over the seeds, None without any value.
        sd: standard deviation over the seeds (n − 1), None with fewer than two.
        n: how many seeds have a value.
        reason: why something is missing.
    """

    mean: float | None
    sd: float | None
    n: int
    reason: str = ""


def cohen_h(p: float, q: float) -> float:
    """Cohen's h of two rates: 2·asin(√p) − 2·asin(√q) (Cohen 1988, chapter 6), in [−π, π]."""
    return 2 * asin(sqrt(min(1.0, max(0.0, p)))) - 2 * asin(sqrt(min(1.0, max(0.0, q))))


def standardised_mean_difference(first: Floats, second: Floats) -> float | None:
    """The difference of means in standard deviations: (m₁ − m₂) / √((s₁² + s₂²)/2).

    Divided by the root mean square of the two standard deviations (Cumming, Understanding the New
    Statistics, 2012), so that pairing does not change it; None where neither side varies or there
    is one value.

    Args:
        first: (n,), values of the first system.
        second: (n,), values of the second on the same articles.
    """
    if len(first) < 2 or not (np.isfinite(first).all() and np.isfinite(second).all()):
        return None
    pooled = sqrt((float(np.var(first, ddof=1)) + float(np.var(second, ddof=1))) / 2)
    gap = float(np.mean(first) - np.mean(second))
    scale = max(float(np.abs(first).max()), float(np.abs(second).max()))
    return gap / pooled if pooled > 1e-12 * scale else None


def pseudo_values(rows: Floats, score: Score) -> Floats:
    """Jackknife pseudo-values: what each article contributes to a metric.

    n·θ − (n − 1)·θ without the article (Tukey 1958; Efron and Tibshirani 1993, chapter 11).
    For a mean with one record an article they are the records' own values; for a corpus F1
    they give it a standard deviation.

    Args:
        rows: (articles, columns).
        score: the metric.

    Returns:
        (articles,), NaN where the metric without that article is undefined.
    """
    total = rows.sum(axis=0)
    n = len(rows)
    return n * score(total) - (n - 1) * score(total - rows)


def detectable_difference(sd: float, n: int, alpha: float = 0.05, power: float = 0.8) -> float | None:
    """The smallest true mean difference that a paired test finds with this power.

    (t₁₋α/₂ + t_power) · sd / √n with n − 1 degrees of freedom (Miller 2024, arXiv 2411.00640,
    section 5, with t for z, which few articles need).

    Args:
        sd: standard deviation of the articles' differences.
        n: how many articles.
        alpha: two-sided level of the test.
        power: the chance to find it.

    Returns:
        In the metric's unit; None without spread or with fewer than two articles.
    """
    if n < 2 or not np.isfinite(sd) or sd <= 0:
        return None
    t = stdtrit(n - 1, 1 - alpha / 2) + stdtrit(n - 1, power)
    return float(t) * sd / sqrt(n)


def detectable_rate_difference(
    discordance: float, n: int, alpha: float = 0.05, power: float = 0.8
) -> float | None:
    """The smallest true difference of paired rates that McNemar's test finds with this power.

    Solves √n · δ = z₁₋α/₂ · √ψ + z_power · √(ψ − δ²) (Connor, Biometrics 43 (1987) 207–211)
    for δ, where ψ is the discordance.

    Args:
        discordance: share of records on which the two systems disagree.
        n: how many records.
        alpha: two-sided level of the test.
        power: the chance to find it.

    Returns:
        A difference of rates; None where no record is discordant, or where even the largest
        difference at this discordance (all disagreements one way) is too small to find.
    """
    if n < 1 or discordance <= 0:
        return None
    za, zb = _z(1 - alpha / 2), _z(power)
    # Square of √n·δ − za·√ψ = zb·√(ψ − δ²): a quadratic in δ, its larger root.
    a, b, c = n + zb**2, -2 * sqrt(n) * za * sqrt(discordance), (za**2 - zb**2) * discordance
    delta = (-b + sqrt(max(0.0, b * b - 4 * a * c))) / (2 * a)
    return delta if delta <= discordance else None


def over_seeds(values: Sequence[float | None]) -> Spread:
    """Mean and standard deviation of one score over training seeds."""
    known = [value for value in values if value is not None]
    if not known:
        return Spread(None, None, 0, "no seed has a value")
    mean = sum(known) / len(known)
    if len(known) == 1:
        return Spread(mean, None, 1, "one seed: its spread is unknown")
    return Spread(mean, float(np.std(known, ddof=1)), len(known))


def _z(quantile: float) -> float:
    return float(ndtri(quantile))
