"""The correction of the best of several for having been chosen."""

from __future__ import annotations

import numpy as np
import pytest

from etlch.stats.analysis import Measured, measured
from etlch.stats.choice import corrected_best


def runs(draw: np.random.Generator, means: list[float], n: int) -> list[list[Measured]]:
    return [[measured(draw.normal(mean, 0.2, n), np.arange(n), n)] for mean in means]


def test_the_best_of_equals_is_worth_the_mean_of_all() -> None:
    """Six equal models of mean 0.5: the largest of six means of 50 lies 1.27 · 0.2/√50 = 0.036 above it."""
    draw = np.random.default_rng(0)
    found = [corrected_best(runs(draw, [0.5] * 6, 50), seed) for seed in range(60)]
    values = np.array([(one[1], one[2]) for one in found if one is not None]).mean(axis=0)
    assert values[0] == pytest.approx(0.536, abs=0.006)
    assert values[1] == pytest.approx(0.5, abs=0.012)


def test_a_clear_winner_loses_nothing() -> None:
    found = corrected_best(runs(np.random.default_rng(1), [0.9, 0.1, 0.1], 200), 0)
    assert found is not None
    assert found[0] == 0 and found[2] == pytest.approx(found[1], abs=0.003)


def test_one_model_was_not_chosen() -> None:
    assert corrected_best(runs(np.random.default_rng(2), [0.9], 50), 0) is None
    assert corrected_best([], 0) is None
