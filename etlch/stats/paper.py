"""Read counts of successes, return the p-values that the ETLCH paper printed.

arXiv 2509.08381 compares the number of parsable JSON outputs of two systems on 300 records. Its
text names a two-proportion z-test; its three p-values are one-sided Fisher exact tests. Both are
here so that published numbers can be reproduced. Both take the two systems' records for unrelated
samples, which they are not: for your own results use `etlch.stats.analysis`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import sqrt
from typing import Literal

from scipy.special import ndtr

from etlch.stats.analysis import Comparison, Measured
from etlch.stats.corrections import Corrected, correct
from etlch.stats.effects import cohen_h
from etlch.stats.intervals import Interval, newcombe
from etlch.stats.mcnemar import mcnemar

PaperTest = Literal["fisher", "ztest"]

RECORDS = 300
"""Test records of the paper's JSON task."""

PARSED = {100: 144, 300: 267, 500: 282, 1000: 288}
"""Training size → outputs of ETLCH that json.loads accepts, as the paper's section 6 says."""

PARSED_BASELINES = {"Taide-8B": 0, "Qwen2.5-7B": 265, "Breeze-7B": 202}
"""Baseline → the same count. Only 0 is in the text: the other two are the only counts up to 288
for which a one-sided Fisher test against 288 of 300 gives the printed p-value."""


@dataclass(frozen=True)
class PaperTests:
    """Two unpaired rates, compared as the paper's text says and as its numbers are.

    Attributes:
        z: of the two-proportion z-test, 0 where both rates are 0 or both are 1.
        p_z: its two-sided p.
        p_fisher: of Fisher's exact test, one-sided: is the first rate greater?
        reason: why z says nothing.
    """

    z: float
    p_z: float
    p_fisher: float
    reason: str = ""


def paper_tests(hits: int, n: int, hits2: int, n2: int) -> PaperTests:
    """Compare two counts as the paper does.

    Args:
        hits: of the first system.
        n: records of the first system, at least 1.
        hits2: of the second.
        n2: records of the second, at least 1.

    Raises:
        ValueError: when a count is not between 0 and its records, or there are no records.
    """
    if not (0 <= hits <= n and 0 <= hits2 <= n2 and n and n2):
        raise ValueError(f"{hits} of {n} against {hits2} of {n2} are no counts")
    pooled = (hits + hits2) / (n + n2)
    fisher = _fisher_greater(hits, n, hits2, n2)
    if pooled in (0, 1):
        return PaperTests(0.0, 1.0, fisher, "both rates are the same and have no spread")
    z = (hits / n - hits2 / n2) / sqrt(pooled * (1 - pooled) * (1 / n + 1 / n2))
    return PaperTests(z, 2 * float(ndtr(-abs(z))), fisher)


def _fisher_greater(hits: int, n: int, hits2: int, n2: int) -> float:
    from scipy.stats import hypergeom  # half a second to import, needed here only

    return min(1.0, float(hypergeom.sf(hits - 1, n + n2, hits + hits2, n)))


def unpaired(found: Comparison, first: Measured, second: Measured, test: PaperTest) -> Comparison:
    """Put the paper's test in place of the paired one, where the metric says yes or no.

    Args:
        found: the two systems' paired comparison; comes back as it is for other metrics.
        first: the first system's rows.
        second: the second system's.
        test: "fisher" (one-sided: is the first better?) or "ztest" (two-sided).

    Returns:
        The comparison with that test's p and Newcombe's unpaired interval.
    """
    if not first.yes_no or found.difference is None:
        return found
    (hits, n), (hits2, n2) = (map(round, side.rows.sum(axis=0).tolist()) for side in (first, second))
    tests = paper_tests(hits, n, hits2, n2)
    return replace(
        found,
        p=tests.p_fisher if test == "fisher" else tests.p_z,
        test="fisher-greater" if test == "fisher" else "two-proportion-z",
        interval=newcombe(hits, n, hits2, n2),
        detectable=None,
        reason="" if test == "fisher" else tests.reason,
    )


def paired_bounds(hits: int, hits2: int, n: int) -> tuple[float, float]:
    """The smallest and the largest McNemar mid-p that two counts of the same records allow.

    A paper that prints only its counts leaves open on which records both systems said yes. The
    fewer disagreements, the smaller p.

    Args:
        hits: of the first system.
        hits2: of the second.
        n: records, the same for both.

    Returns:
        (smallest, largest) over all pairings.
    """
    gap = hits - hits2
    fewest, most = max(0, -gap), min(hits2, n - hits)
    found = [mcnemar(only2 + gap, only2) for only2 in range(fewest, most + 1)]
    return min(found), max(found)


@dataclass(frozen=True)
class PaperLine:
    """Two counts of the paper and all that they allow to say.

    Attributes:
        first: name of the first system, e.g. "ETLCH-1000".
        second: name of the system it is compared with.
        hits: of the first, of RECORDS.
        hits2: of the second.
        interval: Newcombe's 95 % interval of the difference of rates, unpaired.
        effect: Cohen's h.
        tests: as the paper does them.
        paired: smallest and largest McNemar mid-p that the counts allow.
        z_corrected: two-sided p of the z-test after correction over all lines.
        paired_corrected: the largest mid-p after the same correction.
    """

    first: str
    second: str
    hits: int
    hits2: int
    interval: Interval
    effect: float
    tests: PaperTests
    paired: tuple[float, float]
    z_corrected: Corrected
    paired_corrected: Corrected

    @property
    def verdict(self) -> str:
        """Better or worse where that holds under every pairing after Holm, else not significant."""
        if self.paired_corrected.holm is None or self.paired_corrected.holm >= 0.05:
            return "not significant"
        return "better" if self.hits > self.hits2 else "worse"


def against_baselines() -> tuple[PaperLine, ...]:
    """Compare each training size with each baseline: one family of twelve tests."""
    sizes = [(f"ETLCH-{size}", hits) for size, hits in PARSED.items()]
    return _lines([(size, baseline) for size in sizes for baseline in PARSED_BASELINES.items()])


def between_sizes() -> tuple[PaperLine, ...]:
    """Compare each training size with the one before: one family of three tests."""
    sizes = [(f"ETLCH-{size}", hits) for size, hits in PARSED.items()]
    return _lines([(larger, smaller) for smaller, larger in pairwise(sizes)])


def _lines(pairs: Sequence[tuple[tuple[str, int], tuple[str, int]]]) -> tuple[PaperLine, ...]:
    tests = [paper_tests(one[1], RECORDS, two[1], RECORDS) for one, two in pairs]
    paired = [paired_bounds(one[1], two[1], RECORDS) for one, two in pairs]
    family = ["JSON"] * len(pairs)
    z_corrected = correct([test.p_z for test in tests], family)
    paired_corrected = correct([most for _, most in paired], family)
    return tuple(
        PaperLine(
            first=one[0],
            second=two[0],
            hits=one[1],
            hits2=two[1],
            interval=newcombe(one[1], RECORDS, two[1], RECORDS),
            effect=cohen_h(one[1] / RECORDS, two[1] / RECORDS),
            tests=tests[at],
            paired=paired[at],
            z_corrected=z_corrected[at],
            paired_corrected=paired_corrected[at],
        )
        for at, (one, two) in enumerate(pairs)
    )
