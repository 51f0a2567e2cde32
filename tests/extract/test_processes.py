"""The commands as processes of their own, with a real model: killed and resumed, and asked over HTTP."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from etlch.extract.card import TaskPrompt, write_card
from etlch.extract.documents import Wanted, extract_to_file, sources
from etlch.extract.extractor import Extractor
from etlch.extract.server import KEY
from tests.extract.models import TYPES, card
from tests.tiny import tiny_llama

pytestmark = pytest.mark.slow

DOCUMENTS = 400


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model that writes three tokens, and notes of different lengths."""
    root = tmp_path_factory.mktemp("processes")
    tiny_llama(root / "model")
    asked = card(max_new_tokens=3, prompt=("", ""), tasks={"ner": TaskPrompt("Entities:", TYPES)})
    write_card(root / "model", asked)
    rows = ({"text": f"Note {number}: {'word ' * (number % 7)}end."} for number in range(DOCUMENTS))
    (root / "notes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return root


def command(*options: str) -> list[str]:
    return [sys.executable, "-m", "etlch.cli.extract", *options]


def test_killed_at_any_point_it_goes_on_to_the_same_bytes(folder: Path) -> None:
    whole, out = folder / "whole.jsonl", folder / "facts.jsonl"
    told = [str(folder / "model"), str(folder / "notes.jsonl"), "--out"]
    notes = str(folder / "notes.jsonl")
    extract_to_file(
        Extractor(folder / "model"), lambda: sources([notes], None, None), Wanted(whole), lambda *_: None
    )
    process = subprocess.Popen(command(*told, str(out)), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    part = out.with_name("facts.jsonl.part")
    while not part.exists() or part.read_bytes().count(b"\n") < 2:
        assert process.poll() is None, "it was done before it could be killed"
        time.sleep(0.001)
    process.kill()
    process.wait()
    done = part.read_bytes().count(b"\n") - 1
    assert 0 < done < DOCUMENTS and not out.exists()
    again = subprocess.run(command(*told, str(out)), check=False, capture_output=True, text=True)
    assert f": {DOCUMENTS - done} documents asked" in again.stdout, again
    assert out.read_bytes() == whole.read_bytes() and not part.exists()


@pytest.fixture
def url(folder: Path) -> Iterator[str]:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    process = subprocess.Popen(
        command("serve", str(folder / "model"), "--port", str(port)),
        env={**os.environ, KEY: "secret"},
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    for _ in range(1200):
        assert process.poll() is None
        try:
            urllib.request.urlopen(f"{address}/health").read()
            break
        except urllib.error.URLError:
            time.sleep(0.1)
    yield address
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=60)


def test_a_client_gets_the_rows_that_the_command_writes(url: str) -> None:
    asked = urllib.request.Request(
        f"{url}/extract",
        json.dumps({"text": "Ann <|eot_id|> left.", "document": "mine"}).encode(),
        {"Content-Type": "application/json", "Authorization": "Bearer secret"},
    )
    with urllib.request.urlopen(asked) as reply:
        row = json.load(reply)
    assert row["document"] == "mine" and re.search("control text", row["problem"])
    asked.data = json.dumps({"text": "Ann left."}).encode()
    with urllib.request.urlopen(asked) as reply:
        assert json.load(reply)["tokens"] == 6, "three tokens, and three more after the unreadable answer"
    asked.remove_header("Authorization")
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(asked)
