"""Estimate how many facts a run's labels miss, from a second labelling of the same texts (capture and recapture)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from etlch.core.records import Fact, Record
from etlch.text.normalize import fact_form

if TYPE_CHECKING:
    import numpy as np

    Counts = np.ndarray[Any, np.dtype[np.int64]]

_RESAMPLES = 1000


class Missed(NamedTuple):
    """What a second labelling says of the first.

    Attributes:
        task: of the labels.
        texts: labelled in both.
        own, other, both: facts of the run, of the second labelling, and of both.
        total: facts there are, by Chapman's estimator.
        share: of them that the run misses, from 0 to 1.
        low, high: 95 % interval of the share, texts being resampled.
    """

    task: str
    texts: int
    own: int
    other: int
    both: int
    total: float
    share: float
    low: float
    high: float

    @property
    def sentence(self) -> str:
        """Say it in a sentence."""
        return (
            f"{self.task}: {self.share:.1%} of the facts are missed (95 % interval {self.low:.1%} to {self.high:.1%}), "
            f"from {self.both:,} facts in both of {self.own:,} here and {self.other:,} there on {self.texts:,} texts; "
            "more if both miss the same ones"
        )


def missed_facts(own: Iterable[Record], other: Iterable[Record], seed: int) -> tuple[Missed, ...]:
    """Return the estimate for each task that has texts labelled in both runs.

    Chapman's estimator of a population of which n1 and n2 were seen, m of them twice, is
    (n1 + 1)(n2 + 1)/(m + 1) - 1 (Chapman 1951). It takes the two labellings for independent and every label for
    right: if they miss the same hard facts, more is missed than it says. The interval is a percentile bootstrap over
    texts, because the facts of one text are found or missed together.

    Args:
        own: records of the run.
        other: records of the second labelling, found by task and text.
        seed: of the resampling.
    """
    import numpy as np

    second = {(record.task, fact_form(record.input)): _facts(record) for record in other}
    counts: dict[str, list[tuple[int, int, int]]] = {}
    for record in own:
        again = second.get((record.task, fact_form(record.input)))
        if again is not None:
            facts = _facts(record)
            counts.setdefault(record.task, []).append((len(facts), len(again), len(facts & again)))
    found = []
    for task, rows in counts.items():
        table = np.array(rows, dtype=np.int64)
        total, share = _chapman(table.sum(axis=0))
        rng = np.random.default_rng(seed)
        drawn = [
            _chapman(table[rng.integers(0, len(table), len(table))].sum(axis=0))[1] for _ in range(_RESAMPLES)
        ]
        low, high = (float(value) for value in np.percentile(drawn, [2.5, 97.5]))
        here, there, both = (int(value) for value in table.sum(axis=0))
        found.append(Missed(task, len(rows), here, there, both, round(total, 1), share, low, high))
    return tuple(found)


def _chapman(counts: Counts) -> tuple[float, float]:
    """Return the estimated number of facts, and the share of them that the first labelling misses."""
    own, other, both = (int(value) for value in counts)
    total = (own + 1) * (other + 1) / (both + 1) - 1
    return total, max(0.0, 1 - own / total) if total else 0.0


def _facts(record: Record) -> set[Fact]:
    return {tuple(map(fact_form, item.fact)) for item in record.facts}
