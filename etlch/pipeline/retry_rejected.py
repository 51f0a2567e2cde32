"""Set aside the stored replies for which candidates were rejected, so that the next generation asks again.

Nothing that was paid for is deleted: such a reply stays in the store, under another key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from etlch.core.prompts import Prompts
from etlch.core.records import Rejected
from etlch.core.run_folder import Run
from etlch.core.settings import Settings
from etlch.dataset.build_record import CHECKS, Candidate, RecordBuilder
from etlch.llm.store import Reply, Request, Store, locked
from etlch.pipeline.session import model_teacher
from etlch.pipeline.setup import planned
from etlch.tasks import Task
from etlch.teachers.base import first_purpose

_STAGES = {"instruction": "ask", "label": "label"}


class _NotOnFile(Exception):
    """A request that no stored reply answers."""


class _Replay:
    """A client that answers from a store alone and notes what it gave: (purpose, key)."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.given: list[tuple[str, str]] = []

    async def ask(self, request: Request, purpose: str = "") -> Reply:
        """Return a stored reply.

        Raises:
            _NotOnFile: there is none.
        """
        reply = self.store.get(request.key)
        if reply is None:
            raise _NotOnFile
        self.given.append((first_purpose(purpose), request.key))
        return reply


async def set_rejected_aside(
    settings: Settings,
    run: Run,
    prompts: Prompts,
    tasks: Mapping[str, Task],
    texts: Iterable[Candidate] | None,
) -> str:
    """Set aside the replies that the checks refused of every rejected candidate; return how many, in words.

    Of a candidate whose label was refused the article stays, as it passed. Near copies stay rejected.

    Args:
        settings: of the run.
        run: its folder; without replies nothing is done.
        prompts: as in the generation.
        tasks: as in the generation.
        texts: candidates of the user's own texts; None takes the teacher's plan.

    Raises:
        EtlchError: another process works on the run, or the store cannot be used.
    """
    if not run.replies.is_file():
        return "there are no replies on file: nothing to ask again"
    with locked(run):
        store = Store(run.replies)
        try:
            left = {
                name
                for name, verdict in store.verdicts(CHECKS).items()
                if not verdict.ok and not any("near copy of" in reason for reason in verdict.reasons)
            }
            client = _Replay(store)
            teacher = model_teacher(settings, prompts, client)
            builder = RecordBuilder(
                teacher,
                prompts,
                tasks,
                settings.check,
                settings.plan.ner_types,
                lambda stage, event: None,
                lambda key, ok, reasons: None,
            )
            count = 0
            for candidate in planned(teacher) if texts is None else texts:
                if not left:
                    break
                if candidate.id not in left:
                    continue
                left.discard(candidate.id)
                count += await _set_aside(candidate, builder, client)
            return f"{count} replies that the checks refused are asked again"
        finally:
            store.close()


async def _set_aside(candidate: Candidate, builder: RecordBuilder, client: _Replay) -> int:
    client.given.clear()
    try:
        result = await builder.build(candidate)
    except _NotOnFile:
        return 0  # stopped, or refused by the endpoint: it is asked again anyway
    if result.article is not None:
        return 0
    refused = {_purpose(item) for item in result.rejected}
    keys = {key for purpose, key in client.given if purpose in refused}
    for key in sorted(keys):
        client.store.set_aside(key)
    return len(keys)


def _purpose(item: Rejected) -> str:
    """Return the purpose of the requests whose answers were rejected."""
    return f"{item.task}/{_STAGES.get(item.stage, item.stage)}" if item.task else "article"
