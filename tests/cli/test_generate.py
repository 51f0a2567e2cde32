"""`etlch-data generate` against a paid endpoint: killed, stopped, grown and changed, real processes all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from etlch.core.prompts import eject
from etlch.core.run_folder import Run
from etlch.llm.store import Store
from tests.fake_server import KEY, Fault, Server, serve

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("interruptible")]
IN_FLIGHT = 8


def command(server: Server, out: Path, *more: str) -> list[str]:
    base = [sys.executable, "-m", "etlch.cli.data", "generate", "--out", str(out), "--base-url", server.url]
    return [*base, "--language", "en", "--concurrency", str(IN_FLIGHT), *more]


def environment(key: str = KEY) -> dict[str, str]:
    return {**os.environ, "OPENAI_API_KEY": key, "PYTHONUTF8": "1"}


def generate(server: Server, out: Path, *more: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    ended = subprocess.run(
        command(server, out, *more),
        capture_output=True,
        text=True,
        env=environment(),
        timeout=120,
        check=False,
    )
    assert ended.returncode == code, ended.stderr
    assert KEY not in ended.stdout + ended.stderr
    return ended


def data_files(out: Path) -> dict[str, bytes]:
    """Everything that training reads; run.yaml holds the cost, which a kill may raise."""
    names = ("articles.jsonl", "records.jsonl", "rejected.jsonl")
    found = {name: (out / name).read_bytes() for name in names}
    for path in sorted((out / "llamafactory").iterdir()):
        found[path.name.replace(out.name, "run", 1)] = path.read_bytes().replace(out.name.encode(), b"run")
    return found


@pytest.fixture
def server() -> Iterator[Server]:
    with serve(latency=0.02, key=KEY) as found:
        yield found


def test_a_killed_run_ends_in_the_same_bytes_and_pays_again_only_what_was_in_flight(tmp_path: Path) -> None:
    sizes = ("--sizes", "20", "--test", "5")
    with serve(latency=0.02, key=KEY) as whole:
        generate(whole, tmp_path / "whole", *sizes)
        paid = whole.stats()["answered"]
    with serve(latency=0.02, key=KEY) as broken:
        for after in (15, 40, 80):
            process = subprocess.Popen(
                command(broken, tmp_path / "broken", *sizes),
                env=environment(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            _wait_for(lambda goal=after: broken.stats()["answered"] >= goal)
            process.kill()
            process.wait()
        generate(broken, tmp_path / "broken", *sizes)
        stats = broken.stats()
    assert data_files(tmp_path / "broken") == data_files(tmp_path / "whole")
    assert stats["answered"] - paid == stats["repeated"] <= 3 * IN_FLIGHT


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_and_sigterm_stop_within_two_seconds_and_say_how_to_go_on(
    number: int, code: int, tmp_path: Path, server: Server
) -> None:
    process = subprocess.Popen(
        command(server, tmp_path / "run", "--sizes", "200", "--test", "5"),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    _wait_for(lambda: server.stats()["answered"] >= 20)
    began = time.monotonic()
    process.send_signal(number)
    _, told = process.communicate(timeout=10)
    assert time.monotonic() - began < 2
    assert process.returncode == code
    assert "Run the same command again to go on" in told and "Traceback" not in told
    shown = _data("status", str(tmp_path / "run"))
    assert "stopped" in shown.stdout
    status = json.loads(_data("status", str(tmp_path / "run"), "--json").stdout)
    assert (status["state"], status["candidates"]["needed"]) == ("stopped", 205)
    assert sum(part["requests"] for part in status["cost"].values()) >= 20
    assert set(status) == {"run", "state", "settings", "candidates", "cost", "usd", "models"}


def test_a_second_process_on_the_same_run_is_refused(tmp_path: Path, server: Server) -> None:
    process = subprocess.Popen(
        command(server, tmp_path / "run", "--sizes", "200", "--test", "5"),
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(lambda: server.stats()["answered"] >= 5)
        assert "going" in _data("status", str(tmp_path / "run")).stdout
        ended = generate(server, tmp_path / "run", "--sizes", "200", "--test", "5", code=2)
        assert "another process is working on" in ended.stderr
    finally:
        process.kill()
        process.wait()


def test_growing_pays_for_the_difference(tmp_path: Path, server: Server) -> None:
    out = tmp_path / "run"
    generate(server, out, "--sizes", "10", "--test", "4")
    small, before = server.stats()["answered"], (out / "articles.jsonl").read_text()
    generate(server, out, "--sizes", "10", "--test", "4")
    assert server.stats()["answered"] == small
    generate(server, out, "--sizes", "20", "--test", "4")
    assert (out / "articles.jsonl").read_text().startswith(before)
    assert server.stats()["answered"] / small == pytest.approx(24 / 14, rel=0.15)
    assert server.stats()["repeated"] == 0
    listed = json.loads((out / "llamafactory" / "dataset_info.json").read_text())
    assert {"run_ner_train_10", "run_ner_train_20"} <= set(listed)


def test_a_changed_label_prompt_pays_for_its_labels_only(tmp_path: Path, server: Server) -> None:
    out, prompts = tmp_path / "run", tmp_path / "prompts"
    generate(server, out, "--sizes", "10", "--test", "2")
    before = (out / "articles.jsonl").read_bytes()
    eject(prompts, "ner")
    changed = prompts / "ner" / "label.en.j2"
    changed.write_text(changed.read_text() + "\nBe complete.\n")
    server.seen.clear()
    generate(server, out, "--sizes", "10", "--test", "2", "--prompts", str(prompts))
    asked = [seen.body["messages"][0]["content"] for seen in server.seen]
    assert len(asked) >= 12 and all("Be complete." in text for text in asked)
    assert (out / "articles.jsonl").read_bytes() == before


def test_another_task_on_the_same_articles_pays_for_that_task(tmp_path: Path, server: Server) -> None:
    out = tmp_path / "run"
    generate(server, out, "--sizes", "10", "--test", "2", "--tasks", "ner")
    first = server.stats()["answered"]
    generate(server, out, "--sizes", "10", "--test", "2", "--tasks", "ner,kge")
    records = [json.loads(line)["task"] for line in (out / "records.jsonl").read_text().splitlines()]
    assert sorted(set(records)) == ["kge", "ner"] and len(records) == 24
    assert server.stats()["answered"] - first == pytest.approx(12, abs=3)
    assert server.stats()["repeated"] == 0


def test_exactly_n_under_faults_of_every_kind(tmp_path: Path) -> None:
    kinds = (
        "429",
        "500",
        "reset",
        "invalid_json",
        "fenced",
        "wrong_schema",
        "refusal",
        "empty",
        "length",
        "400",
    )
    faults = [Fault(kind, every=13 + 2 * place) for place, kind in enumerate(kinds)]
    with serve(*faults, key=KEY) as faulty:
        generate(faulty, tmp_path / "run", "--sizes", "20", "--test", "5")
        met = faulty.stats()["faults"]
    assert set(met) >= {"429", "500", "invalid_json", "wrong_schema", "refusal", "400"}
    articles = (tmp_path / "run" / "articles.jsonl").read_text().splitlines()
    assert len(articles) == 25 and len(set(articles)) == 25
    rejected = [json.loads(line) for line in (tmp_path / "run" / "rejected.jsonl").read_text().splitlines()]
    assert all(item["reasons"] for item in rejected)


def test_a_hard_budget_is_never_passed_and_the_run_goes_on_with_more(tmp_path: Path, server: Server) -> None:
    out = tmp_path / "run"
    ended = generate(server, out, "--sizes", "30", "--test", "5", "--budget", "0.02", code=2)
    assert "budget" in ended.stderr
    store = Store(Run(out).replies, read_only=True)
    assert 0 < store.spent() <= 0.02
    store.close()
    generate(server, out, "--sizes", "30", "--test", "5", "--budget", "5")
    assert server.stats()["repeated"] == 0


@pytest.mark.parametrize(
    ("options", "fault", "told"),
    [
        (("--teacher", "gpt-5-nonesuch"), Fault("404", every=1), "gpt-5-nonesuch"),
        ((), Fault("401", every=1), "key"),
        ((), Fault("quota", every=1), "quota"),
    ],
)
def test_what_no_retry_can_fix_stops_at_once(
    tmp_path: Path, options: tuple[str, ...], fault: Fault, told: str
) -> None:
    with serve(fault, key=KEY) as closed:
        ended = generate(closed, tmp_path / "run", "--sizes", "10", "--test", "2", *options, code=2)
        assert closed.stats()["posts"] <= IN_FLIGHT
    assert told in ended.stderr and "Traceback" not in ended.stderr


def _data(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "etlch.cli.data", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )


def _wait_for(condition, seconds: float = 60.0) -> None:  # type: ignore[no-untyped-def]
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.01)


def test_what_was_refused_is_on_file_when_a_run_gives_up(tmp_path: Path) -> None:
    with serve(Fault("refusal", every=1), key=KEY) as refusing:
        ended = generate(refusing, tmp_path / "run", "--sizes", "2", "--test", "1", code=1)
    assert "the first 10 candidates were rejected alike, and none was accepted" in ended.stderr
    rejected = [json.loads(line) for line in (tmp_path / "run" / "rejected.jsonl").read_text().splitlines()]
    assert len(rejected) >= 3 and all("refused" in item["reasons"][0] for item in rejected)
