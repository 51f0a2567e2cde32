"""One record through all metrics: DESIGN's rules on facts, and the shapes of other people's files."""

from __future__ import annotations

import json
from math import isfinite

import pytest

from etlch.core.records import Json, Key
from etlch.metrics.facts import Row
from etlch.metrics.reading import ParseConfig
from etlch.metrics.record import Measures, measure
from etlch.metrics.registry import ROW, metrics_of
from etlch.tasks import find_task

SCHEMA = {"type": "object", "properties": {"name": {"type": "array"}}, "required": ["name"]}
ARTICLE = "台積電成立於1987年，創辦人是張忠謀。"


def of(task: str, gold: str, text: str, language: str = "en", article: str = "", **how: Json) -> Measures:
    schema = SCHEMA if task == "json" else None
    key = Key("1", "a", task, language, "", article, gold, schema)
    return measure(key, text, ParseConfig(find_task(task), **how))


def test_a_fenced_prediction_scores_facts_but_does_not_parse() -> None:
    found = of("json", '{"name": ["Ann"]}', '```json\n{"name": ["Ann"]}\n```')
    assert found.rows["facts"] == Row(1, 1, 1)
    assert found.reading == "fenced"
    assert (found.values["json_parse_ok"], found.values["schema_ok"], found.values["exact"]) == (0, 0, 1)


def test_repaired_text_never_scores() -> None:
    found = of("json", '{"name": ["Ann"]}', '{"name": ["Ann"]')
    assert found.rows["facts"] == Row(0, 0, 1)
    assert found.reading == ""
    assert (found.values["json_repaired_ok"], found.values["json_fenced_ok"]) == (1, 0)


def test_what_does_not_parse_predicts_nothing_and_misses_its_gold() -> None:
    found = of("ner", '{"P": ["Ann", "Bob"]}', "I cannot do that.")
    assert found.rows["facts"] == Row(0, 0, 2)
    assert found.values["facts_f1_macro"] == 0


def test_empty_against_empty_counts_1() -> None:
    found = of("ner", "{}", "{}")
    assert found.rows["facts"] == Row(0, 0, 0)
    assert (found.values["facts_f1_macro"], found.values["exact"]) == (1, 1)


def test_a_number_counts_as_its_json_text_null_as_nothing_a_scalar_as_a_list_of_one() -> None:
    found = of(
        "json", '{"year": ["1987"], "open": ["true"], "x": []}', '{"year": 1987, "open": [true], "x": null}'
    )
    assert found.rows["facts"] == Row(2, 2, 2)
    assert found.values["exact"] == 1


def test_an_object_inside_a_list_is_one_wrong_prediction() -> None:
    found = of("ner", '{"P": ["Ann"]}', '{"P": ["Ann", {"name": "Bob"}, ["x", "y"]]}')
    assert found.rows["facts"] == Row(1, 3, 1)
    assert found.values["json_flat"] == 0


def test_json_exact_asks_for_the_same_keys_too() -> None:
    gold = '{"name": ["Ann"], "city": []}'
    assert of("json", gold, '{"city": [], "name": ["Ann"]}').values["exact"] == 1
    missing = of("json", gold, '{"name": ["Ann"]}')
    assert (missing.rows["facts"], missing.values["exact"]) == (Row(1, 1, 1), 0)
    assert missing.rows["keys"] == Row(1, 1, 2)


HEADER = "【一、三元組格式（主詞－關係－受詞）】\n"


def test_triples_with_other_dashes_a_missing_header_and_broken_lines() -> None:
    gold = HEADER + "冥想－能夠幫助－減少壓力\n台積電－位於－新竹"
    found = of("kge", gold, "冥想 - 能夠幫助 - 減少壓力\n台積電－位於\n台積電-位於-新竹", "zh-TW")
    assert found.rows["facts"] == Row(2, 3, 2)
    assert found.reading == "strict"
    assert "json_parse_ok" not in found.values


