"""What the client's tests share: send requests, return what became of each."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from etlch.core.config import make_settings
from etlch.core.errors import EtlchError
from etlch.core.records import Json
from etlch.core.run_folder import Run
from etlch.core.settings import Settings
from etlch.llm import chat_completions
from etlch.llm.client import ClientStats, open_client
from etlch.llm.errors import BadContent
from etlch.llm.store import Message, Reply, Request
from tests.fake_server import Server

SCHEMA: Json = {
    "type": "object",
    "properties": {"birthplace": {"type": "array", "items": {"type": "string"}}},
    "required": ["birthplace"],
    "additionalProperties": False,
}
ARTICLE = "Anna Rossi was born in Lisbon and moved to Oslo later. The light was poor."


class Done(NamedTuple):
    """What became of each request, in their order, and the client's account of it."""

    results: list[Any]
    stats: ClientStats


def plain(number: int) -> Request:
    """A request for an article."""
    return Request("gpt-4o-mini", (Message("user", f"Write one article in English about {number}."),), 500)


def typed(number: int) -> Request:
    """A request for an answer under SCHEMA; the answer is {"birthplace": ["Lisbon"]}."""
    text = f"Where was she born ({number})?\n<article>\n{ARTICLE}\n</article>"
    return Request("gpt-4o-mini", (Message("user", text),), 500, schema=SCHEMA)


def settings(server: Server, **changed: Any) -> Settings:
    """Settings for a fake server: nothing but what the test changes."""
    return make_settings(base_url=server.url, **changed)


def ask(chosen: Settings, folder: Path, requests: Sequence[Request]) -> Done:
    """Open a client, ask everything at once, read the answers; failures stand where answers would.

    A result is the answer's text or value, a BadContent, or an EtlchError.
    """

    async def one(client: Any, request: Request) -> Any:
        try:
            reply: Reply = await client.ask(request, "test")
            return chat_completions.answer(reply, request.schema, request.max_tokens)
        except (BadContent, EtlchError) as error:
            return error

    async def run() -> Done:
        async with open_client(chosen.teacher, Run(folder)) as client:
            results = await asyncio.gather(*(one(client, request) for request in requests))
            return Done(list(results), client.stats())

    return asyncio.run(run())
