"""The client over real HTTP on loopback: each fault of docs/faults.md, what happens, and what it costs."""

from __future__ import annotations

import asyncio
import time
import traceback
from pathlib import Path

import pytest

from etlch.core.errors import EtlchError
from etlch.core.run_folder import Run
from etlch.llm.client import open_client
from etlch.llm.errors import BadContent
from etlch.llm.store import Store
from tests.fake_server import KEY, Fault, serve
from tests.llm.clients import ask, plain, settings, typed


def spent(folder: Path) -> float:
    store = Store(folder / "replies.sqlite3", read_only=True)
    try:
        return store.spent()
    finally:
        store.close()


def test_an_answer_is_paid_once_and_then_comes_from_the_store(tmp_path: Path) -> None:
    with serve() as server:
        first = ask(settings(server), tmp_path, [plain(n) for n in range(20)])
        again = ask(settings(server), tmp_path, [plain(n) for n in range(25)])
        assert again.results[:20] == first.results
        assert (again.stats.replayed, again.stats.replied) == (20, 5)
        assert server.stats()["posts"] == 25


def test_equal_requests_at_once_are_sent_once(tmp_path: Path) -> None:
    with serve(latency=0.1) as server:
        done = ask(settings(server), tmp_path, [plain(1)] * 8)
        assert len(set(done.results)) == 1
        assert server.stats()["posts"] == 1


@pytest.mark.parametrize("kind", ["500", "503", "reset", "cut", "garbled"])
def test_trouble_on_the_way_is_sent_again_and_is_no_content(kind: str, tmp_path: Path) -> None:
    with serve(Fault(kind, at=(0,))) as server:
        done = ask(settings(server), tmp_path, [typed(0)])
        assert done.results == [{"birthplace": ["Lisbon"]}]
        assert done.stats.resent == 1
        assert server.stats()["posts"] == 2


@pytest.mark.slow
def test_a_stalled_answer_is_given_up_after_the_timeout_and_sent_again(tmp_path: Path) -> None:
    with serve(Fault("stall", at=(0,))) as server:
        done = ask(settings(server, timeout=0.5), tmp_path, [typed(0)])
        assert done.results == [{"birthplace": ["Lisbon"]}]
        assert server.stats()["posts"] == 2


@pytest.mark.parametrize(
    ("kind", "at_reserve"),
    [("500", False), ("429", False), ("reset", True), ("cut", True), ("garbled", True)],
)
def test_only_requests_without_an_answer_are_booked_at_their_reserve(
    kind: str, at_reserve: bool, tmp_path: Path
) -> None:
    with serve() as server:
        ask(settings(server), tmp_path / "a", [typed(0)])
    with serve(Fault(kind, at=(0,))) as server:
        ask(settings(server), tmp_path / "b", [typed(0)])
    extra = spent(tmp_path / "b") - spent(tmp_path / "a")
    # gpt-4o-mini, 0.60 USD per million tokens out: 500 tokens of answer alone are 0.0003 USD.
    assert (0.0003 < extra < 0.0005) if at_reserve else extra == 0.0


def test_after_its_tries_a_request_stops_the_run_and_says_how_to_go_on(tmp_path: Path) -> None:
    with serve(Fault("500", every=1)) as server:
        done = ask(settings(server, tries=2), tmp_path, [plain(0)])
        error = done.results[0]
        assert isinstance(error, EtlchError) and error.code == 2
        assert "2 times in a row" in error.what and "Run the same command again" in error.hint
        assert server.stats()["posts"] == 2


def test_an_endpoint_that_is_not_there_stops_the_run(tmp_path: Path) -> None:
    with serve() as server:
        chosen = settings(server, tries=2)
    done = ask(chosen, tmp_path, [plain(0)])
    error = done.results[0]
    assert isinstance(error, EtlchError) and "127.0.0.1" in error.what
    assert "cannot connect" in error.what
    assert done.stats.spent == 0  # nothing left this machine, so nothing is booked


