"""Write the documents whose facts are unsure in the format of an annotation tool, for people to correct."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from etlch.core.files import write_text
from etlch.core.records import Located, Record
from etlch.dataset.writers import write_labels
from etlch.extract.card import ExtractorCard
from etlch.extract.facts import Extraction, Source
from etlch.tasks import Task


def write_review(
    path: Path,
    documents: Iterable[tuple[Extraction, Source]],
    card: ExtractorCard,
    tasks: Iterable[Task],
    form: str,
) -> dict[str, int]:
    """Write a file for each task with the documents that have facts below the threshold or could not be read.

    The kept facts and those below the threshold stand in it as annotations, so that people correct and need
    not begin anew. `etlch-data import` reads the files back.

    Args:
        path: the file; with several tasks the task's name is added to its stem.
        documents: each with what was found in it.
        card: of the model.
        tasks: that were asked.
        form: doccano or label-studio.

    Returns:
        Files that were written → documents in each.
    """
    wanted = list(tasks)
    records: dict[str, list[Record]] = {task.name: [] for task in wanted}
    for item, source in documents:
        for task in wanted:
            if item.pieces and (item.problem or any(fact.task == task.name for fact in item.below)):
                records[task.name].append(_record(item, source, task, card))
    written = {}
    for task in wanted:
        of_task = records[task.name]
        stem = path.stem if len(wanted) == 1 else f"{path.stem}-{task.name}"
        for name, content in write_labels(of_task, task, form, stem).files.items() if of_task else ():
            write_text(path.with_name(name), content)
            written[name] = len(of_task)
    return written


def _record(item: Extraction, source: Source, task: Task, card: ExtractorCard) -> Record:
    told = card.tasks[task.name]
    facts = [Located(fact.fact, fact.spans) for fact in (*item.facts, *item.below) if fact.task == task.name]
    return Record(
        id=f"{item.document}-{task.name}",
        article_id=item.document,
        task=task.name,
        language=card.language,
        instruction=told.instruction or "",
        input=source.text,
        output="",
        schema=told.schema,
        facts=tuple(facts),
    )
