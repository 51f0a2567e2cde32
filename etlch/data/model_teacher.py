"""A language model as teacher: topics and articles walk in as prompts, checked JSON walks out.

Articles are asked for as plain text, everything else under a response schema. Each prompt is
in the article's language, and the article stands alone between <article> and </article>.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import asynccontextmanager

from etlch.config import Settings
from etlch.data import forecast as estimates
from etlch.data import wire
from etlch.data.engine import Engine, open_engine
from etlch.data.make import CHECKS
from etlch.data.money import find_price
from etlch.data.plan import read_tree, tree_topics
from etlch.data.replies import Message, Request
from etlch.data.teacher import Ask, Brief
from etlch.data.teachers import Opened
from etlch.files import Run
from etlch.prompts import Prompts
from etlch.records import Json, Topic
from etlch.tasks import Task
from etlch.tasks.json_extraction import BRIEF_SCHEMA


@asynccontextmanager
async def open_model_teacher(settings: Settings, prompts: Prompts, run: Run) -> AsyncIterator[Opened]:
    """Open a run's engine and put a teacher and its bill on top of it.

    Raises:
        EtlchError: as open_engine says.
    """
    async with open_engine(settings, run) as engine:
        teacher = ModelTeacher(settings, prompts, engine)
        yield Opened(teacher, ModelBill(teacher, settings, prompts, engine))


class ModelTeacher:
    """The Teacher behind an endpoint.

    Args:
        settings: teacher, seed, temperature, max_tokens, and what restricts the plan.
        prompts: the prompt folders in effect.
        engine: where requests go.
    """

    def __init__(self, settings: Settings, prompts: Prompts, engine: Engine) -> None:
        self.name = settings.teacher
        self._settings = settings
        self._prompts = prompts
        self._engine = engine
        self._data: dict[str, Json] = {}

    def topics(self) -> Iterator[Topic]:
        """Yield the plan from prompts/topics: endless, seeded, prefix-stable."""
        settings = self._settings
        tree = read_tree(
            self._prompts, settings.language, settings.domains, settings.genres, settings.lengths
        )
        return tree_topics(tree, settings.language, settings.seed)

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
        draw = random.Random(f"{name}/{self._settings.seed}/{topic.position}")
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
        settings = self._settings
        request = Request(
            model=settings.teacher,
            messages=tuple(messages),
            max_tokens=settings.max_tokens,
            temperature=settings.temperature,
            schema=schema,
            sample=ask.sample,
        )
        # Told apart, so that an estimate knows how often things are asked again.
        reply = await self._engine.ask(request, estimates.again(purpose) if ask.reasons else purpose)
        return wire.answer(reply, schema, settings.max_tokens)

    def _read(self, name: str) -> Json:
        if name not in self._data:
            self._data[name] = self._prompts.data(name)
        return self._data[name]


class ModelBill:
    """What an engine's teacher costs.

    Args:
        teacher: its plan shows how long articles will be.
        settings: price and budget.
        prompts: their length is what a request takes besides its article.
        engine: holds the account and the store.
    """

    def __init__(self, teacher: ModelTeacher, settings: Settings, prompts: Prompts, engine: Engine) -> None:
        self._teacher = teacher
        self._settings = settings
        self._prompts = prompts
        self._engine = engine
        self._priced = find_price(settings) is not None

    def forecast(
        self, needed: int, tasks: Mapping[str, Task], changed: Collection[str] = (), article_bytes: int = 0
    ) -> list[str]:
        """Return the estimate of what is still to be paid, as `Bill` says."""
        held = estimates.known(self._engine.store)
        topics = self._teacher.topics()
        found = estimates.forecast(
            self._settings, self._prompts, tasks, topics, needed, held, changed, article_bytes
        )
        estimates.refuse_if_dear(found, self._settings)
        spent = self._engine.store.spent()
        return [
            *estimates.in_words(found, self._settings),
            *estimates.budget_in_words(found, self._settings, spent),
        ]

    def in_words(self) -> str:
        """Return what the run has cost so far, for the progress line."""
        tally = self._engine.tally()
        tokens = f"{tally.input_tokens + tally.output_tokens:,} tokens"
        return f"{tokens}, ${tally.spent:.4f}" if self._priced else tokens

    def cost(self) -> dict[str, Json]:
        """Return {"requests", "input_tokens", "output_tokens", "usd"} of the whole run; usd may be None."""
        usage = self._engine.store.usage().values()
        return {
            "requests": sum(item.calls for item in usage),
            "input_tokens": sum(item.input for item in usage),
            "output_tokens": sum(item.output for item in usage),
            "usd": round(self._engine.store.spent(), 6) if self._priced else None,
        }

    def judge(self, key: str, ok: bool, reasons: tuple[str, ...]) -> None:
        """Keep the checks' verdict on a candidate beside the replies."""
        self._engine.store.judge(key, CHECKS, ok, reasons)
