"""A run pushed to a hub: the few endpoints that `datasets` speaks, over HTTP on loopback."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from aiohttp import web

from tests.small_run import write_run


class Hub:
    """What one repository holds, and the tokens that were shown to it."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.files: dict[str, bytes] = {}
        self.created: list[Any] = []
        self.commits = 0

    @property
    def revision(self) -> str:
        return f"{self.commits:040x}"

    async def answer(self, request: web.Request) -> web.Response:
        body, path = await request.read(), request.path
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.json_response({"error": "Invalid credentials"}, status=401)
        if request.method == "POST":
            return web.json_response(
                self.take(path, body) | {"url": f"{request.url.origin()}/datasets/me/data"}
            )
        if "/resolve/" in path:
            content = self.files.get(path.split("/resolve/")[1].partition("/")[2])
            if content is None:
                return web.Response(status=404, headers={"X-Error-Code": "EntryNotFound"})
            return web.Response(
                body=content, headers={"ETag": f'"{len(content)}"', "X-Repo-Commit": self.revision}
            )
        if "/tree/" in path:
            sizes = {name: len(content) for name, content in self.files.items()}
            files = [
                {"type": "file", "path": name, "size": sizes[name], "oid": self.revision} for name in sizes
            ]
            return web.json_response(files)
        names = [{"rfilename": name} for name in self.files]
        return web.json_response({"id": "me/data", "sha": self.revision, "private": True, "siblings": names})

    def take(self, path: str, body: bytes) -> dict[str, Any]:
        if path == "/api/repos/create":
            self.created.append(json.loads(body))
        elif "/preupload/" in path:
            asked = [item["path"] for item in json.loads(body)["files"]]
            return {"files": [{"path": n, "uploadMode": "regular", "shouldIgnore": False} for n in asked]}
        elif "/commit/" in path:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            self.commits += 1
            return {"commitUrl": path, "commitOid": self.revision, "success": True}
        return {}


@contextmanager
def listening(hub: Hub) -> Iterator[str]:
    """Serve a hub in a thread of its own and yield its address."""
    loop, ready, address = asyncio.new_event_loop(), threading.Event(), ""

    async def start() -> web.AppRunner:
        nonlocal address
        app = web.Application(client_max_size=2**26)
        app.router.add_route("*", "/{path:.*}", hub.answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        address = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    def work() -> None:
        runner = loop.run_until_complete(start())
        ready.set()
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert ready.wait(30)
    try:
        yield address
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)


def push(folder: Path, address: str, home: Path, token: str) -> subprocess.CompletedProcess[str]:
    # A process of its own: the hub's address is read when huggingface_hub is imported.
    surroundings = {**os.environ, "HF_ENDPOINT": address, "HF_HOME": str(home), "HF_TOKEN": token}
    surroundings |= {"HF_HUB_OFFLINE": "0", "HF_DATASETS_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
    command = [sys.executable, "-m", "etlch.cli.data", "quality", str(folder), "--push-to-hub", "me/data"]
    return subprocess.run(command, capture_output=True, text=True, env=surroundings, timeout=600, check=False)


@pytest.mark.slow
def test_a_run_is_pushed_with_its_card_and_every_row(tmp_path: Path) -> None:
    run, hub = write_run(tmp_path / "run"), Hub("hf_right")
    with listening(hub) as address:
        refused = push(run.folder, address, tmp_path / "home", "hf_wrong")
        assert refused.returncode == 2 and "hf auth login" in refused.stderr and not hub.files
        done = push(run.folder, address, tmp_path / "home", "hf_right")
    assert done.returncode == 0, done.stderr
    private = [asked.get("private") or asked.get("visibility") == "private" for asked in hub.created]
    assert private and all(private)
    tables = {name: content for name, content in hub.files.items() if name.endswith(".parquet")}
    rows = {
        name.rpartition("-00000-of-")[0]: len(pd.read_parquet(BytesIO(content)))
        for name, content in tables.items()
    }
    assert rows == {
        f"{task}/{name}": count
        for task in ("json", "kge", "ner")
        for name, count in (("train", 18), ("validation", 2), ("test", 3))
    }
    _, head, text = hub.files["README.md"].decode().split("---\n", 2)
    card = yaml.safe_load(head)
    assert {config["config_name"] for config in card["configs"]} == {"json", "kge", "ner"}
    assert card["language"] == ["en"] and "The first 3 articles are the test set" in text
