"""The files and batches of the project's own endpoint: OpenAI's Batch API over real HTTP."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aiohttp import web

from etlch.core.records import Json

if TYPE_CHECKING:
    from tests.fake_server import Server


class Batches:
    """Batches are over at the `looks`-th look at them; until `server.hold` is unset none is."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, dict[str, Any]] = {}

    def add_routes(self, app: web.Application) -> None:
        """Answer below /v1/files and /v1/batches."""
        app.router.add_post("/v1/files", self.upload)
        app.router.add_get("/v1/files/{id}/content", self.content)
        app.router.add_post("/v1/batches", self.create)
        app.router.add_get("/v1/batches", self.list_all)
        app.router.add_get("/v1/batches/{id}", self.look)

    async def upload(self, request: web.Request) -> web.Response:
        """Keep a file."""
        form = await request.post()
        field = form["file"]
        assert isinstance(field, web.FileField) and form["purpose"] == "batch"
        name = f"file-{len(self.files)}"
        self.files[name] = field.file.read()
        return web.json_response({"id": name, "object": "file", "bytes": len(self.files[name])})

    async def content(self, request: web.Request) -> web.Response:
        """Return a file."""
        return web.Response(body=self.files[request.match_info["id"]])

    async def create(self, request: web.Request) -> web.Response:
        """Begin a batch of an uploaded file."""
        asked = await request.json()
        assert (asked["endpoint"], asked["completion_window"]) == ("/v1/chat/completions", "24h")
        batch = {
            "id": f"batch_{len(self.batches)}",
            "object": "batch",
            "status": "in_progress",
            "input_file_id": asked["input_file_id"],
        }
        self.batches[batch["id"]] = batch
        self.server.submitted.append(self.files[asked["input_file_id"]].count(b"\n"))
        if self.server.lose_batch and request.transport is not None:
            self.server.lose_batch = False
            request.transport.abort()
        return web.json_response(batch)

    async def list_all(self, request: web.Request) -> web.Response:
        """Return all batches."""
        found = list(self.batches.values())
        return web.json_response({"object": "list", "data": found, "has_more": False})

    async def look(self, request: web.Request) -> web.Response:
        """Return a batch; process it first, unless the server holds all of them."""
        batch = self.batches[request.match_info["id"]]
        if batch["status"] == "in_progress" and not self.server.hold:
            self._process(batch)
        return web.json_response(batch)

    def _process(self, batch: dict[str, Any]) -> None:
        ended = self.server.batch_ends[0] if self.server.batch_ends else "completed"
        self.server.batch_ends = self.server.batch_ends[1:]
        batch["status"] = ended
        if ended == "failed":
            batch["errors"] = {"data": [{"code": "bad", "message": "Enqueued token limit reached"}]}
            return
        lines = self.files[batch["input_file_id"]].splitlines()
        if ended == "expired":
            lines = lines[: len(lines) // 2]
        # Answers come in any order.
        rows = [self._row(json.loads(line)) for line in reversed(lines)]
        batch["output_file_id"] = f"file-{len(self.files)}"
        self.files[batch["output_file_id"]] = "".join(json.dumps(row) + "\n" for row in rows).encode()

    def _row(self, asked: Json) -> Json:
        self.server.answered[asked["custom_id"]] += 1
        body = self.server.whole(asked["body"])
        return {
            "custom_id": asked["custom_id"],
            "response": {"status_code": 200, "body": body},
            "error": None,
        }
