"""Find out from the first rows of a file its task, its language and how its labels are built.

This is decided once a file and kept in the summary, so that the report reads no prediction another way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path

from etlch.core.errors import EtlchError
from etlch.core.files import load_yaml, shipped
from etlch.core.locale import _
from etlch.core.records import Json, task_of
from etlch.core.settings import ScoreSettings
from etlch.metrics.predictions import Prediction, own_gold, parse_row, without_markers
from etlch.metrics.readers.containers import raw_rows
from etlch.metrics.readers.gold import parse_key
from etlch.metrics.reading import STRICT, read_gold, says_none
from etlch.scoring.inputs import Job
from etlch.tasks import all_tasks, find_task
from etlch.tasks.base import Task
from etlch.tasks.notations import UNSURE
from etlch.text.json_text import loads
from etlch.text.model_text import first_json
from etlch.text.normalize import is_cjk, squash

SAMPLE_ROWS = 200
"""Rows that are looked at."""

MOST_PER_PROMPT = 20
"""Rows that one prompt may have on average; above it prompts are taken for instructions without an article."""


@dataclass(frozen=True)
class LabelShape:
    """What the labels of one task in a file look like.

    Attributes:
        language: for rows that do not name their own.
        nested: some label holds an object inside a list or object and is no notation of the task's own facts.
        notation: what the labels are written as, where that is not the task's own form.
    """

    language: str
    nested: bool = False
    notation: str = ""


@dataclass(frozen=True)
class FileContext:
    """What the first rows of a file say.

    Attributes:
        task: of rows that do not name their own.
        shapes: task → shape, for every task seen.
        by_prompt: whether rows with equal prompts are of one article, because no column says it.
        notes: what was taken for granted, in words.
    """

    task: str
    shapes: Mapping[str, LabelShape]
    by_prompt: bool
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Gold:
    """One gold text. `prompt` is None where keys or columns say which article it belongs to."""

    task: str
    language: str
    text: str
    prompt: str | None
    article: str = ""


def detect_format(job: Job, settings: ScoreSettings) -> FileContext:
    """Look at the first rows of a job.

    Raises:
        EtlchError: the file is empty, or its labels fit no task.
    """
    golds = list(islice(_golds(job, settings), SAMPLE_ROWS))
    if not golds:
        raise EtlchError(
            _("{path} has no row that can be scored").format(path=job.path),
            _("An empty file scores nothing."),
        )
    by_prompt, notes = _articles([gold.prompt for gold in golds if gold.prompt is not None])
    golds = [replace(gold, text=without_markers(gold.text, settings.end_markers)) for gold in golds]
    said = task_of(job.system.task or settings.task or ("schema" if settings.schema else ""))
    unsaid = [gold.text for gold in golds if not gold.task]
    task = said or (_guess(unsaid, job) if unsaid else golds[0].task)
    if unsaid and not said:
        told = _("{file}: no task named; its labels look like {task}").format(file=job.shown, task=task)
        notes = (told, *notes)
    by_task: dict[str, list[_Gold]] = {}
    for gold in golds:
        by_task.setdefault(gold.task or task, []).append(gold)
    task_file = Path(settings.task_file) if settings.task_file else None
    tasks = all_tasks(task_file)
    shapes = {name: _shape(tasks[name], rows, settings) for name, rows in by_task.items() if name in tasks}
    text = _("{file}: labels are {notation}; scored as {task} facts")
    read = [
        text.format(file=job.shown, notation=shape.notation, task=name)
        for name, shape in shapes.items()
        if shape.notation
    ]
    return FileContext(task, shapes, by_prompt, (*read, *notes))


def _articles(prompts: list[str]) -> tuple[bool, tuple[str, ...]]:
    """Tell from the prompts of rows whose article nobody names whether equal ones mean one article."""
    if not prompts:
        return False, ()
    different = len(set(prompts))
    if different == len(prompts) and "" not in prompts:
        return True, ()
    if different > 1 and len(prompts) <= different * MOST_PER_PROMPT:
        return True, (_("rows with equal prompts count as one article"),)
    return False, (_("each row counts as an article of its own; a column article_id would group them"),)


def _shape(task: Task, golds: list[_Gold], settings: ScoreSettings) -> LabelShape:
    texts = [gold.text for gold in golds]
    chinese = any(is_cjk(char) for text in texts[:20] for char in text)
    language = golds[0].language or settings.language or ("zh-TW" if chinese else "en")
    read = [read_gold(gold.text, language, task, gold.article) for gold in golds]
    notations = Counter(one.notation for one in read if one.notation)
    if task.leaf_facts:
        return LabelShape(language, nested=True)
    if task.nested_labels and any(
        _is_nested(gold.text, one.notation) for gold, one in zip(golds, read, strict=True)
    ):
        return LabelShape(language, nested=True)
    if notations:
        return LabelShape(language, notation=notations.most_common(1)[0][0])
    loose = sum(one.how not in (STRICT, "none", "fenced", "") for one in read)
    return LabelShape(
        language, notation="not in the task's own form (read at best effort)" if 2 * loose > len(read) else ""
    )


def _golds(job: Job, settings: ScoreSettings) -> Iterator[_Gold]:
    if job.keys is not None:
        for raw in raw_rows(job.keys):
            key = parse_key(raw, job.keys, settings.columns, settings.task or "", settings.language or "")
            yield _Gold(key.task, key.language, key.gold, None, key.input)
        return
    for raw in raw_rows(job.path):
        try:
            row = parse_row(raw, job.path, job.layout)
            gold = own_gold(row, job.path)
        except EtlchError:
            if settings.bad_lines == "refuse":
                raise
            continue
        task, language = (str(row.columns.get(name) or "") for name in ("task", "language"))
        yield _Gold(task, language, gold, None if _has_article(row) else squash(row.prompt), article_of(row))


def article_of(row: Prediction) -> str:
    """Return the article of a row without keys: its input or text column, else its prompt."""
    for name in ("input", "text", "sentence"):
        if isinstance(value := row.columns.get(name), str) and value:
            return value
    return row.prompt


def _has_article(row: Prediction) -> bool:
    return bool(row.columns.get("article_id") or row.columns.get("input"))


def _guess(texts: list[str], job: Job) -> str:
    """Return the task that most labels look like: triples, entities, else other JSON.

    Raises:
        EtlchError: no label looks like any of them.
    """
    votes: Counter[str] = Counter()
    flat: list[Json] = []
    for text in texts:
        if not text.strip() or says_none(text):
            continue
        found = first_json(text) if text.lstrip()[:1] in "{[`" else None
        if found is not None and not found.problem:
            votes[_of_value(found.value)] += 1
            flat.append(found.value)
        elif any(_lines_of(name, text, language) for name, language in (("kge", "zh-TW"), ("kge", "en"))):
            votes["kge"] += 1
        elif _lines_of("ner", text, "en"):
            votes["ner"] += 1
    if not votes:
        raise _unknown_labels(texts, job)
    first = votes.most_common(1)[0][0]
    return "ner" if first == "json" and _are_entities(flat) else first


def _of_value(value: Json) -> str:
    """Return the task whose notation a JSON label is in; an object by itself is the json task's."""
    whole = not isinstance(value, dict) or any(
        isinstance(item, list) and _holds_objects(item) for item in value.values()
    )
    for name in ("kge", "ner"):
        read = find_task(name).read_value
        noted = read(value, "") if read and (whole or name == "kge") else None
        if (
            noted is not None
            and noted.notation
            and noted.notation not in UNSURE
            and noted.facts
            and isinstance(value, list | dict)
        ):
            return name
    return "json"


