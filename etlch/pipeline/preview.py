"""Return every request that one position of the plan would send, without sending it.

What only the teacher can fill in (the article, the instruction's fields) is shown as ⟨…⟩.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from etlch.core.errors import EtlchError
from etlch.core.locale import _
from etlch.core.settings import CheckSettings, PlanSettings, Settings
from etlch.dataset.build_record import Candidate, CandidateResult, RecordBuilder
from etlch.dataset.documents import own_texts
from etlch.llm.store import Reply, Request
from etlch.pipeline.session import offline_teacher
from etlch.pipeline.setup import chosen_prompts, chosen_tasks, planned, with_schema
from etlch.tasks.json_extraction import INSTRUCTION_SCHEMA
from etlch.teachers.base import Teacher
from etlch.teachers.llm import ModelTeacher

ARTICLE = "⟨the article that the teacher writes⟩"
INSTRUCTION = "⟨the instruction that the teacher writes⟩"
FIELDS = ("⟨field 1⟩", "⟨field 2⟩", "⟨field 3⟩")


@dataclass(frozen=True, slots=True)
class PreviewedRequest:
    """One request: which prompt it comes from, and what it says."""

    purpose: str
    request: Request


@dataclass
class _RecordingClient:
    """A ChatClient that keeps the requests and answers with ⟨…⟩."""

    sent: list[PreviewedRequest] = field(default_factory=list)

    async def ask(self, request: Request, purpose: str = "") -> Reply:
        self.sent.append(PreviewedRequest(purpose, request))
        text = ARTICLE
        if request.schema == INSTRUCTION_SCHEMA:
            text = json.dumps({"instruction": INSTRUCTION, "fields": FIELDS}, ensure_ascii=False)
        return Reply("", text, "stop", 0, 0, None)


async def requests(settings: Settings, place: int) -> tuple[Candidate, list[PreviewedRequest]]:
    """Return one place of the plan and the requests for it, as the first ask would send them.

    Args:
        settings: of the run to be.
        place: position in the plan, or among the chunks of the user's own texts, from 0.

    Raises:
        EtlchError: wrong prompts, or there is no such place.
    """
    settings = with_schema(settings)
    prompts, recording = chosen_prompts(settings.plan), _RecordingClient()
    once = dataclasses.replace(settings.check, max_attempts=1, min_chars=0)
    teacher = ModelTeacher(settings.teacher, settings.plan, prompts, recording)
    builder = _builder(settings.plan, once, teacher)
    candidate = _take(
        iter(own_texts(settings.plan).candidates) if settings.plan.articles else planned(teacher), place
    )
    await builder.build(candidate)
    return candidate, recording.sent


async def written(settings: Settings, place: int) -> CandidateResult:
    """Return what the offline teacher writes at one place of its plan.

    Raises:
        EtlchError: no such domain or genre, or phrase data that are wrong.
    """
    teacher = offline_teacher(settings.plan, chosen_prompts(settings.plan))
    return await _builder(settings.plan, settings.check, teacher).build(_take(planned(teacher), place))


def _builder(plan: PlanSettings, check: CheckSettings, teacher: Teacher) -> RecordBuilder:
    return RecordBuilder(
        teacher,
        chosen_prompts(plan),
        chosen_tasks(plan),
        check,
        plan.ner_types,
        lambda stage, event: None,
        lambda key, ok, reasons: None,
    )


def _take(plan: Iterator[Candidate], place: int) -> Candidate:
    candidate = next(islice(plan, place, None), None)
    if candidate is None:
        raise EtlchError(
            _("there is no place {place} in the texts").format(place=place), _("Name a smaller --topic.")
        )
    return candidate
