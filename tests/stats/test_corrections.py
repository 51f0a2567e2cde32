"""Holm and Benjamini–Hochberg against statsmodels and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import false_discovery_control
from statsmodels.stats.multitest import multipletests

from etlch.stats.corrections import benjamini_hochberg, correct, holm

GRIDS = [
    np.random.default_rng(3).random(25) ** 3,
    np.array([0.01, 0.01, 0.04, 0.04, 0.04, 1.0]),
    np.array([0.03]),
    np.array([0.9, 0.8, 0.7]),
    np.array([0.0, 1.061e-158, 0.05]),
]


@pytest.mark.parametrize("ps", GRIDS)
def test_equal_to_statsmodels_and_scipy(ps: np.ndarray[tuple[int], np.dtype[np.float64]]) -> None:
    assert holm(ps.tolist()) == pytest.approx(multipletests(ps, method="holm")[1].tolist())
    assert benjamini_hochberg(ps.tolist()) == pytest.approx(multipletests(ps, method="fdr_bh")[1].tolist())
    assert benjamini_hochberg(ps.tolist()) == pytest.approx(false_discovery_control(ps).tolist())


def test_a_missing_p_stays_missing_and_counts_in_no_family() -> None:
    assert holm([0.01, None, 0.03]) == [0.02, None, 0.03]
    assert benjamini_hochberg([None, 0.02, 0.02]) == [None, 0.02, 0.02]
    assert holm([None]) == [None]
    assert holm([]) == [] and benjamini_hochberg([]) == []


def test_families_are_adjusted_apart_and_the_grid_together() -> None:
    ps = [0.01, 0.02, 0.04, None]
    found = correct(ps, [("ner", "rouge_l"), ("ner", "facts_f1"), ("ner", "rouge_l"), ("ner", "facts_f1")])
    # By hand: family rouge_l is (.01, .04) → (.02, .04); facts_f1 is (.02) alone; grid of three by BH.
    assert [one.holm for one in found] == pytest.approx([0.02, 0.02, 0.04, None])
    assert [one.benjamini_hochberg for one in found] == pytest.approx([0.03, 0.03, 0.04, None])
    assert [(one.family_size, one.grid_size) for one in found] == [(2, 3), (1, 3), (2, 3), (1, 3)]
    assert correct([], []) == []


def test_each_list_of_families_needs_one_per_p() -> None:
    with pytest.raises(ValueError, match="families"):
        correct([0.1, 0.2], ["a"])
