"""Match facts by where they stand in the article: from both sides' facts and the text return rows of counts.

Labels hold no offsets. A value stands wherever the article has it; one that a label repeats stands, the first time,
at its first place, and so on. Without an article, texts of which one contains the other overlap.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from etlch.core.records import Fact, Span
from etlch.metrics.facts import MOST_PAIRS, Row, comparable_fact, most_pairs
from etlch.text.locate import locate, standing

MOST_PLACES = 50
"""Places of one value that are looked at."""


@dataclass(frozen=True)
class Placed:
    """A fact and where its grounded parts stand.

    Attributes:
        fact: in the form of comparison.
        names: the parts that name what it is: type, field, relation.
        texts: the grounded parts in the form of comparison.
        written: the grounded parts as written.
        number: which place is meant of parts that the label repeats, from 0; None: every place.
        article: where they are looked for, once that is needed.
    """

    fact: Fact
    names: Fact
    texts: Fact
    written: Fact
    number: int | None
    article: str

    @cached_property
    def places(self) -> tuple[tuple[Span, ...], ...]:
        """For each grounded part, where it stands; empty where it does not."""
        found = (places(text, self.article) for text in self.written)
        if self.number is None:
            return tuple(found)
        return tuple(held[self.number : self.number + 1] or held[-1:] for held in found)


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
        found.append(Placed(*_split(fact, chosen), number, article))
    return found


@lru_cache(maxsize=16384)
def _split(fact: Fact, grounded: tuple[int, ...]) -> tuple[Fact, Fact, Fact, Fact]:
    """Return a fact in the form of comparison, what names it, and its grounded parts in that form and as written."""
    form = comparable_fact(fact)
    names = tuple(part for index, part in enumerate(form) if index not in grounded)
    texts = tuple(form[part] for part in grounded if part < len(form))
    return form, names, texts, tuple(fact[part] for part in grounded if part < len(form))


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
    named: dict[Fact, list[int]] = {}
    for column, item in enumerate(rest):
        named.setdefault(item.names, []).append(column)
    edges = [
        (row, column)
        for row, one in enumerate(rest_gold)
        for column in named.get(one.names, ())
        if overlap(one, rest[column])
    ]
    return Row(equal + most_pairs(edges, len(rest_gold), len(rest)), len(predicted) + wrong, len(gold))


def partial(gold: Sequence[Placed], predicted: Sequence[Placed], wrong: int) -> Row:
    """Mentions whatever their types: a hit where they are equal, half of one where they only overlap.

    The partial boundary match of SemEval-2013 task 9.1 (Segura-Bedmar et al. 2013), one to one.
    """
    one, two = ([_untyped(item) for item in side] for side in (gold, predicted))
    rest_gold, rest, equal = _rest(one, two)
    edges = [
        (row, column)
        for row, first in enumerate(rest_gold)
        for column, second in enumerate(rest)
        if overlap(first, second)
    ]
    hits = equal + 0.5 * most_pairs(edges, len(rest_gold), len(rest))
    return Row(hits, len(predicted) + wrong, len(gold))


def types(gold: Sequence[Placed], predicted: Sequence[Placed], wrong: int) -> Row:
    """Mentions that overlap one of their type: SemEval-2013's type, by the rule of nervaluate.

    In the order of the text each prediction takes, of the gold mentions that it overlaps and that none took,
    the closest of its type; where there is none of its type, it spoils the first other one.
    """
    taken: set[int] = set()
    hits = 0
    for item in predicted if len(gold) * len(predicted) <= MOST_PAIRS else ():
        free = [index for index, one in enumerate(gold) if index not in taken and overlap(one, item)]
        same = [index for index in free if gold[index].names == item.names]
        if same:
            hits += 1
            taken.add(min(same, key=lambda index: _distance(gold[index], item)))
        elif free:
            taken.add(free[0])
    return Row(hits, len(predicted) + wrong, len(gold))


def overlap(one: Placed, two: Placed) -> bool:
    """Tell whether every grounded part of one fact overlaps the same part of the other."""
    if one.texts == two.texts:
        return True
    return len(one.texts) == len(two.texts) and all(
        first == second or _overlap(first, second, here, there)
        for first, second, here, there in zip(one.texts, two.texts, one.places, two.places, strict=True)
    )


def _overlap(one: str, two: str, here: tuple[Span, ...], there: tuple[Span, ...]) -> bool:
    if not here or not there:
        return not here and not there and (one in two or two in one)
    return any(a < d and c < b for a, b in here for c, d in there)


def _distance(one: Placed, two: Placed) -> int:
    """Return how far the boundaries of the closest places are apart, summed over the parts."""
    return sum(
        min((abs(a - c) + abs(b - d) for a, b in here for c, d in there), default=0)
        for here, there in zip(one.places, two.places, strict=True)
    )


def _untyped(item: Placed) -> Placed:
    return replace(item, fact=item.texts, names=())


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
