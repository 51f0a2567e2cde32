"""Values of a field are compared by the rule that `compare` names, and by nothing looser."""

from __future__ import annotations

from pathlib import Path

import pytest

from etlch.core.errors import EtlchError
from etlch.core.records import Key
from etlch.core.settings import ScoreSettings
from etlch.metrics.comparators import parse_rules
from etlch.metrics.facts import Row
from etlch.metrics.reading import ParseConfig
from etlch.metrics.record import measure
from etlch.scoring.score import score
from etlch.tasks import find_task
from tests.scoring.scoring_case import write_lines


@pytest.mark.parametrize(
    ("rule", "gold", "predicted", "equal"),
    [
        ("exact", "March 5, 2024", "2024-03-05", False),
        ("normalised", "March 5, 2024", "2024-03-05", True),
        ("date", "March 5, 2024", "2024-03-05", True),
        ("date", "民國113年3月5日", "2024-03-05", True),
        ("date", "spring", "Spring", False),
        ("normalised", "spring", "Spring", True),
        ("number", "1,200", "1200", True),
        ("number", "一千二百", "1200", True),
        ("number", "1200", "1201", False),
        ("number±1", "1200", "1201", True),
        ("number±1", "1200", "1201.5", False),
        ("number+-1%", "1200", "1212", True),
        ("number±1%", "1200", "1213", False),
        ("number±5", "3 of 4", "3 of 4 men", False),
        ("fuzzy≥0.9", "the old harbour bridge", "the old harbor bridge", True),
        ("fuzzy>=0.99", "the old harbour bridge", "the old harbor bridge", False),
    ],
)
def test_a_rule_compares_as_it_says(rule: str, gold: str, predicted: str, equal: bool) -> None:
    assert parse_rules({"field": rule})["field"].equal(gold, predicted) is equal


def test_fuzzy_is_the_indel_similarity() -> None:
    """harbour against harbor: LCS 6 of 7 + 6 letters, 12/13 = 0.923."""
    assert parse_rules({"f": "fuzzy≥0.923"})["f"].equal("harbour", "harbor")
    assert not parse_rules({"f": "fuzzy≥0.924"})["f"].equal("harbour", "harbor")


@pytest.mark.parametrize(
    "rule", ["near", "number±", "fuzzy", "exact±1", "date≥0.9", "number±1.2.3", "fuzzy≥0.9 or so"]
)
def test_a_rule_that_is_none_is_named(rule: str) -> None:
    with pytest.raises(EtlchError, match=f"compare: amount: there is no rule '{rule}'"):
        parse_rules({"amount": rule})


def rows(
    task: str, gold: str, predicted: str, compare: dict[str, str], *, nested: bool = False
) -> dict[str, Row]:
    key = Key("1", "1", task, "en", "Do it.", "", gold, None)
    config = ParseConfig(find_task(task), nested=nested, compare=parse_rules(compare))
    return measure(key, predicted, config).rows


def test_every_metric_of_facts_counts_by_the_rules_of_a_field() -> None:
    gold = '{"amount": ["1,200"], "name": ["Ann"]}'
    predicted = '{"amount": ["1200"], "name": ["ann"]}'
    assert rows("json", gold, predicted, {})["facts"] == Row(0, 2, 2)
    found = rows("json", gold, predicted, {"amount": "number"})
    assert found["facts"] == found["facts_strict"] == Row(1, 2, 2)


def test_a_gold_value_is_taken_once() -> None:
    found = rows("json", '{"amount": ["1200"]}', '{"amount": ["1201", "1199"]}', {"amount": "number±2"})
    assert found["facts"] == Row(1, 2, 1)


def test_a_part_a_type_and_a_relation_can_be_named() -> None:
    header = "【1. Triple format (Subject–Relation–Object)】\n"
    one, two = f"{header}Ann Lee – met – Bob", f"{header}Ann Lee – Met – Bob"
    assert rows("kge", one, two, {"relation": "normalised"})["facts"] == Row(1, 1, 1)
    assert rows("kge", one, one.replace("Bob", "bob"), {"met": "normalised"})["facts"] == Row(1, 1, 1)
    assert (
        rows("ner", '{"Date": ["5 March 2024"]}', '{"Date": ["2024-03-05"]}', {"Date": "date"})["facts"].hits
        == 1
    )


def test_a_leaf_of_nested_json_is_named_by_its_last_key_or_its_path() -> None:
    gold = '{"items": [{"price": {"net": "1,200"}}, {"price": {"net": "5"}}]}'
    predicted = '{"items": [{"price": {"net": 1200}}, {"price": {"net": 6}}]}'
    for name in ("net", "items/price/net"):
        assert rows("json", gold, predicted, {name: "number"}, nested=True)["leaf"] == Row(1, 2, 2)


def test_the_setting_reaches_the_scores_and_the_signature(tmp_path: Path) -> None:
    row = {"prompt": "p", "label": '{"amount": ["1,200"]}', "predict": '{"amount": ["1200"]}'}
    path = write_lines(tmp_path / "m.jsonl", [row, {**row, "prompt": "q"}])
    told = ScoreSettings(
        task="json",
        cosine="off",
        resamples=10,
        workers=1,
        metrics=("facts_f1",),
        compare={"amount": "number"},
    )
    summary = score([path], told).summary
    assert summary.scores[0].value == 1.0 and "facts:set+nfkc+compare" in summary.signature
    with pytest.raises(EtlchError, match="there is no rule 'near'"):
        score([path], ScoreSettings(compare={"amount": "near"}))
