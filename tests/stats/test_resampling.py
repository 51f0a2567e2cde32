"""The draws: what they are on average, that they are shared, and that large n stays small."""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pandas as pd
import pytest

from etlch.stats import resampling
from etlch.stats.resampling import (
    GROUPS,
    Floats,
    bootstrap_scores,
    flipped_sums,
    flips,
    pooled,
    resamples_for,
    sum_by_cluster,
    weights,
)


def ratio(sums: Floats) -> Floats:
    found: Floats = sums[..., 0] / sums[..., 1]
    return found


def total(sums: Floats) -> Floats:
    return sums[..., 0]


def test_sum_by_cluster_equals_pandas() -> None:
    generator = np.random.default_rng(0)
    cluster, rows = generator.integers(0, 9, 50), generator.random((50, 3))
    theirs = pd.DataFrame(rows).groupby(cluster).sum().reindex(range(10), fill_value=0.0)
    assert sum_by_cluster(rows, cluster, 10) == pytest.approx(theirs.to_numpy())


def test_sum_by_cluster_of_nothing_is_zeros() -> None:
    empty = np.empty((0, 3)), np.empty(0, dtype=np.int64)
    assert sum_by_cluster(*empty, 4).tolist() == [[0.0] * 3] * 4


def test_weights_are_draws_with_replacement() -> None:
    drawn = np.concatenate(list(weights(40, 20_000, seed=1)))
    assert drawn.shape == (20_000, 40)
    assert (drawn.sum(axis=1) == 40).all()
    # Multinomial(40, 1/40): variance 1 − 1/40, covariance −1/40.
    covariance = np.cov(drawn.T)
    assert np.diag(covariance).mean() == pytest.approx(1 - 1 / 40, abs=0.01)
    assert covariance[~np.eye(40, dtype=bool)].mean() == pytest.approx(-1 / 40, abs=0.001)


def test_draws_depend_on_the_seed_and_not_on_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = [np.concatenate(list(draw(30, 500, 7))) for draw in (weights, flips)]
    monkeypatch.setattr(resampling, "_CELLS", 1000)
    blocks = [list(draw(30, 500, 7)) for draw in (weights, flips)]
    assert all(len(found) == 16 for found in blocks)
    assert all(np.array_equal(np.concatenate(a), b) for a, b in zip(blocks, whole, strict=True))
    assert not np.array_equal(np.concatenate(list(weights(30, 500, 8))), whole[0])


def test_all_patterns_are_listed_where_they_are_few() -> None:
    found = np.concatenate(list(flips(4, 16, seed=0)))
    assert sorted(map(tuple, found.tolist())) == sorted(itertools.product([0.0, 1.0], repeat=4))
    drawn = np.concatenate(list(flips(5, 31, seed=0)))
    assert drawn.shape == (31, 5)


def test_drawn_flips_are_fair_coins() -> None:
    drawn = np.concatenate(list(flips(100, 10_000, seed=0)))
    assert set(np.unique(drawn)) == {0.0, 1.0}
    assert drawn.mean() == pytest.approx(0.5, abs=0.002)
    assert np.corrcoef(drawn.T)[~np.eye(100, dtype=bool)].std() == pytest.approx(0.01, abs=0.002)


def test_every_metric_sees_the_same_draws() -> None:
    rows = np.random.default_rng(2).random((25, 2)) + 0.5
    same = bootstrap_scores([rows, 3 * rows], [(0, ratio), (1, ratio), (0, total), (1, total)], 200, seed=3)
    assert same[0] == pytest.approx(same[1])
    assert 3 * same[2] == pytest.approx(same[3])
    alone = bootstrap_scores([rows], [(0, ratio)], 200, seed=3)
    assert alone[0] == pytest.approx(same[0])


def test_scores_of_resamples_are_those_of_resampled_rows() -> None:
    rows = np.random.default_rng(4).random((12, 2)) + 0.5
    found = bootstrap_scores([rows], [(0, ratio)], 50, seed=9)[0]
    for score, counts in zip(found, next(weights(12, 50, seed=9)), strict=True):
        again = np.repeat(rows, counts.astype(int), axis=0)  # the resample, record by record
        assert score == pytest.approx(again[:, 0].mean() / again[:, 1].mean())


def test_flipped_sums_are_the_sums_of_flipped_differences() -> None:
    differences = np.random.default_rng(5).normal(size=(6, 2))
    found = flipped_sums(differences, 10_000, seed=0)
    assert found.shape == (2, 64)
    for column, sums in zip(differences.T, found, strict=True):
        by_hand = [np.dot(signs, column) for signs in itertools.product((1, -1), repeat=6)]
        assert sorted(sums) == pytest.approx(sorted(by_hand))


def test_resamples_become_fewer_above_twenty_thousand_articles() -> None:
    assert resamples_for(20_000) == 10_000
    assert resamples_for(20_001) == 1_000


def test_many_articles_are_pooled_without_losing_one() -> None:
    table = np.random.default_rng(6).random((GROUPS + 777, 2))
    (groups,) = pooled([table], seed=0)
    assert groups.shape == (GROUPS, 2)
    assert groups.sum(axis=0) == pytest.approx(table.sum(axis=0))
    few = table[:100]
    assert pooled([few], seed=0)[0] is few
    assert pooled([], seed=0) == []


def test_pooling_keeps_the_standard_error() -> None:
    values = np.random.default_rng(7).exponential(size=100_000)
    rows = np.stack([values, np.ones(100_000)], axis=1)
    drawn = bootstrap_scores(pooled([rows], 1), [(0, ratio)], 1_000, seed=2)[0]
    analytic = values.std() / 100_000**0.5  # of a mean of independent values
    assert drawn.std() == pytest.approx(analytic, rel=0.08)


def test_ten_thousand_resamples_of_2500_articles_fit_in_little_memory() -> None:
    rows = np.random.default_rng(8).random((2500, 40))
    tracemalloc.start()
    bootstrap_scores([rows], [(0, ratio)], 10_000, seed=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6  # all weights at once would be 200 MB
