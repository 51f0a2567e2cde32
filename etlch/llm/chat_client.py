"""Define what a teacher needs of a client, so that a preview or a test can stand in for an endpoint; and its counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from etlch.llm.store import Reply, Request


@dataclass(frozen=True, slots=True)
class ClientStats:
    """What a client did so far, for progress lines.

    Attributes:
        requested: answers wanted; of them, replayed came from the store and replied were paid for.
        in_flight: admitted and not answered.
        resent: sends that failed on the way and were repeated.
        input_tokens, output_tokens: of all paid replies of the run, earlier sessions included.
        spent: the run's account in US dollars, earlier sessions included; 0 without a price.
    """

    requested: int
    replayed: int
    replied: int
    in_flight: int
    resent: int
    input_tokens: int
    output_tokens: int
    spent: float


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
