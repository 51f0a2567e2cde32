"""Effect sizes and detectable differences against statsmodels and hand calculations."""

from __future__ import annotations

from math import pi

import numpy as np
import pytest
from statsmodels.stats.power import TTestPower
from statsmodels.stats.proportion import proportion_effectsize

from etlch.stats.effects import (
    cohen_h,
    detectable_difference,
    detectable_rate_difference,
    over_seeds,
    pseudo_values,
    standardised_mean_difference,
)
from etlch.stats.mcnemar import mcnemar
from etlch.stats.resampling import Floats, bootstrap_scores


def f1(sums: Floats) -> Floats:
    whole = sums[..., 1] + sums[..., 2]
    found: Floats = np.divide(2 * sums[..., 0], whole, out=np.full(np.shape(whole), np.nan), where=whole > 0)
    return found


@pytest.mark.parametrize(("p", "q"), [(0.96, 265 / 300), (0.96, 202 / 300), (0.96, 0.0), (0.5, 0.5), (0, 1)])
def test_cohen_h_equals_statsmodels(p: float, q: float) -> None:
    assert cohen_h(p, q) == pytest.approx(proportion_effectsize(p, q))


def test_cohen_h_ends_at_pi() -> None:
    assert cohen_h(1, 0) == pytest.approx(pi)


def test_standardised_mean_difference_by_hand() -> None:
    # Means 4 and 2, variances 4 and 1: 2 / sqrt((4 + 1) / 2).
    first, second = np.array([2.0, 4.0, 6.0]), np.array([1.0, 2.0, 3.0])
    assert standardised_mean_difference(first, second) == pytest.approx(2 / 2.5**0.5)
    assert standardised_mean_difference(second, first) == pytest.approx(-2 / 2.5**0.5)


@pytest.mark.parametrize("values", [[0.3, 0.3, 0.3], [0.1 + 0.2, 0.3, 0.3], [0.5], []])
def test_no_spread_is_no_standardised_difference(values: list[float]) -> None:
    assert standardised_mean_difference(np.array(values), np.full(len(values), 0.9)) is None


def test_pseudo_values_of_a_mean_are_the_values() -> None:
    values = np.array([0.2, 0.9, 0.4, 0.7])
    rows = np.stack([values, np.ones(4)], axis=1)
    assert pseudo_values(rows, lambda sums: sums[..., 0] / sums[..., 1]) == pytest.approx(values)


def test_pseudo_values_give_corpus_f1_the_bootstraps_standard_error() -> None:
    generator = np.random.default_rng(5)
    gold, predicted = generator.integers(3, 9, 400), generator.integers(3, 9, 400)
    hits = generator.binomial(np.minimum(gold, predicted), 0.6)
    rows = np.stack([hits, predicted, gold], axis=1).astype(np.float64)
    jackknife = np.std(pseudo_values(rows, f1), ddof=1) / 400**0.5
    bootstrap = np.std(bootstrap_scores([rows], [(0, f1)], 4000, seed=1))
    assert jackknife == pytest.approx(bootstrap, rel=0.05)


@pytest.mark.parametrize(("n", "difference"), [(10, 0.149), (100, 0.042), (300, 0.024), (1000, 0.013)])
def test_detectable_difference_equals_statsmodels_power(n: int, difference: float) -> None:
    found = detectable_difference(0.15, n)
    assert found == pytest.approx(difference, abs=6e-4)
    theirs = TTestPower().solve_power(nobs=n, alpha=0.05, power=0.8)
    assert found == pytest.approx(0.15 * theirs, rel=2e-3)


@pytest.mark.parametrize(
    ("discordance", "n", "points"),
    [(0.05, 300, 3.6), (0.10, 300, 5.1), (0.20, 300, 7.2), (0.10, 100, 8.8), (0.10, 1000, 2.8)],
)
def test_detectable_rate_difference_is_found_four_times_in_five(
    discordance: float, n: int, points: float
) -> None:
    delta = detectable_rate_difference(discordance, n)
    assert delta is not None
    assert 100 * delta == pytest.approx(points, abs=0.06)
    generator = np.random.default_rng(7)
    chances = [(discordance + delta) / 2, (discordance - delta) / 2, 1 - discordance]
    tables = generator.multinomial(n, chances, size=2000)
    power = np.mean([mcnemar(int(first), int(second)) <= 0.05 for first, second, _ in tables])
    assert power == pytest.approx(0.8, abs=0.07)  # the formula is asymptotic, the test is discrete


def test_nothing_detectable_is_none() -> None:
    assert detectable_difference(0.0, 300) is None
    assert detectable_difference(0.1, 1) is None
    assert detectable_rate_difference(0.0, 300) is None
    assert detectable_rate_difference(0.02, 10) is None  # all disagreements one way are too few


def test_over_seeds() -> None:
    spread = over_seeds([0.70, 0.74, 0.72, None])
    assert spread.mean == pytest.approx(0.72)  # by hand: deviations −.02, .02, 0
    assert spread.sd == pytest.approx(0.02)
    assert spread.n == 3
    one = over_seeds([0.7])
    assert (one.mean, one.sd) == (0.7, None) and "one seed" in one.reason
    assert over_seeds([None]).mean is None
