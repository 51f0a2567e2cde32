"""When a request that fails on its way is sent again, and when an outage has lasted too long."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from etlch.core.records import Json
from etlch.llm.retry import RetryPolicy
from tests.fake_server import serve
from tests.llm.clients import ask, plain, settings


def test_an_outage_is_waited_out_by_the_time_since_the_last_answer() -> None:
    policy = RetryPolicy(tries=3, patience=100)
    policy.sent(0.0)
    assert not policy.is_over(2, 10.0, busy=False)
    assert policy.is_over(3, 10.0, busy=False)  # it never answered: its URL may be wrong
    assert not policy.is_over(3, 10.0, busy=True)  # it says that it is busy
    policy.succeed(50.0)
    assert not policy.is_over(5, 149.0, busy=False)
    assert policy.is_over(5, 150.0, busy=False)
    assert policy.is_over(12, 60.0, busy=False)  # one request fails, others are answered


def test_a_server_that_loads_its_model_is_waited_for(tmp_path: Path) -> None:
    loading = {"error": {"message": "Loading model", "code": 503}}
    replies = iter([web.json_response(loading, status=503) for _ in range(3)])

    def respond(body: Json) -> web.Response | None:
        return next(replies, None)

    with serve(respond=respond) as server:
        done = ask(settings(server, tries=2), tmp_path, [plain(0)])
        assert done.stats.replied == 1 and len(server.seen) == 4
