"""Define what a teacher needs of a client, so that a preview or a test can stand in for an endpoint."""

from __future__ import annotations

from typing import Protocol

from etlch.llm.store import Reply, Request


class ChatClient(Protocol):
    """Anything that answers requests; `LLMClient` is the one that sends them."""

    async def ask(self, request: Request, purpose: str = "") -> Reply:
        """Return the reply to a request.

        Args:
            request: everything that is sent.
            purpose: what it is for, e.g. "ner/label"; no part of the request.

        Raises:
            BadContent: this one request is refused.
            EtlchError: the run cannot go on.
        """
        ...
