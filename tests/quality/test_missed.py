"""Capture and recapture: a published example, known truths, and an interval that holds what it says."""

from __future__ import annotations

import random

import pytest

from etlch.core.records import Located, Record
from etlch.quality.missed import missed_facts


def record(number: int, values: set[int], task: str = "ner") -> Record:
    facts = tuple(Located(("T", f"value {value}"), (None, None)) for value in sorted(values))
    return Record(f"r{number}", f"a{number}", task, "en", "i", f"text {number}", "", None, facts)


def test_chapman_s_estimate_of_a_published_example() -> None:
    # Wikipedia, Mark and recapture (2026): 10 turtles marked, 15 caught, 5 of them marked: about 28
    (found,) = missed_facts([record(0, set(range(10)))], [record(0, set(range(5, 20)))], 1)
    assert (found.own, found.other, found.both) == (10, 15, 5)
    assert found.total == pytest.approx(28.3, abs=0.05)
    assert found.share == pytest.approx(1 - 10 / 28.333, abs=1e-3)


def labelled(seed: int, recall: float, texts: int = 80) -> list[Record]:
    rng = random.Random(seed)
    return [record(number, {value for value in range(6) if rng.random() < recall}) for number in range(texts)]


def test_the_interval_holds_the_true_share_of_missed_facts() -> None:
    # 80 texts of 6 facts; the run finds 80 % and the other 60 % of them, independently: 20 % are missed
    inside = 0
    for seed in range(40):
        (found,) = missed_facts(labelled(seed, 0.8), labelled(1000 + seed, 0.6), seed)
        # What was really missed of the 480; the labelling is given, and only the second one is chance.
        truth = 1 - found.own / 480
        inside += found.low <= truth <= found.high
        assert "more if both miss the same ones" in found.sentence
    assert inside >= 34  # 95 % of 40 is 38; fewer than 34 has a probability below 0.01


def test_equal_labellings_miss_nothing_and_other_texts_say_nothing() -> None:
    records = labelled(1, 0.7)
    (found,) = missed_facts(records, records, 1)
    assert found.share == found.low == found.high == 0.0
    assert missed_facts(records, [record(999, {1})], 1) == ()
    assert missed_facts(records, [record(0, {1}, "json")], 1) == ()
