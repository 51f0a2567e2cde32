"""What the tests do on data made on purpose: alpha where nothing differs, power where something does."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import scipy.stats
from numpy.typing import NDArray
from statsmodels.stats.proportion import proportions_ztest

from etlch.metrics.registry import f1, precision
from etlch.stats.analysis import analyse, measured
from etlch.stats.mcnemar import mcnemar
from etlch.stats.ratio import Ratio
from etlch.stats.resampling import Floats, Ints, bootstrap_scores
from tests.stats.paired import compare, fact_rows

Flags = NDArray[np.bool_]


def rejections(trial: Callable[[np.random.Generator], float | None], trials: int) -> float:
    ps = [trial(np.random.default_rng([21, one])) for one in range(trials)]
    return float(np.mean([p is not None and p <= 0.05 for p in ps]))


def alike(generator: np.random.Generator) -> tuple[Floats, Floats]:
    hardness = generator.normal(0, 0.2, 40)
    return fact_rows(generator, 40, 0.6, hardness), fact_rows(generator, 40, 0.6, hardness)


def chatty_and_terse(generator: np.random.Generator) -> tuple[Floats, Floats]:
    """F1 3/7 twice: of 5 gold facts 30/7 among 15 predicted (60/7 of 20), 1.5 among 2 (3 of 7)."""
    chatty = generator.binomial(5, 6 / 7, 60), np.full(60, 15), np.full(60, 5)
    terse = generator.binomial(2, 0.75, 60), np.full(60, 2), np.full(60, 5)
    return np.stack(chatty, axis=1).astype(np.float64), np.stack(terse, axis=1).astype(np.float64)


def seldom_parsed(generator: np.random.Generator) -> tuple[Floats, Floats]:
    """Precision .6 twice, on articles of one difficulty; one system's answers are read 1 time in 5."""
    right, parsed = generator.beta(3, 2, 60), generator.random(60) < 0.2
    always = np.stack([generator.binomial(5, right), np.full(60, 5), np.full(60, 5)], axis=1)
    seldom = np.stack([generator.binomial(5, right) * parsed, 5 * parsed, np.full(60, 5)], axis=1)
    return always.astype(np.float64), seldom.astype(np.float64)


@pytest.mark.parametrize(
    ("generate", "score"), [(alike, f1), (chatty_and_terse, f1), (seldom_parsed, precision)]
)
def test_sign_flips_keep_alpha_where_scores_are_equal(
    generate: Callable[[np.random.Generator], tuple[Floats, Floats]], score: Ratio
) -> None:
    def trial(generator: np.random.Generator) -> float | None:
        return compare(*generate(generator), score=score, resamples=499).p

    assert rejections(trial, 600) == pytest.approx(0.05, abs=0.025)  # ± 2.8 standard errors


def test_exchanging_outputs_would_take_many_predictions_for_a_difference() -> None:
    def trial(generator: np.random.Generator) -> float:
        first, second = chatty_and_terse(generator)
        moved = generator.integers(0, 2, (499, 60)) @ (second - first)
        exchanged = f1(first.sum(axis=0) + moved) - f1(second.sum(axis=0) - moved)
        found = abs(float(f1(first.sum(axis=0)) - f1(second.sum(axis=0))))
        return float(np.count_nonzero(np.abs(exchanged) >= found - 1e-9) + 1) / 500

    assert rejections(trial, 600) > 0.1


def test_clustered_sign_flips_keep_alpha_where_records_alone_do_not() -> None:
    cluster = np.repeat(np.arange(25), 6)

    def trial(generator: np.random.Generator, known: Ints | None) -> float | None:
        first, second = (np.repeat(generator.normal(0, 1, 25), 6) for _ in range(2))
        first, second = first + generator.normal(0, 0.5, 150), second + generator.normal(0, 0.5, 150)
        return compare(first, second, known, resamples=499).p

    clustered = rejections(lambda generator: trial(generator, cluster), 500)
    ignored = rejections(lambda generator: trial(generator, None), 500)
    assert clustered == pytest.approx(0.05, abs=0.028)
    assert ignored > 0.25


def test_mcnemar_keeps_alpha_under_the_null_and_beats_the_unpaired_test() -> None:
    def table(generator: np.random.Generator, better: float) -> tuple[Flags, Flags]:
        latent = generator.normal(size=300)  # what makes a record hard for both systems
        first, second = (0.9**0.5 * latent + 0.1**0.5 * generator.normal(size=300) for _ in range(2))
        return first < scipy.stats.norm.ppf(0.88 + better), second < scipy.stats.norm.ppf(0.88)

    def paired(generator: np.random.Generator, better: float) -> float:
        first, second = table(generator, better)
        return mcnemar(int((first & ~second).sum()), int((~first & second).sum()))

    def unpaired(generator: np.random.Generator, better: float) -> float:
        hits = [int(side.sum()) for side in table(generator, better)]
        return float(proportions_ztest(hits, [300, 300])[1])

    assert rejections(lambda generator: paired(generator, 0.0), 1500) <= 0.06
    # reference simulation: .93 against .88, latent correlation .9 (7 % discordant), n = 300: .929 and .594
    power = rejections(lambda generator: paired(generator, 0.05), 400)
    assert power == pytest.approx(0.93, abs=0.05)
    assert rejections(lambda generator: unpaired(generator, 0.05), 400) < power - 0.2


def test_paired_scores_have_more_power_than_welchs_test() -> None:
    def scores(generator: np.random.Generator) -> tuple[Floats, Floats]:
        shared = generator.normal(0.6, 0.2, 100)
        return shared + 0.03 + generator.normal(0, 0.1, 100), shared + generator.normal(0, 0.1, 100)

    power = rejections(lambda generator: compare(*scores(generator), resamples=499).p, 300)
    welch = rejections(
        lambda generator: float(scipy.stats.ttest_ind(*scores(generator), equal_var=False).pvalue), 300
    )
    assert power > welch + 0.3


def test_intervals_of_ten_articles_cover_the_truth() -> None:
    def covered(generator: np.random.Generator) -> tuple[bool, bool]:
        rows = fact_rows(generator, 10, 0.8, generator.normal(0, 0.1, 10))
        one = measured(rows, np.arange(10), 10, f1)
        interval = analyse([one], [], seed=0, resamples=999).estimates[0].interval
        drawn = bootstrap_scores([one.rows], [(0, f1)], 999, seed=0)[0]
        low, high = np.quantile(drawn, (0.025, 0.975))
        assert interval.low is not None and interval.high is not None
        return interval.low <= truth <= interval.high, low <= truth <= high

    generator = np.random.default_rng(25)
    truth = float(f1(fact_rows(generator, 200_000, 0.8, generator.normal(0, 0.1, 200_000)).sum(axis=0)))
    found = np.mean([covered(np.random.default_rng([26, one])) for one in range(600)], axis=0)
    assert found[0] > 0.92  # expanded
    assert found[1] < found[0] - 0.02  # plain percentiles