@pytest.mark.parametrize(("task", "gold"), [("kge", HEADER + "a－b－c"), ("ner", '{"人物": ["a"]}')])
def test_prose_is_unparseable_and_predicts_nothing_in_every_task(task: str, gold: str) -> None:
    found = of(task, gold, "I cannot do that.\nSorry.", "zh-TW")
    assert (found.reading, found.rows["facts"]) == ("", Row(0, 0, 1))


@pytest.mark.parametrize("text", ["None", "N/A.", "沒有找到任何實體。", "「無」", "[]", "null"])
def test_a_sentence_that_says_none_predicts_nothing_and_is_not_unparseable(text: str) -> None:
    found = of("ner", text, text)
    assert (found.rows["facts"], found.reading, found.values["exact"]) == (Row(0, 0, 0), "none", 1)
    assert of("ner", text, '{"P": ["Ann"]}').rows["facts"] == Row(0, 1, 0)
    assert of("ner", '{"P": ["Ann"]}', text).rows["facts"] == Row(0, 0, 1)


def test_a_label_map_makes_types_of_two_naming_habits_comparable() -> None:
    gold, predicted = '{"疾病": ["flu"]}', '{"dis": ["flu"]}'
    assert of("ner", gold, predicted).rows["facts"] == Row(0, 1, 1)
    assert of("ner", gold, predicted).rows["span"] == Row(1, 1, 1)
    assert of("ner", gold, predicted, label_map={"疾病": "dis"}).rows["facts"] == Row(1, 1, 1)


def test_end_markers_are_no_part_of_facts_and_rouge_but_of_json_parse_ok() -> None:
    found = of("ner", '{"P": ["Ann"]}\n\nEND\n\n', '{"P": ["Ann"]}')
    assert (found.rows["facts"], found.values["rouge_l"]) == (Row(1, 1, 1), 1.0)
    with_marker = of("ner", '{"P": ["Ann"]}', '{"P": ["Ann"]}<|im_end|>')
    assert (with_marker.rows["facts"], with_marker.values["json_parse_ok"]) == (Row(1, 1, 1), 0)


def test_concatenated_objects_score_as_leaves_and_items() -> None:
    gold, predicted = '{"n": "Ann"}{"n": "Bob"}', '{"n": "Bob"}{"n": "Eve"}'
    found = of("json", gold, predicted, nested=True)
    assert found.rows["leaf"] == Row(1, 2, 2)
    assert found.rows["items"] == Row(1, 2, 2)
    assert found.rows["leaf_strict"] == Row(0, 0, 2)
    assert found.values["json_parse_ok"] == 0


def test_a_gold_that_cannot_be_read_has_no_facts_metrics_and_says_why() -> None:
    found = of("ner", '{"P": ["Ann"', '{"P": ["Ann"]}')
    assert "facts" not in found.rows
    assert found.gold_problem


def test_grounded_is_the_share_of_predicted_facts_that_stand_in_the_article() -> None:
    text = '{"組織": ["臺積電", "聯發科"], "年": ["１９８７年"], "人": ["張忠某"]}'
    found = of("ner", "{}", text, "zh-TW", ARTICLE)
    assert found.rows["attribution"] == Row(2, 4, 0)
    triple = of("kge", HEADER + "a－b－c", "台積電－由他創辦－張忠謀\n台積電－在－高雄", "zh-TW", ARTICLE)
    assert triple.rows["attribution"] == Row(1, 2, 0)
    assert "attribution" not in of("ner", "{}", text, "zh-TW").rows


def test_inventions_are_told_apart_by_what_the_article_says() -> None:
    """臺積電 is in the gold; 張忠謀 stands in the article and not in the gold; 聯發科 stands nowhere."""
    text = '{"組織": ["臺積電", "聯發科"], "人": ["張忠謀"]}'
    found = of("ner", '{"組織": ["台積電"]}', text, "zh-TW", ARTICLE)
    assert (found.rows["spurious"], found.rows["hallucinated"]) == (Row(1, 3, 0), Row(1, 3, 0))


