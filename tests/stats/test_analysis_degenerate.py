"""Where data degenerate every number is finite, or None beside a reason."""

from __future__ import annotations

import dataclasses
from math import isfinite

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etlch.metrics.registry import f1, precision, share
from etlch.stats.analysis import Comparison, Estimate, Measured, analyse, mean, measured
from etlch.stats.intervals import wilson
from etlch.stats.ratio import Ratio
from etlch.stats.resampling import Ints
from tests.stats.paired import compare, fact_rows


def test_three_hundred_of_three_hundred_twice() -> None:
    found = compare(np.ones(300), np.ones(300), yes_no=True)
    assert (found.difference, found.p, found.effect) == (0.0, 1.0, 0.0)
    assert found.reason == "no discordant pairs"
    assert found.detectable is None
    assert found.interval.low == pytest.approx(-0.0126, abs=5e-5)  # Wilson's open end at 300/300
    assert found.interval.high == pytest.approx(0.0126, abs=5e-5)


def test_all_against_none() -> None:
    found = compare(np.ones(300), np.zeros(300), yes_no=True)
    assert found.difference == 1.0
    assert found.p == pytest.approx(2.0**-300)  # 2·½³⁰⁰ less half
    assert found.interval.high == 1.0


def test_a_p_is_never_zero() -> None:
    found = compare(np.ones(5000), np.zeros(5000), yes_no=True)
    assert found.p is not None and 0 < found.p < 1e-300


def test_clustered_perfection_twice_is_as_uncertain_as_its_articles() -> None:
    found = compare(np.ones(300), np.ones(300), np.repeat(np.arange(100), 3), yes_no=True)
    alone = compare(np.ones(100), np.ones(100), yes_no=True)
    assert found.p == 1.0
    assert found.interval == alone.interval
    one = measured(np.ones(300), np.repeat(np.arange(100), 3), 100, yes_no=True)
    assert analyse([one], [], seed=0).estimates[0].interval == wilson(100, 100)


@pytest.mark.parametrize("score", [None, f1])
def test_identical_systems(score: Ratio | None) -> None:
    generator = np.random.default_rng(22)
    rows = fact_rows(generator, 30, 0.7) if score else generator.random(30)
    found = compare(rows, rows, score=score)
    assert (found.difference, found.p, found.effect, found.detectable) == (0.0, 1.0, 0.0, None)
    assert (found.interval.low, found.interval.high) == (0.0, 0.0)
    assert found.reason == "both systems score the same on every article"
    assert "spread" in found.interval.reason


def test_identical_systems_without_spread() -> None:
    found = compare(np.full(20, 0.5), np.full(20, 0.5))
    assert (found.difference, found.p, found.effect) == (0.0, 1.0, 0.0)


def test_constant_differences() -> None:
    found = compare(np.full(20, 0.75), np.full(20, 0.5))
    assert found.difference == 0.25
    assert (found.interval.low, found.interval.high) == (0.25, 0.25)
    assert found.p == pytest.approx(1 / 10_001, rel=0.5)
    assert (found.effect, found.detectable) == (None, None)
    assert "no spread" in found.reason


@pytest.mark.parametrize("cluster", [None, np.zeros(4, dtype=np.int64)])
def test_one_article(cluster: Ints | None) -> None:
    n = 1 if cluster is None else 4
    found = compare(np.linspace(0.8, 0.9, n), np.full(n, 0.3), cluster)
    assert found.difference is not None and found.p == 1.0
    assert (found.interval.low, found.interval.high) == (None, None)
    assert found.reason == "one article can show no difference"
    single = analyse([measured(np.array([0.4]), np.array([0]), 1)], [], seed=0).estimates[0]
    assert (single.value, single.interval.low) == (0.4, None)
    assert single.interval.reason == "one article: no spread to see"


def test_one_record_that_says_yes() -> None:
    found = compare(np.ones(1), np.zeros(1), yes_no=True)
    assert found.p == 0.5  # one discordant pair: the exact p, 2·½, less half a step
    assert found.interval.high == 1.0 and found.interval.low is not None


@pytest.mark.parametrize("yes_no", [True, False])
def test_no_records(yes_no: bool) -> None:
    nothing = measured(np.empty(0), np.empty(0, dtype=np.int64), 0, yes_no=yes_no)
    found = analyse([nothing, nothing], [(0, 1)], seed=0)
    assert found.estimates[0].value is None and found.estimates[0].reason == "no records"
    assert found.comparisons[0].p is None and found.comparisons[0].reason == "no records"
    assert analyse([], [], seed=0).estimates == ()
    elsewhere = measured(np.empty(0), np.empty(0, dtype=np.int64), 5, yes_no=yes_no)
    assert analyse([elsewhere, elsewhere], [(0, 1)], seed=0).comparisons[0].reason == "no records"


def test_undefined_metric() -> None:
    empty = np.zeros((10, 3))  # nothing in the gold, nothing predicted
    found = compare(empty, empty, score=f1)
    assert (found.difference, found.p, found.interval.low) == (None, None, None)
    assert found.reason == "the metric is undefined on these records"


