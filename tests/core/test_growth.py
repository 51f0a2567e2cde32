"""Weights of a growth: which step holds where, and how weighted orders come out."""

from __future__ import annotations

from collections import Counter
from random import Random

from etlch.core.growth import Growth, growth_at, shuffled, weight


def test_the_last_step_that_has_begun_holds() -> None:
    steps = (Growth(10), Growth(30, facts={"a": 2.0}))
    assert [growth_at(steps, place) for place in (9, 10, 29, 30)] == [None, steps[0], steps[0], steps[1]]


def test_names_without_a_weight_are_left_out_of_the_mean() -> None:
    assert weight({"a": 3.0, "b": 1.0}, ["a", "b", "c"]) == 2.0
    assert weight({}, ["a"]) == 1.0


def test_the_first_of_a_weighted_order_is_drawn_by_its_share() -> None:
    """By hand: weights 3 and 1 make the first one lead in three draws of four."""
    first = Counter(shuffled(Random(seed), "xy", [3.0, 1.0])[0] for seed in range(2000))
    assert 0.71 < first["x"] / 2000 < 0.79
