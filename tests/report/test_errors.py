"""Kinds of error. Expected kinds are read off each pair of texts by hand."""

from __future__ import annotations

import json

import pytest

from etlch.core.records import Json, Key
from etlch.report.errors import KINDS, MEANINGS, MISSING, SPURIOUS, confusions, find_mistakes, pair_facts
from etlch.tasks import find_task
from etlch.tasks.base import flat_schema
from etlch.tasks.kge import HEADERS

NER = '{"Person": ["Ann Lee"], "Place": ["Oslo", "New York"]}'
KGE = HEADERS["zh-TW"] + "\n甲公司－位於－新竹\n甲公司－創辦人－王小明"


def key(task: str, gold: str, schema: Json = None) -> Key:
    return Key("r1", "a1", task, "zh-TW" if task == "kge" else "en", "", "", gold, schema)


def kinds(task: str, gold: str, predicted: str, schema: Json = None) -> dict[str, int]:
    return dict(find_mistakes(find_task(task), key(task, gold, schema), predicted).kinds)


@pytest.mark.parametrize(
    ("predicted", "expected"),
    [
        (NER, {}),
        ('{"Place": ["New York", "Oslo"], "Person": ["Ann Lee"]}', {}),
        (f"```json\n{NER}\n```", {"fenced": 1}),
        ('{"Person": ["Ann Lee"], "Place": ["Os', {"unparseable": 1, "cut off": 1, "missing": 3}),
        ("I found no entities, sorry about that, really.", {"unparseable": 1, "missing": 3}),
        ('{"Person": ["Ann Lee"], "Place": ["Oslo"]}', {"missing": 1}),
        ('{"Person": ["Ann Lee", "Bob"], "Place": ["Oslo", "New York"]}', {"spurious": 1}),
        ('{"Person": ["Oslo", "Ann Lee"], "Place": ["New York"]}', {"wrong type": 1}),
        ('{"Person": ["Ann"], "Place": ["Oslo", "New York"]}', {"boundary": 1}),
        ('{"Person": ["Ann Lee"], "Place": ["Oslo", "New York"], "Team": ["Red"]}', {"spurious": 1}),
        ('{"Person": [["Ann Lee"]], "Place": ["Oslo", "New York"]}', {"malformed": 1, "missing": 1}),
        ('{"Person": ["Bob"], "Place": ["Oslo", "New York"]}', {"missing": 1, "spurious": 1}),
    ],
)
def test_kinds_of_a_flat_label(predicted: str, expected: dict[str, int]) -> None:
    assert kinds("ner", NER, predicted) == expected


def test_a_key_that_was_not_asked_for_is_extra() -> None:
    schema = flat_schema(["Person", "Place"], required=False)
    predicted = '{"Person": ["Ann Lee"], "Place": ["Oslo", "New York"], "Team": ["Red", "Oslo"]}'
    assert kinds("ner", NER, predicted, schema) == {"extra key": 2}


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["甲公司－位於－新竹", "甲公司－創辦人－王小明"], {}),
        (["新竹－位於－甲公司", "甲公司－創辦人－王小明"], {"reversed": 1}),
        (["甲公司－遷往－新竹", "甲公司－創辦人－王小明"], {"wrong relation": 1}),
        (["甲公司－位於－新竹市", "甲公司－創辦人－王小明"], {"boundary": 1}),
        (["甲公司－位於－新竹", "甲公司－創辦人－王小明", "甲公司－生產"], {"malformed": 1, "cut off": 1}),
        (["甲公司－位於－新竹"], {"missing": 1}),
        (["甲公司－位於－新竹"] * 4 + ["甲公司－創辦人－王小明"], {"repetition loop": 1}),
        (["甲公司－位於－新竹"] * 3 + ["甲公司－創辦人－王小明"], {}),
    ],
)
def test_kinds_of_triples(lines: list[str], expected: dict[str, int]) -> None:
    assert kinds("kge", KGE, "\n".join([HEADERS["zh-TW"], *lines])) == expected


def test_a_text_that_runs_into_a_loop_is_named_so() -> None:
    found = kinds("ner", NER, '{"Person": ["Ann Lee", ' + '"Ann, the one", ' * 200)
    assert found == {"unparseable": 1, "cut off": 1, "repetition loop": 1, "missing": 3}


def test_white_space_at_the_end_is_no_loop() -> None:
    assert "repetition loop" not in kinds("ner", NER, "nothing was found here" + " " * 400 + "\n" * 40)