def test_grounding_respects_derived_and_one_of_fields() -> None:
    """A perfect answer is grounded in full, whatever its policies let it say."""
    gold = '{"founder": ["張忠謀"], "mood": ["positive"], "age": ["37"]}'
    policies = {"mood": ["positive", "negative"], "age": "derived"}
    assert of("json", gold, gold, "zh-TW", ARTICLE).rows["attribution"] == Row(1, 3, 0)
    assert of("json", gold, gold, "zh-TW", ARTICLE, policies=policies).rows["attribution"] == Row(3, 3, 0)
    other = gold.replace("positive", "mixed")
    assert of("json", gold, other, "zh-TW", ARTICLE, policies=policies).rows["attribution"] == Row(2, 3, 0)


def test_fields_that_the_gold_leaves_empty_are_counted_where_they_stay_empty() -> None:
    """Of cost, rival and year, which the label leaves empty, the prediction fills one."""
    names = ("name", "cost", "rival", "year")
    schema = {"type": "object", "properties": {name: {"type": "array"} for name in names}}
    gold = json.dumps({"name": ["Ann"], "cost": [], "rival": [], "year": []})
    predicted = json.dumps({"name": ["Ann"], "cost": [], "rival": ["Bob"]})
    key = Key("1", "1", "json", "en", "Do it.", "", gold, schema)
    assert measure(key, predicted, ParseConfig(find_task("json"))).rows["empty_fields"] == Row(2, 3, 0)
    assert measure(key, "I cannot.", ParseConfig(find_task("json"))).rows["empty_fields"] == Row(0, 3, 0)


@pytest.mark.parametrize("task", ["json", "ner", "kge"])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "\x00\x07\x1b[31m",
        "\ud800 lone",
        '{"a": "\\ud800"}',
        json.dumps({"\ud800": ["\udfff"]}),
        "[" * 100_000,
        '{"a":' * 100_000,
        "9" * 6_000,
        "[" * 500 + "]" * 500,
        '{"a": [' + "9" * 6_000 + "]}",
        '{"a": [NaN, Infinity, 1e999]}',
        '{"a": ["x"], "a": ["y"]}',
        "－" * 50_000,
        "a－b－c\n" * 5_000,
        "{}" * 20_000,
        "\u202e\u0301\ufeff",
        "<script>alert(1)</script>",
    ],
)
def test_no_prediction_text_is_a_reason_to_refuse(task: str, text: str) -> None:
    gold = HEADER + "a－b－c" if task == "kge" else '{"name": ["Ann"]}'
    for nested in (False, True):
        found = of(task, gold, text, "zh-TW", ARTICLE, nested=nested and task != "kge")
        assert all(map(isfinite, found.values.values()))
        assert found.rows["leaf" if nested and task != "kge" else "facts"].gold == 1


def test_every_metric_of_a_task_is_computed() -> None:
    """A metric that is only listed would vanish from the tables."""
    golds = {
        "json": '{"a": ["Ann Lee"]}',
        "ner": '{"Person": ["Ann Lee"]}',
        "kge": "【1. Triple format (Subject–Relation–Object)】\nAnn Lee – met – Bob",
    }
    for name, gold in golds.items():
        schema = {"type": "object", "properties": {"a": {}}}
        key = Key("1", "1", name, "en", "Do it.", "Ann Lee met Bob.", gold, schema)
        found = measure(key, gold, ParseConfig(find_task(name)))
        columns = {*found.values, *(f"{family}.{part}" for family in found.rows for part in ROW)}
        wanted = {
            column
            for metric in metrics_of(find_task(name))
            if metric.family != "nested_labels" and not metric.name.endswith("_floor")
            for column in metric.columns
        }
        assert wanted - {"cosine"} <= columns, name
