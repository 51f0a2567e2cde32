"""Read accepted article ids in plan order, return the test set and nested training and validation sets.

The first articles are the test set. The following ones fill the sizes in order, so a larger
size contains every smaller one, and every tenth of them is validation in every size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from etlch.core.errors import EtlchError

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
                f"shots: {shots} examples, and size {size} trains on {len(self.train[size])} articles",
                "Name fewer shots.",
            )
        return self.train[size][:shots]


def few_shot(shots: int) -> str:
    """Return the name of the few-shot test split, whose rows have `shots` solved examples before the question."""
    return f"test_{shots}shot"


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
            f"{len(article_ids)} articles are too few: a test set of {test} and a size of "
            f"{needed - test} need {needed}",
            "Run `etlch-data generate` with these sizes; it writes only what is missing.",
        )
    rest = tuple(article_ids[test:])
    return Splits(
        test=tuple(article_ids[:test]),
        train={size: tuple(rest[i] for i in range(size) if not _held_out(i)) for size in ordered},
        val={size: tuple(rest[i] for i in range(size) if _held_out(i)) for size in ordered},
    )


def _held_out(place: int) -> bool:
    return place % FOLD == FOLD - 1
