"""The Batch API over real HTTP: the same answers as single requests, half the price, resumed, never paid twice."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from etlch.core.config import make_settings
from etlch.core.errors import EtlchError
from etlch.core.run_folder import Run
from etlch.llm import batch
from etlch.llm.client import open_client
from etlch.llm.rate_limit import BATCH_MOST, limiter
from etlch.llm.store import Store
from tests.fake_server import KEY, Server, serve
from tests.llm.clients import ask, plain, settings, typed

pytestmark = pytest.mark.filterwarnings("ignore::etlch.core.errors.Notice")
REQUESTS = [plain(1), plain(2), typed(1), typed(2)]


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "QUIET", 0.02)
    monkeypatch.setattr(batch, "FIRST_POLL", 0.01)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


@pytest.fixture
def server() -> Iterator[Server]:
    with serve() as found:
        yield found


def kept(folder: Path) -> dict[str, tuple[str, str]]:
    store = Store(Run(folder).replies)
    try:
        rows = [store.get(request.key) for request in REQUESTS]
        return {row.key: (row.text, row.finish) for row in rows if row}
    finally:
        store.close()


def spent(folder: Path) -> float:
    store = Store(Run(folder).replies)
    try:
        return store.spent()
    finally:
        store.close()


def test_a_batch_gives_the_answers_of_single_requests_at_half_the_price(
    server: Server, tmp_path: Path
) -> None:
    single = ask(settings(server), tmp_path / "single", REQUESTS)
    whole = ask(settings(server, batch=True), tmp_path / "batch", REQUESTS)
    assert whole.results == single.results and server.submitted == [4]
    assert kept(tmp_path / "batch") == kept(tmp_path / "single")
    assert spent(tmp_path / "batch") == pytest.approx(spent(tmp_path / "single") / 2)
    # What is on file is not asked again, in either way.
    again = ask(settings(server), tmp_path / "batch", REQUESTS)
    assert again.results == single.results and again.stats.replied == 0


def test_a_stopped_session_s_batch_is_fetched_by_the_next_and_not_paid_again(
    server: Server, tmp_path: Path
) -> None:
    server.hold = True

    async def stopped() -> None:
        async with open_client(settings(server, batch=True).teacher, Run(tmp_path)) as client:
            asked = [asyncio.create_task(client.ask(request)) for request in REQUESTS]
            while not server.submitted:
                await asyncio.sleep(0.01)
            for task in asked:
                task.cancel()

    asyncio.run(stopped())
    assert server.submitted == [4] and not kept(tmp_path)
    server.hold = False
    some = ask(
        settings(server, batch=True), tmp_path, REQUESTS[:1]
    )  # the other answers wait for their askers
    assert some.stats.replied == 1
    done = ask(settings(server, batch=True), tmp_path, REQUESTS)
    assert done.stats.replied == 3 and server.submitted == [4]
    assert max(server.answered.values()) == 1
    alone = ask(settings(server, batch=True), tmp_path / "other", REQUESTS)
    assert spent(tmp_path) == pytest.approx(spent(tmp_path / "other")) and done.results == alone.results


def test_what_an_expired_batch_did_not_process_is_asked_again(server: Server, tmp_path: Path) -> None:
    server.batch_ends = ("expired",)
    done = ask(settings(server, batch=True), tmp_path, REQUESTS)
    assert done.stats.replied == 4 and sum(server.submitted) == 6
    assert max(server.answered.values()) == 1


def test_a_batch_that_the_endpoint_refuses_stops_with_its_words(server: Server, tmp_path: Path) -> None:
    server.batch_ends = ("failed",)
    done = ask(settings(server, batch=True), tmp_path, REQUESTS[:1])
    assert isinstance(done.results[0], EtlchError)
    assert "Enqueued token limit reached" in done.results[0].what


def test_files_hold_so_many_requests_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "BATCH_MOST", 2)
    bodies: list[tuple[str, Any]] = [(f"k{number}", {"n": number}) for number in range(5)]
    assert [[key for key, _ in part] for part in batch._files(bodies)] == [["k0", "k1"], ["k2", "k3"], ["k4"]]


def test_a_batch_whose_id_was_lost_on_the_way_is_found_by_its_file(server: Server, tmp_path: Path) -> None:
    server.lose_batch = True
    done = ask(settings(server, batch=True), tmp_path, REQUESTS)
    assert done.stats.replied == 4 and server.submitted == [4]


def test_the_limiter_of_batches_holds_everything_at_once() -> None:
    assert limiter(make_settings(batch=True).teacher).limit == BATCH_MOST
    assert limiter(make_settings().teacher).limit < BATCH_MOST
