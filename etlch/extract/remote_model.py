"""Ask a served model through the client of teachers: retries, limits, and answers that are kept on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from etlch.core.run_folder import Run
from etlch.core.settings import TeacherSettings
from etlch.extract.facts import Answer, Question
from etlch.llm.chat_client import ChatClient
from etlch.llm.client import open_client
from etlch.llm.errors import BadContent
from etlch.llm.store import Message, Request


class RemoteModel:
    """A model behind an OpenAI-compatible endpoint.

    Args:
        teacher: its name there, the endpoint, concurrency and limits.
        folder: where answers are kept, so that a stopped extraction asks nothing twice.
        max_new_tokens: the longest answer, in tokens.
    """

    def __init__(self, teacher: TeacherSettings, folder: Path, max_new_tokens: int) -> None:
        self._teacher = teacher
        self._run = Run(folder)
        self._room = max_new_tokens

    def answer(self, questions: Sequence[Question], *, sample: int | None = None) -> list[Answer]:
        """Return one answer for each question, in their order; a refused one is empty.

        Raises:
            EtlchError: the endpoint cannot be used; what was answered is kept.
        """
        return asyncio.run(self._all(questions, sample))

    async def _all(self, questions: Sequence[Question], sample: int | None) -> list[Answer]:
        self._run.folder.mkdir(parents=True, exist_ok=True)
        async with open_client(self._teacher, self._run) as client:
            return list(
                await asyncio.gather(*(self._one(client, question, sample) for question in questions))
            )

    async def _one(self, client: ChatClient, question: Question, sample: int | None) -> Answer:
        request = Request(
            model=self._teacher.name,
            messages=(Message("user", question.text),),
            max_tokens=self._room,
            temperature=0.0 if sample is None else 0.7,
            schema=question.schema,
            sample=sample or 0,
            extra=self._teacher.extra_body or None,
        )
        try:
            reply = await client.ask(request, "extract")
        except BadContent as refused:
            return Answer(refused.text)
        return Answer(reply.text, (), reply.finish == "length", reply.output_tokens)