@pytest.mark.slow
def test_a_429_pauses_every_new_send_once_and_lets_what_is_in_flight_land(tmp_path: Path) -> None:
    with serve(Fault("429", at=(3,), retry_after=1.0), latency=0.2) as server:
        done = ask(settings(server, concurrency=4), tmp_path, [plain(n) for n in range(12)])
        assert all(isinstance(result, str) for result in done.results)
        times = [seen.at for seen in server.seen]
        # Four leave at once, the answers of three are kept, and the others wait out the second.
        assert times[3] - times[0] < 0.15
        assert 0.99 <= times[4] - times[3] < 1.5
        assert times[-1] - times[4] < 2.0  # not a pause for each that waited
        assert server.stats()["posts"] == 13


def test_a_429_without_retry_after_is_backed_off(tmp_path: Path) -> None:
    with serve(Fault("429", at=(0, 1))) as server:
        done = ask(settings(server), tmp_path, [plain(0)])
        assert isinstance(done.results[0], str)
        first, second, third = (seen.at for seen in server.seen)
        assert 0.25 <= second - first < third - second + 0.3  # 0.25–0.5 s, then 0.5–1.0 s


@pytest.mark.slow
def test_a_server_that_limits_its_rate_is_used_up_to_its_limit(tmp_path: Path) -> None:
    with serve(per_second=20.0) as server:
        began = time.monotonic()
        done = ask(settings(server), tmp_path, [plain(n) for n in range(80)])
        took = time.monotonic() - began
    assert all(isinstance(result, str) for result in done.results)
    # 20 are there at the start and 20 come each second: 80 need three seconds.
    assert took < 3 * 2


def test_concurrency_never_exceeds_the_setting(tmp_path: Path) -> None:
    with serve(latency=0.05) as server:
        ask(settings(server, concurrency=3), tmp_path, [plain(n) for n in range(12)])
        times = [seen.at for seen in server.seen]
        assert all(later - earlier >= 0.045 for earlier, later in zip(times, times[3:], strict=False))


def test_a_wait_of_hours_stops_the_run(tmp_path: Path) -> None:
    with serve(Fault("429", every=1, retry_after=7200)) as server:
        error = ask(settings(server), tmp_path, [plain(0)]).results[0]
        assert isinstance(error, EtlchError) and "7200 s" in error.what
        assert server.stats()["posts"] == 1


@pytest.mark.parametrize(
    ("kind", "word", "hint"),
    [
        ("401", "refuses the key", "OPENAI_API_KEY"),
        ("403", "refuses the key", "key_file"),
        ("quota", "quota", "Add credit"),
        ("404", "does not know the model", "--base-url"),
        ("405", "refuses the request (HTTP 405)", "Check --base-url"),
        ("temperature", "refuses temperature", "Remove the setting"),
    ],
)
def test_what_no_waiting_fixes_stops_the_run_at_once(kind: str, word: str, hint: str, tmp_path: Path) -> None:
    with serve(Fault(kind, every=1), latency=0.05) as server:
        done = ask(settings(server, concurrency=2), tmp_path, [plain(n) for n in range(20)])
        assert all(isinstance(result, EtlchError) for result in done.results)
        error = done.results[0]
        assert word in error.what and hint in error.hint and error.code == 2
        assert server.stats()["posts"] <= 2


@pytest.mark.parametrize(("status", "word"), [("400", "flagged"), ("413", "too large")])
def test_a_400_rejects_its_record_and_the_run_goes_on(status: str, word: str, tmp_path: Path) -> None:
    poison = typed(7)
    with serve(Fault(status, match="born (7)")) as server:
        done = ask(settings(server, concurrency=1), tmp_path, [typed(1), poison, typed(2)])
        assert isinstance(done.results[1], BadContent) and word in done.results[1].reasons[0]
        assert done.results[0] == done.results[2] == {"birthplace": ["Lisbon"]}
        assert server.stats()["posts"] == 3  # not sent again, and the ladder is not left for it


