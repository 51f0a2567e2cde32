"""Read two counts of disagreements, return the p of McNemar's test."""

from __future__ import annotations

from sys import float_info

from scipy.special import bdtr


def mcnemar(first: int, second: int) -> float:
    """McNemar's mid-p, two-sided: do the disagreements lean to one side?

    With m = min(first, second) and n = first + second it is F(m) + F(m − 1) of Binomial(n, ½),
    1 where nothing disagrees and never quite 0 (Fagerland, Lydersen and Laake, BMC Medical Research Methodology
    13 (2013) 91).

    Args:
        first: records on which only the first system says yes.
        second: records on which only the second does.
    """
    n, least = first + second, min(first, second)
    if n == 0:
        return 1.0
    below = float(bdtr(least - 1, n, 0.5)) if least else 0.0
    return min(1.0, max(float_info.min, float(bdtr(least, n, 0.5)) + below))
