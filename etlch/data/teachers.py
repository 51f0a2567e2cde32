"""Settings walk in; the teacher they name walks out, with the account of what it costs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple, Protocol

from etlch.config import Settings
from etlch.data.replies import locked
from etlch.data.teacher import Teacher
from etlch.files import Run
from etlch.prompts import Prompts
from etlch.records import Json
from etlch.tasks import Task

if TYPE_CHECKING:
    from etlch.data.offline import OfflineTeacher


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
    if settings.teacher == "offline":
        with locked(run):
            yield Opened(offline_teacher(settings, prompts), Free())
        return
    from etlch.data.model_teacher import ModelTeacher, open_model_teacher

    async with open_model_teacher(settings, prompts, run) as opened:
        if settings.label_first and isinstance(opened.teacher, ModelTeacher):
            from etlch.data.label_first import LabelFirst

            drawn = offline_teacher(settings, prompts)
            yield Opened(LabelFirst(opened.teacher.name, opened.teacher, drawn, prompts), opened.bill)
        else:
            yield opened


def offline_teacher(settings: Settings, prompts: Prompts) -> OfflineTeacher:
    """Return the offline teacher of these settings; its phrase data are read when it first writes."""
    from etlch.data.offline import OfflineTeacher

    return OfflineTeacher(
        settings.seed,
        prompts,
        settings.language,
        domains=settings.domains,
        genres=settings.genres,
        lengths=settings.lengths or (0,),
    )
