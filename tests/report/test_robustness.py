"""Mean, worst and spread of a score over prompt forms."""

from __future__ import annotations

import pytest

from etlch.report.robustness import robustness
from etlch.report.terminal import render
from etlch.scoring.summary import Counts, Score, Source, Summary


def summary(values: dict[str, float]) -> Summary:
    scores = tuple(
        Score("tuned", task, 300, "leaf_f1", value, None, None, 50, 42) for task, value in values.items()
    )
    sources = tuple(
        Source(f"{task}.jsonl", "tuned", task, 300, 42, "tuned", Counts(50, 50), {}) for task in values
    )
    return Summary(
        signature="s", counts=Counts(50, 50), scores=scores, comparisons=(), win_rates=(), sources=sources
    )


def test_mean_worst_and_spread_by_hand() -> None:
    (found,) = robustness(
        summary({"schema": 0.9, "schema@form10": 0.6, "schema@form2": 0.75, "schema@human": 0.1})
    )
    assert list(found.values) == ["schema", "schema@form2", "schema@form10"]
    assert found.mean == pytest.approx(0.75)
    assert found.worst == ("schema@form10", 0.6)
    assert found.spread == pytest.approx(0.15)


def test_the_terminal_tells_them_in_80_columns() -> None:
    text = render(summary({"schema": 0.9, "schema@form1": 0.6}))
    assert "mean 0.750  worst 0.600 (form1)" in text
    assert "over 2 forms" in text
    assert max(map(len, text.splitlines())) <= 80


def test_without_forms_there_is_none() -> None:
    assert robustness(summary({"schema": 0.9, "schema@human": 0.6})) == []
