"""How often the statistics are wrong, by simulation. The tables stand in docs/statistics.md.

    python benchmarks/simulations.py            all tables
    python benchmarks/simulations.py coverage   how often the interval of a score holds the true score
    python benchmarks/simulations.py equal      how often one of two equal models is called better
    python benchmarks/simulations.py rates      the same for answers that are right or wrong, such as parsable JSON
    python benchmarks/simulations.py retrained  two groups of trainings of one recipe, called different
    python benchmarks/simulations.py drop       builds that --max-drop 0 breaks after a mere retraining
    python benchmarks/simulations.py failing    a model that loops on 5 % of articles, called better

A simulated article has 1 + Poisson(4) gold facts and a difficulty that all models share; a model finds each
fact with a chance that differs between articles as a Beta variable does. All numbers come from the
functions that etlch-score calls, on facts F1.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
from scipy.special import stdtrit

from etlch.metrics.registry import f1
from etlch.scoring.recipes import ENOUGH_SEEDS
from etlch.scoring.regression import ALPHA, PRIOR_FREEDOM, SEED_SD
from etlch.stats.analysis import Comparison, Measured, analyse, measured
from etlch.stats.few import is_few
from etlch.stats.resampling import Floats
from etlch.stats.seeds import compare_recipes, mean_difference

RESAMPLES = 1_000
SD = 0.03


def quality(draw: np.random.Generator, n: int, mean: float, concentration: float = 3.0) -> Floats:
    """The chance of each article's facts to be found, the same for all models."""
    return draw.beta(concentration * mean, concentration * (1 - mean), n)


def answers(draw: np.random.Generator, found: Floats, luck: float = 0.0, loops: float = 0.0) -> Measured:
    """One training's rows (hits, predicted, gold); a loop predicts 60 facts, none of them right."""
    n = len(found)
    chance = np.clip(found + luck, 0, 1)
    gold = 1 + draw.poisson(4, n)
    hits = draw.binomial(gold, chance)
    predicted = hits + draw.poisson(gold * (1 - chance))
    looping = draw.random(n) < loops
    rows = np.stack([np.where(looping, 0, hits), np.where(looping, 60, predicted), gold], axis=1)
    return measured(rows.astype(np.float64), np.arange(n), n, f1)


def claimed(found: Comparison) -> bool:
    """Whether etlch-score would call the difference significant, in a family of one."""
    low, high = found.interval.low, found.interval.high
    if found.p is None or low is None or high is None or is_few(found.test, found.clusters):
        return False
    return found.p < 0.05 and not low <= 0 <= high and found.agree


def compare(first: list[Measured], second: list[Measured], seed: int) -> Comparison:
    if len(first) == len(second) == 1:
        return analyse([first[0], second[0]], [(0, 1)], seed, RESAMPLES).comparisons[0]
    return compare_recipes(first, second, seed, RESAMPLES)


def coverage(draws: int = 2_000) -> None:
    print("| true F1 | n = 20 | 50 | 300 |\n|---|---|---|---|")
    for concentration in (1.5, 6.0):
        for mean in (0.1, 0.3, 0.6, 0.9, 0.98):
            cells = []
            for n in (20, 50, 300):
                draw = np.random.default_rng([n, int(100 * mean)])
                covered = 0
                for _ in range(draws):
                    run = answers(draw, quality(draw, n, mean, concentration))
                    bounds = analyse([run], [], 0, RESAMPLES).estimates[0].interval
                    assert bounds.low is not None and bounds.high is not None
                    covered += bounds.low <= mean <= bounds.high
                cells.append(f"{covered / draws:.3f}".lstrip("0"))
            spread = "articles very unlike" if concentration < 3 else "articles alike"
            print(f"| {mean:g}, {spread} | " + " | ".join(cells) + " |", flush=True)


def equal(draws: int = 1_000) -> None:
    print("| articles | one training each, same quality | three seeds each, sd .03 |\n|---|---|---|")
    for n in (10, 20, 50, 72, 300):
        cells = [_called_different(n, 1, 0.0, draws), _called_different(n, 3, SD, draws)]
        print(f"| {n} | " + " | ".join(f"{100 * cell:.1f} %" for cell in cells) + " |", flush=True)


def rates(draws: int = 1_000) -> None:
    """Two models with the same chance of a right answer on each article; articles differ as Beta variables do."""
    print(
        "| articles | rate .5 | .9 | .9, three records an article | .9, three seeds each |\n|---|---|---|---|---|"
    )
    for n in (10, 20, 50, 300):
        cells = [
            _rates_called_different(n, mean, records, seeds, draws)
            for mean, records, seeds in ((0.5, 1, 1), (0.9, 1, 1), (0.9, 3, 1), (0.9, 1, 3))
        ]
        print(f"| {n} | " + " | ".join(f"{100 * cell:.1f} %" for cell in cells) + " |", flush=True)