def _holds_objects(value: Json) -> bool:
    return isinstance(value, list) and any(isinstance(item, dict | list) for item in value)


def _lines_of(task: str, text: str, language: str) -> bool:
    read = find_task(task).read_lines
    noted = read(text, language) if read else None
    return noted is not None and len(noted.facts) > noted.wrong and noted.notation not in UNSURE


def _unknown_labels(texts: list[str], job: Job) -> EtlchError:
    where = job.keys or job.path
    if not any(text.strip() for text in texts):
        return EtlchError(
            _("{where}: all {count} labels looked at are empty (an evaluation set without answers?)").format(
                where=where, count=len(texts)
            ),
            _("Name the gold with --keys FILE: the keys of this test set, or your own test file."),
        )
    first = next(text for text in texts if text.strip())
    return EtlchError(
        _("{where}: the labels are neither JSON nor triples nor entities; the first is {first!r}").format(
            where=where, first=first[:60]
        ),
        _("Name the task with --task, or read labels of your own form with the setting task_file."),
    )


def _are_entities(values: list[Json]) -> bool:
    """Tell whether these are flat objects under nothing but entity types of one language."""
    if not all(isinstance(value, dict) and not _nests(value) for value in values):
        return False
    keys = {key for value in values for key in value}
    return bool(keys) and any(keys <= set(types) for types in _entity_types().values())


@lru_cache(maxsize=1)
def _entity_types() -> Mapping[str, Mapping[str, str]]:
    """Language → the entity types of the task ner."""
    types: Mapping[str, Mapping[str, str]] = load_yaml(shipped("prompts") / "ner" / "types.yaml")
    return types


def _is_nested(text: str, notation: str) -> bool:
    """Tell whether a label is nested JSON and not a notation of the task's own facts."""
    if notation:
        return False
    value, problem = loads(text.strip())
    if problem:
        found = first_json(text)
        value = found.value if not found.problem else None
    return _nests(value)


def _nests(value: Json) -> bool:
    if isinstance(value, list):
        return any(isinstance(item, dict | list) for item in value)
    if not isinstance(value, dict):
        return False
    return any(
        isinstance(inner, dict)
        or (isinstance(inner, list) and any(isinstance(item, dict | list) for item in inner))
        for inner in value.values()
    )
