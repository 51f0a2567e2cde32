"""Intervals against statsmodels, and against examples that Newcombe and others printed."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from etlch.stats.intervals import Interval, newcombe, newcombe_paired, percentile, wilson


def bounds(interval: Interval) -> tuple[float, float]:
    assert interval.low is not None and interval.high is not None
    return interval.low, interval.high


@pytest.mark.parametrize(
    ("hits", "n"), [(144, 300), (267, 300), (1, 7), (0, 300), (300, 300), (0, 1), (1, 1)]
)
@pytest.mark.parametrize("level", [0.95, 0.9])
def test_wilson_equals_statsmodels(hits: int, n: int, level: float) -> None:
    theirs = proportion_confint(hits, n, alpha=1 - level, method="wilson")
    assert bounds(wilson(hits, n, level)) == pytest.approx(theirs, abs=1e-12)


def test_wilson_keeps_a_width_at_the_ends_and_stays_on_the_scale() -> None:
    low, high = bounds(wilson(300, 300))
    assert high == 1.0
    assert low == pytest.approx(1 / (1 + 1.959964**2 / 300), abs=1e-6)  # the formula at p = 1, by hand
    assert bounds(wilson(0, 300)) == pytest.approx((0.0, 1 - low))


def test_wilson_of_the_papers_counts() -> None:
    printed = {144: (0.424, 0.536), 267: (0.850, 0.921), 282: (0.907, 0.962), 288: (0.931, 0.977)}
    for hits, (low, high) in printed.items():  # statsmodels 0.15, rounded
        assert bounds(wilson(hits, 300)) == pytest.approx((low, high), abs=5e-4)


@pytest.mark.parametrize(
    ("hits", "n", "hits2", "n2"),
    [(288, 300, 265, 300), (288, 300, 0, 300), (3, 10, 9, 40), (10, 10, 0, 20), (5, 5, 5, 5)],
)
def test_newcombe_equals_statsmodels(hits: int, n: int, hits2: int, n2: int) -> None:
    theirs = confint_proportions_2indep(hits, n, hits2, n2, compare="diff", method="newcomb")
    assert bounds(newcombe(hits, n, hits2, n2)) == pytest.approx(theirs, abs=1e-12)


def test_newcombe_of_his_first_example() -> None:
    # Newcombe 1998, Statistics in Medicine 17:873, table II (a), method 10: 56/70 against 48/80.
    assert bounds(newcombe(56, 70, 48, 80)) == pytest.approx((0.0524, 0.3339), abs=5e-5)


@pytest.mark.parametrize(
    ("table", "printed"),
    [
        # Fagerland, Lydersen and Laake 2014, Statistics in Medicine 33:2850: airway
        # hyper-responsiveness before and after a transplantation.
        ((1, 1, 7, 12), (-0.507, -0.026)),
        # Cavo et al. 2012 as the R package contingencytables computes it (its test-ch8.R).
        ((59, 6, 16, 80), (-0.1186, -0.0046)),
    ],
)
def test_newcombe_paired_of_published_tables(
    table: tuple[int, int, int, int], printed: tuple[float, float]
) -> None:
    assert bounds(newcombe_paired(*table)) == pytest.approx(printed, abs=5e-4)


def test_newcombe_paired_swaps_sign_with_the_systems() -> None:
    low, high = bounds(newcombe_paired(59, 6, 16, 80))
    assert bounds(newcombe_paired(59, 16, 6, 80)) == pytest.approx((-high, -low))


def test_newcombe_paired_without_discordant_pairs_is_as_wide_as_the_records_allow() -> None:
    low, high = bounds(newcombe_paired(300, 0, 0, 0))
    one_side = 1 - bounds(wilson(300, 300))[0]
    # Square-and-add by hand: both sides contribute only their open end, phi is 0.
    assert (low, high) == pytest.approx((-one_side, one_side))


def test_newcombe_paired_is_narrower_than_unpaired_where_the_systems_agree() -> None:
    low, high = bounds(newcombe_paired(260, 20, 5, 15))
    low2, high2 = bounds(newcombe(280, 300, 265, 300))
    assert high - low < high2 - low2


def test_no_records_is_no_interval() -> None:
    for interval in (wilson(0, 0), newcombe(0, 0, 1, 2), newcombe_paired(0, 0, 0, 0)):
        assert (interval.low, interval.high, interval.reason) == (None, None, "no records")


MANY = 10**9  # articles: the expansion of percentile is gone


def test_percentile_cuts_the_tails() -> None:
    values = np.arange(1001) / 1000
    assert bounds(percentile(values, MANY)) == pytest.approx((0.025, 0.975))
    assert bounds(percentile(values, MANY, level=0.5)) == pytest.approx((0.25, 0.75))


@pytest.mark.parametrize("articles", [2, 5, 10, 300])
def test_percentile_has_the_width_of_a_t_interval_on_normal_means(articles: int) -> None:
    # The bootstrap mean of n values with standard deviation s has standard error s·√((n − 1)/n)/√n.
    error = ((articles - 1) / articles) ** 0.5
    values = scipy.stats.norm.ppf((np.arange(10**6) + 0.5) / 10**6, scale=error)
    low, high = bounds(percentile(values, articles))
    t = scipy.stats.t.ppf(0.975, articles - 1)
    assert high == pytest.approx(min(t, values[-1]), rel=1e-3)  # two articles: the whole range
    assert low == pytest.approx(-high)


def test_percentile_leaves_undefined_resamples_out() -> None:
    values = np.concatenate([np.full(400, np.nan), np.arange(601) / 600])
    assert bounds(percentile(values, MANY)) == pytest.approx((0.025, 0.975))
    mostly = np.concatenate([np.full(60, np.nan), np.arange(40.0)])
    assert percentile(mostly, MANY).reason == "undefined in most resamples"
    assert percentile(np.full(10, np.nan), 30).reason == "undefined in most resamples"
    assert percentile(np.array([]), 30).low is None


def test_percentile_without_spread_says_so() -> None:
    interval = percentile(np.full(1000, 0.3), 300)
    assert (interval.low, interval.high) == (0.3, 0.3)
    assert "spread" in interval.reason


def test_one_article_has_no_percentiles() -> None:
    assert percentile(np.full(1000, 0.3), 1).reason == "one article: nothing to resample"
