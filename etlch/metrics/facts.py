"""Count facts: from a gold and a predicted reading return rows (true positives, predicted, gold).

A row is one record's counts. Rows add up, so corpus precision, recall and F1 are functions of
summed rows, and no resampling ever reads a text again. Facts form a set per record.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from etlch.core.records import Fact
from etlch.text.normalize import fact_form

MOST_PAIRS = 4_000_000
"""Cells of one assignment. Above it (a runaway prediction) only exact matches are credited."""

_ITEM = re.compile(r"/#\d+(?=/|\Z)")


class Row(NamedTuple):
    """One record's counts. Soft and partial matching make `hits` a fraction."""

    hits: float
    predicted: float
    gold: float


class FactPair(NamedTuple):
    """A record's facts in the form in which they are compared, each once, in the order of the text.

    `wrong` counts predictions that are no fact.
    """

    gold: tuple[Fact, ...]
    predicted: tuple[Fact, ...]
    wrong: int

    @property
    def matched(self) -> tuple[Fact, ...]:
        """Predicted facts that the gold holds."""
        others = set(self.gold)
        return tuple(fact for fact in self.predicted if fact in others)

    @property
    def missed(self) -> tuple[Fact, ...]:
        """Gold facts that were not predicted."""
        others = set(self.predicted)
        return tuple(fact for fact in self.gold if fact not in others)

    @property
    def spurious(self) -> tuple[Fact, ...]:
        """Predicted facts that the gold does not hold."""
        others = set(self.gold)
        return tuple(fact for fact in self.predicted if fact not in others)


def comparable(facts: Iterable[Fact]) -> tuple[Fact, ...]:
    """Return facts in the form in which they are compared, each once, in order."""
    return tuple(dict.fromkeys(map(comparable_fact, facts)))


@lru_cache(maxsize=16384)
def comparable_fact(fact: Fact) -> Fact:
    """Return a fact in the form in which it is compared."""
    return tuple(map(_form, fact))


@lru_cache(maxsize=16384)
def _form(part: str) -> str:
    return fact_form(part)


def strict(pair: FactPair) -> Row:
    """Facts equal in all their parts."""
    return Row(len(pair.matched), len(pair.predicted) + pair.wrong, len(pair.gold))


def of_part(pair: FactPair, part: int) -> Row:
    """The set of values that one part takes: mentions without their types, subjects, relations."""
    gold, predicted = ({fact[part] for fact in side if part < len(fact)} for side in pair[:2])
    return Row(len(gold & predicted), len(predicted) + pair.wrong, len(gold))


def types_only(pair: FactPair) -> Row:
    """Types as a multiset, mentions ignored: did the model see that two people are named?"""
    gold, predicted = (Counter(fact[0] for fact in side) for side in pair[:2])
    return Row((gold & predicted).total(), predicted.total() + pair.wrong, gold.total())


def most_pairs(edges: Sequence[tuple[int, int]], rows: int, columns: int) -> int:
    """Return the size of a largest matching: how many of the edges (row, column) can be chosen, no end twice."""
    if len(edges) < 2:
        return len(edges)
    import numpy as np
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import maximum_bipartite_matching

    ends = np.array(edges, dtype=np.int32).T
    graph: Any = csr_matrix((np.ones(len(edges)), (ends[0], ends[1])), shape=(rows, columns))
    return int((maximum_bipartite_matching(graph) >= 0).sum())


def soft(pair: FactPair) -> Row:
    """Facts matched one to one so that the sum of their similarities, the hits, is largest.

    Similarity of two facts is the mean over their parts of 2 · LCS / (length + length), in
    characters; the assignment is optimal (Kuhn 1955). Each part is compared with its own part, so
    a triple with its ends swapped gets little.
    """
    gold, predicted = pair.gold, pair.predicted
    matched = len(pair.matched)
    row = Row(matched, len(predicted) + pair.wrong, len(gold))
    # No pair is worth more than an exact one, so one side wholly matched is already the optimum.
    if matched == min(len(gold), len(predicted)) or len(gold) * len(predicted) > MOST_PAIRS:
        return row
    import numpy as np
    from rapidfuzz.distance import Indel
    from rapidfuzz.process import cdist
    from scipy.optimize import linear_sum_assignment

    likeness = np.zeros((len(gold), len(predicted)))
    parts = min(len(fact) for fact in (*gold, *predicted))
    for part in range(parts):
        one, two = [fact[part] for fact in gold], [fact[part] for fact in predicted]
        likeness += cdist(one, two, scorer=Indel.normalized_similarity, dtype=np.float64)
    rows, columns = linear_sum_assignment(likeness, maximize=True)
    return row._replace(hits=float(likeness[rows, columns].sum()) / parts)


def of_keys(gold: Collection[str], predicted: Collection[str]) -> Row:
    """The set of keys, whatever stands under them."""
    one, two = {_form(key) for key in gold}, {_form(key) for key in predicted}
    return Row(len(one & two), len(two), len(one))


def by_type(pair: FactPair, part: int) -> dict[str, Row]:
    """Strict rows apart for each value of one part: by entity type, by field, by relation.

    A path into nested JSON counts without the numbers of list items.
    """
    gold, predicted, hits = (_types(facts, part) for facts in (pair.gold, pair.predicted, pair.matched))
    return {name: Row(hits[name], predicted[name], gold[name]) for name in gold | predicted}


def _types(facts: Sequence[Fact], part: int) -> Counter[str]:
    counts: Counter[str] = Counter()
    for name, count in Counter([fact[part] for fact in facts]).items():
        counts[_ITEM.sub("", name)] += count
    return counts