@pytest.mark.parametrize(
    ("fault", "formats"),
    [("no_schema", ["json_schema", "json_object"]), ("no_format", ["json_schema", "json_object", None])],
)
def test_the_ladder_is_left_at_the_first_refusal_and_the_rung_remembered(
    fault: str, formats: list[str | None], tmp_path: Path
) -> None:
    with serve(Fault(fault, every=1)) as server:
        chosen = settings(server, concurrency=1)
        done = ask(chosen, tmp_path, [typed(n) for n in range(4)])
        assert done.results == [{"birthplace": ["Lisbon"]}] * 4
        ask(chosen, tmp_path, [typed(n) for n in range(4, 6)])  # another process would read the same store
        sent = [(seen.body.get("response_format") or {}).get("type") for seen in server.seen]
        assert sent == [*formats, *[formats[-1]] * 5]


def test_after_an_answer_a_refused_format_costs_only_its_own_request_a_rung(tmp_path: Path) -> None:
    with serve(Fault("no_schema", match="born (7)")) as server:
        done = ask(settings(server, concurrency=1), tmp_path, [typed(1), typed(7), typed(2)])
        assert done.results == [{"birthplace": ["Lisbon"]}] * 3
        sent = [seen.body["response_format"]["type"] for seen in server.seen]
        assert sorted(sent) == ["json_object", "json_schema", "json_schema", "json_schema"]


def test_a_schema_is_sent_strict_and_named_in_the_prompt_below_the_first_rung(tmp_path: Path) -> None:
    with serve(Fault("no_schema", every=1)) as server:
        ask(settings(server), tmp_path, [typed(0)])
        strict, loose = (seen.body for seen in server.seen)
        assert strict["response_format"]["json_schema"]["strict"] is True
        assert "JSON Schema" not in strict["messages"][0]["content"]
        assert '"birthplace"' in loose["messages"][0]["content"]


@pytest.mark.parametrize(
    ("fault", "gone", "there"),
    [("no_seed", "seed", "max_tokens"), ("new_limit", "max_tokens", "max_completion_tokens")],
)
def test_a_refused_parameter_is_left_out_and_that_is_remembered(
    fault: str, gone: str, there: str, tmp_path: Path
) -> None:
    with serve(Fault(fault, every=1)) as server:
        chosen = settings(server, concurrency=1)
        assert isinstance(ask(chosen, tmp_path, [plain(0)]).results[0], str)
        assert isinstance(ask(chosen, tmp_path, [plain(1)]).results[0], str)
        bodies = [seen.body for seen in server.seen]
        assert [gone in body for body in bodies] == [True, False, False]
        assert all(there in body for body in bodies[1:])


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("invalid_json", "not JSON"),
        ("wrong_schema", "birthplace"),
        ("refusal", "refused"),
        ("empty", "empty"),
        ("empty_choices", "empty"),
        ("length", "cut off at the limit of 500 tokens"),
    ],
)
def test_bad_content_is_paid_kept_and_said_with_its_reason(kind: str, reason: str, tmp_path: Path) -> None:
    with serve(Fault(kind, every=1)) as server:
        first = ask(settings(server), tmp_path, [typed(0)]).results[0]
        second = ask(settings(server), tmp_path, [typed(0)])
        assert isinstance(first, BadContent) and reason in " ".join(first.reasons)
        assert isinstance(second.results[0], BadContent) and second.stats.replayed == 1
        assert server.stats()["posts"] == 1


def test_a_code_fence_around_json_is_taken_off(tmp_path: Path) -> None:
    with serve(Fault("fenced", every=1)) as server:
        assert ask(settings(server), tmp_path, [typed(0)]).results == [{"birthplace": ["Lisbon"]}]


@pytest.mark.slow
def test_a_budget_is_never_passed_and_running_out_says_so(tmp_path: Path) -> None:
    with serve(latency=0.02) as server:
        chosen = settings(server, budget=0.004, concurrency=8)
        done = ask(chosen, tmp_path, [plain(n) for n in range(200)])
        stopped = [result for result in done.results if isinstance(result, EtlchError)]
        assert stopped and "budget" in stopped[0].what and "larger budget" in stopped[0].hint
        # By hand: a plain request reserves under 80 bytes in and 500 tokens out, under 0.00032 USD.
        assert 0.004 - 0.00032 < done.stats.spent <= 0.004
        assert spent(tmp_path) == pytest.approx(done.stats.spent)
        more = ask(settings(server, budget=0.006, concurrency=8), tmp_path, [plain(n) for n in range(200)])
        assert 0.006 - 0.00032 < more.stats.spent <= 0.006


