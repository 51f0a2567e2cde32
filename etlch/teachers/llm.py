"""A language model as teacher: topics and articles walk in as prompts, checked JSON walks out.

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
from etlch.llm.client import Engine
from etlch.llm.store import Message, Request
from etlch.tasks import Task
from etlch.tasks.json_extraction import BRIEF_SCHEMA
from etlch.teachers.base import Ask, Brief, again
from etlch.teachers.topic_plan import read_tree, tree_topics


class ModelTeacher:
    """The Teacher behind an endpoint.

    Args:
        teacher: its name, temperature and max_tokens.
        plan: language, seed, and what restricts the topics.
        prompts: the prompt folders in effect.
        engine: where requests go.
    """

    def __init__(
        self, teacher: TeacherSettings, plan: PlanSettings, prompts: Prompts, engine: Engine
    ) -> None:
        self.name = teacher.name
        self._teacher = teacher
        self._plan = plan
        self._prompts = prompts
        self._engine = engine
        self._data: dict[str, Json] = {}

    def topics(self) -> Iterator[Topic]:
        """Yield the plan from prompts/topics: endless, seeded, prefix-stable."""
        plan = self._plan
        tree = read_tree(self._prompts, plan.language, plan.domains, plan.genres, plan.lengths)
        return tree_topics(tree, plan.language, plan.seed)

    async def article(self, topic: Topic, ask: Ask) -> str:
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
        )
        return str(await self.answer("article/write", topic, prompt, None, ask))

    async def brief(self, topic: Topic, article: str, task: Task, ask: Ask) -> Json:
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
        return await self.answer(name, topic, prompt, BRIEF_SCHEMA, ask)

    async def label(self, topic: Topic, article: str, task: Task, brief: Brief, ask: Ask) -> Json:
        """Return the answer under `task.answer_schema(brief.keys)`.

        Raises:
            BadContent: cut off, refused, empty, not JSON, or against the schema.
            EtlchError: the run cannot go on.
        """
        name = f"{task.name}/label"
        types = f"{task.name}/types.yaml"
        meanings = self._read(types)[topic.language] if brief.keys and self._prompts.has(types) else {}
        prompt = self._prompts.render(
            name,
            topic.language,
            article=article,
            instruction=brief.instruction,
            fields=list(brief.keys),
            types={key: meanings.get(key, "") for key in brief.keys} if meanings else {},
        )
        return await self.answer(name, topic, prompt, task.answer_schema(brief.keys), ask)

    async def answer(self, purpose: str, topic: Topic, prompt: str, schema: Json, ask: Ask) -> Json:
        """Return the answer to a prompt: its text, or its JSON value where a schema is given.

        What was refused before (ask.previous) and why is sent along.

        Raises:
            BadContent: cut off, refused, empty, not JSON, or against the schema.
            EtlchError: the run cannot go on.
        """
        messages = [Message("user", prompt)]
        if ask.reasons:
            told = self._prompts.render("common/again", topic.language, reasons=list(ask.reasons))
            if ask.previous:
                messages.append(Message("assistant", ask.previous))
            messages.append(Message("user", told))
        teacher = self._teacher
        request = Request(
            model=teacher.name,
            messages=tuple(messages),
            max_tokens=teacher.max_tokens,
            temperature=teacher.temperature,
            schema=schema,
            sample=ask.sample,
        )
        # Told apart, so that an estimate knows how often things are asked again.
        reply = await self._engine.ask(request, again(purpose) if ask.reasons else purpose)
        return chat_completions.answer(reply, schema, teacher.max_tokens)

    def _read(self, name: str) -> Json:
        if name not in self._data:
            self._data[name] = self._prompts.data(name)
        return self._data[name]
