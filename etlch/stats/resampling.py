"""Read sums by cluster, return the scores of bootstrap resamples and sign-flip patterns.

A cluster is one article with all its records. Records of one article share its wording and
its facts, so they are never drawn apart: the bootstrap draws whole articles with replacement,
and the paired test flips the sign of whole articles' differences. Both are one matrix product
per block of resamples, for all metrics and models together, so that every metric sees the
same draws and no text is read again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Score = Callable[[Floats], Floats]
"""Sums of rows (..., columns) → scores (...), NaN where the metric is undefined."""

MANY_CLUSTERS = 20_000
"""Above this many articles there are 1,000 resamples instead of 10,000."""

GROUPS = 5_000
"""Above this many articles they are pooled at random into this many groups, which are resampled."""

_CELLS = 2_000_000  # of one block of weights: 16 MB


def resamples_for(clusters: int) -> int:
    """The number of resamples: 10,000, or 1,000 above 20,000 clusters."""
    return 1_000 if clusters > MANY_CLUSTERS else 10_000


def sum_by_cluster(rows: Floats, cluster: Ints, clusters: int) -> Floats:
    """Add up the rows of each cluster.

    Args:
        rows: (records, columns), the counts or values of each record.
        cluster: (records,), each record's cluster as a number from 0.
        clusters: how many clusters there are; those without a record get zeros.

    Returns:
        (clusters, columns).
    """
    sums = [np.bincount(cluster, weights=column, minlength=clusters) for column in rows.T]
    return np.stack(sums, axis=1) if sums else np.zeros((clusters, 0))


def weights(clusters: int, resamples: int, seed: int) -> Iterator[Floats]:
    """Draw how often each cluster enters each bootstrap resample.

    Yields:
        Blocks (some resamples, clusters) of multinomial counts; every row adds up to
        `clusters`. The draws depend on the arguments only, not on the size of a block.
    """
    generator = np.random.default_rng([seed, 0])
    for size in _block_sizes(clusters, resamples):
        drawn = generator.integers(0, clusters, size=(size, clusters))
        drawn += np.arange(size)[:, None] * clusters
        counts = np.bincount(drawn.ravel(), minlength=size * clusters)
        yield counts.reshape(size, clusters).astype(np.float64)


def flips(clusters: int, resamples: int, seed: int) -> Iterator[Floats]:
    """Draw which clusters' differences change their sign.

    Where all 2^clusters patterns are no more than `resamples`, each of them comes exactly once
    and nothing is random.

    Yields:
        Blocks (some patterns, clusters) of 0 (kept) and 1 (flipped), drawn alike for blocks of
        any size.
    """
    if flips_are_exact(clusters, resamples):
        patterns = np.arange(2**clusters)[:, None] >> np.arange(clusters)
        yield (patterns & 1).astype(np.float64)
        return
    generator = np.random.default_rng([seed, 1])
    words = -(-clusters // 32)
    for size in _block_sizes(clusters, resamples):
        drawn = generator.integers(0, 2**32, size=(size, words), dtype=np.uint32)
        yield np.unpackbits(drawn.view(np.uint8), axis=1, count=clusters).astype(np.float64)


def flips_are_exact(clusters: int, resamples: int) -> bool:
    """Whether `flips` lists every pattern instead of drawing some."""
    return clusters < 40 and 2**clusters <= resamples


def _block_sizes(clusters: int, resamples: int) -> Iterator[int]:
    most = max(1, _CELLS // max(1, clusters))
    for start in range(0, resamples, most):
        yield min(most, resamples - start)


def pooled(tables: Sequence[Floats], seed: int) -> list[Floats]:
    """Pool clusters at random into 5,000 groups where there are more than that.

    Resampling random groups of whole clusters estimates the same variance as resampling the
    clusters (random groups: Wolter, Introduction to Variance Estimation, 2007, chapter 2). It adds
    a relative error of about 1/√(2 · 5,000) = 1 % to an interval's width, less than the drawing
    of 10,000 resamples itself; time and memory stop growing with the number of articles.

    Args:
        tables: each (clusters, columns), the same clusters in each.
        seed: of the grouping, which is the same for all tables.
    """
    clusters = len(tables[0]) if tables else 0
    if clusters <= GROUPS:
        return list(tables)
    order = np.random.default_rng([seed, 2]).permutation(clusters)
    group = np.empty(clusters, dtype=np.int64)
    group[order] = np.arange(clusters) % GROUPS
    return [sum_by_cluster(table, group, GROUPS) for table in tables]


def bootstrap_scores(
    tables: Sequence[Floats], scores: Sequence[tuple[int, Score]], resamples: int, seed: int
) -> Floats:
    """Score every bootstrap resample with every metric.

    Args:
        tables: each (clusters, columns), the same clusters in each.
        scores: each metric as (index of its table, its score function).
        resamples: how many.
        seed: of the draws.

    Returns:
        (metrics, resamples), NaN where a metric is undefined on a resample.
    """
    joined, spans = _side_by_side(tables)
    found = np.empty((len(scores), resamples))
    start = 0
    for block in weights(len(joined), resamples, seed):
        sums = block @ joined
        stop = start + len(block)
        for metric, (table, score) in enumerate(scores):
            found[metric, start:stop] = score(sums[:, spans[table]])
        start = stop
    return found


def flipped_sums(differences: Floats, resamples: int, seed: int) -> Floats:
    """Add up differences again and again, the signs of some clusters flipped.

    Args:
        differences: (clusters, comparisons), each cluster's part in each difference.
        resamples: how many patterns of signs; fewer come back where they can all be listed.
        seed: of the draws.

    Returns:
        (comparisons, patterns).
    """
    whole = differences.sum(axis=0)
    found = [whole - 2 * (block @ differences) for block in flips(len(differences), resamples, seed)]
    return np.concatenate(found).T


def _side_by_side(tables: Sequence[Floats]) -> tuple[Floats, list[slice]]:
    ends = np.cumsum([table.shape[1] for table in tables])
    spans = [slice(int(end) - table.shape[1], int(end)) for end, table in zip(ends, tables, strict=True)]
    return np.concatenate(tables, axis=1, dtype=np.float64), spans
