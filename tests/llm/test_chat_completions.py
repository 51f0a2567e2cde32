"""Bodies, refusals and answers as endpoints really shape them; each shape names the server it comes from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from etlch.core.records import Json
from etlch.llm import chat_completions, refusals
from etlch.llm.errors import BadContent
from etlch.llm.store import Message, Reply, Request
from etlch.tasks import find_task
from etlch.tasks.json_extraction import INSTRUCTION_SCHEMA
from tests.fake_server import Fault, serve
from tests.llm.clients import ask, settings, typed

REQUEST = Request("m", (Message("user", "hi"),), 10, schema={"type": "object"})


@pytest.mark.parametrize(
    ("content", "message", "code", "param"),
    [
        # OpenAI
        ('{"error": {"message": "no", "type": "t", "param": "seed", "code": "c"}}', "no", "c", "seed"),
        # vLLM
        (
            '{"object": "error", "message": "no", "type": "BadRequestError", "param": null, "code": 400}',
            "no",
            "400",
            "",
        ),
        # Ollama
        ('{"error": "model not found"}', "model not found", "", ""),
        # FastAPI, as llama-cpp-python's server
        (
            '{"detail": [{"loc": ["body", "response_format", "type"], "msg": "x"}]}',
            "[{'loc': ['body', 'response_format', 'type'], 'msg': 'x'}]",
            "",
            "",
        ),
        # a proxy
        ("<html>Bad Gateway</html>", "<html>Bad Gateway</html>", "", ""),
        ("", "", "", ""),
    ],
)
def test_a_refusal_is_read_whatever_its_shape(content: str, message: str, code: str, param: str) -> None:
    assert refusals.read_fault(content.encode()) == refusals.Fault(message, code, param)


@pytest.mark.parametrize(
    ("message", "param", "proven", "expected"),
    [
        ("Invalid parameter", "response_format", False, ("json_object", True)),
        (
            "'response_format.type' must be 'json_object'",
            "",
            True,
            ("json_object", True),
        ),  # LM Studio, DeepSeek
        ("[{'loc': ['body', 'response_format', 'type']}]", "", False, ("json_object", True)),
        ("Bad Request", "", False, ("json_object", False)),  # nothing said, nothing proven: worth a try
        ("Bad Request", "", True, None),  # nothing said, but this rung has worked: the record is meant
        ("Your input was flagged", "prompt", True, None),
    ],
)
def test_a_rung_is_left_when_it_is_named_or_was_never_proven(
    message: str, param: str, proven: bool, expected: tuple[str, bool] | None
) -> None:
    found = chat_completions.downgrade(
        chat_completions.EndpointProfile(), REQUEST, refusals.Fault(message, "", param), proven
    )
    assert (found and (found.profile.format, found.named)) == expected


def test_a_record_that_talks_of_seeds_does_not_cost_the_seed() -> None:
    fault = refusals.Fault("The messages are about poppy seed farming", "content_policy", "messages")
    assert chat_completions.downgrade(chat_completions.EndpointProfile(), REQUEST, fault, True) is None


def test_below_the_last_rung_nothing_is_left() -> None:
    fault = refusals.Fault("response_format is not supported", "", "")
    assert (
        chat_completions.downgrade(chat_completions.EndpointProfile(format="prompt"), REQUEST, fault, False)
        is None
    )


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (INSTRUCTION_SCHEMA, True),
        (find_task("kge").answer_schema(()), True),
        (find_task("ner").answer_schema(("Person",)), True),
        (find_task("json").answer_schema(("a", "b")), True),
        (find_task("ner").label_schema(("Person",)), False),  # types may be left out
        (find_task("ner").label_schema(()), False),  # open types
    ],
)
def test_strict_is_sent_for_schemas_that_keep_its_rules(schema: Json, strict: bool) -> None:
    assert chat_completions.is_strict(schema) is strict


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        (
            {"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 3, "completion_tokens": 1}},
            ("x", "stop", 3, 1),
        ),
        ({"choices": [{"message": {"content": "x"}}]}, ("x", "stop", None, None)),
        ({"choices": [{"message": {"content": None, "refusal": "no"}}]}, ("no", "refusal", None, None)),
        ({"choices": [{"message": {"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}}]}, ("ab", "stop", None, None)),
        ({"choices": [{"message": {"content": "", "tool_calls": []}, "finish_reason": "length"}]}, ("", "length", None, None)),
        ({"choices": []}, ("", "empty", None, None)),
        ({"choices": [None]}, ("", "empty", None, None)),
        ({"choices": [{"message": None}], "usage": None}, ("", "stop", None, None)),
        ({"choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": "3", "completion_tokens": -1}}, ("x", "stop", 3, None)),
    ],
)  # fmt: skip
def test_an_answer_is_read_whatever_it_lacks(value: Json, answer: tuple[object, ...]) -> None:
    assert tuple(chat_completions.read_answer(value))[:4] == answer


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b'{"ok": true}', b'{"choices": 1}']
)
def test_a_body_that_is_no_completion_is_broken(content: bytes) -> None:
    with pytest.raises(chat_completions.Broken):
        chat_completions.read_answer(chat_completions.read_body(content))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1}', {"a": 1}),
        ('```json\n{"a": 1}\n```', {"a": 1}),
        ('Sure:\n{"a": 1}', {"a": 1}),
        ('<think>{"b": 2}</think>{"a": 1}', {"a": 1}),
    ],
)
def test_json_is_taken_out_of_its_wrapping(text: str, value: Json) -> None:
    assert chat_completions.answer(Reply("k", text, "stop", 0, 0, None), {"type": "object"}, 9) == value


@pytest.mark.parametrize("finish", ["content_filter", "refusal"])
def test_a_filtered_answer_is_no_answer(finish: str) -> None:
    with pytest.raises(BadContent, match="refused"):
        chat_completions.answer(Reply("k", '{"a": 1}', finish, 0, 0, None), {"type": "object"}, 9)


def test_only_the_first_few_problems_are_told() -> None:
    schema = {"type": "array", "items": {"type": "string"}}
    with pytest.raises(BadContent) as caught:
        chat_completions.answer(Reply("k", json.dumps(list(range(50))), "stop", 0, 0, None), schema, 9)
    assert len(caught.value.reasons) == 5


def test_a_refusal_that_gives_no_reason_costs_a_rung_only_if_the_next_one_helps(tmp_path: Path) -> None:
    with serve(Fault("mute_schema", every=1)) as server:
        done = ask(settings(server, concurrency=1), tmp_path, [typed(n) for n in range(3)])
        assert done.results == [{"birthplace": ["Lisbon"]}] * 3
        sent = [(seen.body.get("response_format") or {}).get("type") for seen in server.seen]
        # The others waiting do not hear of it until an answer has come at the next rung.
        assert sent.count("json_object") == 3 and sent[-1] == "json_object"


def test_an_error_inside_a_200_is_an_error(tmp_path: Path) -> None:
    with serve(Fault("error_200", at=(0,))) as server:
        done = ask(settings(server), tmp_path, [typed(0)])
        assert done.results == [{"birthplace": ["Lisbon"]}] and done.stats.resent == 1
