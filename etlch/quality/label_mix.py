"""Read the records of a run, return what grounding cannot see: label mix, density, empty labels, spans in two roles.

Against a reference, such as records of human labels, each number is tested. Synthetic data can pass grounding
and still hurt training because its mix, density and roles differ (arXiv 2402.15663).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

from etlch.core.records import Record
from etlch.quality.numbers import FiveNumbers, Proportion, five_numbers
from etlch.stats.corrections import holm
from etlch.tasks import Task
from etlch.tasks.base import type_of

if TYPE_CHECKING:
    import numpy as np

    Counts = np.ndarray[Any, np.dtype[np.int64]]
    Shares = np.ndarray[Any, np.dtype[np.float64]]

ALPHA = 0.05
_PERMUTATIONS = 1000
_MOST_TYPES = 50
_PAIRS = 10


@dataclass(frozen=True)
class TaskLabels:
    """The labels of one task.

    Attributes:
        types: field, entity type or relation → facts, most frequent first.
        classes: field whose values are judgements and stand nowhere in the text → value → facts.
        characters: per record.
        density: facts per 100 characters of a record.
        facts_per_100: all facts by all characters.
        empty: records without a fact.
        two_types: spans that carry more than one type, of all spans; a role and its sub-role count as one.
        pairs: (type, other type, records in which one span carries both), most frequent first.
    """

    types: dict[str, int]
    classes: dict[str, dict[str, int]]
    characters: FiveNumbers
    density: FiveNumbers
    facts_per_100: float
    empty: Proportion
    two_types: Proportion
    pairs: tuple[tuple[str, str, Proportion], ...]


class Difference(NamedTuple):
    """A number of a run beside that of its reference.

    Attributes:
        task: of the records.
        what: the number, in words.
        own, reference: its values.
        p: two-sided, corrected by Holm over all differences of the run.
        test: that gave it.
    """

    task: str
    what: str
    own: float
    reference: float
    p: float
    test: str

    @property
    def sentence(self) -> str:
        """Say it in a sentence."""
        verdict = "significantly different" if self.p < ALPHA else "no significant difference"
        p = "p < 0.001" if self.p < 0.001 else f"p = {self.p:.3f}"
        return f"{self.task}: {self.what}: {self.own:.4g}, reference {self.reference:.4g}: {verdict} ({p})"


def label_mix(records: Iterable[Record], tasks: Mapping[str, Task]) -> dict[str, TaskLabels]:
    """Return the labels of each task in numbers.

    Args:
        records: of all tasks.
        tasks: name → task.
    """
    return {name: _task_labels(group, tasks[name]) for name, group in _by_task(records).items()}


def differences(
    own: Iterable[Record], reference: Iterable[Record], tasks: Mapping[str, Task], seed: int
) -> tuple[Difference, ...]:
    """Return how the labels of a run differ from those of a reference, task by task.

    Mixes are compared by a permutation test of their total variation distance, records being exchanged
    (p as in Phipson & Smyth 2010); length and density by Mann and Whitney's U; rates by Fisher's exact test.
    One record is one observation, because the facts of a text depend on each other.

    Args:
        own: records of the run.
        reference: records of the reference; tasks that it lacks are left out.
        tasks: name → task.
        seed: of the permutations.
    """
    others = _by_task(reference)
    found = [
        item
        for name, group in _by_task(own).items()
        if name in others
        for item in _task_differences(group, others[name], tasks[name], seed)
    ]
    corrected = holm([item.p for item in found])
    return tuple(
        item._replace(p=item.p if p is None else p) for item, p in zip(found, corrected, strict=True)
    )


def _by_task(records: Iterable[Record]) -> dict[str, list[Record]]:
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(record.task, []).append(record)
    return groups


def _task_labels(records: Sequence[Record], task: Task) -> TaskLabels:
    classes: dict[str, Counter[str]] = {}
    pairs: Counter[tuple[str, str]] = Counter()
    spans = doubled = 0
    for record in records:
        for field, value in _judgements(record, task):
            classes.setdefault(field, Counter())[value] += 1
        roles = _roles(record, task)
        spans += len(roles)
        doubled += sum(bool(_apart(types)) for types in roles.values())
        pairs.update({pair for types in roles.values() for pair in _apart(types)})
    facts = sum(len(record.facts) for record in records)
    return TaskLabels(
        types=dict(Counter(_types(records, task)).most_common()),
        classes={field: dict(counts.most_common()) for field, counts in classes.items()},
        characters=five_numbers(len(record.input) for record in records),
        density=five_numbers(map(_density, records)),
        facts_per_100=round(100 * facts / max(1, sum(len(record.input) for record in records)), 4),
        empty=Proportion(sum(not record.facts for record in records), len(records)),
        two_types=Proportion(doubled, spans),
        pairs=tuple((*pair, Proportion(count, len(records))) for pair, count in pairs.most_common(_PAIRS)),
    )


def _types(records: Iterable[Record], task: Task) -> list[str]:
    return [type_of(item.fact, task) for record in records for item in record.facts]


def _judgements(record: Record, task: Task) -> list[tuple[str, str]]:
    """Return (field, value) of facts that stand nowhere in the text, such as the class of an event."""
    return [
        (type_of(item.fact, task), item.fact[task.grounded[0]])
        for item in record.facts
        if task.grounded and all(item.spans[place] is None for place in task.grounded)
    ]


def _roles(record: Record, task: Task) -> dict[tuple[int, int], set[str]]:
    """Return the types of each span; of triples there is none, because their ends have no type."""
    roles: dict[tuple[int, int], set[str]] = {}
    if len(task.grounded) == 1:
        for item in record.facts:
            span = item.spans[task.grounded[0]]
            if span is not None:
                roles.setdefault(span, set()).add(type_of(item.fact, task))
    return roles


def _apart(types: set[str]) -> list[tuple[str, str]]:
    """Return the pairs of types that are not role and sub-role (Treatment, Treatment.Drug): those overlap by design."""
    return [
        (first, other) for first, other in combinations(sorted(types), 2) if not other.startswith(f"{first}.")
    ]


def _density(record: Record) -> float:
    return 100 * len(record.facts) / max(1, len(record.input))


def _task_differences(
    own: Sequence[Record], reference: Sequence[Record], task: Task, seed: int
) -> list[Difference]:
    def doubled(record: Record) -> bool:
        return any(_apart(types) for types in _roles(record, task).values())

    def length(record: Record) -> float:
        return len(record.input)

    return [
        *(_mix_difference(mix, task.name, seed) for mix in _mixes(own, reference, task)),
        _number_difference(task.name, "characters", [*map(length, own)], [*map(length, reference)]),
        _number_difference(
            task.name, "facts per 100 characters", [*map(_density, own)], [*map(_density, reference)]
        ),
        _rate_difference(
            task.name,
            "records without a fact",
            Proportion(sum(not record.facts for record in own), len(own)),
            Proportion(sum(not record.facts for record in reference), len(reference)),
        ),
        _rate_difference(
            task.name,
            "records with a span in two types",
            Proportion(sum(map(doubled, own)), len(own)),
            Proportion(sum(map(doubled, reference)), len(reference)),
        ),
    ]


def _number_difference(task: str, what: str, own: list[float], reference: list[float]) -> Difference:
    import numpy as np
    from scipy.stats import mannwhitneyu

    different = len({*own, *reference}) > 1
    p = float(mannwhitneyu(np.asarray(own), np.asarray(reference)).pvalue) if different else 1.0
    medians = five_numbers(own).median, five_numbers(reference).median
    return Difference(task, f"{what} (median)", medians[0], medians[1], p, "Mann-Whitney U")


def _rate_difference(task: str, what: str, own: Proportion, reference: Proportion) -> Difference:
    import numpy as np
    from scipy.stats import fisher_exact

    table = np.array([[side.hits, side.total - side.hits] for side in (own, reference)])
    p = float(fisher_exact(table).pvalue)
    return Difference(task, f"share of {what}", own.rate, reference.rate, p, "Fisher's exact")


class _Mix(NamedTuple):
    """Counts by name for each record of a run and of its reference."""

    what: str
    own: list[Counter[str]]
    reference: list[Counter[str]]


def _mixes(own: Sequence[Record], reference: Sequence[Record], task: Task) -> list[_Mix]:
    """Return the mix of types, and the mix of values for each field whose values are judgements."""
    types = [[Counter(_types([record], task)) for record in side] for side in (own, reference)]
    judged = [[_judgements(record, task) for record in side] for side in (own, reference)]
    mixes = [_Mix("types", types[0], types[1])]
    for field in dict.fromkeys(field for side in judged for pairs in side for field, _ in pairs):
        sides = [
            [Counter(value for name, value in pairs if name == field) for pairs in side] for side in judged
        ]
        mixes.append(_Mix(field, sides[0], sides[1]))
    return mixes


def _mix_difference(mix: _Mix, task: str, seed: int) -> Difference:
    """Return the name whose share differs most, with the p of the whole mix."""
    import numpy as np

    counted = [*mix.own, *mix.reference]
    totals: Counter[str] = Counter()
    for counts in counted:
        totals.update(counts)
    names = [name for name, _ in totals.most_common(_MOST_TYPES)]
    known = [[counts[name] for name in names] for counts in counted]
    rows = np.array([[*row, counts.total() - sum(row)] for row, counts in zip(known, counted, strict=True)])
    size, whole = len(mix.own), rows.sum(axis=0)
    left, right = _shares(rows[:size].sum(axis=0)), _shares(rows[size:].sum(axis=0))
    observed = float(np.abs(left - right).sum())
    rng = np.random.default_rng(seed)
    extreme = 0
    for _ in range(_PERMUTATIONS):
        drawn = rows[rng.permutation(len(rows))[:size]].sum(axis=0)
        extreme += float(np.abs(_shares(drawn) - _shares(whole - drawn)).sum()) >= observed - 1e-12
    place = int(np.argmax(np.abs(left - right)))
    name = f"'{names[place]}'" if place < len(names) else "all others"
    p = (1 + extreme) / (1 + _PERMUTATIONS)
    what = f"mix of {mix.what}, most of all the share of {name}"
    return Difference(task, what, float(left[place]), float(right[place]), p, "permutation")


def _shares(counts: Counts) -> Shares:
    shares: Shares = counts / max(1, int(counts.sum()))
    return shares
