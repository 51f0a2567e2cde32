"""The kinds of numbers that measures of quality are made of, and how quality.json writes them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, NamedTuple

from etlch.core.records import Json


class FiveNumbers(NamedTuple):
    """Five-number summary: minimum, quartiles, maximum (Tukey 1977)."""

    low: float
    q1: float
    median: float
    q3: float
    high: float


class Proportion(NamedTuple):
    """A proportion, as its numerator `hits` and denominator `total`."""

    hits: int
    total: int

    @property
    def rate(self) -> float:
        """From 0 to 1; 0 of 0 is 0."""
        return self.hits / self.total if self.total else 0.0


def five_numbers(values: Iterable[float]) -> FiveNumbers:
    """Return the five-number summary, quartiles by linear interpolation (NumPy's default); zeros for no values."""
    ordered = sorted(values)
    if not ordered:
        return FiveNumbers(0, 0, 0, 0, 0)

    def at(share: float) -> float:
        place = share * (len(ordered) - 1)
        low = int(place)
        high = min(low + 1, len(ordered) - 1)
        return round(ordered[low] + (ordered[high] - ordered[low]) * (place - low), 4)

    return FiveNumbers(at(0), at(0.25), at(0.5), at(0.75), at(1))


def plain(value: Any) -> Json:
    """Return a measure as JSON values for quality.json: every number has a name, every proportion its rate."""
    if isinstance(value, Proportion):
        return {"hits": value.hits, "total": value.total, "rate": round(value.rate, 6)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: plain(item) for name, item in value._asdict().items()}
    if dataclasses.is_dataclass(value):
        return {item.name: plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, tuple) else value
