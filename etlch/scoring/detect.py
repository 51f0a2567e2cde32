"""The first rows of a file walk in; its task, its language and how its labels are built walk out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path

from etlch.core.errors import EtlchError
from etlch.core.files import load_yaml, shipped
from etlch.core.records import Json
from etlch.core.settings import ScoreSettings
from etlch.metrics.json_form import read_glued
from etlch.metrics.predictions import Prediction, own_gold, parse_key, parse_row, raw_rows, without_markers
from etlch.metrics.record import says_none
from etlch.scoring.inputs import Job
from etlch.tasks import all_tasks, kge
from etlch.text.json_text import read_json
from etlch.text.normalize import is_cjk, squash

LOOK = 200
"""Rows that are looked at."""

MOST_PER_PROMPT = 20
"""Rows that one prompt may have on average; above it prompts are taken for instructions without an article."""


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
        shapes: task → shape, for every task seen.
        by_prompt: whether rows with equal prompts are of one article, because no column says it.
        notes: what was taken for granted, in words.
    """

    task: str
    shapes: Mapping[str, Shape]
    by_prompt: bool
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Gold:
    """One gold text. `prompt` is None where keys or columns say which article it belongs to."""

    task: str
    language: str
    text: str
    prompt: str | None


def look(job: Job, settings: ScoreSettings) -> Look:
    """Look at the first rows of a job.

    Raises:
        EtlchError: the file is empty, or its labels fit no task.
    """
    golds = list(islice(_golds(job, settings), LOOK))
    if not golds:
        raise EtlchError(f"{job.path} has no row that can be scored", "An empty file scores nothing.")
    by_prompt, notes = _articles([gold.prompt for gold in golds if gold.prompt is not None])
    golds = [replace(gold, text=without_markers(gold.text, settings.end_markers)) for gold in golds]
    said = job.system.task or settings.task or ""
    unsaid = [gold.text for gold in golds if not gold.task]
    task = said or (_guess(unsaid, job) if unsaid else golds[0].task)
    if unsaid and not said:
        notes = (f"{job.shown}: no task named; its labels look like {task}", *notes)
    by_task: dict[str, list[_Gold]] = {}
    for gold in golds:
        by_task.setdefault(gold.task or task, []).append(gold)
    path = Path(settings.task_file) if settings.task_file else None
    tasks = all_tasks(path)
    shapes = {
        name: _shape(name in tasks and tasks[name].nested_labels, held, settings)
        for name, held in by_task.items()
    }
    return Look(task, shapes, by_prompt, notes)


def _articles(prompts: list[str]) -> tuple[bool, tuple[str, ...]]:
    """Tell from the prompts of rows whose article nobody names whether equal ones mean one article."""
    if not prompts:
        return False, ()
    different = len(set(prompts))
    if different == len(prompts) and "" not in prompts:
        return True, ()
    if different > 1 and len(prompts) <= different * MOST_PER_PROMPT:
        return True, ("rows with equal prompts count as one article",)
    return False, ("each row counts as an article of its own; a column article_id would group them",)


def _shape(nested_labels: bool, golds: list[_Gold], settings: ScoreSettings) -> Shape:
    texts = [gold.text for gold in golds]
    chinese = any(is_cjk(char) for text in texts[:20] for char in text)
    language = golds[0].language or settings.language or ("zh-TW" if chinese else "en")
    if not nested_labels:
        return Shape(language)
    glued = any(not read_json(text).how and read_glued(text).how for text in texts)
    nested = glued or any(_is_nested(read_json(text).value) for text in texts)
    return Shape(language, nested, glued)


def _golds(job: Job, settings: ScoreSettings) -> Iterator[_Gold]:
    if job.keys is not None:
        for raw in raw_rows(job.keys):
            key = parse_key(raw, job.keys)
            yield _Gold(key.task, key.language, key.gold, None)
        return
    for raw in raw_rows(job.path):
        try:
            row = parse_row(raw, job.path)
            gold = own_gold(row, job.path)
        except EtlchError:
            if settings.bad_lines == "refuse":
                raise
            continue
        task, language = (str(row.columns.get(name) or "") for name in ("task", "language"))
        yield _Gold(task, language, gold, None if _has_article(row) else squash(row.prompt))


def _has_article(row: Prediction) -> bool:
    return bool(row.columns.get("article_id") or row.columns.get("input"))


def _guess(texts: list[str], job: Job) -> str:
    """Triples → kge, JSON → json: whichever most labels are. Keys that are all entity types → ner."""
    votes: Counter[str] = Counter()
    values: list[Json] = []
    for text in texts:
        if not text.strip() or says_none(text):
            continue
        if isinstance(value := read_glued(text).value, dict | list):
            votes["json"] += 1
            values.append(value)
        elif any(_is_triple(text, language) for language in ("zh-TW", "en")):
            votes["kge"] += 1
    if not votes:
        raise EtlchError(f"{job.path}: the labels are neither JSON nor triples", "Name the task with --task.")
    first = votes.most_common(1)[0][0]
    return "ner" if first == "json" and _are_entities(values) else first


def _are_entities(values: list[Json]) -> bool:
    """Tell whether these are flat objects under nothing but entity types of one language."""
    if not all(isinstance(value, dict) and not _is_nested(value) for value in values):
        return False
    keys = {key for value in values for key in value}
    return bool(keys) and any(keys <= set(types) for types in _entity_types().values())


@lru_cache(maxsize=1)
def _entity_types() -> Mapping[str, Mapping[str, str]]:
    """Language → the entity types of the task ner."""
    types: Mapping[str, Mapping[str, str]] = load_yaml(shipped("prompts") / "ner" / "types.yaml")
    return types


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
