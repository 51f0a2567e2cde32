"""Cosine's arithmetic against NumPy written out, and its edge cases."""

from __future__ import annotations

import numpy as np
import pytest

from etlch.metrics.cosine import cosines, floor, pool, rescaled

GOLD = np.array([[1, 0], [0, 1], [0.6, 0.8]], dtype=np.float32)
PREDICTED = np.array([[1, 0], [1, 0], [0, 0]], dtype=np.float32)


def test_cosines_of_unit_vectors_and_of_an_empty_text() -> None:
    assert cosines(GOLD, PREDICTED).tolist() == [1.0, 0.0, 0.0]


def test_floor_is_the_mean_over_all_other_records() -> None:
    """Prediction 0 with golds 1, 2: 0, 0.6; prediction 1 with golds 0, 2: 1, 0.6; prediction 2: 0, 0."""
    assert floor(GOLD, PREDICTED) == pytest.approx((0 + 0.6 + 1 + 0.6 + 0 + 0) / 6)
    assert floor(GOLD[:1], PREDICTED[:1]) is None


def test_rescaled_puts_the_floor_at_0() -> None:
    assert rescaled(0.9, 0.8) == pytest.approx(0.5)
    assert rescaled(0.8, 0.8) == 0
    assert rescaled(1.0, 1.0) is None
    assert rescaled(1.0, None) is None


def test_pieces_are_weighted_by_length() -> None:
    found = pool(np.array([[1, 0], [0, 1]], dtype=np.float32), [3, 1])
    assert found == pytest.approx(np.array([3, 1]) / np.sqrt(10))
    assert pool(np.zeros((0, 2), dtype=np.float32), []).tolist() == [0, 0]


def test_values_are_clipped_and_rounded() -> None:
    above = np.array([[1.0000001, 0]], dtype=np.float32)
    assert cosines(above, above).tolist() == [1.0]
