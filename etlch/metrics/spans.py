"""Match facts by where they stand in the article: from both sides' facts and the text return rows of counts.

Labels hold no offsets. A value stands wherever the article has it; one that a label repeats stands, the first time,
at its first place, and so on. Without an article, texts of which one contains the other overlap.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from etlch.core.records import Fact, Span
from etlch.metrics.facts import MOST_PAIRS, Row, comparable_fact, most_pairs
from etlch.text.locate import locate, standing

MOST_PLACES = 50
"""Places of one value that are looked at."""


class Placed(NamedTuple):
    """A fact and where its grounded parts are to be found.

    Attributes:
        fact: in the form of comparison.
        written: as written.
        grounded: which parts should stand in the article.
        number: which place is meant of parts that the label repeats, from 0; None: every place.
        article: where they are looked for, once that is needed.
    """

    fact: Fact
    written: Fact
    grounded: tuple[int, ...]
    number: int | None
    article: str

    @property
    def names(self) -> Fact:
        """The parts that name what it is, in the form of comparison: type, field, relation."""
        return tuple([part for index, part in enumerate(self.fact) if index not in self.grounded])

    @property
    def texts(self) -> Fact:
        """The grounded parts in the form of comparison."""
        return tuple([self.fact[part] for part in self.grounded if part < len(self.fact)])

    @property
    def places(self) -> tuple[tuple[Span, ...], ...]:
        """For each grounded part, where it stands; empty where it does not."""
        written = [self.written[part] for part in self.grounded if part < len(self.fact)]
        found = tuple([places(text, self.article) for text in written])
        if self.number is None:
            return found
        return tuple(occurrences[self.number : self.number + 1] or occurrences[-1:] for occurrences in found)


def place(facts: Sequence[Fact], grounded: Sequence[int], article: str) -> list[Placed]:
    """Return facts, repeats kept, with the places of their grounded parts.

    Args:
        facts: as written.
        grounded: which parts should stand in the article.
        article: may be empty.
    """
    total, seen = Counter(facts), Counter[Fact]()
    found = []
    chosen = tuple(grounded)
    for fact in facts:
        number = None
        if total[fact] > 1:
            number = seen[fact]
            seen[fact] += 1
        found.append(Placed(comparable_fact(fact), fact, chosen, number, article))
    return found


@lru_cache(maxsize=4096)
def places(value: str, article: str) -> tuple[Span, ...]:
    """Return where a value stands: up to MOST_PLACES places as it is written, else the one that `locate` finds."""
    if not article or not value.strip():
        return ()
    found: list[Span] = []
    for span in standing(value.strip(), article):
        found.append(span)
        if len(found) == MOST_PLACES:
            break
    if found:
        return tuple(found)
    place = locate(value, article)
    return () if place is None else ((place.start, place.end),)


def mentions(gold: Sequence[Placed], predicted: Sequence[Placed], wrong: int) -> Row:
    """Facts equal in all parts, repeats counted one by one."""
    one, two = Counter(item.fact for item in gold), Counter(item.fact for item in predicted)
    return Row((one & two).total(), two.total() + wrong, one.total())


def lenient(gold: Sequence[Placed], predicted: Sequence[Placed], wrong: int) -> Row:
    """Facts of the same type whose grounded parts overlap in the article, matched one to one.

    The lenient match of n2c2 2018 track 2 (Henry et al. 2020): concepts of the same type with overlapping
    spans; relations of the same type both of whose ends overlap. Equal facts meet first, of the rest as many
    pairs as there can be.
    """
    rest_gold, rest, equal = _rest(gold, predicted)
    edges = _overlaps(rest_gold, rest, same_names=True)
    return Row(equal + most_pairs(edges, len(rest_gold), len(rest)), len(predicted) + wrong, len(gold))


def partial(gold: Sequence[Placed], predicted: Sequence[Placed], wrong: int) -> Row:
    """Mentions whatever their types: a hit where they are equal, half of one where they only overlap.

    The partial boundary match of SemEval-2013 task 9.1 (Segura-Bedmar et al. 2013), one to one.
    """
    one, two = ([_untyped(item) for item in side] for side in (gold, predicted))
    rest_gold, rest, equal = _rest(one, two)
    edges = _overlaps(rest_gold, rest, same_names=False)
    hits = equal + 0.5 * most_pairs(edges, len(rest_gold), len(rest))
    return Row(hits, len(predicted) + wrong, len(gold))


def types(gold: Sequence[Placed], predicted: Sequence[Placed], wrong: int) -> Row:
    """Mentions that overlap one of their type: SemEval-2013's type, by the rule of nervaluate.

    In the order of the text each prediction takes, of the gold mentions that it overlaps and that none took,
    the closest of its type; where there is none of its type, it spoils the first other one.
    """
    taken: set[int] = set()
    hits = 0
    near: dict[int, list[int]] = {}
    if len(gold) * len(predicted) <= MOST_PAIRS:
        for row, column in _overlaps(gold, predicted, same_names=False):
            near.setdefault(column, []).append(row)
    for column in sorted(near):
        item = predicted[column]
        free = [row for row in near[column] if row not in taken]
        same = [row for row in free if gold[row].names == item.names]
        if same:
            hits += 1
            taken.add(min(same, key=lambda row: _distance(gold[row], item)))
        elif free:
            taken.add(free[0])
    return Row(hits, len(predicted) + wrong, len(gold))


def _overlaps(
    gold: Sequence[Placed], predicted: Sequence[Placed], *, same_names: bool
) -> list[tuple[int, int]]:
    """Return the pairs (row of gold, column of predicted) all of whose grounded parts overlap, in order."""
    columns: dict[Fact, list[tuple[int, Fact, tuple[tuple[Span, ...], ...]]]] = {}
    for column, item in enumerate(predicted):
        columns.setdefault(item.names if same_names else (), []).append((column, item.texts, item.places))
    edges = []
    for row, item in enumerate(gold):
        texts, here = item.texts, item.places
        for column, others, there in columns.get(item.names if same_names else (), ()):
            if _overlap(texts, others, here, there):
                edges.append((row, column))
    return edges


def _overlap(
    one: Fact, two: Fact, here: Sequence[tuple[Span, ...]], there: Sequence[tuple[Span, ...]]
) -> bool:
    """Tell whether every part of one fact overlaps the same part of the other: in places, or else in letters."""
    if one == two:
        return True
    if len(one) != len(two):
        return False
    for first, second, spans, others in zip(one, two, here, there, strict=True):
        if first == second:
            continue
        if spans and others:
            if not any(a < d and c < b for a, b in spans for c, d in others):
                return False
        elif spans or others or not (first in second or second in first):
            return False
    return True


def _distance(one: Placed, two: Placed) -> int:
    """Return how far the boundaries of the closest places are apart, summed over the parts."""
    return sum(
        min((abs(a - c) + abs(b - d) for a, b in here for c, d in there), default=0)
        for here, there in zip(one.places, two.places, strict=True)
    )


def _untyped(item: Placed) -> Placed:
    """Return a fact as its grounded parts alone."""
    parts = [part for part in item.grounded if part < len(item.fact)]
    written = tuple([item.written[part] for part in parts])
    return item._replace(fact=item.texts, written=written, grounded=tuple(range(len(parts))))


def _rest(gold: Sequence[Placed], predicted: Sequence[Placed]) -> tuple[list[Placed], list[Placed], int]:
    """Return both sides without what is equal, and how much that is."""
    one, two = Counter(item.fact for item in gold), Counter(item.fact for item in predicted)
    shared = one & two
    sides = []
    for side in (gold, predicted):
        left = Counter(shared)
        kept = []
        for item in side:
            if left[item.fact]:
                left[item.fact] -= 1
            else:
                kept.append(item)
        sides.append(kept)
    return sides[0], sides[1], shared.total()
