"""Read comparisons, return the paper's win rates."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from etlch.scoring.summary import Comparison, WinRate

TIE = 1e-12
"""Differences up to this are a tie: sums in another order differ in the last digits."""


def win_rates(
    comparisons: Sequence[Comparison], counted: Callable[[str], Collection[str]]
) -> tuple[WinRate, ...]:
    """Count the paper's wins of every model over every baseline on every task.

    Only the metrics that are `counted` for a task's name enter; one that was not computed, or is undefined,
    is not applicable.
    """
    cells: dict[tuple[str, str, int | None, int | None, str], list[Comparison]] = {}
    for item in comparisons:
        if item.metric in counted(item.task) and item.difference is not None:
            cells.setdefault((item.model, item.baseline, item.size, item.seed, item.task), []).append(item)
    return tuple(
        WinRate(
            model=model,
            baseline=baseline,
            size=size,
            task=task,
            won=sum(_won(item) for item in metrics),
            applicable=len(metrics),
            significant=sum(_won(item) == 1 and item.significant for item in metrics),
            seed=seed,
            metrics=tuple(item.metric for item in metrics),
        )
        for (model, baseline, size, seed, task), metrics in cells.items()
    )


def _won(item: Comparison) -> float:
    assert item.difference is not None
    if abs(item.difference) <= TIE:
        return 0.5
    return float(item.difference > 0)
