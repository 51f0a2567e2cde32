"""The record types of a run: topic, article, record, rejected, key, model. All frozen, all plain data."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, TypeVar

Json = Any
"""A value that `json.loads` can return. (A recursive alias gains nothing past the parsing line.)"""

Fact = tuple[str, ...]
"""The unit that a label is made of, e.g. ("subject", "relation", "object")."""

Span = tuple[int, int]
"""Where a value stands in an article: start and end in characters, end exclusive."""

HUMAN = "human"
"""The source of labels that people made, and the teacher's name in runs of imported labels."""

TRAIN = "train"
"""The split of imported records that training sets are made of (setting `mix`)."""

LANGUAGES = ("zh-TW", "zh-CN", "en")
TASKS = ("json", "kge", "ner")
"""The tasks that ship with the package, in the order in which files list them."""


@dataclass(frozen=True, slots=True)
class Topic:
    """What an article is about: one position of the endless plan.

    Attributes:
        position: place in the plan, from 0; ids and seeds derive from it.
        domain: the broad field, in the plan's language.
        subject: the subject within that field.
        language: one of LANGUAGES.
        genre: the kind of text asked for ("news report", ...).
        length: target length in characters (Chinese) or words (English); 0 leaves it open.
        edition: how many earlier topics of the plan read the same; keeps their requests apart.
        wanted: kinds of facts that the article shall state, in a run that grows by its student's mistakes.
    """

    position: int
    domain: str
    subject: str
    language: str
    genre: str = ""
    length: int = 0
    edition: int = 0
    wanted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Article:
    """The context text of a record. `source` says where it comes from: a teacher or a file."""

    id: str
    topic: str
    domain: str
    language: str
    source: str
    text: str


@dataclass(frozen=True, slots=True)
class Located:
    """A fact and, for each of its parts, where it stands in the article (None: not looked for)."""

    fact: Fact
    spans: tuple[Span | None, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """One sample: article + instruction + label, for one task.

    Attributes:
        schema: the JSON schema that the label must satisfy; None where the label is not JSON.
        source: who made the label: `teacher:NAME`, `offline` or HUMAN.
        split: empty where the record's place in the run decides; for records imported into a run, TRAIN or the name
            of their test set.
    """

    id: str
    article_id: str
    task: str
    language: str
    instruction: str
    input: str
    output: str
    schema: Json
    facts: tuple[Located, ...]
    source: str = ""
    split: str = ""


@dataclass(frozen=True, slots=True)
class Rejected:
    """What a check refused, at which stage and why, with the raw text that was refused."""

    article_id: str
    task: str
    stage: str
    reasons: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Key:
    """The gold side of one row of a validation or test file, in the same order as that file."""

    id: str
    article_id: str
    task: str
    language: str
    instruction: str
    input: str
    gold: str
    schema: Json


@dataclass(frozen=True, slots=True)
class Model:
    """What `predictions/<model>/model.json` holds. role: tuned, base or baseline."""

    name: str
    size: int | None
    seed: int | None
    role: str
    adapter: str | None
    recipe: str | None

    @property
    def folder(self) -> str:
        """Name of its folders and recipes: `<name>[-<size>][-s<seed>]`."""
        size = "" if self.size is None else f"-{self.size}"
        return f"{self.name}{size}" + ("" if self.seed is None else f"-s{self.seed}")


T = TypeVar("T")


def test_name(task: str, test: str) -> str:
    """Return how predictions and scores of a task on one of its test sets are called: `ner`, or `ner@human`."""
    return f"{task}@{test}" if test else task


def task_of(name: str) -> str:
    """Return the task of a name such as `ner@human`."""
    return name.partition("@")[0]


def test_of(name: str) -> str:
    """Return the test set of a name such as `ner@human`; empty for a run's own."""
    return name.partition("@")[2]


def form_name(number: int) -> str:
    """Return the name of the test set that asks the run's test articles under a prompt form, from 1."""
    return f"form{number}"


def is_form(test: str) -> bool:
    """Tell whether a test set's name is one that prompt forms have."""
    return test.startswith("form") and test[4:].isdecimal()


def to_dict(value: Any) -> dict[str, Json]:
    """Return a record type as a dict that `json.dumps` takes, keys in the order of its definition."""
    return dataclasses.asdict(value)


def from_dict(kind: type[T], values: dict[str, Json]) -> T:
    """Build a record type from one parsed JSON object, restoring tuples.

    Fields with a default may be missing: files of earlier releases do not have them.

    Raises:
        KeyError: another field is missing, or one is unknown; the message names it.
    """
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    names = list(fields)
    missing = [name for name in names if name not in values and fields[name].default is dataclasses.MISSING]
    unknown = [name for name in values if name not in names]
    if missing or unknown:
        problems = [f"no field '{name}'" for name in missing] + [
            f"unknown field '{name}'" for name in unknown
        ]
        raise KeyError(", ".join(problems))
    return kind(**{name: _restore(name, values[name]) for name in names if name in values})


def _restore(name: str, value: Json) -> Json:
    if name == "facts":
        return tuple(
            Located(tuple(item["fact"]), tuple(None if s is None else (s[0], s[1]) for s in item["spans"]))
            for item in value
        )
    if name == "reasons":
        return tuple(value)
    return value