def test_a_budget_without_a_price_refuses_to_start(tmp_path: Path) -> None:
    with serve() as server, pytest.raises(EtlchError, match="no price is known"):
        ask(settings(server, teacher="mystery-7b", budget=1.0), tmp_path, [plain(0)])


def test_the_key_is_in_no_file_error_or_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-wrong-abcdefghijkl")
    with serve(key=KEY) as server:
        error = ask(settings(server), tmp_path / "a", [plain(0)]).results[0]
        assert isinstance(error, EtlchError) and "[key]" in error.what
        shown = "".join(traceback.format_exception(error)) + repr(error)
        assert "sk-wrong-abcdefghijkl" not in shown
        key_file = tmp_path / "key"
        key_file.write_text(KEY + "\n")
        done = ask(settings(server, key_file=str(key_file)), tmp_path / "b", [plain(0)])
        assert isinstance(done.results[0], str)
    for path in (tmp_path / "b").rglob("*"):
        assert KEY.encode() not in path.read_bytes()


def test_a_second_process_on_a_run_is_refused(tmp_path: Path) -> None:
    async def run() -> None:
        first, second = (open_client(settings(server).teacher, Run(tmp_path)) for _ in range(2))
        async with first, second:
            pass

    with serve() as server, pytest.raises(EtlchError, match="another process is working"):
        asyncio.run(run())


@pytest.mark.slow
def test_a_cancelled_run_keeps_what_lands_within_its_grace_and_books_the_rest(tmp_path: Path) -> None:
    with serve(Fault("stall", at=(0,)), latency=0.3) as server:

        async def run() -> float:
            async with open_client(settings(server, concurrency=4).teacher, Run(tmp_path)) as client:
                asking = asyncio.gather(*(client.ask(plain(n)) for n in range(20)))
                while server.stats()["posts"] < 4:
                    await asyncio.sleep(0.01)
                asking.cancel()
                began = time.monotonic()
            return time.monotonic() - began

        assert asyncio.run(run()) < 2.0
        again = ask(settings(server), tmp_path, [plain(n) for n in range(20)])
        assert again.stats.replayed == 3
        assert server.stats()["posts"] == 4 + 17
    store = Store(tmp_path / "replies.sqlite3", read_only=True)
    replies = sum(item.cost for item in store.usage().values())
    # One stalled request stays booked: 500 tokens out at 0.60 USD per million, and its bytes.
    assert 0.0003 < store.spent() - replies < 0.00032
    store.close()


@pytest.mark.slow
def test_limits_of_requests_per_minute_are_kept(tmp_path: Path) -> None:
    with serve() as server:
        # 1,200 a minute: one at once, then twenty a second; 41 take two seconds.
        began = time.monotonic()
        ask(settings(server, requests_per_minute=1200), tmp_path, [plain(n) for n in range(41)])
        assert time.monotonic() - began >= 1.9


def test_an_endpoint_that_counts_no_tokens_is_booked_at_the_reserve(tmp_path: Path) -> None:
    with serve(Fault("no_usage", every=1)) as server:
        done = ask(settings(server), tmp_path, [plain(0)])
    # 500 tokens of answer at 0.60 USD per million, and the bytes of a short prompt.
    assert 0.0003 < done.stats.spent < 0.00032
    assert spent(tmp_path) == pytest.approx(done.stats.spent)


def test_without_a_price_nothing_is_counted(tmp_path: Path) -> None:
    with serve() as server:
        chosen = settings(server, teacher="mystery-7b")
        done = ask(chosen, tmp_path, [plain(0)])
        assert done.stats.spent == 0.0 and done.stats.output_tokens > 0
