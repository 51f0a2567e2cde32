"""Read accepted article ids in plan order, return the test set and nested training and validation sets.

The first articles are the test set. The following ones fill the sizes in order, so a larger
size contains every smaller one, and every tenth of them is validation in every size.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from etlch.core.errors import EtlchError
from etlch.core.locale import _
from etlch.core.records import TRAIN, Record

FOLD = 10
"""Every tenth article of a size is validation; a smaller size has no validation set."""


@dataclass(frozen=True, slots=True)
class Splits:
    """Article ids by split; the same for all tasks.

    Attributes:
        test: ids of the test set.
        train: size → ids of the training set.
        val: size → ids of the validation set, empty for sizes under 10.
    """

    test: tuple[str, ...]
    train: dict[int, tuple[str, ...]]
    val: dict[int, tuple[str, ...]]

    def examples(self, shots: int) -> tuple[str, ...]:
        """Return the ids of the few-shot examples: the first training articles of the smallest size, so of every size.

        Raises:
            EtlchError: there are fewer.
        """
        size = min(self.train)
        if shots > len(self.train[size]):
            raise EtlchError(
                _("shots: {shots} examples, and size {size} trains on {count} articles").format(
                    shots=shots, size=size, count=len(self.train[size])
                ),
                _("Name fewer shots."),
            )
        return self.train[size][:shots]


@dataclass(frozen=True, slots=True)
class Imported:
    """Article ids of one task's records that were imported into a run, in the order of the run.

    Attributes:
        train: for training sets of the setting `mix`.
        tests: name of a test set → ids.
    """

    train: tuple[str, ...]
    tests: dict[str, tuple[str, ...]]


def imported(records: Iterable[Record]) -> dict[str, Imported]:
    """Return, by task, which articles were imported into a run; its own are passed over."""
    by_task: dict[str, dict[str, list[str]]] = {}
    for record in records:
        if record.split:
            by_task.setdefault(record.task, {}).setdefault(record.split, []).append(record.article_id)
    return {
        task: Imported(
            tuple(by_split.get(TRAIN, ())),
            {name: tuple(ids) for name, ids in by_split.items() if name != TRAIN},
        )
        for task, by_split in by_task.items()
    }


def few_shot(stem: str, shots: int) -> str:
    """Return the data set of a test set whose rows have `shots` solved examples before the question."""
    return f"{stem}_{shots}shot"


def split(article_ids: Sequence[str], test: int, sizes: Sequence[int]) -> Splits:
    """Divide articles into a test set and, for each size, training and validation sets.

    Args:
        article_ids: accepted articles in plan order.
        test: how many of the first are the test set.
        sizes: articles per training set, validation included; any order.

    Raises:
        EtlchError: there are too few articles for the largest size.
    """
    ordered = tuple(sorted(set(sizes)))
    needed = test + (ordered[-1] if ordered else 0)
    if len(article_ids) < needed:
        raise EtlchError(
            _(
                "{count} articles are too few: a test set of {test} and a size of {needed} need {needed2}"
            ).format(count=len(article_ids), test=test, needed=needed - test, needed2=needed),
            _("Run `etlch-data generate` with these sizes; it writes only what is missing."),
        )
    parts = {size: portion(article_ids[test:], size) for size in ordered}
    return Splits(
        test=tuple(article_ids[:test]),
        train={size: train for size, (train, _) in parts.items()},
        val={size: val for size, (_, val) in parts.items()},
    )


def portion(article_ids: Sequence[str], size: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the training and the validation articles of a size: of the first `size`, every tenth is validation."""
    first = tuple(article_ids[:size])
    return (
        tuple(name for place, name in enumerate(first) if not _held_out(place)),
        tuple(name for place, name in enumerate(first) if _held_out(place)),
    )


def _held_out(place: int) -> bool:
    return place % FOLD == FOLD - 1
