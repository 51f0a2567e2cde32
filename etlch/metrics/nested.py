"""Compare two nested JSON values: return facts (path, leaf) of both, and whole objects.

For labels of other people's tasks. A leaf's path names the keys on the way to it. The items of two
lists are matched first, so that the order of a list does not count but which leaves stand together does:
each predicted item takes the path number of the gold item that it was assigned to.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from etlch.core.records import Fact, Json
from etlch.metrics.facts import Row, comparable
from etlch.tasks.base import scalar_text

DEEPEST = 100
"""Levels. What lies deeper counts as one leaf with the text '…'."""

MOST_ITEMS = 40_000
"""Pairs of items of two lists that are compared; longer lists are taken in the order of the text."""

_UNNUMBERED = re.compile(r"/?#\d+(?=/|\Z)")
"""The number of a list's item in a path: order in a list does not count."""

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
        path, inner = waiting.pop()
        if isinstance(inner, dict | list) and len(path) >= DEEPEST:
            found.append((path, "…"))
        elif isinstance(inner, dict):
            waiting.extend(((*path, key), item) for key, item in reversed(inner.items()))
        elif isinstance(inner, list):
            waiting.extend(((*path, f"#{i}"), item) for i, item in reversed(list(enumerate(inner))))
        elif (text := scalar_text(inner)) is not None and text.strip():
            found.append((path, text))
    return found


class Renamed(NamedTuple):
    """A value under the names of a label map, and the entries that matched something."""

    value: Json
    used: frozenset[str]


_TYPE_LIKE = frozenset(
    ("type", "label", "entity_type", "event_type", "category", "class", "role", "relation")
)


def renamed(value: Json, label_map: Mapping[str, str]) -> Renamed:
    """Return a JSON value with its keys, and the values of type-like keys, renamed at every depth."""
    if not label_map:
        return Renamed(value, frozenset())
    used: set[str] = set()

    def name(text: str) -> str:
        if text in label_map:
            used.add(text)
        return label_map.get(text, text)

    def walk(inner: Json, depth: int) -> Json:
        if depth > DEEPEST:
            return inner
        if isinstance(inner, list):
            return [walk(item, depth + 1) for item in inner]
        if not isinstance(inner, dict):
            return inner
        return {
            name(key): name(item)
            if isinstance(item, str) and key.casefold() in _TYPE_LIKE
            else walk(item, depth + 1)
            for key, item in inner.items()
        }

    return Renamed(walk(value, 0), frozenset(used))


def items(gold: Json, predicted: Json, empty_values: Collection[str] = ()) -> Row:
    """Return the row (right, predicted, gold) of whole objects: one is right only if all its leaves are.

    An item is an object in a list, at any depth, known by the keys on the way to it and all leaves below it;
    a label without such objects is one item.
    """
    one, two = (Counter(_items(value, empty_values)) for value in (gold, predicted))
    return Row((one & two).total(), two.total(), one.total())


def _items(value: Json, empty_values: Collection[str]) -> Iterator[tuple[Path, tuple[Fact, ...]]]:
    found = [(path, item) for path, items in _lists(value) for item in items if isinstance(item, dict)] or (
        [((), value)] if isinstance(value, dict) and value else []
    )
    for path, item in found:
        leaf_facts = (("/".join(place), text) for place, text in _flat(item) if text not in empty_values)
        whole = tuple(sorted(comparable((_UNNUMBERED.sub("", place), text) for place, text in leaf_facts)))
        if whole:
            yield path, whole


def _lists(value: Json) -> Iterator[tuple[Path, list[Json]]]:
    """Yield every list with the keys on the way to it."""
    waiting: list[tuple[Path, Json]] = [((), value)]
    while waiting:
        path, inner = waiting.pop()
        if len(path) > DEEPEST:
            continue
        if isinstance(inner, list):
            yield path, inner
            waiting += [(path, item) for item in inner if isinstance(item, dict | list)]
        elif isinstance(inner, dict):
            waiting += [((*path, key), item) for key, item in inner.items()]
