"""Turn token probabilities into precision: isotonic regression on validation facts, and thresholds that hold."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from etlch.core.errors import EtlchError
from etlch.core.locale import _
from etlch.extract.card import Calibration, ExtractorCard
from etlch.extract.facts import ExtractedFact


class Threshold(NamedTuple):
    """A threshold on the raw probability, and what it keeps on validation.

    Attributes:
        raw: keep facts of at least this probability.
        right, kept, facts: validation facts kept and right, kept, and all.
        low, high: 95 % Clopper-Pearson interval of the precision of what is kept.
    """

    raw: float
    right: int
    kept: int
    facts: int
    low: float
    high: float


def fit(raw: Sequence[float], right: Sequence[bool]) -> Calibration:
    """Return validation facts by ascending probability.

    Args:
        raw: probability of each predicted validation fact.
        right: whether it is a gold fact; same length.

    Raises:
        EtlchError: there are no facts.
    """
    if not raw:
        raise EtlchError(
            _("no fact was predicted on the validation set"),
            _("A model that predicts nothing cannot be calibrated."),
        )
    pairs = sorted(zip(raw, right, strict=True))
    return Calibration(tuple(one for one, _ in pairs), tuple(two for _, two in pairs))


@lru_cache(maxsize=64)
def steps(calibration: Calibration) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the right ends of the steps of isotonic regression, and the precision in each.

    Pool adjacent violators, as scipy.optimize.isotonic_regression has it; equal probabilities share a step.
    """
    import numpy as np
    from scipy.optimize import isotonic_regression

    raw, where = np.unique(np.asarray(calibration.raw), return_inverse=True)
    counts = np.bincount(where)
    shares = np.bincount(where, weights=np.asarray(calibration.right, dtype=float)) / counts
    fitted = isotonic_regression(shares, weights=counts).x
    return tuple(map(float, raw)), tuple(map(float, fitted))


def bins(calibration: Calibration, most: int = 10) -> list[tuple[float, float, float, float]]:
    """Return (mean probability, share right, low, high) of up to `most` equally full bins; 95 % Clopper-Pearson."""
    total = len(calibration.raw)
    count = max(1, min(most, total // 5))
    edges = [round(place * total / count) for place in range(count + 1)]
    made = []
    for start, end in pairwise(edges):
        right = sum(calibration.right[start:end])
        mean = sum(calibration.raw[start:end]) / (end - start)
        made.append((mean, right / (end - start), *_exact_interval(right, end - start)))
    return made


def calibrated(card: ExtractorCard, fact: ExtractedFact) -> ExtractedFact:
    """Return the fact with its raw probability replaced by the precision of validation facts like it."""
    calibration = card.calibration.get(fact.task)
    if calibration is None or fact.confidence is None:
        return fact
    ends, precision = steps(calibration)
    return replace(fact, confidence=precision[min(bisect_left(ends, fact.confidence), len(ends) - 1)])


def threshold(card: ExtractorCard, task: str, precision: float) -> Threshold:
    """Return the lowest threshold whose kept validation facts have at least the wanted precision.

    Raises:
        EtlchError: the model was not calibrated, or no threshold reaches the precision.
    """
    calibration = card.calibration.get(task)
    if calibration is None:
        raise EtlchError(
            _("{model} is not calibrated for {task}").format(model=card.model, task=task),
            _("Run `etlch-extract calibrate MODEL` first; it asks the model for the run's validation set."),
        )
    found = None
    right = 0
    for kept, place in enumerate(reversed(range(len(calibration.raw))), start=1):
        right += calibration.right[place]
        ends_a_tie = place == 0 or calibration.raw[place - 1] != calibration.raw[place]
        if ends_a_tie and right >= precision * kept:
            found = calibration.raw[place], right, kept
    if found is None:
        raise EtlchError(
            _(
                "no confidence reaches a precision of {precision} for {task} on {count} validation facts"
            ).format(precision=precision, task=task, count=len(calibration.raw)),
            _("Ask for less, or train on more records."),
        )
    return Threshold(*found, len(calibration.raw), *_exact_interval(found[1], found[2]))


def _exact_interval(right: int, total: int) -> tuple[float, float]:
    """Return the 95 % interval of a proportion (Clopper and Pearson 1934)."""
    from scipy.stats import binomtest

    found = binomtest(right, total).proportion_ci(0.95, method="exact")
    return float(found.low), float(found.high)
