"""Read p-values with their families, return p-values adjusted for multiple testing.

A p of None (a comparison that could not be tested) stays None and counts in no family.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Corrected:
    """One p-value after correction.

    Attributes:
        holm: adjusted by Holm within the family.
        benjamini_hochberg: adjusted over the whole grid.
        family_size: how many tests the family holds.
        grid_size: how many tests the grid holds.
    """

    holm: float | None
    benjamini_hochberg: float | None
    family_size: int
    grid_size: int


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down adjustment: bounds the chance of one false claim in the family.

    Holm, Scandinavian Journal of Statistics 6 (1979) 65–70; needs no independence.

    Args:
        ps: p-values of one family.

    Returns:
        Adjusted p-values in the same order; significant at alpha where ≤ alpha.
    """
    order = _ascending(ps)
    adjusted: list[float | None] = [None] * len(ps)
    highest = 0.0
    for rank, (p, index) in enumerate(order):
        highest = max(highest, min(1.0, p * (len(order) - rank)))
        adjusted[index] = highest
    return adjusted


def benjamini_hochberg(ps: Sequence[float | None]) -> list[float | None]:
    """Benjamini and Hochberg's adjustment: bounds the share of false claims among the claims.

    Benjamini and Hochberg, JRSS B 57 (1995) 289–300; proved for independent tests and some kinds
    of positive dependence (Benjamini and Yekutieli 2001), and usually good beyond them.

    Args:
        ps: p-values of the whole grid.

    Returns:
        Adjusted p-values in the same order.
    """
    order = _ascending(ps)
    adjusted: list[float | None] = [None] * len(ps)
    lowest = 1.0
    for rank in range(len(order), 0, -1):
        p, index = order[rank - 1]
        lowest = min(lowest, p * len(order) / rank)
        adjusted[index] = lowest
    return adjusted


def correct(ps: Sequence[float | None], families: Sequence[Hashable]) -> list[Corrected]:
    """Correct a grid of tests: Holm within each family, Benjamini–Hochberg over all.

    Args:
        ps: p-values; None where there is none.
        families: each p-value's family, e.g. (task, metric).

    Returns:
        One Corrected per p-value, in the same order.

    Raises:
        ValueError: when there is not one family for each p-value.
    """
    if len(families) != len(ps):
        raise ValueError(f"{len(ps)} p-values need as many families, not {len(families)}")
    members: dict[Hashable, list[int]] = {}
    for index, family in enumerate(families):
        members.setdefault(family, []).append(index)
    grid = benjamini_hochberg(ps)
    grid_size = len(_ascending(ps))
    corrected: list[Corrected | None] = [None] * len(ps)
    for indices in members.values():
        family_ps = [ps[index] for index in indices]
        size = len(_ascending(family_ps))
        for index, adjusted in zip(indices, holm(family_ps), strict=True):
            corrected[index] = Corrected(adjusted, grid[index], size, grid_size)
    return [one for one in corrected if one is not None]


def _ascending(ps: Sequence[float | None]) -> list[tuple[float, int]]:
    return sorted((p, index) for index, p in enumerate(ps) if p is not None)
