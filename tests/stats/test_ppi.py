"""PPI++ holds the truth where a teacher's labels alone do not, and is narrower than the checked sample."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from etlch.stats.ppi import checked_ratio, corrected_ratio

Rows = NDArray[np.float64]


def draw(generator: np.random.Generator, articles: int) -> tuple[Rows, Rows]:
    """One model's (2·tp, predicted + gold) per article, by the truth and by a teacher's labels.

    10 true facts on average; the model finds 75 % of them and invents one in five. It was trained on the teacher's
    labels and errs as the teacher does: the teacher misses 8 % of what the model finds and 36 % of what it does
    not find, and labels 40 % of what the model invents.
    """
    facts = generator.poisson(10, articles)
    skill = generator.beta(7.5, 2.5, articles)
    tp = generator.binomial(facts, skill)
    invented = generator.poisson(0.25 * tp)
    missed_right = generator.binomial(tp, 0.08)
    missed_other = generator.binomial(facts - tp, 0.36)
    shared = generator.binomial(invented, 0.4)
    teacher_gold = facts - missed_right - missed_other + shared
    teacher_tp = tp - missed_right + shared
    predicted = tp + invented
    truth = np.stack([2 * tp, predicted + facts], 1).astype(np.float64)
    teacher = np.stack([2 * teacher_tp, predicted + teacher_gold], 1).astype(np.float64)
    return truth, teacher


def simulate(runs: int, articles: int, checked: int, seed: int) -> dict[str, tuple[float, float]]:
    """Return method → (share of intervals that hold the truth, mean width)."""
    generator = np.random.default_rng(seed)
    large, _ = draw(generator, 400_000)
    value = large[:, 0].sum() / large[:, 1].sum()
    results: dict[str, list[tuple[bool, float]]] = {"teacher": [], "checked": [], "ppi": []}
    for _ in range(runs):
        truth, teacher = draw(generator, articles)
        one, rest = slice(0, checked), slice(checked, articles)
        found = {
            "teacher": checked_ratio(teacher[:, 0], teacher[:, 1]),
            "checked": checked_ratio(truth[one, 0], truth[one, 1]),
            "ppi": corrected_ratio(
                (truth[one, 0], truth[one, 1]),
                (teacher[one, 0], teacher[one, 1]),
                (teacher[rest, 0], teacher[rest, 1]),
            ),
        }
        for name, item in found.items():
            low, high = item.interval.low, item.interval.high
            assert low is not None and high is not None
            results[name].append((low <= value <= high, high - low))
    return {
        name: (float(np.mean([hit for hit, _ in items])), float(np.mean([width for _, width in items])))
        for name, items in results.items()
    }


@pytest.mark.slow
def test_the_teacher_s_gold_alone_never_holds_the_truth_and_ppi_does() -> None:
    """N = 300 articles, 50 of them checked; 2,000 draws (standard error of a coverage of .95: .005)."""
    found = simulate(2_000, 300, 50, seed=3)
    assert found["teacher"][0] < 0.05
    assert 0.935 <= found["ppi"][0] <= 0.97 and 0.935 <= found["checked"][0] <= 0.97
    assert found["ppi"][1] < 0.85 * found["checked"][1]


def test_where_the_labels_are_the_truth_the_unchecked_count_in_full() -> None:
    """n = 4, N = 4: λ = 1 / (1 + n/N) = 0.5; by hand: a = (0.5·2 + mean(a − 0.5·a)) etc."""
    above, below = np.array([1.0, 2.0, 1.0, 3.0]), np.array([2.0, 3.0, 4.0, 4.0])
    rest = np.array([2.0, 2.0, 2.0, 2.0]), np.array([4.0, 4.0, 4.0, 4.0])
    found = corrected_ratio((above, below), (above, below), rest)
    assert found.tuning == pytest.approx(0.5)
    assert found.value == pytest.approx((0.5 * 2 + 0.5 * 1.75) / (0.5 * 4 + 0.5 * 3.25))


def test_labels_that_say_nothing_are_left_out() -> None:
    """A constant proxy has no spread: the estimate is that of the checked articles."""
    above, below = np.array([1.0, 2.0, 0.0, 3.0]), np.array([2.0, 3.0, 4.0, 4.0])
    flat = np.ones(4)
    found = corrected_ratio((above, below), (flat, flat), (np.ones(9), np.ones(9)))
    assert found.tuning == 0.0 and found.value == pytest.approx(6 / 13)


def test_the_linearised_interval_is_the_textbook_s() -> None:
    """Cochran, Sampling Techniques (1977), 6.4: se = sqrt(s²(y − R·x) / n) / mean(x), t with n − 1."""
    above, below = np.array([1.0, 2.0, 0.0, 3.0]), np.array([2.0, 3.0, 4.0, 4.0])
    found = checked_ratio(above, below)
    ratio = 6 / 13
    error = np.sqrt(np.var(above - ratio * below, ddof=1) / 4) / 3.25
    assert found.interval.low == pytest.approx(max(0.0, ratio - 3.182446 * error))
    assert found.interval.high == pytest.approx(min(1.0, ratio + 3.182446 * error))


def test_perfection_and_too_little_are_said() -> None:
    ones = np.ones(20)
    perfect = checked_ratio(ones, ones)
    # Wilson at 20 of 20: 20 / (20 + 1.96²)
    assert perfect.value == 1.0 and perfect.interval.low == pytest.approx(20 / (20 + 3.8415), abs=1e-4)
    assert checked_ratio(ones[:1], ones[:1]).value is None
    assert checked_ratio(ones * 0, ones * 0).interval.reason == "nothing to find"
