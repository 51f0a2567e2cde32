"""Times the statistics alone: every metric of etlch, invented rows, all intervals and tests.

python benchmarks/resampling.py                 # 2,500 records × 4 models, 10,000 resamples
python benchmarks/resampling.py --records 250000
python benchmarks/resampling.py --coverage      # how often 95 % intervals hold the truth (minutes)
"""

from __future__ import annotations

import argparse
import resource
import time
from itertools import product

import numpy as np

from etlch.metrics.registry import METRICS, Metric, f1
from etlch.stats.analysis import Measured, analyse, measured
from etlch.stats.intervals import wilson
from etlch.stats.resampling import Floats, Ints, bootstrap_scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--records", type=int, default=2_500)
    parser.add_argument("--models", type=int, default=4)
    parser.add_argument("--articles", type=int, help="as many as records by default")
    parser.add_argument("--coverage", action="store_true")
    options = parser.parse_args()
    if options.coverage:
        coverage()
    else:
        speed(options.records, options.models, options.articles or options.records)


def speed(records: int, models: int, articles: int) -> None:
    generator = np.random.default_rng(0)
    cluster = np.arange(records) % articles
    systems = [[column(metric, generator, cluster, articles) for metric in METRICS] for _ in range(models)]
    metrics = [one for system in systems for one in system]
    width = len(METRICS)
    pairs = [(model * width + at, at) for model, at in product(range(1, models), range(width))]
    start = time.perf_counter()
    found = analyse(metrics, pairs, seed=0)
    took = time.perf_counter() - start
    print(
        f"{records:,} records of {articles:,} articles × {models} models: {found.resamples:,} resamples of {found.groups:,}"
    )
    print(f"{len(metrics)} estimates and {len(pairs)} comparisons in {took:.2f} s")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


def column(metric: Metric, generator: np.random.Generator, cluster: Ints, articles: int) -> Measured:
    n = len(cluster)
    if metric.score is not None:
        return measured(facts(generator, n, 0.8), cluster, articles, metric.score)
    values = generator.random(n) < 0.9 if metric.yes_no else generator.random(n)
    return measured(values.astype(np.float64), cluster, articles, yes_no=metric.yes_no)


def facts(generator: np.random.Generator, n: int, hit: float, spread: float = 0.2) -> Floats:
    gold = generator.integers(2, 12, n)
    predicted = np.maximum(0, gold + generator.integers(-1, 2, n))
    chance = np.clip(hit + generator.normal(0, spread, n), 0, 1)
    hits = generator.binomial(np.minimum(gold, predicted), chance)
    return np.stack([hits, predicted, gold], axis=1).astype(np.float64)


def coverage(trials: int = 2_000) -> None:
    """Print a Markdown table: articles against the share of intervals that hold the truth."""
    truth = float(f1(facts(np.random.default_rng(0), 1_000_000, 0.85).sum(axis=0)))
    print(
        "| articles | F1: plain percentiles | F1: expanded (etlch) | rate .9: p ± 1.96 · se | rate .9: Wilson |"
    )
    print("|---|---|---|---|---|")
    for articles in (5, 8, 10, 20, 30, 100, 300):
        shares = np.mean([trial(articles, truth, one) for one in range(trials)], axis=0)
        print(f"| {articles} | " + " | ".join(f"{share:.3f}" for share in shares) + " |")


def trial(articles: int, truth: float, one: int) -> tuple[bool, bool, bool, bool]:
    generator = np.random.default_rng([articles, one])
    table = measured(facts(generator, articles, 0.85), np.arange(articles), articles, f1)
    drawn = bootstrap_scores([table.rows], [(0, f1)], 1_000, one)[0]
    interval = analyse([table], [], one, resamples=1_000).estimates[0].interval
    low, high = np.quantile(drawn, (0.025, 0.975))
    hits = int(generator.binomial(articles, 0.9))
    score = wilson(hits, articles)
    wald = 1.96 * (hits * (articles - hits)) ** 0.5 / articles**1.5
    assert None not in (interval.low, score.low)
    return (
        low <= truth <= high,
        interval.low <= truth <= interval.high,  # type: ignore[operator]
        abs(hits / articles - 0.9) <= wald,
        score.low <= 0.9 <= score.high,  # type: ignore[operator]
    )


if __name__ == "__main__":
    main()
