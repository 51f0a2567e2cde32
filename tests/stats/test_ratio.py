"""Corpus scores as weighted means: what each article adds to a difference, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from etlch.metrics.registry import f1, precision, recall
from etlch.stats.analysis import mean
from etlch.stats.ratio import Ratio, influence

# (hits, predicted, gold) of three articles; the third is empty on both sides.
FIRST = np.array([[2.0, 2, 4], [1, 6, 4], [0, 0, 0]])
SECOND = np.array([[1.0, 1, 4], [0, 1, 4], [0, 0, 0]])


def test_influences_by_hand() -> None:
    # Precision 3/8 and 1/2, together 4/10. First system: (2 − .4·2)/8 = .15 and (1 − .4·6)/8 = −.175;
    # second: (1 − .4)/2 = .3 and −.4/2 = −.2.
    assert influence(FIRST, SECOND, precision) == pytest.approx([0.15 - 0.3, -0.175 + 0.2, 0])


@pytest.mark.parametrize("score", [f1, precision, recall])
def test_influences_add_up_to_the_difference(score: Ratio) -> None:
    whole = float(score(FIRST.sum(axis=0)) - score(SECOND.sum(axis=0)))
    assert influence(FIRST, SECOND, score).sum() == pytest.approx(whole)
    assert influence(SECOND, FIRST, score) == pytest.approx(-influence(FIRST, SECOND, score))


def test_a_single_fact_is_scored() -> None:
    """One right prediction of two gold facts; none where one is gold: precision 0; none, and none is gold: undefined."""
    assert precision(np.array([1.0, 1, 2])) == 1 and recall(np.array([1.0, 2, 1])) == 1
    assert precision(np.array([0.0, 0, 1])) == 0
    assert np.isnan(precision(np.array([0.0, 0, 0])))


def test_influences_of_a_mean_are_its_differences() -> None:
    first, second = (np.array([[one, 1], [two, 1]]) for one, two in ((0.9, 0.4), (0.3, 0.8)))
    assert influence(first, second, mean) == pytest.approx([0.6 / 2, -0.4 / 2])


def test_who_predicts_ten_times_as_much_of_the_same_kind_has_no_influence() -> None:
    assert influence(10 * FIRST, FIRST, precision) == pytest.approx(np.zeros(3))


def test_nothing_below_the_line() -> None:
    silent = SECOND * [0, 0, 1]
    assert np.isnan(influence(FIRST, silent, precision)).all()
    assert (influence(silent, silent, precision) == 0).all()
