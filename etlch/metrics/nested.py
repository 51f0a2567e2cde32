"""Nested JSON: two values walk in; comparable facts (path, leaf) walk out.

For labels of other people's tasks. A leaf's path names the keys on the way to it. The items of two
lists are matched first, so that the order of a list does not count but which leaves stand together does:
each predicted item takes the path number of the gold item that it was assigned to.
"""

from __future__ import annotations

from typing import NamedTuple

from etlch.core.records import Fact, Json
from etlch.metrics.facts import comparable
from etlch.tasks.base import scalar_text

DEEPEST = 100
"""Levels. What lies deeper counts as one leaf with the text '…'."""

MOST_ITEMS = 40_000
"""Pairs of items of two lists that are compared; longer lists are taken in the order of the text."""

Path = tuple[str, ...]
Leaf = tuple[Path, str]


class Leaves(NamedTuple):
    """Facts of both sides whose paths fit each other."""

    gold: tuple[Fact, ...]
    predicted: tuple[Fact, ...]


def leaves(gold: Json, predicted: Json) -> Leaves:
    """Return the facts of two JSON values after their list items were matched by best assignment.

    The score of two items is the number of facts that they share, all levels below included.
    """
    one, two = _aligned(gold, predicted, 0, {})
    return Leaves(*(tuple(("/".join(path), text) for path, text in side) for side in (one, two)))


_Sides = tuple[list[Leaf], list[Leaf]]
_Known = dict[tuple[int, int], _Sides]
"""The leaves of pairs of values that were compared before, by the identities of both."""


def _aligned(gold: Json, predicted: Json, depth: int, known: _Known) -> _Sides:
    """Return the leaves of both values with paths that begin at them."""
    both = (dict, list)
    if not isinstance(gold, both) or type(gold) is not type(predicted) or depth >= DEEPEST:
        return _flat(gold), _flat(predicted)
    place = (id(gold), id(predicted))
    if place not in known:
        found: _Sides = ([], [])
        for step, one, two in _steps(gold, predicted, depth, known):
            for side, below in zip(found, _aligned(one, two, depth + 1, known), strict=True):
                side.extend(((step, *path), text) for path, text in below)
        known[place] = found
    return known[place]


def _steps(gold: Json, predicted: Json, depth: int, known: _Known) -> list[tuple[str, Json, Json]]:
    if isinstance(gold, dict):
        keys = dict.fromkeys([*gold, *predicted])
        return [(key, gold.get(key), predicted.get(key)) for key in keys]
    pairs = _matched(gold, predicted, depth, known)
    return [(f"#{place}", one, two) for place, (one, two) in enumerate(pairs)]


def _matched(gold: list[Json], predicted: list[Json], depth: int, known: _Known) -> list[tuple[Json, Json]]:
    """Pair the items of two lists, None for an item without a partner."""
    if len(gold) * len(predicted) < 2 or len(gold) * len(predicted) > MOST_ITEMS:
        longest = range(max(len(gold), len(predicted)))
        return [tuple(side[i] if i < len(side) else None for side in (gold, predicted)) for i in longest]  # type: ignore[misc]
    import numpy as np
    from scipy.optimize import linear_sum_assignment

    shared = [[_shared(one, two, depth, known) for two in predicted] for one in gold]
    rows, columns = linear_sum_assignment(np.array(shared, dtype=np.float64), maximize=True)
    partner = {int(row): int(column) for row, column in zip(rows, columns, strict=True)}
    pairs = [(item, predicted[partner[i]] if i in partner else None) for i, item in enumerate(gold)]
    taken = set(partner.values())
    return pairs + [(None, item) for i, item in enumerate(predicted) if i not in taken]


def _shared(gold: Json, predicted: Json, depth: int, known: _Known) -> int:
    one, two = (
        set(comparable(("/".join(path), text) for path, text in side))
        for side in _aligned(gold, predicted, depth + 1, known)
    )
    return len(one & two)


def _flat(value: Json) -> list[Leaf]:
    """Return the leaves below one value; list items keep their own numbers. Not recursive."""
    found: list[Leaf] = []
    waiting: list[tuple[Path, Json]] = [((), value)]
    while waiting:
        path, held = waiting.pop()
        if isinstance(held, dict | list) and len(path) >= DEEPEST:
            found.append((path, "…"))
        elif isinstance(held, dict):
            waiting.extend(((*path, key), item) for key, item in reversed(held.items()))
        elif isinstance(held, list):
            waiting.extend(((*path, f"#{i}"), item) for i, item in reversed(list(enumerate(held))))
        elif (text := scalar_text(held)) is not None and text.strip():
            found.append((path, text))
    return found
