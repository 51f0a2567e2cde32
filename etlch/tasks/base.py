"""Define a task as a value: its name, its facts, its label text, and what a teacher is asked for.

A task turns a teacher's answer (JSON) into facts, facts into label text, and a label or a prediction into the same
facts. What several tasks share, flat JSON objects of lists, is here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from etlch.core.records import Fact, Json, Located
from etlch.text.json_text import read_json


class Parsed(NamedTuple):
    """A label or a prediction, read.

    Attributes:
        facts: in the order of the text, repeats kept.
        wrong: predictions that are no fact (a line without three parts, a nested value):
            each counts as one wrong prediction.
        how: "strict", "fenced" or "" (nothing could be read; it predicts nothing).
        problem: why nothing could be read.
    """

    facts: tuple[Fact, ...]
    wrong: int
    how: str
    problem: str


class Noted(NamedTuple):
    """Facts read from some notation.

    Attributes:
        facts: in the order of the text.
        wrong: items that are no fact.
        notation: its name, for the line that says how labels were read; empty for the task's own.
    """

    facts: tuple[Fact, ...]
    wrong: int
    notation: str


@dataclass(frozen=True)
class Task:
    """One kind of extraction.

    Attributes:
        name: also the name of its prompt folder.
        summary: one line for `etlch-data tasks`.
        parts: names of a fact's parts, e.g. ("type", "mention").
        grounded: which parts must stand in the article, as indices into `parts`.
        json_label: whether the label is JSON (then json_parse_ok applies).
        answer_schema: keys → the JSON schema of the teacher's answer. Keys are the types or
            fields of this record; tasks without keys get an empty sequence.
        label_schema: keys → the JSON schema of the label, or None where the label is not JSON.
        facts: the teacher's answer → facts, in the answer's order.
        render: (facts in label order, keys, language) → label text.
        parse: (label or prediction text, language, is it gold) → Parsed.
        problems: facts → what is wrong with them beyond schema and grounding, in words.
        type_part: which part is a fact's type: scores are told apart by it, and a label map renames it.
        metrics: families of metrics that apply beyond those of every task, e.g. "soft"; see
            metrics/registry.py.
        part_metrics: further families: name → the part whose values are compared alone, as a set.
            ("trigger", 1) gives the metric trigger_f1.
        win_rate_metrics: what a win rate counts; (rouge_l, cosine) are those of arXiv 2509.08381.
        nested_labels: whether labels that others made may nest, so that facts are (path, leaf).
        leaf_facts: whether facts are always (path, leaf), whatever the labels look like.
        arrange: located facts → the facts of the label, where its form depends on all of them: list items are
            numbered in the order of the article. None where each fact stands for itself.
        prompt_values: what its templates are given beside the article and the instruction.
        open_types: whether the setting `ner_types: open` leaves its types to the teacher.
        loose_parts: the parts that `calibrate` compares alone too, where a teacher words the rest freely.
        asks_fields: whether a record's keys come with the instruction that a teacher writes.
        examples: articles whose labels are known, as (language, article, label). `calibrate` has a teacher label
            them; the tasks that ship need none, as the offline teacher writes theirs.
        hub_category: the task category of the Hugging Face hub.
        read_value: (JSON value, article) → facts in any notation of other people, or None where it is none of
            them; None for tasks that know no other notation. Used by the best-effort reading of scores.
        read_lines: (text, language) → the same for text that is not JSON.
    """

    name: str
    summary: str
    parts: tuple[str, ...]
    grounded: tuple[int, ...]
    json_label: bool
    answer_schema: Callable[[Sequence[str]], Json]
    label_schema: Callable[[Sequence[str]], Json]
    facts: Callable[[Json], list[Fact]]
    render: Callable[[Sequence[Fact], Sequence[str], str], str]
    parse: Callable[[str, str, bool], Parsed]
    problems: Callable[[Sequence[Fact], str], list[str]] = lambda facts, language: []
    type_part: int = 0
    metrics: tuple[str, ...] = ()
    part_metrics: tuple[tuple[str, int], ...] = ()
    win_rate_metrics: tuple[str, ...] = ("rouge_l", "cosine")
    nested_labels: bool = False
    leaf_facts: bool = False
    arrange: Callable[[Sequence[Located]], tuple[Located, ...]] | None = None
    prompt_values: Mapping[str, Json] = field(default_factory=dict)
    open_types: bool = False
    loose_parts: tuple[int, ...] = ()
    asks_fields: bool = False
    examples: tuple[tuple[str, str, str], ...] = ()
    hub_category: str = "text-generation"
    read_value: Callable[[Json, str], Noted | None] | None = None
    read_lines: Callable[[str, str], Noted | None] | None = None


_ITEM = re.compile(r"/?#\d+(?=/|\Z)")
"""The number of a list's item in the path of a leaf."""


