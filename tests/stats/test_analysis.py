"""Tests and intervals against SciPy, statsmodels and published tables."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import scipy.stats
import statsmodels.api as sm
from statsmodels.stats.contingency_tables import mcnemar as their_mcnemar

from etlch.metrics.registry import f1, precision
from etlch.stats.analysis import analyse, measured
from etlch.stats.effects import detectable_rate_difference
from etlch.stats.intervals import wilson
from etlch.stats.mcnemar import mcnemar
from etlch.stats.resampling import Floats
from tests.stats.paired import compare, fact_rows


@pytest.mark.parametrize(("first", "second"), [(1, 7), (6, 16), (0, 5), (4, 4), (35, 12), (0, 1)])
def test_mcnemar_is_the_exact_p_less_half_its_last_step(first: int, second: int) -> None:
    exact = their_mcnemar([[0, first], [second, 0]], exact=True).pvalue
    step = scipy.stats.binom.pmf(min(first, second), first + second, 0.5)
    # At equality the exact p is cut at 1; the mid-p is 1 less half of the middle, on both sides.
    assert mcnemar(first, second) == pytest.approx(1.0 if first == second else exact - step)


@pytest.mark.parametrize(("first", "second", "printed"), [(1, 7, 0.0391), (6, 16, 0.0347)])
def test_mcnemar_of_published_tables(first: int, second: int, printed: float) -> None:
    # Fagerland, Lydersen and Laake 2013 and 2014: Bentur et al. 2009 and Cavo et al. 2012.
    assert mcnemar(first, second) == pytest.approx(printed, abs=5e-5)


def test_a_yes_no_metric_gets_mcnemar_and_newcombe() -> None:
    # The table of Bentur et al. record by record: 1 both, 1 first, 7 second, 12 none.
    first = np.array([1.0] * 2 + [0.0] * 19)
    second = np.array([1.0, 0.0] + [1.0] * 7 + [0.0] * 12)
    found = compare(first, second, yes_no=True)
    assert (found.test, found.interval.method) == ("mcnemar-mid-p", "newcombe-paired")
    assert found.p == pytest.approx(0.0390625)
    assert found.difference == pytest.approx(-6 / 21)
    assert found.interval.low == pytest.approx(-0.507, abs=5e-4)
    assert found.interval.high == pytest.approx(-0.026, abs=5e-4)
    assert (found.effect_name, found.n, found.clusters) == ("cohen_h", 21, 21)
    assert found.detectable == detectable_rate_difference(8 / 21, 21)


def theirs(values: tuple[Floats, ...], statistic: Callable[..., float], resamples: int) -> float:
    result = scipy.stats.permutation_test(
        values, statistic, permutation_type="samples", n_resamples=resamples, rng=np.random.default_rng(1)
    )
    return float(result.pvalue)


def mean_difference(first: Floats, second: Floats) -> float:
    return float(np.mean(first) - np.mean(second))


def test_sign_flips_are_exact_on_few_articles_as_in_scipy() -> None:
    generator = np.random.default_rng(11)
    first, second = generator.random(9) + 0.2, generator.random(9)
    found = compare(first, second)
    assert found.test == "sign-flip-exact"
    assert found.p == pytest.approx(theirs((first, second), mean_difference, 10_000))


def test_ties_count_as_far_in_spite_of_rounding() -> None:
    # Differences .1 .1 .1 −.1: 10 of the 16 sign patterns reach |.2| in exact arithmetic.
    first = np.array([0.3, 0.7, 0.9, 0.2])
    second = np.array([0.2, 0.6, 0.8, 0.3])
    assert compare(first, second).p == pytest.approx(10 / 16)


def test_sign_flips_agree_with_scipy_on_many_articles() -> None:
    generator = np.random.default_rng(12)
    first = generator.random(80)
    second = first + generator.normal(-0.02, 0.1, 80)
    found = compare(first, second)
    assert found.test == "sign-flip"
    assert found.p == pytest.approx(theirs((first, second), mean_difference, 9_999), abs=0.012)


def test_the_smallest_p_of_drawn_flips_is_one_in_n_plus_one() -> None:
    found = compare(np.full(50, 0.9) + np.arange(50) / 1000, np.full(50, 0.1))
    assert found.p == pytest.approx(1 / 10_001)


def test_corpus_f1_is_tested_by_flipping_what_each_article_adds_as_in_scipy() -> None:
    generator = np.random.default_rng(13)
    rows = fact_rows(generator, 8, 0.8), fact_rows(generator, 8, 0.4) * [1, 3, 1]
    common = 2 * sum(side[:, 0].sum() for side in rows) / sum(side[:, 1:].sum() for side in rows)

    def added(side: Floats) -> Floats:
        """Each article's weight times its own F1's distance from that of both systems together."""
        hits, predicted, gold = side.T
        size = predicted + gold
        found: Floats = size / size.sum() * (2 * hits / size - common)
        return found

    def summed(first: Floats, second: Floats) -> float:
        return float(np.sum(first - second))

    found = compare(*rows, score=f1)
    assert found.test == "sign-flip-exact"
    assert found.p == pytest.approx(theirs((added(rows[0]), added(rows[1])), summed, 10_000))


def test_articles_are_flipped_whole() -> None:
    generator = np.random.default_rng(14)
    cluster = np.repeat(np.arange(10), 4)
    effect = np.repeat(generator.normal(0.2, 0.2, 10), 4)
    first, second = generator.random(40) / 10 + effect, generator.random(40) / 10
    found = compare(first, second, cluster)
    sums = [np.bincount(cluster, weights=values).astype(np.float64) for values in (first, second)]
    assert found.p == pytest.approx(theirs((sums[0], sums[1]), mean_difference, 10_000))
    assert (found.n, found.clusters) == (40, 10)
    assert found.p is not None
    alone = compare(first, second).p
    assert alone is not None and alone < found.p / 10  # what ignoring the articles would claim


def test_yes_no_with_several_records_an_article_is_not_mcnemars() -> None:
    cluster = np.repeat(np.arange(12), 5)
    first = np.repeat([1.0] * 6 + [0.0] * 6, 5)
    second = np.zeros(60)
    found = compare(first, second, cluster, yes_no=True)
    assert found.test == "sign-flip-mid-p"
    # Six articles differ, all one way or all the other: 2 of 2^6 patterns, which count one half.
    assert found.p == pytest.approx(1 / 2**6)
    assert mcnemar(30, 0) < 1e-8  # what 30 records would claim


def test_the_bootstrap_interval_agrees_with_scipy() -> None:
    generator = np.random.default_rng(15)
    first = generator.random(120)
    second = first**2
    found = compare(first, second)
    # Hesterberg's expansion by hand: 120 articles, t = 1.9801 with 119 degrees of freedom.
    tail = scipy.stats.norm.cdf(-1.9801 * (120 / 119) ** 0.5)
    interval = scipy.stats.bootstrap(
        (first, second),
        lambda a, b, axis: np.mean(a - b, axis=axis),
        paired=True,
        vectorized=True,
        n_resamples=10_000,
        confidence_level=1 - 2 * tail,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    assert found.interval.low == pytest.approx(interval.low, abs=0.001)
    assert found.interval.high == pytest.approx(interval.high, abs=0.001)


def test_the_interval_of_clustered_means_agrees_with_cluster_robust_errors() -> None:
    generator = np.random.default_rng(16)
    cluster = np.repeat(np.arange(300), 3)
    values = generator.normal(0.6, 0.1, 900) + np.repeat(generator.normal(0, 0.15, 300), 3)
    analysis = analyse([measured(values, cluster, 300)], [], seed=0)
    interval = analysis.estimates[0].interval
    fitted = sm.OLS(values, np.ones(900)).fit(cov_type="cluster", cov_kwds={"groups": cluster})
    assert interval.low is not None and interval.high is not None
    assert (interval.high - interval.low) / (2 * 1.96) == pytest.approx(fitted.bse[0], rel=0.04)
    assert analysis.estimates[0].value == pytest.approx(fitted.params[0])


def test_wilson_knows_of_the_articles() -> None:
    generator = np.random.default_rng(17)
    cluster = np.repeat(np.arange(200), 4)
    rates = generator.beta(2, 1, 200)
    values = (generator.random(800) < np.repeat(rates, 4)).astype(np.float64)
    interval = analyse([measured(values, cluster, 200, yes_no=True)], [], seed=0).estimates[0].interval
    fitted = sm.OLS(values, np.ones(800)).fit(cov_type="cluster", cov_kwds={"groups": cluster})
    assert interval.method == "wilson" and interval.low is not None and interval.high is not None
    assert (interval.high - interval.low) / (2 * 1.96) == pytest.approx(fitted.bse[0], rel=0.03)


@pytest.mark.parametrize(
    ("yes", "worth"),
    [
        # Four articles of two records. By hand: rate 5/8, squares of yes − 2·5/8 add up to 2.75, so the
        # variance between articles is 2.75 · (4/3) / 8² = .0573, and .2344/.0573 = 4.0909 records.
        ([2, 2, 0, 1], 4.0909),
        # Rate 3/8, squares .75, variance 1/64, .2344 · 64 = 15 records: no more than there are.
        ([1, 1, 1, 0], 8.0),
        ([1, 1, 1, 1], 8.0),
    ],
)
def test_effective_records_by_hand(yes: list[int], worth: float) -> None:
    values = np.array([[1.0] * hits + [0.0] * (2 - hits) for hits in yes]).ravel()
    one = measured(values, np.repeat(np.arange(4), 2), 4, yes_no=True)
    size = worth * (2.36462 / 3.18245) ** 2  # t.975 with 7 and with 3 degrees of freedom
    by_hand = wilson(size * sum(yes) / 8, size)
    found = analyse([one], [], seed=0).estimates[0].interval
    assert (found.low, found.high) == pytest.approx((by_hand.low, by_hand.high), abs=1e-4)


def test_four_copies_of_an_article_are_worth_one() -> None:
    generator = np.random.default_rng(20)
    first, second = generator.random(30), generator.random(30)
    once = compare(first, second)
    copied = compare(np.repeat(first, 4), np.repeat(second, 4), np.repeat(np.arange(30), 4))
    assert (copied.n, copied.clusters) == (120, 30)
    assert copied.p == once.p
    for name in ("difference", "effect", "detectable"):
        assert getattr(copied, name) == pytest.approx(getattr(once, name))
    assert copied.interval.low == pytest.approx(once.interval.low)


def test_articles_without_a_record_change_nothing() -> None:
    generator = np.random.default_rng(18)
    first, second = generator.random(9), generator.random(9)
    assert compare(first, second, 3 * np.arange(9)) == compare(first, second)
    assert compare(first, second).test == "sign-flip-exact"


def test_metrics_that_share_rows_share_the_table() -> None:
    rows = fact_rows(np.random.default_rng(19), 60, 0.7)
    whole = measured(rows, np.arange(60), 60, f1)
    found = analyse([whole, dataclasses.replace(whole, score=precision)], [], seed=0)
    tp, predicted, gold = rows.sum(axis=0)
    assert found.estimates[0].value == pytest.approx(2 * tp / (predicted + gold))
    assert found.estimates[1].value == pytest.approx(tp / predicted)


@pytest.mark.parametrize(
    ("articles", "resamples", "groups"), [(300, 10_000, 300), (6_000, 10_000, 5_000), (20_001, 1_000, 5_000)]
)
def test_an_analysis_says_how_chance_was_drawn(articles: int, resamples: int, groups: int) -> None:
    values = np.arange(articles, dtype=np.float64) % 7
    found = analyse([measured(values, np.arange(articles), articles)], [], seed=5)
    assert (found.resamples, found.groups, found.seed) == (resamples, groups, 5)


DRAWN_ELSEWHERE = """
import numpy as np
from etlch.stats.analysis import analyse, measured
generator = np.random.default_rng(1)
metrics = [measured(generator.random(700), np.arange(700), 700) for _ in range(24)]
print(analyse(metrics, [(at, at + 1) for at in range(23)], 0, resamples=400))
"""


def test_another_processor_gives_the_same_numbers_to_the_last_digit() -> None:
    # OpenBLAS sums in another order on each kind of processor; other libraries ignore the variable.
    found = {
        subprocess.run(
            [sys.executable, "-c", DRAWN_ELSEWHERE],
            env=os.environ | variables,
            capture_output=True,
            check=True,
        ).stdout
        for variables in ({}, {"OPENBLAS_CORETYPE": "Nehalem"}, {"OPENBLAS_NUM_THREADS": "1"})
    }
    assert len(found) == 1