def test_hits_that_only_one_system_has_are_worth_their_articles() -> None:
    """Recall: 4 of 10 articles have hits of the first system. All signs alike or all opposite: 2/2⁴."""
    rows = np.array([[2.0, 4, 4]] * 4 + [[0.0, 4, 4]] * 6)
    found = compare(rows, rows * [0, 1, 1], score=Ratio((1, 0, 0), (0, 0, 1)))
    assert found.difference == pytest.approx(0.2)
    assert found.p == pytest.approx(2 / 2**4)


@pytest.mark.parametrize("score", [f1, precision])
def test_neither_system_has_a_hit(score: Ratio) -> None:
    rows = np.array([[0.0, 3, 4]] * 12)
    found = compare(rows, rows * [1, 2, 1], score=score)
    assert (found.difference, found.p, found.detectable) == (0.0, 1.0, None)
    assert found.reason


def test_articles_without_facts_add_nothing() -> None:
    rows = fact_rows(np.random.default_rng(31), 6, 0.7), fact_rows(np.random.default_rng(32), 6, 0.3)
    padded = [np.concatenate([side, np.zeros((5, 3))]) for side in rows]
    alone, beside = compare(*rows, score=f1), compare(*padded, score=f1)
    assert (beside.clusters, beside.test) == (11, "sign-flip-exact")
    assert beside.p == alone.p


def test_a_score_that_is_0_by_definition_is_not_tested() -> None:
    rows = np.array([[2.0, 3, 4]] * 20)
    found = compare(rows, rows * [0, 0, 1], score=precision)
    assert found.difference == pytest.approx(2 / 3)
    assert (found.p, found.test) == (None, "") and "predicted nothing" in found.reason
    silent = compare(rows * [0, 0, 1], rows * [0, 0, 1], score=precision)
    assert (silent.difference, silent.p) == (0.0, 1.0)
    assert compare(rows, rows * [0, 0, 1], score=share).reason == "the metric is undefined on these records"


def test_a_metric_that_few_articles_define() -> None:
    rows = np.zeros((40, 3))
    rows[0] = (1, 2, 2)
    found = analyse([measured(rows, np.arange(40), 40, f1)], [], seed=0).estimates[0]
    assert found.value == 0.5
    assert (found.interval.low, found.interval.high) == (0.5, 0.5)  # 37 % of resamples miss the article
    assert found.interval.reason


def test_a_pair_needs_the_same_records() -> None:
    one = measured(np.ones(3), np.array([0, 1, 2]), 4)
    two = measured(np.ones(3), np.array([0, 1, 3]), 4)
    with pytest.raises(ValueError, match="same records"):
        analyse([one, two], [(0, 1)], seed=0)
    with pytest.raises(ValueError, match="same articles"):
        analyse([one, measured(np.ones(3), np.array([0, 1, 2]), 3)], [], seed=0)


@given(
    table=st.lists(
        st.tuples(
            st.integers(0, 4), *(st.integers(0, 3) for _ in range(3)), *(st.booleans() for _ in range(2))
        ),
        max_size=12,
    ),
    seed=st.integers(0, 3),
)
@settings(max_examples=80, deadline=None)
def test_no_number_is_ever_nan(table: list[tuple[int, int, int, int, bool, bool]], seed: int) -> None:
    columns = np.array(table, dtype=np.int64).reshape(-1, 6)
    cluster, facts, flags = columns[:, 0], columns[:, 1:4].astype(float), columns[:, 4:].astype(float)
    other = np.minimum(facts[:, ::-1], facts)
    metrics: list[Measured] = []
    for side in (0, 1):
        metrics.append(measured(flags[:, side], cluster, 5, yes_no=True))
        metrics.append(measured((facts, other)[side], cluster, 5, f1))
        metrics.append(dataclasses.replace(metrics[-1], score=precision))
        metrics.append(measured((facts, other)[side][:, 0] / 3, cluster, 5))
    found = analyse(metrics, [(0, 4), (1, 5), (2, 6), (3, 7)], seed, resamples=50)
    everything: list[Estimate | Comparison] = [*found.estimates, *found.comparisons]
    for one in everything:
        flat = [*dataclasses.asdict(one).values(), one.interval.low, one.interval.high]
        assert all(isfinite(value) for value in flat if isinstance(value, float))
        assert one.interval.low is not None or one.interval.reason
    for pair in found.comparisons:
        assert pair.p is None or 0 < pair.p <= 1
        assert (pair.p is not None and pair.effect is not None) or pair.reason


def test_the_same_seed_gives_the_same_numbers() -> None:
    rows = fact_rows(np.random.default_rng(23), 80, 0.6), fact_rows(np.random.default_rng(24), 80, 0.6)
    assert compare(*rows, score=f1) == compare(*rows, score=f1)
    assert compare(*rows, score=f1, seed=1).interval != compare(*rows, score=f1).interval


def test_mean_of_nothing_is_undefined_and_not_an_error() -> None:
    assert np.isnan(mean(np.zeros((3, 2)))).all()
