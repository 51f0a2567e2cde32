"""Ask a language model for articles, instructions and labels; return its checked text or JSON.

Articles are asked for as plain text, everything else under a response schema. Each prompt is
in the article's language, and the article stands alone between <article> and </article>.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from etlch.core.prompts import Prompts
from etlch.core.records import Json, Topic
from etlch.core.settings import PlanSettings, TeacherSettings
from etlch.llm import chat_completions
from etlch.llm.chat_client import ChatClient
from etlch.llm.store import Message, Request
from etlch.tasks import Task
from etlch.tasks.json_extraction import INSTRUCTION_SCHEMA
from etlch.teachers.base import Attempt, Instruction, retry_purpose
from etlch.teachers.topic_plan import read_tree, tree_topics


class ModelTeacher:
    """The Teacher behind an endpoint.

    Args:
        teacher: its name, temperature and max_tokens.
        plan: language, seed, and what restricts the topics.
        prompts: the prompt folders in effect.
        client: where requests go.
    """

    def __init__(
        self, teacher: TeacherSettings, plan: PlanSettings, prompts: Prompts, client: ChatClient
    ) -> None:
        self.name = teacher.name
        self._teacher = teacher
        self._plan = plan
        self._prompts = prompts
        self._client = client
        self._data: dict[str, Json] = {}

    def topics(self) -> Iterator[Topic]:
        """Yield the plan from prompts/topics: endless, seeded, prefix-stable."""
        plan = self._plan
        tree = read_tree(self._prompts, plan.language, plan.domains, plan.genres, plan.lengths)
        return tree_topics(tree, plan.language, plan.seed, plan.growth)

    async def article(self, topic: Topic, attempt: Attempt) -> str:
        """Return the text of an article about the topic.

        Raises:
            BadContent: cut off, refused or empty.
            EtlchError: the run cannot go on.
        """
        prompt = self._prompts.render(
            "article/write",
            topic.language,
            subject=topic.subject,
            domain=topic.domain,
            genre=topic.genre,
            length=topic.length,
            wanted=list(topic.wanted),
        )
        return str(await self.answer("article/write", topic, prompt, None, attempt))

    async def write_instruction(self, topic: Topic, article: str, task: Task, attempt: Attempt) -> Json:
        """Return {"instruction": str, "fields": [str]} for an article.

        How many fields, how they are named, and how many the article leaves open, are drawn
        from prompts/<task>/styles.yaml by the run's seed and the topic's position.

        Raises:
            BadContent: cut off, refused, empty, not JSON, or against the schema.
            EtlchError: the run cannot go on.
        """
        name = f"{task.name}/ask"
        styles = self._read(f"{task.name}/styles.yaml")
        draw = random.Random(f"{name}/{self._plan.seed}/{topic.position}")
        prompt = self._prompts.render(
            name,
            topic.language,
            article=article,
            count=draw.randint(*styles["fields"]),
            absent=draw.randint(*styles["absent"]),
            style=draw.choice(styles["names"][topic.language]),
        )
        return await self.answer(name, topic, prompt, INSTRUCTION_SCHEMA, attempt)

    async def label(
        self, topic: Topic, article: str, task: Task, instruction: Instruction, attempt: Attempt
    ) -> Json:
        """Return the answer under `task.answer_schema(instruction.keys)`.

        Raises:
            BadContent: cut off, refused, empty, not JSON, or against the schema.
            EtlchError: the run cannot go on.
        """
        name = f"{task.name}/label"
        types = f"{task.name}/types.yaml"
        meanings = self._read(types)[topic.language] if instruction.keys and self._prompts.has(types) else {}
        prompt = self._prompts.render(
            name,
            topic.language,
            article=article,
            instruction=instruction.text,
            fields=list(instruction.keys),
            types={key: meanings.get(key, "") for key in instruction.keys} if meanings else {},
            **task.prompt_values,
        )
        return await self.answer(name, topic, prompt, task.answer_schema(instruction.keys), attempt)

    async def answer(self, purpose: str, topic: Topic, prompt: str, schema: Json, attempt: Attempt) -> Json:
        """Return the answer to a prompt: its text, or its JSON value where a schema is given.

        What was refused before (attempt.previous) and why is sent along.

        Raises:
            BadContent: cut off, refused, empty, not JSON, or against the schema.
            EtlchError: the run cannot go on.
        """
        messages = [Message("user", prompt)]
        if attempt.reasons:
            told = self._prompts.render("common/again", topic.language, reasons=list(attempt.reasons))
            if attempt.previous:
                messages.append(Message("assistant", attempt.previous))
            messages.append(Message("user", told))
        teacher = self._teacher
        request = Request(
            model=teacher.name,
            messages=tuple(messages),
            max_tokens=teacher.max_tokens,
            temperature=teacher.temperature,
            schema=schema,
            sample=attempt.sample,
            extra=teacher.extra_body or None,
        )
        # Told apart, so that an estimate knows how often things are asked again.
        reply = await self._client.ask(request, retry_purpose(purpose) if attempt.reasons else purpose)
        return chat_completions.answer(reply, schema, teacher.max_tokens)

    def _read(self, name: str) -> Json:
        if name not in self._data:
            self._data[name] = self._prompts.data(name)
        return self._data[name]