def test_every_fact_has_exactly_one_place_in_the_pairs() -> None:
    gold = [("A", "x"), ("A", "y"), ("B", "x"), ("B", "zz")]
    predicted = [("B", "y"), ("A", "x"), ("B", "z"), ("C", "q"), ("A", "zz")]
    pairs = pair_facts(gold, predicted, frozenset(), (1,))
    assert sorted(pair.gold for pair in pairs if pair.gold is not None) == [0, 1, 2, 3]
    assert sorted(pair.predicted for pair in pairs if pair.predicted is not None) == [0, 1, 2, 3, 4]
    told = {(pair.gold, pair.predicted): pair.kind for pair in pairs}
    assert told == {
        (0, 1): "",
        (1, 0): "wrong type",
        (3, 4): "wrong type",
        (2, None): "missing",
        (None, 2): "spurious",
        (None, 3): "spurious",
    }


def test_facts_of_four_parts_slip_in_what_stands_in_the_article() -> None:
    """(event, trigger, role, value), of which trigger and value stand there."""
    gold = [("payment", "paid", "payer", "Ann"), ("payment", "paid", "amount", "$3 million")]
    predicted = [
        ("payment", "paid", "payee", "Ann"),
        ("payment", "paid", "amount", "$3"),
        ("a", "b", "c", "d"),
    ]
    told = {
        (pair.gold, pair.predicted): pair.kind for pair in pair_facts(gold, predicted, frozenset(), (1, 3))
    }
    assert told == {(0, 0): "wrong type", (1, 1): "boundary", (None, 2): "spurious"}


def test_a_label_map_compares_under_its_names_and_shows_what_was_written() -> None:
    predicted, schema = (
        '{"PER": ["Ann Lee"], "LOC": ["Oslo", "New York"]}',
        flat_schema(["Person", "Place"], required=False),
    )
    names = {"PER": "Person", "LOC": "Place"}
    found = find_mistakes(find_task("ner"), key("ner", NER, schema), predicted, names)
    assert found.outcome == "right" and found.predicted[0] == ("PER", "Ann Lee")
    back = {name: short for short, name in names.items()}
    assert find_mistakes(find_task("ner"), key("ner", NER, schema), predicted, back).outcome == "right"
    assert kinds("ner", NER, predicted, schema) == {"extra key": 3, "missing": 3}


def test_own_end_markers_are_no_part_of_a_prediction() -> None:
    found = find_mistakes(find_task("ner"), key("ner", NER), NER + "###", {}, ("###",))
    assert found.outcome == "right"


def test_matches_agree_with_the_scorer_in_counting() -> None:
    """Two of three gold facts are right and one of three predicted is wrong: F1 = 2·2/(3+3)."""
    found = find_mistakes(
        find_task("ner"), key("ner", NER), '{"Person": ["Ann Lee"], "Place": ["Oslo", "Rome"]}'
    )
    assert found.matched == 2 and found.f1 == pytest.approx(2 / 3) and found.outcome == "partly"


def test_facts_are_shown_as_written_and_compared_in_their_normal_form() -> None:
    found = find_mistakes(find_task("ner"), key("ner", '{"地點": ["臺 南"]}'), '{"地點": ["台南"]}')
    assert found.gold == (("地點", "臺 南"),) and found.predicted == (("地點", "台南"),)
    assert found.outcome == "right"


def test_nested_labels_are_read_as_paths_and_leaves() -> None:
    gold = json.dumps({"people": [{"name": "Ann", "age": 3}, {"name": "Bob"}]})
    predicted = json.dumps({"people": [{"name": "Bob"}, {"name": "Ann", "age": 4}]})
    found = find_mistakes(find_task("json"), key("json", gold), predicted, nested=True)
    assert found.matched == 2 and found.kinds == {"missing": 1, "spurious": 1}


def test_the_confusion_matrix_has_edges_for_what_has_no_counterpart() -> None:
    predicted = '{"Person": ["Oslo", "Ann Lee"], "Team": ["Red"]}'
    found = confusions(find_mistakes(find_task("ner"), key("ner", NER), predicted))
    assert found == {
        ("Person", "Person"): 1,
        ("Place", "Person"): 1,
        ("Place", MISSING): 1,
        (SPURIOUS, "Team"): 1,
    }


def test_every_kind_has_a_meaning() -> None:
    assert set(MEANINGS) == set(KINDS)
