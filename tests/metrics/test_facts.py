"""Rows of facts, by hand calculation and against nervaluate and scikit-learn's definition of F1."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etlch.core.records import Fact
from etlch.metrics import facts
from etlch.metrics.facts import FactPair, Row
from etlch.metrics.registry import BY_NAME, METRICS, f1, precision, recall, record_f1, share


def sides(gold: list[Fact], predicted: list[Fact], wrong: int = 0) -> FactPair:
    return FactPair(facts.comparable(gold), facts.comparable(predicted), wrong)


NER = sides(
    [("Person", "Ann Lee"), ("Person", "Bob"), ("Place", "Oslo")],
    [("Person", "Ann Lee"), ("Place", "Bob"), ("Place", "Oslo City"), ("Date", "1932")],
)


def test_strict_counts_facts_equal_in_all_parts() -> None:
    assert facts.strict(NER) == Row(1, 4, 3)


def test_span_f1_counts_mentions_whatever_their_types() -> None:
    assert facts.of_part(NER, 1) == Row(2, 4, 3)


def test_types_only_is_a_multiset() -> None:
    """Gold Person 2, Place 1; predicted Person 1, Place 2, Date 1: one of each in common."""
    assert facts.types_only(NER) == Row(2, 4, 3)
    strangers = sides([("Person", "Ann")], [("Person", "Bob"), ("Person", "Eve")], wrong=1)
    assert facts.types_only(strangers) == Row(1, 3, 1), "what is no fact is a prediction too"
    assert facts.of_part(strangers, 1) == Row(0, 3, 1)
    assert facts.soft(strangers)[1:] == (3, 1)


def test_repeats_count_once_and_forms_are_unified() -> None:
    """NFKC, spaces between CJK characters, 臺 = 台; case is kept."""
    one = sides(
        [("地點", "臺北"), ("日期", "１９３２年"), ("組織", "台積 電"), ("人物", "ann")],
        [("地點", "台北"), ("地點", " 臺北 "), ("日期", "1932年"), ("組織", "台積電"), ("人物", "Ann")],
    )
    assert facts.strict(one) == Row(3, 4, 4)


def test_wrong_parts_are_predictions() -> None:
    assert facts.strict(sides([("s", "r", "o")], [("s", "r", "o")], wrong=2)) == Row(1, 3, 1)


def test_a_triple_with_its_ends_swapped_is_no_hit_and_little_soft() -> None:
    one = sides([("台積電", "供應", "蘋果")], [("蘋果", "供應", "台積電")])
    assert facts.strict(one).hits == 0
    assert facts.soft(one).hits == pytest.approx(1 / 3)
    assert facts.of_part(one, 1) == Row(1, 1, 1)


def test_soft_by_hand() -> None:
    """abcd against abxd: LCS 3 of 4 + 4 characters, 0.75; so (1 + 1 + 0.75) / 3."""
    one = sides([("s", "r", "abcd")], [("s", "r", "abxd"), ("q", "q", "q")])
    assert facts.soft(one).hits == pytest.approx(2.75 / 3)


WORDS = st.text(alphabet="ab台", min_size=1, max_size=4)
TRIPLES = st.lists(st.tuples(WORDS, WORDS, WORDS), max_size=4)


@given(TRIPLES, TRIPLES)
@settings(max_examples=150, deadline=None)
def test_soft_is_the_best_of_all_assignments(gold: list[Fact], predicted: list[Fact]) -> None:
    one = sides(gold, predicted)
    few, many = sorted((one.gold, one.predicted), key=len)
    best = max(
        sum(_likeness(*pair) for pair in zip(few, order, strict=True))
        for order in permutations(many, len(few))
    )
    found = facts.soft(one)
    assert found.hits == pytest.approx(best)
    assert found.hits >= facts.strict(one).hits - 1e-9


def _likeness(one: Fact, two: Fact) -> float:
    return sum(2 * _lcs(a, b) / (len(a) + len(b)) for a, b in zip(one, two, strict=True)) / len(one)


def _lcs(one: str, two: str) -> int:
    """The textbook table."""
    row = [0] * (len(two) + 1)
    for char in one:
        last = row[:]
        for place, other in enumerate(two):
            row[place + 1] = last[place] + 1 if char == other else max(row[place], last[place + 1])
    return row[-1]


def test_a_runaway_prediction_is_credited_for_its_exact_facts_only() -> None:
    gold: list[Fact] = [(f"s{i}", "r", "o") for i in range(50)]
    predicted: list[Fact] = [(f"s{i}", "r", "o") for i in range(25, 90_000)]
    assert facts.soft(sides(gold, predicted)).hits == 25


def test_items_of_nested_lists_count_under_one_name() -> None:
    """The path authors/#0/name without the number of the item."""
    pair = sides([("authors/#0/name", "Ann"), ("authors/#1/name", "Bob")], [("authors/#0/name", "Ann")])
    assert facts.by_type(pair, 0) == {"authors/name": Row(1, 1, 2)}


def test_by_type_adds_up_to_strict() -> None:
    found = facts.by_type(NER, 0)
    assert found == {"Person": Row(1, 1, 2), "Place": Row(0, 2, 1), "Date": Row(0, 1, 0)}


def test_keys_ignore_values() -> None:
    assert facts.of_keys(["name", "city", "cost"], ["name", "City"]) == Row(1, 2, 3)


SUMS = np.array([[3.0, 4.0, 6.0], [0.0, 0.0, 5.0], [0.0, 2.0, 0.0], [0.0, 0.0, 0.0]])


def test_scores_of_sums_by_hand() -> None:
    """P 3/4, R 3/6, F1 2·3/(4 + 6); nothing predicted of something scores 0; nothing of nothing is undefined."""
    nan = float("nan")
    np.testing.assert_equal(precision(SUMS), [0.75, 0.0, 0.0, nan])
    np.testing.assert_equal(recall(SUMS), [0.5, 0.0, nan, nan])
    np.testing.assert_equal(f1(SUMS), [0.6, 0.0, 0.0, nan])
    np.testing.assert_equal(share(SUMS), [0.75, nan, 0.0, nan])


def test_f1_is_scikit_learn_s_f_score() -> None:
    """f1_score of 2 hits, 1 false alarm and 2 misses is 4/7."""
    assert float(f1(np.array([2.0, 3.0, 4.0]))) == pytest.approx(4 / 7)


def test_empty_against_empty_counts_1_in_the_mean_by_record() -> None:
    assert record_f1(0, 0, 0) == 1.0
    assert record_f1(0, 1, 0) == 0.0
    assert record_f1(1, 2, 3) == pytest.approx(0.4)


def test_every_metric_has_a_name_of_its_own_and_a_line_about_it() -> None:
    assert len(BY_NAME) == len(METRICS)
    assert all(metric.about and metric.title for metric in BY_NAME.values())
