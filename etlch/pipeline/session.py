"""Open the teacher that the settings name, together with the account of its cost."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple, Protocol

from etlch.core.prompts import Prompts
from etlch.core.records import Json
from etlch.core.run_folder import Run
from etlch.core.settings import PlanSettings, Settings
from etlch.dataset.build_record import CHECKS
from etlch.llm.chat_client import ChatClient
from etlch.llm.client import LLMClient, open_client
from etlch.llm.pricing import find_price
from etlch.llm.store import locked
from etlch.pipeline import cost_estimate as estimates
from etlch.tasks import Task
from etlch.teachers.base import Teacher
from etlch.teachers.llm import ModelTeacher

if TYPE_CHECKING:
    from etlch.teachers.offline.teacher import OfflineTeacher


class Bill(Protocol):
    """What a teacher costs, before, while and after it works."""

    def forecast(
        self, needed: int, tasks: Mapping[str, Task], changed: Collection[str] = (), article_bytes: int = 0
    ) -> list[str]:
        """Return the estimate in words, a line each.

        Args:
            needed: accepted articles in the end.
            tasks: by name.
            changed: prompt files that are not those of the replies on file.
            article_bytes: UTF-8 bytes of an article, where that is known; else 0.

        Raises:
            EtlchError: it is over the limit and no budget was named.
        """
        ...

    def in_words(self) -> str:
        """Return what has been spent so far, for the progress line; empty where nothing is."""
        ...

    def cost(self) -> dict[str, Json]:
        """Return {"requests", "input_tokens", "output_tokens", "usd"} of the whole run."""
        ...

    def judge(self, key: str, ok: bool, reasons: tuple[str, ...]) -> None:
        """Keep the checks' verdict on a candidate beside the replies."""
        ...


class Opened(NamedTuple):
    """A teacher at work."""

    teacher: Teacher
    bill: Bill


class Free:
    """The bill of the offline teacher."""

    def forecast(
        self, needed: int, tasks: Mapping[str, Task], changed: Collection[str] = (), article_bytes: int = 0
    ) -> list[str]:
        """Say that nothing is paid."""
        return [f"{needed} articles, {len(tasks) * needed} records; the offline teacher costs nothing"]

    def in_words(self) -> str:
        """Say nothing."""
        return ""

    def cost(self) -> dict[str, Json]:
        """Return zeros."""
        return {"requests": 0, "input_tokens": 0, "output_tokens": 0, "usd": 0.0}

    def judge(self, key: str, ok: bool, reasons: tuple[str, ...]) -> None:
        """Keep nothing: an offline run is drawn again, not replayed."""


@asynccontextmanager
async def open_teacher(settings: Settings, prompts: Prompts, run: Run) -> AsyncIterator[Opened]:
    """Open the teacher that the settings name, and close it at the end.

    Raises:
        EtlchError: no key, an unknown model, or another process works on this run.
    """
    if settings.teacher.name == "offline":
        with locked(run):
            yield Opened(offline_teacher(settings.plan, prompts), Free())
        return
    async with open_client(settings.teacher, run) as client:
        yield Opened(
            model_teacher(settings, prompts, client),
            ModelBill(
                ModelTeacher(settings.teacher, settings.plan, prompts, client), settings, prompts, client
            ),
        )


def model_teacher(settings: Settings, prompts: Prompts, client: ChatClient) -> Teacher:
    """Return the teacher behind a client, which writes around drawn facts where the settings say so."""
    teacher = ModelTeacher(settings.teacher, settings.plan, prompts, client)
    if not settings.plan.label_first:
        return teacher
    from etlch.teachers.label_first import LabelFirst

    return LabelFirst(teacher.name, teacher, offline_teacher(settings.plan, prompts), prompts)


def offline_teacher(plan: PlanSettings, prompts: Prompts) -> OfflineTeacher:
    """Return the offline teacher of these settings; its phrase data are read when it first writes."""
    from etlch.teachers.offline.teacher import OfflineTeacher

    return OfflineTeacher(
        plan.seed,
        prompts,
        plan.language,
        domains=plan.domains,
        genres=plan.genres,
        lengths=plan.lengths or (0,),
        hold_out_forms=plan.hold_out_forms,
        hard_texts=plan.hard_texts,
        growth=plan.growth,
    )


class ModelBill:
    """What a client's teacher costs.

    Args:
        teacher: its plan shows how long articles will be.
        settings: price and budget.
        prompts: their length is what a request takes besides its article.
        client: holds the account and the store.
    """

    def __init__(
        self, teacher: ModelTeacher, settings: Settings, prompts: Prompts, client: LLMClient
    ) -> None:
        self._teacher = teacher
        self._settings = settings
        self._prompts = prompts
        self._client = client
        self._priced = find_price(settings.teacher) is not None

    def forecast(
        self, needed: int, tasks: Mapping[str, Task], changed: Collection[str] = (), article_bytes: int = 0
    ) -> list[str]:
        """Return the estimate of what is still to be paid, as `Bill` says."""
        on_file = estimates.known(self._client.store)
        topics = self._teacher.topics()
        found = estimates.forecast(
            self._settings, self._prompts, tasks, topics, needed, on_file, changed, article_bytes
        )
        estimates.check_cost_limit(found, self._settings.teacher.budget)
        spent = self._client.store.spent()
        return [
            *estimates.in_words(found, self._settings.teacher),
            *estimates.budget_in_words(found, self._settings.teacher, spent),
        ]

    def in_words(self) -> str:
        """Return what the run has cost so far, for the progress line."""
        stats = self._client.stats()
        tokens = f"{stats.input_tokens + stats.output_tokens:,} tokens"
        return f"{tokens}, ${stats.spent:.4f}" if self._priced else tokens

    def cost(self) -> dict[str, Json]:
        """Return {"requests", "input_tokens", "output_tokens", "usd"} of the whole run; usd may be None."""
        usage = self._client.store.usage().values()
        return {
            "requests": sum(item.calls for item in usage),
            "input_tokens": sum(item.input for item in usage),
            "output_tokens": sum(item.output for item in usage),
            "usd": round(self._client.store.spent(), 6) if self._priced else None,
        }

    def judge(self, key: str, ok: bool, reasons: tuple[str, ...]) -> None:
        """Keep the checks' verdict on a candidate beside the replies."""
        self._client.store.judge(key, CHECKS, ok, reasons)
