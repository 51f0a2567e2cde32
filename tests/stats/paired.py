"""Two systems on the same records: what the tests of the statistics share."""

from __future__ import annotations

import numpy as np

from etlch.stats.analysis import Comparison, analyse, measured
from etlch.stats.ratio import Ratio
from etlch.stats.resampling import Floats, Ints


def compare(
    first: Floats,
    second: Floats,
    cluster: Ints | None = None,
    *,
    score: Ratio | None = None,
    yes_no: bool = False,
    seed: int = 0,
    resamples: int | None = None,
) -> Comparison:
    cluster = np.arange(len(first)) if cluster is None else cluster
    clusters = int(cluster.max()) + 1 if len(cluster) else 0
    both = [measured(rows, cluster, clusters, score, yes_no) for rows in (first, second)]
    return analyse(both, [(0, 1)], seed, resamples).comparisons[0]


def fact_rows(generator: np.random.Generator, n: int, hit: float, hardness: Floats | None = None) -> Floats:
    gold, predicted = generator.integers(2, 8, n), generator.integers(2, 8, n)
    chance = np.clip(hit + (0 if hardness is None else hardness), 0, 1)
    rows = np.stack([generator.binomial(np.minimum(gold, predicted), chance), predicted, gold], axis=1)
    return rows.astype(np.float64)