def _rates_called_different(n: int, mean: float, records: int, seeds: int, draws: int) -> float:
    draw = np.random.default_rng([n, round(100 * mean), records, seeds])
    article = np.repeat(np.arange(n), records)
    wrong = 0
    for number in range(draws):
        chance = quality(draw, n, mean)[article]
        sides = [
            [
                measured((draw.random(n * records) < chance).astype(np.float64), article, n, yes_no=True)
                for _ in range(seeds)
            ]
            for _ in range(2)
        ]
        wrong += claimed(compare(sides[0], sides[1], number))
    return wrong / draws


def retrained(draws: int = 3_000) -> None:
    print("| trainings a side | called different, as weights | as recipes |\n|---|---|---|")
    for seeds in (1, 2, 3, 5):
        share = f"{100 * _called_different(300, seeds, SD, draws):.1f} %"
        weights, recipes = (share, "never") if seeds < ENOUGH_SEEDS else ("–", share)
        print(f"| {seeds} | {weights} | {recipes} |", flush=True)


def _called_different(n: int, seeds: int, sd: float, draws: int) -> float:
    draw = np.random.default_rng([n, seeds, round(1000 * sd)])
    wrong = 0
    for number in range(draws):
        found = quality(draw, n, 0.7)
        sides = [[answers(draw, found, draw.normal(0, sd)) for _ in range(seeds)] for _ in range(2)]
        wrong += claimed(compare(sides[0], sides[1], number))
    return wrong / draws


def drop(draws: int = 500) -> None:
    """Twelve numbers are watched, as of four sizes and three tasks."""
    print("| articles | trainings a side | spread between trainings | builds broken |\n|---|---|---|---|")
    for n in (20, 50, 300):
        for seeds in (1, 3):
            broken = sum(_breaks(n, seeds, np.random.default_rng([n, seeds, one])) for one in range(draws))
            known = "assumed .03" if seeds == 1 else "measured"
            print(f"| {n} | {seeds} | {known} | {100 * broken / draws:.1f} % |", flush=True)


def _breaks(n: int, seeds: int, draw: np.random.Generator, watched: int = 12) -> bool:
    worst = False
    for _ in range(watched):
        found = quality(draw, n, 0.7)
        old, new = ([answers(draw, found, draw.normal(0, SD)) for _ in range(seeds)] for _ in range(2))
        variance, freedom = SEED_SD**2, float("inf")
        if seeds > 1:
            scores = [[float(run.score(run.rows.sum(axis=0))) for run in side] for side in (old, new)]
            known = 2 * (seeds - 1)
            squares = sum(float(np.var(side, ddof=1)) * (seeds - 1) for side in scores)
            freedom = known + PRIOR_FREEDOM
            variance = (squares + PRIOR_FREEDOM * SEED_SD**2) / freedom
        moved = mean_difference(new, old, 2 * variance / seeds, freedom)
        assert moved is not None
        difference, error, freedom = moved
        worst |= difference + float(stdtrit(min(freedom, 1e9), 1 - ALPHA / watched)) * error < 0
    return worst


def failing(draws: int = 2_000) -> None:
    print("| articles | p < .05 and interval above 0 | called significantly better |\n|---|---|---|")
    for n in (10, 20, 40, 72, 100, 300):
        draw = np.random.default_rng(n)
        naive = called = 0
        for number in range(draws):
            found = quality(draw, n, 0.7, 20.0)
            first, second = answers(draw, found, luck=0.12, loops=0.05), answers(draw, found)
            one = compare([first], [second], number)
            better = one.difference is not None and one.difference > 0
            low = one.interval.low
            naive += better and one.p is not None and one.p < 0.05 and low is not None and low > 0
            called += better and claimed(one)
        print(f"| {n} | {100 * naive / draws:.1f} % | {100 * called / draws:.1f} % |", flush=True)


def main() -> None:
    """Run the table that the command line names, or all."""
    tables: dict[str, Callable[[], None]] = {
        "coverage": coverage, "equal": equal, "rates": rates, "retrained": retrained, "drop": drop, "failing": failing,
    }  # fmt: skip
    for name in sys.argv[1:] or tables:
        if name not in tables:
            sys.exit(__doc__)
        print(f"\n{name}\n")
        tables[name]()


if __name__ == "__main__":
    main()
