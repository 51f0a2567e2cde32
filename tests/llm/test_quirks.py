"""Quirks of real endpoints over HTTP on loopback: what is no answer is not taken for one, and nothing false is booked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from click.testing import CliRunner

from etlch.cli.data import main
from etlch.core.records import Json
from etlch.llm.errors import BadContent
from tests.fake_server import serve
from tests.llm.clients import ask, plain, settings, typed

ARTICLE = "The bridge opened in 1932."


def completion(content: Any, *, finish: Any = "stop", usage: Json = None, **more: Any) -> web.Response:
    """A chat completion with whatever an endpoint puts into it."""
    choice = {
        "message": {"role": "assistant", "content": content, **more.pop("message", {})},
        "finish_reason": finish,
    }
    used = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15} if usage is None else usage
    return web.json_response({"choices": [{**choice, **more}], "usage": used})


def answered(folder: Path, response: Any, request: Any = None, **chosen: Any) -> Any:
    with serve(respond=lambda body: response()) as server:
        return ask(settings(server, **chosen), folder, [request or plain(0)])


@pytest.mark.parametrize(
    "thoughts",
    [
        "<think>Let me see.</think>",
        "Let me see. The user wants a bridge.</think>",
        "<thinking>Let me see.</thinking>",
        "<reasoning>Let me see.</reasoning>",
        "[THINK]Let me see.[/THINK]",
        "◁think▷Let me see.◁/think▷",
    ],
)
def test_thoughts_in_any_tag_and_before_a_lone_closing_one_are_taken_off(
    thoughts: str, tmp_path: Path
) -> None:
    done = answered(tmp_path, lambda: completion(f"{thoughts}\n\n{ARTICLE}"))
    assert done.results == [ARTICLE]


def test_thoughts_that_are_not_closed_are_no_article(tmp_path: Path) -> None:
    (result,) = answered(tmp_path, lambda: completion(f"<think>Let me see. {ARTICLE}")).results
    assert isinstance(result, BadContent) and "not closed: raise max_tokens" in str(result)


@pytest.mark.parametrize(
    "finish", ["error", "insufficient_system_resource", "abort", "SAFETY", "model_length", "MAX_TOKENS"]
)
def test_an_answer_that_ended_for_another_reason_than_stop_is_not_whole(finish: str, tmp_path: Path) -> None:
    (result,) = answered(tmp_path, lambda: completion("The bridge ope", finish=finish)).results
    assert isinstance(result, BadContent)
    assert finish in str(result) or "cut off" in str(result)


@pytest.mark.parametrize("finish", ["stop", "STOP", None, "eos_token", "end_turn"])
def test_every_word_for_the_end_of_an_answer_is_one(finish: str | None, tmp_path: Path) -> None:
    assert answered(tmp_path, lambda: completion(ARTICLE, finish=finish)).results == [ARTICLE]


def test_an_answer_in_the_field_for_thoughts_is_told_apart_from_an_empty_one(tmp_path: Path) -> None:
    response = lambda: completion(None, message={"reasoning_content": ARTICLE})  # noqa: E731
    (result,) = answered(tmp_path, response).results
    assert isinstance(result, BadContent) and "reasoning_content" in str(result)


def test_an_error_inside_a_choice_is_sent_again_and_its_half_text_is_not_kept(tmp_path: Path) -> None:
    replies = iter([completion("The bri", finish="error", error={"code": 502, "message": "provider failed"})])
    with serve(respond=lambda body: next(replies, None)) as server:
        done = ask(settings(server), tmp_path, [plain(0)])
        assert done.stats.resent == 1 and done.stats.replied == 1
        assert len(server.seen) == 2 and done.results[0] != "The bri"


def test_an_error_beside_empty_choices_costs_nothing(tmp_path: Path) -> None:
    error = {"choices": None, "error": {"code": 503, "message": "overloaded"}}
    replies = iter([web.json_response(error)])
    with serve(respond=lambda body: next(replies, None)) as server:
        done = ask(settings(server), tmp_path, [plain(0)])
        tokens = done.stats.input_tokens * 0.15e-6 + done.stats.output_tokens * 0.6e-6
        assert done.stats.resent == 1 and done.stats.spent == pytest.approx(tokens)


def test_a_page_of_html_costs_nothing_and_its_first_words_are_shown(tmp_path: Path) -> None:
    page = "<!DOCTYPE html><html><title>Sign in</title></html>"
    done = answered(tmp_path, lambda: web.Response(text=page, content_type="text/html"), tries=2)
    assert "a page of HTML" in str(done.results[0]) and "Sign in" in str(done.results[0])
    assert done.stats.spent == 0


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 5000}, (1000, 4000)),
        ({"prompt_tokens": 1000.0, "completion_tokens": 100.0}, (1000, 100)),
        ({"prompt_tokens": "1000", "completion_tokens": "100", "total_tokens": None}, (1000, 100)),
    ],
)
def test_the_account_takes_every_dialect_of_usage_and_reasoning_that_only_the_total_counts(
    usage: Json, tokens: tuple[int, int], tmp_path: Path
) -> None:
    stats = answered(tmp_path, lambda: completion(ARTICLE, usage=usage)).stats
    assert (stats.input_tokens, stats.output_tokens) == tokens
    assert stats.spent == pytest.approx(tokens[0] * 0.15e-6 + tokens[1] * 0.6e-6)  # gpt-4o-mini, US dollars


def test_a_quota_per_minute_in_the_words_of_a_spent_one_is_waited_for(tmp_path: Path) -> None:
    error = {
        "code": 429,
        "message": "You exceeded your current quota, please check your plan and billing details.",
        "status": "RESOURCE_EXHAUSTED",
        "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.2s"}],
    }
    replies = iter([web.json_response([{"error": error}], status=429)])
    with serve(respond=lambda body: next(replies, None)) as server:
        done = ask(settings(server), tmp_path, [plain(0)])
        assert done.stats.replied == 1 and len(server.seen) == 2


def test_a_403_of_moderation_rejects_its_record_and_the_run_goes_on(tmp_path: Path) -> None:
    error = {
        "error": {"code": 403, "message": "Your chosen model requires moderation and your input was flagged"}
    }
    replies = iter([web.json_response(error, status=403)])
    with serve(respond=lambda body: next(replies, None)) as server:
        done = ask(settings(server, concurrency=1), tmp_path, [plain(0), plain(1)])
    assert isinstance(done.results[0], BadContent) and "flagged" in str(done.results[0])
    assert isinstance(done.results[1], str)


def test_a_404_for_parameters_costs_a_rung_and_not_the_run(tmp_path: Path) -> None:
    error = {"error": {"code": 404, "message": "No endpoints found that support the requested parameters"}}

    def respond(body: Json) -> web.Response | None:
        formed = (body.get("response_format") or {}).get("type") == "json_schema"
        return web.json_response(error, status=404) if formed else None

    with serve(respond=respond) as server:
        assert ask(settings(server), tmp_path, [typed(0)]).results == [{"birthplace": ["Lisbon"]}]


def test_further_parameters_are_sent_and_belong_to_the_key(tmp_path: Path) -> None:
    more = {"reasoning_effort": "low", "chat_template_kwargs": {"enable_thinking": False}}
    with serve() as server:
        done = ask(settings(server), tmp_path, [replace(plain(0), extra=more), plain(0)])
        assert done.stats.replied == 2
        bodies = [seen.body for seen in server.seen]
    assert sum(body.get("reasoning_effort") == "low" for body in bodies) == 1
    assert sum(body.get("chat_template_kwargs") == {"enable_thinking": False} for body in bodies) == 1
    assert all(body["model"] == "gpt-4o-mini" for body in bodies)


def test_a_run_whose_first_ten_candidates_fail_alike_stops_and_names_the_setting(tmp_path: Path) -> None:
    with serve(respond=lambda body: completion("The bri", finish="length")) as server:
        arguments = ["generate", "--out", str(tmp_path / "run"), "--teacher", "m", "--base-url", server.url]
        more = ["--language", "en", "--sizes", "100", "--test", "50", "--concurrency", "2"]
        result = CliRunner().invoke(main, [*arguments, *more])
        assert result.exit_code == 1, result.output
        assert "rejected alike" in result.output and "Raise `max_tokens`" in result.output
        assert len(server.seen) <= 3 * (10 + 2)  # three attempts each, and two candidates in flight


def test_extra_body_reaches_the_endpoint_from_a_settings_file(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text("extra_body: {top_p: 0.9}\n", encoding="utf-8")
    with serve() as server:
        arguments = ["generate", "--out", str(tmp_path / "run"), "--teacher", "m", "--base-url", server.url]
        more = ["--language", "en", "--sizes", "1", "--test", "1", "--tasks", "ner", "--settings", str(file)]
        result = CliRunner().invoke(main, [*arguments, *more])
        assert result.exit_code == 0, result.output
        assert {seen.body.get("top_p") for seen in server.seen} == {0.9}


def test_a_temperature_of_0_that_is_refused_in_words_only_is_left_out(tmp_path: Path) -> None:
    error = {
        "error": {
            "message": "Unsupported value: temperature does not support 0.0 with this model",
            "code": 400,
        }
    }

    def respond(body: Json) -> web.Response | None:
        return web.json_response(error, status=400) if "temperature" in body else None

    with serve(respond=respond) as server:
        done = ask(settings(server), tmp_path, [replace(plain(0), temperature=0.0)])
        assert isinstance(done.results[0], str) and "temperature" not in server.seen[-1].body


def test_a_token_limit_that_is_refused_in_other_words_gets_its_new_name(tmp_path: Path) -> None:
    error = {
        "error": {
            "message": "max_tokens is not supported; this model takes max_completion_tokens",
            "code": 400,
        }
    }

    def respond(body: Json) -> web.Response | None:
        return web.json_response(error, status=400) if "max_tokens" in body else None

    with serve(respond=respond) as server:
        done = ask(settings(server), tmp_path, [plain(0)])
        assert isinstance(done.results[0], str) and server.seen[-1].body["max_completion_tokens"] == 500
