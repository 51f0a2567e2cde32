"""Quirks of real endpoints over HTTP on loopback: what is no answer is not taken for one, and nothing false is booked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from click.testing import CliRunner

from etlch.cli.data import main
from etlch.core.config import make_settings
from etlch.core.errors import EtlchError, Notice
from etlch.core.records import Json
from etlch.llm import retry
from etlch.llm.endpoint import find_endpoint
from etlch.llm.errors import BadContent
from etlch.llm.refusals import stated_delay
from etlch.llm.store import Store
from tests.fake_server import Fault, Server, serve
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


def refused(message: str, *, status: int = 400, code: Any = None, param: str | None = None) -> web.Response:
    return web.json_response({"error": {"message": message, "code": code, "param": param}}, status=status)


@pytest.mark.parametrize(
    ("content", "result"),
    [
        ("<|channel|>analysis<|message|>Let me see.<|end|><|start|>assistant<|channel|>final<|message|>" + ARTICLE, ARTICLE),
        ("<|channel|>analysis<|message|>Let me see.<|end|>", "lacks a reasoning parser"),
    ],
)  # fmt: skip
def test_harmony_gives_its_final_channel_or_the_reason_why_there_is_none(
    content: str, result: str, tmp_path: Path
) -> None:
    (found,) = answered(tmp_path, lambda: completion(content)).results
    assert found == result if result == ARTICLE else isinstance(found, BadContent) and result in str(found)


@pytest.mark.parametrize(
    "content",
    [
        '{"birthplace": ["Lisbon"]}\n\nI took the place from the first sentence (see [1]).',
        'Here it is: {"birthplace": ["Lisbon"]} Let me know if you need more.',
    ],
)
def test_json_with_prose_around_it_is_taken(content: str, tmp_path: Path) -> None:
    assert answered(tmp_path, lambda: completion(content), typed(0)).results == [{"birthplace": ["Lisbon"]}]


@pytest.mark.parametrize(
    "message",
    [
        "This model's maximum context length is 4096 tokens. However, you requested 4596 tokens (96 in the messages, "
        "4500 in the completion). Please reduce the length of the messages or completion.",
        "max_tokens is too large: 500. This model supports at most 400 completion tokens, whereas you provided 500.",
        "'max_tokens' or 'max_completion_tokens' is too large: 500. This model's maximum context length is 400 tokens",
        "max_tokens: 500 > 400, which is the maximum allowed number of output tokens for this model",
    ],
)
def test_a_longest_answer_that_the_model_cannot_give_stops_the_run_at_once(
    message: str, tmp_path: Path
) -> None:
    with serve(respond=lambda body: refused(message, param="max_tokens")) as server:
        done = ask(settings(server, concurrency=2), tmp_path, [plain(n) for n in range(10)])
        error = done.results[0]
        assert isinstance(error, EtlchError) and message[:40] in error.what
        assert "Lower the setting max_tokens, which is 500 now" in error.hint
        assert len(server.seen) <= 2


def test_a_text_that_is_too_long_is_refused_once_and_the_run_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "run"

    def respond(body: Json) -> web.Response | None:
        long = len(body["messages"]) == 1 and "Boris" in body["messages"][0]["content"]
        return (
            refused("maximum context length is 4096 tokens", code="context_length_exceeded") if long else None
        )

    texts = tmp_path / "texts"
    texts.mkdir()
    for number, name in enumerate(("Anna", "Clara", "Boris", "David")):
        text = f"{name} Rossi was born in Lisbon and moved to Oslo in {1950 + number}. The light was poor."
        (texts / f"{number}.txt").write_text(text)
    with serve(respond=respond) as server:
        arguments = ["generate", "--out", str(out), "--teacher", "m", "--base-url", server.url]
        more = [
            "--articles",
            str(texts),
            "--language",
            "en",
            "--tasks",
            "ner",
            "--sizes",
            "2",
            "--test",
            "1",
            "--concurrency",
            "1",
        ]
        result = CliRunner().invoke(main, [*arguments, *more])
        assert result.exit_code == 0, result.output
        assert sum("Boris" in str(seen.body) for seen in server.seen) == 1  # not three times
    assert "Lower the setting max_tokens" in (out / "rejected.jsonl").read_text()


def test_a_path_that_the_server_does_not_know_stops_the_run_with_a_hint(tmp_path: Path) -> None:
    said = {"error": "Unexpected endpoint or method. (POST /chat/completions)"}  # LM Studio, with status 200
    with serve(respond=lambda body: web.json_response(said)) as server:
        error = ask(settings(server), tmp_path, [plain(0)]).results[0]
        assert isinstance(error, EtlchError) and "Unexpected endpoint" in error.what and "/v1" in error.hint
        assert len(server.seen) == 1


def test_one_401_among_good_answers_is_sent_again_and_two_in_a_row_end_the_run(tmp_path: Path) -> None:
    with serve(Fault("401", match="about 2.", times=1)) as server:
        done = ask(settings(server, concurrency=1), tmp_path / "a", [plain(n) for n in range(4)])
        assert all(isinstance(result, str) for result in done.results)
    with serve(Fault("401", match="about 1.")) as server:
        good, refused_ = ask(settings(server, concurrency=1), tmp_path / "b", [plain(0), plain(1)]).results
        assert isinstance(good, str) and "refuses the key" in str(refused_)
        assert len(server.seen) == 3


@pytest.mark.parametrize("kind", ["503", "502"])
def test_an_endpoint_that_is_still_starting_is_waited_for_and_the_user_told_so(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "OUTAGE", 0.3)
    status = int(kind)
    replies = iter([refused("Loading model", status=status) for _ in range(3)])
    with serve(respond=lambda body: next(replies, None)) as server:
        with pytest.warns(Notice, match=f"no answer from .* last: HTTP {status}: Loading model; waiting"):
            done = ask(settings(server, tries=2), tmp_path, [plain(0)])
        assert isinstance(done.results[0], str) and len(server.seen) == 4


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("Rate limit reached for gpt-4o on tokens per min (TPM). Please try again in 240ms.", 0.24),
        ("Please try again in 1m26.4s. Visit https://platform.openai.com", 86.4),
        ("Requests have exceeded call rate limit. Please retry after 26 seconds.", 26.0),
        ('"retryDelay": "31s"', 31.0),
        ("Please retry in 13.5s", 13.5),
        ("Too many requests", None),
    ],
)
def test_a_wait_that_is_stated_in_words_is_read(words: str, seconds: float | None) -> None:
    assert stated_delay(words.encode()) == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    "cached",
    [
        {"prompt_tokens_details": {"cached_tokens": 800}},
        {"prompt_cache_hit_tokens": 800, "prompt_cache_miss_tokens": 200},
    ],
)
def test_cached_input_is_booked_at_its_own_price(cached: Json, tmp_path: Path) -> None:
    usage = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100, **cached}
    spent = answered(tmp_path / "a", lambda: completion(ARTICLE, usage=usage)).stats.spent
    assert spent == pytest.approx((200 * 0.15 + 800 * 0.075 + 100 * 0.6) / 1e6)  # gpt-4o-mini
    price = {"input": 1.0, "output": 2.0}  # no price of cached input: nothing is given off
    spent = answered(tmp_path / "b", lambda: completion(ARTICLE, usage=usage), price=price).stats.spent
    assert spent == pytest.approx((1000 + 100 * 2) / 1e6)


def test_azures_classic_api_is_sent_its_version_and_its_key_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "azure-key-1234")
    with serve() as server:
        chosen = make_settings(base_url=f"{server.url}?api-version=2024-10-21")
        assert isinstance(ask(chosen, tmp_path, [plain(0)]).results[0], str)
        (seen,) = server.seen
    assert seen.query == {"api-version": "2024-10-21"}
    assert seen.headers["api-key"] == "azure-key-1234"
    assert "authorization" not in map(str.lower, seen.headers)


def test_headers_of_the_settings_are_sent_and_a_secret_is_only_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_KEY", "gate-secret-99")
    headers = {"X-Title": "my data", "X-Api-Key": "$GATEWAY_KEY"}
    with serve() as server:
        assert isinstance(ask(settings(server, headers=headers), tmp_path, [plain(0)]).results[0], str)
        sent = {name.lower(): value for name, value in server.seen[0].headers.items()}
    assert sent["x-title"] == "my data" and sent["x-api-key"] == "gate-secret-99"
    with pytest.raises(EtlchError, match="looks like a secret") as caught:
        find_endpoint(make_settings(headers={"X-Api-Key": "gate-secret-99"}).teacher)
    assert "gate-secret-99" not in str(caught.value)
    with pytest.raises(EtlchError, match=r"\$NOT_SET is not set"):
        find_endpoint(make_settings(headers={"X-Title": "$NOT_SET"}).teacher)


def test_another_model_behind_the_same_name_is_noticed(tmp_path: Path) -> None:
    def named(model: str) -> Any:
        return lambda body: web.json_response(
            {"model": model, "choices": [{"message": {"content": ARTICLE}, "finish_reason": "stop"}]}
        )

    with serve(respond=named("qwen-7b")) as server:
        ask(settings(server), tmp_path, [plain(0)])
        server.respond = named("qwen-1b")
        with pytest.warns(Notice, match="answers as 'qwen-1b' now, and earlier .* 'qwen-7b'"):
            ask(settings(server), tmp_path, [plain(1)])


def generate_arguments(server: Server, out: Path, sizes: int, concurrency: int) -> list[str]:
    """Return the command line of a small run of entities in English."""
    told = f"--language en --tasks ner --sizes {sizes} --test 1 --concurrency {concurrency}".split()
    return ["generate", "--out", str(out), "--teacher", "m", "--base-url", server.url, *told]


def test_what_was_rejected_is_asked_again_once_the_server_is_mended(tmp_path: Path) -> None:
    """All answers are empty at first; later the same command, and then --retry-rejected, are given."""
    thoughts = lambda body: completion(None, message={"reasoning_content": "Let me see."})  # noqa: E731
    with serve(respond=thoughts) as server:
        arguments = generate_arguments(server, tmp_path / "run", sizes=2, concurrency=2)
        first = CliRunner().invoke(main, arguments)
        assert first.exit_code == 1, first.output
        server.respond, posts = None, len(server.seen)
        again = CliRunner().invoke(main, arguments)
        assert again.exit_code == 1 and "--retry-rejected" in again.output
        assert len(server.seen) <= posts + 2 * 3  # what was in flight when the run stopped
        mended = CliRunner().invoke(main, [*arguments, "--retry-rejected"])
        assert mended.exit_code == 0, mended.output
        paid = len(server.seen)
        assert CliRunner().invoke(main, arguments).exit_code == 0 and len(server.seen) == paid
    store = Store(tmp_path / "run/replies.sqlite3", read_only=True)
    assert sum(used.calls for used in store.usage().values()) == paid  # nothing that was paid for is gone
    store.close()


def test_only_what_was_refused_is_asked_again(tmp_path: Path) -> None:
    """The labels of one article fail: the article itself is not paid twice."""
    broken = {"on": True}

    def respond(body: Json) -> web.Response | None:
        text = body["messages"][0]["content"]
        return completion("no JSON") if broken["on"] and "<article>" in text else None

    with serve(respond=respond) as server:
        arguments = generate_arguments(server, tmp_path / "run", sizes=1, concurrency=1)
        assert CliRunner().invoke(main, arguments).exit_code == 1
        broken["on"], posts = False, len(server.seen)
        result = CliRunner().invoke(main, [*arguments, "--retry-rejected"])
        assert result.exit_code == 0, result.output
        assert len(server.seen) == posts + 2  # two labels


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ('data: {"choices": [{"delta": {"content": "The"}}]}', "the endpoint streams"),
        ("", "body is empty"),
        ("upstream sent nothing", "upstream sent nothing"),
    ],
)
def test_a_body_that_is_no_completion_is_shown(body: str, shown: str, tmp_path: Path) -> None:
    done = answered(tmp_path, lambda: web.Response(text=body), tries=2)
    assert isinstance(done.results[0], EtlchError) and shown in done.results[0].what


def test_a_byte_order_mark_before_an_answer_is_passed_over(tmp_path: Path) -> None:
    text = "\ufeff" + (completion(ARTICLE).text or "")
    assert answered(tmp_path, lambda: web.Response(text=text)).results == [ARTICLE]
