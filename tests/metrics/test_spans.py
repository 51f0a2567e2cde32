"""Facts are matched by where they stand in the article; nervaluate says the same of the same spans."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nervaluate import Evaluator

from etlch.core.records import Fact
from etlch.metrics import spans
from etlch.metrics.facts import Row

WORDS = ("ab", "cd", "ef", "gh", "ij", "kl", "mn", "op")
ARTICLE = " ".join(WORDS)
"""Every word once, so that a run of words has one place."""

RUNS = st.tuples(st.integers(0, 7), st.integers(1, 3)).map(lambda run: " ".join(WORDS[run[0] : sum(run)]))
ENTITIES = st.lists(st.tuples(st.sampled_from(["Person", "Place"]), RUNS), max_size=6, unique=True)
APART = st.lists(
    st.tuples(st.sampled_from(["Person", "Place"]), st.integers(0, 3)), max_size=4, unique_by=lambda e: e[1]
)


def rows(gold: Sequence[Fact], predicted: Sequence[Fact], article: str = ARTICLE) -> dict[str, Row]:
    one, two = (spans.place(side, (1,), article) for side in (gold, predicted))
    metrics = {
        "mentions": spans.mentions,
        "lenient": spans.lenient,
        "type": spans.types,
        "partial": spans.partial,
    }
    return {name: metric(one, two, 0) for name, metric in metrics.items()}


def nervaluate(gold: Sequence[Fact], predicted: Sequence[Fact], scheme: str) -> Row:
    def entities(side: Sequence[Fact]) -> list[dict[str, object]]:
        return [
            {"label": kind, "start": ARTICLE.index(text), "end": ARTICLE.index(text) + len(text) - 1}
            for kind, text in side
        ]

    found = Evaluator(
        [entities(gold)], [entities(predicted)], tags=["Person", "Place"], loader="dict"
    ).evaluate()["overall"][scheme]
    return Row(found.correct + 0.5 * found.partial, found.actual, found.possible)


@settings(max_examples=300, deadline=None)
@given(ENTITIES, ENTITIES)
def test_type_is_nervaluate_s(gold: list[Fact], predicted: list[Fact]) -> None:
    assert rows(gold, predicted)["type"] == nervaluate(gold, predicted, "ent_type")


@settings(max_examples=300, deadline=None)
@given(APART, APART)
def test_mentions_are_nervaluate_s_strict(
    gold: list[tuple[str, int]], predicted: list[tuple[str, int]]
) -> None:
    one, two = ([(kind, WORDS[place]) for kind, place in side] for side in (gold, predicted))
    assert rows(one, two)["mentions"] == nervaluate(one, two, "strict")


@settings(max_examples=300, deadline=None)
@given(APART, APART, st.integers(0, 1))
def test_partial_is_nervaluate_s_where_a_span_overlaps_one_other(
    gold: list[tuple[str, int]], predicted: list[tuple[str, int]], cut: int
) -> None:
    """Spans of two words each against spans of one or two of them. In chains nervaluate depends on the order."""
    one = [(kind, " ".join(WORDS[2 * place : 2 * place + 2])) for kind, place in gold]
    two = [(kind, " ".join(WORDS[2 * place : 2 * place + 2 - cut])) for kind, place in predicted]
    assert rows(one, two)["partial"] == nervaluate(one, two, "partial")


def test_overlap_is_of_places_and_not_of_letters() -> None:
    """Dr Ann Lee and Ann Lee Jones overlap; Ann is no part of Anna."""
    article = "Dr Ann Lee Jones met Anna."
    found = rows([("Person", "Dr Ann Lee")], [("Person", "Ann Lee Jones")], article)
    assert found["lenient"] == Row(1, 1, 1) and found["partial"] == Row(0.5, 1, 1)
    assert rows([("Person", "Ann Lee")], [("Person", "Anna")], article)["lenient"] == Row(0, 1, 1)


def test_the_same_type_is_needed_for_lenient_and_type() -> None:
    found = rows([("Person", "ab cd")], [("Place", "ab")])
    assert found["lenient"].hits == found["type"].hits == 0 and found["partial"].hits == 0.5


def test_a_relation_needs_its_type_and_both_ends() -> None:
    """n2c2: the relation's type equal, both of its ends overlap."""
    article = "Dr Ann Lee leads Orion Works in Oslo."
    gold = spans.place([("Dr Ann Lee", "leads", "Orion Works")], (0, 2), article)
    for predicted, hits in (
        (("Ann Lee", "leads", "Orion"), 1),
        (("Ann Lee", "owns", "Orion"), 0),
        (("Ann Lee", "leads", "Oslo"), 0),
        (("Orion", "leads", "Ann Lee"), 0),
    ):
        assert spans.lenient(gold, spans.place([predicted], (0, 2), article), 0) == Row(hits, 1, 1)


def test_repeats_are_counted_one_by_one() -> None:
    """Gold names Ann twice, the model once: recall 1 of 2, where sets say 1 of 1."""
    assert rows([("Person", "ab"), ("Person", "ab")], [("Person", "ab")])["mentions"] == Row(1, 1, 2)


def test_a_repeated_mention_stands_at_one_place_each() -> None:
    article = "Ann met Bob. Ann Lee left."
    placed = spans.place([("Person", "Ann"), ("Person", "Ann")], (1,), article)
    assert [item.places for item in placed] == [(((0, 3),),), (((13, 16),),)]


def test_without_an_article_containment_stands_for_overlap() -> None:
    found = rows([("T", "New York")], [("T", "York"), ("T", "New")], "")
    assert found["partial"] == Row(0.5, 2, 1) and found["lenient"] == Row(1, 2, 1)


def test_lenient_finds_the_largest_matching() -> None:
    """'ab cd' overlaps both predictions, 'cd ef' only the second: both can be matched, greedily only one."""
    found = rows([("T", "cd ef"), ("T", "ab cd")], [("T", "cd"), ("T", "ab")])
    assert found["lenient"] == Row(2, 2, 2)


@pytest.mark.parametrize("name", ["mentions", "lenient", "type", "partial"])
def test_nothing_against_nothing_is_a_row_of_zeros(name: str) -> None:
    assert rows([], [])[name] == Row(0, 0, 0)
