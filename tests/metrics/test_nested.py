"""Facts of nested JSON: list items are matched first, then leaves are compared."""

from __future__ import annotations

import json

from etlch.core.records import Json
from etlch.metrics import facts
from etlch.metrics.facts import FactPair, Row, comparable
from etlch.metrics.nested import leaves


def row(gold: Json, predicted: Json) -> Row:
    found = leaves(gold, predicted)
    return facts.strict(FactPair(comparable(found.gold), comparable(found.predicted), 0))


PEOPLE = [{"name": "Ann", "title": "chair"}, {"name": "Bob", "title": "clerk"}]


def test_the_order_of_a_list_does_not_count() -> None:
    assert row(PEOPLE, PEOPLE[::-1]) == Row(4, 4, 4)


def test_which_leaves_stand_together_does() -> None:
    """Titles exchanged between two people: a multiset of leaves would call this perfect."""
    swapped = [{"name": "Ann", "title": "clerk"}, {"name": "Bob", "title": "chair"}]
    assert row(PEOPLE, swapped) == Row(2, 4, 4)


def test_missing_and_invented_items() -> None:
    assert row(PEOPLE, [PEOPLE[1]]) == Row(2, 2, 4)
    assert row([PEOPLE[1]], PEOPLE) == Row(2, 4, 2)
    assert row({"a": []}, {"a": ["x"]}) == Row(0, 1, 0)


def test_numbers_are_their_json_text_and_null_is_no_value() -> None:
    assert row({"a": [1987, True], "b": None}, {"a": ["true", "1987"], "b": None}) == Row(2, 2, 2)


def test_matching_looks_through_all_levels() -> None:
    gold = {"deals": [{"parties": [{"n": "A"}, {"n": "B"}], "sum": 5}, {"parties": [{"n": "C"}], "sum": 6}]}
    predicted = {
        "deals": [{"sum": 6, "parties": [{"n": "C"}]}, {"sum": 5, "parties": [{"n": "B"}, {"n": "A"}]}]
    }
    assert row(gold, predicted) == Row(5, 5, 5)


def test_another_kind_of_value_shares_nothing() -> None:
    assert row({"a": ["x"]}, ["x"]).hits == 0
    assert row({"a": "x"}, {"a": {"b": "x"}}).hits == 0


def test_deep_and_wide_values_end_soon() -> None:
    deep = json.loads("[" * 900 + "1" + "]" * 900)
    assert row(deep, deep).gold == 1
    wide = [{"n": str(number)} for number in range(3_000)]
    assert row(PEOPLE, wide) == Row(0, 3_000, 4)
