"""json_parse_ok and its neighbours on the pitfalls of json.loads, one by one."""

from __future__ import annotations

import json

import pytest

from etlch.metrics.json_form import Form, form
from etlch.text.json_text import read_json


def of(text: str) -> Form:
    return form(text, read_json(text))


@pytest.mark.parametrize(
    ("text", "parses", "fenced", "repaired", "is_object", "is_flat"),
    [
        ('{"a": ["x"]}', 1, 1, 1, 1, 1),
        ('  {"a": "x"}\n', 1, 1, 1, 1, 1),
        ('{"a": [{"b": 1}]}', 1, 1, 1, 1, 0),
        ('{"a": {"b": 1}}', 1, 1, 1, 1, 0),
        ("[1, 2]", 1, 1, 1, 0, 0),
        ("123", 1, 1, 1, 0, 0),
        ("null", 1, 1, 1, 0, 0),
        ('"text"', 1, 1, 1, 0, 0),
        ("NaN", 1, 1, 1, 0, 0),
        ('{"a": 1e999}', 1, 1, 1, 1, 1),
        ('{"a": 1, "a": 2}', 1, 1, 1, 1, 1),
        ('{"a": "\\ud800"}', 1, 1, 1, 1, 1),
        ('```json\n{"a": ["x"]}\n```', 0, 1, 1, 0, 0),
        ('Sure! Here it is: {"a": ["x"]}', 0, 1, 1, 0, 0),
        ('{"a": ["x", "y', 0, 0, 1, 0, 0),
        ("{'a': ['x']}", 0, 0, 1, 0, 0),
        ('{"a": ["x"],}', 0, 0, 1, 0, 0),
        ('{"a": "line\nbreak"}', 0, 0, 1, 0, 0),
        ("", 0, 0, 0, 0, 0),
        ("I cannot do that.", 0, 0, 0, 0, 0),
        ("[" * 100_000, 0, 0, 0, 0, 0),
        ('{"a":' * 100_000, 0, 0, 0, 0, 0),
        ("9" * 6_000, 0, 0, 0, 0, 0),
        ('{"a": "\x00"}', 0, 0, 1, 0, 0),
        ("\ufeff{}", 0, 1, 1, 0, 0),
    ],
)
def test_each_question_is_answered_as_json_loads_answers(
    text: str, parses: int, fenced: int, repaired: int, is_object: int, is_flat: int
) -> None:
    assert of(text) == Form(*map(bool, (parses, fenced, repaired, is_object, is_flat)))
    try:
        json.loads(text)
        loads = True
    except (ValueError, RecursionError):
        loads = False
    assert of(text).parses == loads


def test_a_runaway_answer_is_not_offered_to_the_repairer() -> None:
    assert not of('{"a": ["b", ' + '"c", ' * 2_000).repaired
