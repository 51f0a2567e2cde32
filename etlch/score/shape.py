"""The first labels of a file walk in; its task, its language and how its labels are built walk out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice

from etlch.config import ScoreSettings
from etlch.errors import EtlchError
from etlch.labels import read_json
from etlch.measure.form import read_glued
from etlch.measure.record import says_none
from etlch.predictions import parse_key, parse_row, raw_rows, without_markers
from etlch.records import Json
from etlch.score.inputs import Job
from etlch.tasks import kge
from etlch.text import is_cjk

LOOK = 200
"""Rows that are looked at."""


@dataclass(frozen=True)
class Shape:
    """What the labels of one task in a file look like.

    Attributes:
        language: for rows that do not name their own.
        nested: some label holds an object inside a list or object, or several values.
        glued: some label holds several JSON values after each other.
    """

    language: str
    nested: bool = False
    glued: bool = False


@dataclass(frozen=True)
class Look:
    """What the first rows of a file say.

    Attributes:
        task: of rows that do not name their own.
        guessed: whether the labels decided it, because nothing else said it.
        shapes: task → shape, for every task seen.
    """

    task: str
    guessed: bool
    shapes: Mapping[str, Shape]


@dataclass(frozen=True)
class _Gold:
    task: str
    language: str
    text: str


def look(job: Job, settings: ScoreSettings) -> Look:
    """Look at the first rows of a job.

    Raises:
        EtlchError: the file is empty, or its labels fit no task.
    """
    golds = list(islice(_golds(job, settings), LOOK))
    if not golds:
        raise EtlchError(f"{job.path} has no row that can be scored", "An empty file scores nothing.")
    golds = [replace(gold, text=without_markers(gold.text, settings.end_markers)) for gold in golds]
    said = job.system.task or settings.task or ""
    unsaid = [gold.text for gold in golds if not gold.task]
    guessed = bool(unsaid) and not said
    task = said or (_guess(unsaid, job) if unsaid else golds[0].task)
    by_task: dict[str, list[_Gold]] = {}
    for gold in golds:
        by_task.setdefault(gold.task or task, []).append(gold)
    return Look(task, guessed, {name: _shape(name, held, settings) for name, held in by_task.items()})


def _shape(task: str, golds: list[_Gold], settings: ScoreSettings) -> Shape:
    texts = [gold.text for gold in golds]
    chinese = any(is_cjk(char) for text in texts[:20] for char in text)
    language = golds[0].language or settings.language or ("zh-TW" if chinese else "en")
    if task == "kge":
        return Shape(language)
    glued = any(not read_json(text).how and read_glued(text).how for text in texts)
    nested = glued or any(_is_nested(read_json(text).value) for text in texts)
    return Shape(language, nested, glued)


def _golds(job: Job, settings: ScoreSettings) -> Iterator[_Gold]:
    if job.keys is not None:
        for raw in raw_rows(job.keys):
            key = parse_key(raw, job.keys)
            yield _Gold(key.task, key.language, key.gold)
        return
    for raw in raw_rows(job.path):
        try:
            row = parse_row(raw, job.path)
        except EtlchError:
            if settings.bad_lines == "refuse":
                raise
            continue
        columns = row.columns
        yield _Gold(str(columns.get("task") or ""), str(columns.get("language") or ""), row.label or "")


def _guess(texts: list[str], job: Job) -> str:
    """Triples → kge, JSON → json: whichever most labels are."""
    votes: Counter[str] = Counter()
    for text in texts:
        if not text.strip() or says_none(text):
            continue
        if isinstance(read_glued(text).value, dict | list):
            votes["json"] += 1
        elif any(_is_triple(text, language) for language in ("zh-TW", "en")):
            votes["kge"] += 1
    if not votes:
        raise EtlchError(f"{job.path}: the labels are neither JSON nor triples", "Name the task with --task.")
    return votes.most_common(1)[0][0]


def _is_triple(text: str, language: str) -> bool:
    return bool(kge.TASK.parse(text, language, True).facts)


def _is_nested(value: Json) -> bool:
    if isinstance(value, list):
        return any(isinstance(item, dict | list) for item in value)
    if not isinstance(value, dict):
        return False
    return any(
        isinstance(held, dict)
        or (isinstance(held, list) and any(isinstance(item, dict | list) for item in held))
        for held in value.values()
    )