def without_numbers(path: str) -> str:
    """Return the path of a leaf without the numbers of list items: people/#1/name is people/name."""
    return _ITEM.sub("", path)


def type_of(fact: Fact, task: Task) -> str:
    """Return a fact's type; that of a leaf is its path without the numbers of list items."""
    return without_numbers(fact[task.type_part]) if task.leaf_facts else fact[task.type_part]


def policy_names(fact: Fact, part: int, task: Task) -> list[str]:
    """Return the names under which a policy of a fact's part may stand, the most specific first.

    Of a leaf they are its dotted path (`people.name`), and the last key of it.
    """
    if task.leaf_facts:
        dotted = type_of(fact, task).replace("/", ".")
        return [dotted, dotted.rpartition(".")[2]]
    return [task.parts[part], *(name for place, name in enumerate(fact) if place not in task.grounded)]


def scalar_text(value: Json) -> str | None:
    """Return a scalar as a fact's part: a number or boolean is its JSON text, null is no value.

    Lists and objects return None too; callers tell them apart before they ask.
    """
    if value is None or isinstance(value, list | dict):
        return None
    return value if isinstance(value, str) else json.dumps(value)


def flat_facts(value: Json) -> list[Fact]:
    """Return the (key, value) facts of a flat object of lists; a lone scalar is a list of one."""
    return list(_flat(value)[0])


def _flat(value: Json) -> tuple[list[Fact], int]:
    facts: list[Fact] = []
    wrong = 0
    if not isinstance(value, dict):
        return facts, 1
    for key, values in value.items():
        for item in values if isinstance(values, list) else [values]:
            if isinstance(item, str):  # nearly always, and this is read for every gold and prediction
                if item.strip():
                    facts.append((key, item))
            elif isinstance(item, list | dict):
                wrong += 1
            elif (text := scalar_text(item)) is not None:
                facts.append((key, text))
    return facts, wrong


def flat_label(facts: Sequence[Fact], keys: Sequence[str], *, keep_empty: bool) -> str:
    """Return the flat JSON label: keys in their order, values in the order of the facts."""
    label: dict[str, list[str]] = {key: [] for key in keys}
    for key, value in facts:
        label.setdefault(key, []).append(value)
    return json.dumps(
        {key: values for key, values in label.items() if values or keep_empty}, ensure_ascii=False
    )


def flat_parse(text: str, language: str, gold: bool) -> Parsed:
    """Read a flat JSON object: strictly, else after one code fence or leading prose."""
    reading = read_json(text)
    if not reading.how:
        return Parsed((), 0, "", reading.problem)
    facts, wrong = _flat(reading.value)
    return Parsed(tuple(facts), wrong, reading.how, "")


def flat_schema(keys: Sequence[str], *, required: bool) -> Json:
    """Return the schema of a flat object of lists of strings under OpenAI's strict rules."""
    return {
        "type": "object",
        "properties": {key: {"type": "array", "items": {"type": "string"}} for key in keys},
        "required": list(keys) if required else [],
        "additionalProperties": False,
    }
