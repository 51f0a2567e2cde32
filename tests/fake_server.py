"""The project's own endpoint for tests: Chat Completions over real HTTP on loopback, faults by schedule.

In a test: `with serve(Fault("429", every=10, retry_after=3)) as server: … server.url … server.seen`.
As a process: `python -m tests.fake_server --port 0 --latency 0.2 --faults '[{"kind": "500", "every": 7}]'`
prints its URL; GET /stats tells what it was asked and what it answered.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from etlch.core.records import Json
from tests import fake_teacher
from tests.fake_batches import Batches

KEY = "sk-test-0123456789abcdef"
"""The only key that a server with `key=KEY` takes."""


@dataclass(frozen=True)
class Fault:
    """What goes wrong, and when.

    Attributes:
        kind: one of _HTTP, _WIRE or _CONTENT below.
        at: numbers of the posts concerned, from 0.
        every: every so-manieth post; 0 is none.
        match: posts whose body contains this text.
        times: at most so often; 0 is without end.
        retry_after: sent with 429 and 503.
    """

    kind: str
    at: tuple[int, ...] = ()
    every: int = 0
    match: str = ""
    times: int = 0
    retry_after: float | None = None


@dataclass
class Seen:
    """One post: when it came (monotonic seconds), its body, headers and query, and the fault it met."""

    at: float
    body: Json
    headers: dict[str, str]
    query: dict[str, str]
    fault: str = ""


@dataclass
class Server:
    """The server's state. `reply` may be replaced by a test's own function; `hold` keeps batches
    in progress, `lose_batch` breaks the connection once a batch is made, `batch_ends` says how the next ones end, `submitted` how many requests each had."""

    faults: tuple[Fault, ...] = ()
    latency: float = 0.0
    key: str = ""
    per_second: float = 0.0
    reply: Callable[[Json], str] = fake_teacher.reply
    respond: Callable[[Json], web.Response | None] | None = None
    url: str = ""
    hold: bool = False
    lose_batch: bool = False
    batch_ends: tuple[str, ...] = ()
    submitted: list[int] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    answered: Counter[str] = field(default_factory=Counter)
    _met: Counter[int] = field(default_factory=Counter)
    _tokens: float = 1.0
    _filled_at: float = 0.0

    def whole(self, body: Json) -> Json:
        """Return the body of an answer without a fault."""
        return _whole(body, "", self.reply)

    def stats(self) -> dict[str, Any]:
        """Return how many posts came, how many were answered, and how many of these more than once."""
        return {
            "posts": len(self.seen),
            "answered": sum(self.answered.values()),
            "repeated": sum(count - 1 for count in self.answered.values()),
            "faults": dict(Counter(seen.fault for seen in self.seen if seen.fault)),
        }

    async def post(self, request: web.Request) -> web.StreamResponse:
        """Answer one chat completion, or meet its fault."""
        raw = await request.read()
        body = json.loads(raw)
        seen = Seen(time.monotonic(), body, dict(request.headers), dict(request.query))
        number = len(self.seen)
        self.seen.append(seen)
        fault = self._fault(number, raw.decode())
        seen.fault = fault.kind if fault else ""
        if self.key and request.headers.get("Authorization") != f"Bearer {self.key}":
            said = request.headers.get("Authorization", "").removeprefix("Bearer ")
            return _error(401, f"Incorrect API key provided: {said}.", "invalid_api_key")
        if self.per_second and not self._may():
            return _error(429, "Rate limit reached", "rate_limit_exceeded", {"Retry-After": "1"})
        refusal = _refusal(fault, body) if fault else None
        if refusal is not None:  # at once, as real endpoints do
            return refusal
        own = self.respond(body) if self.respond else None
        if own is not None:
            return own
        if self.latency:
            await asyncio.sleep(self.latency)
        broken = await self._break(fault.kind, request, body) if fault else None
        if broken is not None:
            return broken
        self.answered[hashlib.sha256(raw).hexdigest()] += 1
        return _completion(body, fault.kind if fault else "", self.reply)

    def _fault(self, number: int, text: str) -> Fault | None:
        for place, fault in enumerate(self.faults):
            due = number in fault.at or bool(fault.every and (number + 1) % fault.every == 0)
            due = due or bool(fault.match and fault.match in text)
            if due and (not fault.times or self._met[place] < fault.times):
                self._met[place] += 1
                return fault
        return None

    def _may(self) -> bool:
        now = time.monotonic()
        passed = now - self._filled_at if self._filled_at else 1.0
        self._tokens = min(self.per_second, self._tokens + passed * self.per_second)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    async def _break(self, kind: str, request: web.Request, body: Json) -> web.StreamResponse | None:
        """Return what is left of an answer; None for faults of the content, which come in a whole one."""
        if kind == "stall":
            await asyncio.sleep(3600)
        if kind == "reset" and request.transport is not None:
            request.transport.abort()
            return web.Response()
        if kind == "cut":
            return await _cut(request, body, self.reply)
        if kind == "error_200":  # as OpenRouter reports what its providers do
            return web.json_response({"error": {"message": "Provider returned error", "code": 502}})
        if kind == "garbled":
            return web.Response(text='{"choices": [{"message": {"cont', content_type="application/json")
        return None


def _refusal(fault: Fault, body: Json) -> web.Response | None:
    if fault.kind in _HTTP:
        status, message, code, param = _HTTP[fault.kind]
        wait = {} if fault.retry_after is None else {"Retry-After": f"{fault.retry_after:g}"}
        return _error(status, message, code, wait, param)
    sent = (body.get("response_format") or {}).get("type")
    if sent in _FORMATS.get(fault.kind, ()) and fault.kind == "mute_schema":
        return _error(400, "Bad Request", None)
    if sent in _FORMATS.get(fault.kind, ()):
        return _error(400, f"'response_format.type' does not take '{sent}'", None, {}, "response_format")
    if fault.kind == "no_seed" and "seed" in body:
        return _error(400, "Unrecognized request argument supplied: seed", None)
    if fault.kind == "new_limit" and "max_tokens" in body:
        said = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
        return _error(400, said, "unsupported_parameter", {}, "max_tokens")
    return None


# kind → status, message, code, param
_HTTP: dict[str, tuple[int, str, str | None, str | None]] = {
    "429": (429, "Rate limit reached for requests", "rate_limit_exceeded", None),
    "quota": (429, "You exceeded your current quota, please check your plan", "insufficient_quota", None),
    "500": (500, "The server had an error", None, None),
    "503": (503, "The engine is currently overloaded", None, None),
    "400": (400, "Your input was flagged", "content_policy_violation", None),
    "413": (413, "Your input is too large", None, None),
    "401": (401, "Incorrect API key provided", "invalid_api_key", None),
    "403": (403, "Country not supported", "unsupported_country", None),
    "404": (404, "The model does not exist", "model_not_found", None),
    "405": (405, "Method Not Allowed", None, None),
    "temperature": (400, "Unsupported value: 'temperature'", "unsupported_value", "temperature"),
}
_FORMATS = {
    "no_schema": ("json_schema",),
    "mute_schema": ("json_schema",),
    "no_format": ("json_schema", "json_object"),
}
_CONTENT: dict[str, Callable[[str], dict[str, Json]]] = {
    "invalid_json": lambda text: {"content": text[: len(text) // 2]},
    "fenced": lambda text: {"content": f"Here it is:\n```json\n{text}\n```"},
    "wrong_schema": lambda text: {"content": '{"something": "else"}'},
    "refusal": lambda text: {"content": None, "refusal": "I cannot help with that."},
    "empty": lambda text: {"content": ""},
}


def _error(
    status: int,
    message: str,
    code: str | None,
    headers: dict[str, str] | None = None,
    param: str | None = None,
) -> web.Response:
    error = {"message": message, "type": "error", "param": param, "code": code}
    return web.json_response({"error": error}, status=status, headers=headers)


def _whole(body: Json, kind: str, reply: Callable[[Json], str]) -> dict[str, Json]:
    text = reply(body)
    message = {"role": "assistant", "refusal": None, "content": text}
    if kind in _CONTENT:
        message |= _CONTENT[kind](text)
    choice = {"index": 0, "message": message, "finish_reason": "length" if kind == "length" else "stop"}
    sizes = len(json.dumps(body["messages"], ensure_ascii=False).encode()) // 4, len(text.encode()) // 3 + 1
    counted = {"prompt_tokens": sizes[0], "completion_tokens": sizes[1], "total_tokens": sum(sizes)}
    return {
        "id": "chatcmpl-fake",
        "object": "chat.completion",
        "created": 0,
        "model": body["model"],
        "choices": [] if kind == "empty_choices" else [choice],
        "usage": None if kind == "no_usage" else counted,
    }


def _completion(body: Json, kind: str, reply: Callable[[Json], str]) -> web.Response:
    return web.json_response(_whole(body, kind, reply))


async def _cut(request: web.Request, body: Json, reply: Callable[[Json], str]) -> web.StreamResponse:
    content = json.dumps(_whole(body, "", reply)).encode()
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.content_length = len(content)
    await response.prepare(request)
    await response.write(content[: len(content) // 2])
    if request.transport is not None:
        request.transport.close()
    return response


async def start(server: Server, port: int = 0) -> web.AppRunner:
    """Listen on loopback; the URL is in `server.url` from then on."""

    async def stats(request: web.Request) -> web.Response:
        return web.json_response(server.stats())

    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_post("/v1/chat/completions", server.post)
    app.router.add_get("/stats", stats)
    Batches(server).add_routes(app)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    return runner


@contextmanager
def serve(*faults: Fault, **kept: Any) -> Iterator[Server]:
    """Run a server in a thread of its own. kept: latency, key, per_second, reply."""
    server = Server(faults=faults, **kept)
    ready, loop = threading.Event(), asyncio.new_event_loop()

    async def run() -> None:
        runner = await start(server)
        ready.set()
        try:
            await asyncio.Event().wait()
        finally:
            await runner.cleanup()

    task = loop.create_task(run())

    def work() -> None:
        try:
            loop.run_until_complete(task)
        except asyncio.CancelledError:
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            loop.close()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    if not ready.wait(10):
        raise RuntimeError("the fake server did not start")
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(10)


async def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--per-second", type=float, default=0.0)
    parser.add_argument("--faults", type=json.loads, default=[])
    parser.add_argument("--padding", type=int, default=0, help="made-up sentences in each article")
    parser.add_argument("--record", type=Path, help="write each body to this file, one a line")
    given = parser.parse_args()
    faults = tuple(Fault(**{**item, "at": tuple(item.get("at", ()))}) for item in given.faults)

    def reply(body: Json) -> str:
        if given.record:
            with given.record.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(body) + "\n")
        return fake_teacher.reply(body, given.padding)

    server = Server(faults=faults, latency=given.latency, per_second=given.per_second, reply=reply)
    await start(server, given.port)
    print(server.url, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main())
