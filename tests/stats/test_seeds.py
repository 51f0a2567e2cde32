"""Recipes with several seeds against scipy's t-tests, and what disagreement does."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from etlch.stats.analysis import Measured, measured
from etlch.stats.few import ENOUGH, unseen_rate
from etlch.stats.resampling import Floats
from etlch.stats.seeds import compare_recipes, estimate_recipe


def run(values: Floats) -> Measured:
    return measured(values, np.arange(len(values)), len(values))


def test_one_training_a_side_is_the_paired_t_test() -> None:
    draw = np.random.default_rng(0)
    first, second = draw.uniform(size=80), draw.uniform(size=80)
    found = compare_recipes([run(first)], [run(second)], seed=0)
    theirs = scipy.stats.ttest_rel(first, second).confidence_interval()
    assert (found.interval.low, found.interval.high) == pytest.approx((theirs.low, theirs.high))
    assert found.p is not None and found.p >= scipy.stats.ttest_rel(first, second).pvalue - 1e-12


def test_where_articles_do_not_vary_it_is_welchs_test_of_the_trainings() -> None:
    first, second = [0.80, 0.84, 0.88], [0.70, 0.72, 0.80]
    found = compare_recipes(
        [run(np.full(60, value)) for value in first], [run(np.full(60, value)) for value in second], seed=0
    )
    theirs = scipy.stats.ttest_ind(first, second, equal_var=False)
    bounds = theirs.confidence_interval()
    assert found.p == pytest.approx(theirs.pvalue)
    assert (found.interval.low, found.interval.high) == pytest.approx((bounds.low, bounds.high))


def test_seeds_that_point_both_ways_do_not_agree() -> None:
    first = [run(np.full(60, value)) for value in (0.8, 0.9, 0.6)]
    second = [run(np.full(60, 0.7))]
    assert not compare_recipes(first, second, seed=0).agree
    assert compare_recipes(first[:2], second, seed=0).agree


def test_the_mean_of_seeds_is_the_estimate_and_its_interval_is_wider_than_one_runs() -> None:
    draw = np.random.default_rng(1)
    hard = draw.uniform(0.4, 0.9, size=100)
    runs = [run(np.clip(hard + luck, 0, 1)) for luck in (-0.05, 0.0, 0.05)]
    found = estimate_recipe(runs)
    assert found.value == pytest.approx(float(hard.mean()))
    alone = estimate_recipe([runs[1], runs[1]])
    assert found.interval.low is not None and alone.interval.low is not None
    assert found.interval.low < alone.interval.low


def test_the_number_of_articles_that_show_a_failure_of_one_in_twenty() -> None:
    assert ENOUGH == 72 and 0.95**ENOUGH <= 0.025 < 0.95 ** (ENOUGH - 1)
    assert unseen_rate(100) == pytest.approx(0.0295, abs=1e-4)  # Hanley and Lippman-Hand 1983: 3/100
