"""Label text ↔ facts, for the three tasks. Expected values are DESIGN's rules worked by hand."""

from __future__ import annotations

import pytest

from etlch.tasks import all_tasks, find_task
from etlch.tasks.kge import HEADERS
from etlch.text.json_text import read_json, schema_problems
from etlch.text.normalize import fact_form, hybrid, squash


def test_the_folder_is_the_registry() -> None:
    assert list(all_tasks()) == ["json", "kge", "ner", "schema"]


@pytest.mark.parametrize(
    ("task", "facts", "keys", "language", "label"),
    [
        (
            "ner",
            [("人物", "王小明"), ("地點", "新竹"), ("人物", "李四")],
            ["人物", "組織", "地點"],
            "zh-TW",
            '{"人物": ["王小明", "李四"], "地點": ["新竹"]}',
        ),
        ("json", [("year", "1987")], ["name", "year"], "en", '{"name": [], "year": ["1987"]}'),
        (
            "kge",
            [("冥想", "能夠幫助", "減少壓力")],
            [],
            "zh-TW",
            HEADERS["zh-TW"] + "\n冥想－能夠幫助－減少壓力",
        ),
        (
            "kge",
            [("Meditation", "can help", "reduce stress")],
            [],
            "en",
            HEADERS["en"] + "\nMeditation – can help – reduce stress",
        ),
    ],
)
def test_a_label_is_rendered_and_read_back(
    task: str, facts: list[tuple[str, ...]], keys: list[str], language: str, label: str
) -> None:
    chosen = find_task(task)
    assert chosen.render(facts, keys, language) == label
    parsed = chosen.parse(label, language, True)
    assert sorted(parsed.facts) == sorted(facts) and parsed.wrong == 0 and parsed.how == "strict"


@pytest.mark.parametrize(
    ("line", "language", "fact"),
    [
        ("a－b－c", "zh-TW", ("a", "b", "c")),
        ("a - b - c", "zh-TW", ("a", "b", "c")),
        ("a-b-c", "zh-TW", ("a", "b", "c")),
        ("x-ray – shows – T-cell", "en", ("x-ray", "shows", "T-cell")),
        ("a | b | c", "en", ("a", "b", "c")),
        ("a—b—c", "zh-CN", ("a", "b", "c")),
        ("a－b", "zh-TW", None),
        ("a－－c", "zh-TW", None),
    ],
)
def test_a_predicted_triple_line(line: str, language: str, fact: tuple[str, ...] | None) -> None:
    parsed = find_task("kge").parse(line, language, False)
    assert parsed.facts == (() if fact is None else (fact,))
    assert parsed.wrong == (1 if fact is None else 0)


def test_gold_is_split_at_its_own_separator_only() -> None:
    assert find_task("kge").parse("a - b - c", "zh-TW", True).wrong == 1
    spaced = find_task("kge").parse("\n甲－乙－丙\n\n丁－戊－己\n", "zh-TW", True)
    assert (len(spaced.facts), spaced.wrong) == (2, 0), "an empty line is no prediction"
    assert find_task("kge").parse("a－b\nc\n", "zh-TW", False).wrong == 2
    prose = find_task("kge").parse("No triple at all.\nSorry.", "en", False)
    assert (prose.facts, prose.wrong, prose.how) == ((), 0, ""), "what holds no separator is no attempt"
    hyphens = find_task("kge").parse("Coca-Cola - made in - Baden-Baden", "en", False)
    assert hyphens.facts == (("Coca-Cola", "made in", "Baden-Baden"),), (
        "a spaced dash parts before a bare one"
    )
    assert find_task("kge").parse("甲－乙－丙】", "zh-TW", True).facts == (("甲", "乙", "丙】"),), "no header"


@pytest.mark.parametrize(
    ("text", "facts", "wrong", "how"),
    [
        ('{"a": ["x", 1987, true, null]}', (("a", "x"), ("a", "1987"), ("a", "true")), 0, "strict"),
        ('{"a": "x"}', (("a", "x"),), 0, "strict"),
        ('{"a": [["x"], {"b": 1}, "y"]}', (("a", "y"),), 2, "strict"),
        ('Sure!\n```json\n{"a": ["x"]}\n```', (("a", "x"),), 0, "fenced"),
        ('Here it is: {"a": ["x"]}', (("a", "x"),), 0, "fenced"),
        ('{"a": ["x"', (), 0, ""),
        ("[" * 100_000, (), 0, ""),
        ("1" * 6_000, (), 0, ""),
        ("", (), 0, ""),
        ("[1, 2]", (), 1, "strict"),
    ],
)
def test_a_flat_prediction(text: str, facts: tuple[tuple[str, ...], ...], wrong: int, how: str) -> None:
    parsed = find_task("json").parse(text, "en", False)
    assert (parsed.facts, parsed.wrong, parsed.how) == (facts, wrong, how)


def test_ner_answers_come_as_a_list_and_labels_as_an_object() -> None:
    ner = find_task("ner")
    answer = {"entities": [{"type": "人物", "mention": "王小明"}]}
    assert schema_problems(answer, ner.answer_schema(["人物"])) == []
    assert schema_problems(answer, ner.answer_schema(["地點"])) != []
    assert ner.facts(answer) == [("人物", "王小明")]


def test_normal_forms() -> None:
    assert fact_form(" 臺 北 市 ") == "台北市"
    assert fact_form("ＡＢ１２ cd") == "AB12 cd"
    assert squash("a b\n\u00e9c\ufffd\ufffd") == squash("ab e\u0301c")


def test_hybrid_tokens() -> None:
    assert hybrid('{"姓名": "Bob 1987年"}') == [
        "{",
        '"',
        "姓",
        "名",
        '"',
        ":",
        '"',
        "Bob",
        "1987",
        "年",
        '"',
        "}",
    ]


def test_strict_reading_wins_over_unwrapping() -> None:
    assert read_json('"```json {} ```"').how == "strict"
