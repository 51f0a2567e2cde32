"""Ask a served model through the client of teachers: retries, limits, and answers that are kept on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from etlch.core.run_folder import Run
from etlch.core.settings import TeacherSettings
from etlch.extract.facts import Answer, Question
from etlch.llm.chat_client import ChatClient
from etlch.llm.client import open_client
from etlch.llm.errors import BadContent
from etlch.llm.pricing import find_price
from etlch.llm.store import Message, Request, Store


class Paid(NamedTuple):
    """What a model behind an endpoint was asked so far, earlier sessions of the same extraction included.

    Attributes:
        model: its name.
        questions: answers on file.
        usd: US dollars; None without a price.
    """

    model: str
    questions: int
    usd: float | None


class RemoteModel:
    """A model behind an OpenAI-compatible endpoint.

    Args:
        teacher: its name there, the endpoint, concurrency, limits, and the longest answer in tokens.
        folder: where answers are kept, so that a stopped extraction asks nothing twice.
    """

    def __init__(self, teacher: TeacherSettings, folder: Path) -> None:
        self._teacher = teacher
        self._run = Run(folder)

    def answer(self, questions: Sequence[Question], *, sample: int | None = None) -> list[Answer]:
        """Return one answer for each question, in their order; a refused one says why.

        Raises:
            EtlchError: the endpoint cannot be used; what was answered is kept.
        """
        return asyncio.run(self._all(questions, sample)) if questions else []

    def paid(self) -> Paid:
        """Return what was asked and spent so far."""
        priced = find_price(self._teacher) is not None
        if not self._run.replies.is_file():
            return Paid(self._teacher.name, 0, 0.0 if priced else None)
        store = Store(self._run.replies, read_only=True)
        try:
            asked = sum(usage.calls for usage in store.usage().values())
            return Paid(self._teacher.name, asked, store.spent() if priced else None)
        finally:
            store.close()

    async def _all(self, questions: Sequence[Question], sample: int | None) -> list[Answer]:
        self._run.folder.mkdir(parents=True, exist_ok=True)
        async with open_client(self._teacher, self._run) as client:
            return list(
                await asyncio.gather(*(self._one(client, question, sample) for question in questions))
            )

    async def _one(self, client: ChatClient, question: Question, sample: int | None) -> Answer:
        greedy = self._teacher.temperature or 0.0
        request = Request(
            model=self._teacher.name,
            messages=(Message("user", question.text),),
            max_tokens=self._teacher.max_tokens,
            temperature=greedy if sample is None else 0.7,
            schema=question.schema,
            sample=sample or 0,
            extra=self._teacher.extra_body or None,
        )
        try:
            reply = await client.ask(request, "extract")
        except BadContent as refused:
            return Answer(refused.text, problem=f"the endpoint refuses the question: {refused}")
        return Answer(reply.text, (), reply.finish == "length", reply.output_tokens)
