"""Write a record of the task schema under another prompt form: other wording, order and names of its keys.

A form's prompt states the JSON Schema, as in JsonTuning (arXiv 2310.02953), whose robustness test asks the same articles
under several templates. Form n takes wording n of prompts/schema/forms.yaml, an order of keys drawn with the seed n, and
one of three styles of names; so forms are endless, and the first k of them are always the same.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from etlch.core.errors import EtlchError
from etlch.core.prompts import Prompts
from etlch.core.records import Json, Record
from etlch.core.settings import Settings
from etlch.tasks.schema_file import kind_of

TASK = "schema"
"""The task whose prompts can be varied: the only one whose keys the prompt defines."""

FORMS = "schema/forms.yaml"
_STYLES = 3
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def in_form(record: Record, number: int, prompts: Prompts, key_names: Mapping[str, Sequence[str]]) -> Record:
    """Return a record under a prompt form; the article and the values of the label stay.

    Args:
        record: of the task schema.
        number: of the form, from 1.
        prompts: hold the wordings.
        key_names: key of the schema → other names for it. A key without any is written in camelCase or as separate
            words where its name is ASCII, and keeps its name otherwise.
    """
    wordings = prompts.data(FORMS)[record.language]
    renamed = _Form(number, key_names)
    schema = renamed.schema(record.schema, "")
    text = wordings[(number - 1) % len(wordings)].replace("{schema}", json.dumps(schema, ensure_ascii=False))
    label = renamed.label(record.schema, json.loads(record.output), "")
    return replace(
        record, instruction=text, output=json.dumps(label, ensure_ascii=False), schema=schema, facts=()
    )


@dataclass(frozen=True)
class PromptForms:
    """The prompt forms of a run.

    Attributes:
        prompts, key_names: as `in_form` takes them.
        train: forms that training rows take in turn, besides their own.
        tests: name of a test set → the form of its rows.
    """

    prompts: Prompts
    key_names: Mapping[str, Sequence[str]]
    train: int
    tests: Mapping[str, int]

    def training(self, records: Iterable[Record]) -> tuple[Record, ...]:
        """Return training rows in their forms: by place, so that larger sizes keep the rows of smaller ones."""
        return tuple(self.of(record, place % (self.train + 1)) for place, record in enumerate(records))

    def of(self, record: Record, number: int) -> Record:
        """Return a record in a form; one of another task as it is."""
        return (
            in_form(record, number, self.prompts, self.key_names)
            if record.task == TASK and number
            else record
        )

    def all(self, record: Record) -> tuple[Record, ...]:
        """Return a record in every form that a data file may hold, but its own."""
        most = max(self.train, *self.tests.values(), 0)
        return tuple(self.of(record, number) for number in range(1, most + 1)) if record.task == TASK else ()


def forms_of(settings: Settings) -> PromptForms:
    """Return the prompt forms of a run.

    Raises:
        EtlchError: forms are asked for, and no task has a schema of the user's own.
    """
    export, plan = settings.export, settings.plan
    if (export.prompt_forms or export.train_forms) and TASK not in plan.tasks:
        raise EtlchError(
            "prompt_forms and train_forms vary the prompts of the task 'schema', which this run does not have",
            "Leave them out, or make a run with --schema FILE.",
        )
    prompts = Prompts(Path(plan.prompts) if plan.prompts else None, (TASK,))
    return PromptForms(prompts, export.key_names, export.train_forms, settings.forms)


class _Form:
    """The names and the order of keys of one form."""

    def __init__(self, number: int, key_names: Mapping[str, Sequence[str]]) -> None:
        self.number = number
        self.key_names = key_names

    def schema(self, node: Json, path: str) -> Json:
        """Return a part of the schema in this form."""
        kind = kind_of(node)
        if kind == "list":
            return {**node, "items": self.schema(node["items"], path)}
        if kind != "object":
            return node
        names = self._names(node, path)
        parts = {names[key]: self.schema(node["properties"][key], f"{path}/{key}") for key in names}
        return {**node, "properties": parts, "required": list(parts)}

    def label(self, node: Json, value: Json, path: str) -> Json:
        """Return a part of the label in this form; `node` is its part of the record's own schema."""
        kind = kind_of(node)
        if kind == "list" and isinstance(value, list):
            return [self.label(node["items"], item, path) for item in value]
        if kind != "object" or not isinstance(value, dict):
            return value
        names = self._names(node, path)
        return {
            names[key]: self.label(node["properties"][key], value.get(key), f"{path}/{key}") for key in names
        }

    def _names(self, node: Json, path: str) -> dict[str, str]:
        """Return key → its name, in this form's order; where two names would be the same, all stay as they are."""
        keys = list(node["properties"])
        random.Random(f"{self.number}{path}").shuffle(keys)
        names = {key: self._name(key) for key in keys}
        return names if len(set(names.values())) == len(keys) else {key: key for key in keys}

    def _name(self, key: str) -> str:
        told: tuple[str, ...] = (key, *self.key_names.get(key, ()))
        if len(told) > 1:
            return told[self.number % len(told)]
        style = self.number % _STYLES
        words: list[str] = _WORDS.findall(key)
        if not style or not key.isascii() or not words:
            return key
        if style == 1:
            return words[0].lower() + "".join(word.capitalize() for word in words[1:])
        return " ".join(words).capitalize()
