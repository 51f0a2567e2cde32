"""schema: the label is one JSON object under a schema of the user's own (`--schema FILE`).

Schema:   {"properties": {"bridge": {"type": "string"}, "people": {"type": "array", "items": {… name, role}}}}
Article:  The Harbour Bridge opened in 1932. Its chief engineer was John Bradfield.
Label:    {"bridge": "Harbour Bridge", "people": [{"name": "John Bradfield", "role": "chief engineer"}]}
Facts:    (bridge, Harbour Bridge) (people/#0/name, John Bradfield) (people/#0/role, chief engineer)
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from etlch.core.errors import EtlchError
from etlch.core.locale import _
from etlch.core.records import Fact, Json, Located
from etlch.tasks.base import Parsed, Task, scalar_text, type_of
from etlch.tasks.schema_file import OwnSchema, kind_of, leaf_types
from etlch.text.json_text import read_json, schema_problems

_DEEPEST = 100
"""Levels of a prediction that are read; what lies deeper counts as wrong."""


def schema_task(own: OwnSchema, *, in_prompt: bool = False) -> Task:
    """Return the task of a schema.

    Args:
        own: the schema, as `read_schema` returns it.
        in_prompt: whether instructions state the schema itself (JsonTuning, arXiv 2310.02953).
    """
    text = json.dumps(own.label, ensure_ascii=False) if in_prompt else ""
    return replace(
        TASK,
        answer_schema=lambda keys: own.answer,
        label_schema=lambda keys: own.label,
        render=partial(_render, own.label),
        prompt_values={"outline": list(own.outline), "schema": text},
    )


def _unknown(keys: Sequence[str]) -> Json:
    raise EtlchError(
        _("the task 'schema' needs a schema"), _("Name it: --schema FILE, or schema: in the settings file.")
    )


def leaf_facts(value: Json) -> tuple[list[Fact], int]:
    """Return the (path, value) facts of a JSON value, and how much of it lies too deep to be read.

    A path is the keys on the way, list items as #0, #1, …; null and empty texts are no facts.
    """
    facts: list[Fact] = []
    wrong = 0
    waiting: list[tuple[tuple[str, ...], Json]] = [((), value)]
    while waiting:
        path, item = waiting.pop()
        if len(path) > _DEEPEST:
            wrong += 1
        elif isinstance(item, dict):
            waiting += [((*path, key), part) for key, part in reversed(item.items())]
        elif isinstance(item, list):
            waiting += [((*path, f"#{place}"), part) for place, part in reversed(list(enumerate(item)))]
        elif (text := _text(item)) is not None and text.strip():
            facts.append(("/".join(path), text))
    return facts, wrong


def _text(value: Json) -> str | None:
    """Return a scalar as a fact's part; 3.0 is 3, so that a number has one form."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return scalar_text(value)


def _facts(answer: Json) -> list[Fact]:
    return leaf_facts(answer)[0]


def _parse(text: str, language: str, gold: bool) -> Parsed:
    reading = read_json(text)
    if not reading.how:
        return Parsed((), 0, "", reading.problem)
    if not isinstance(reading.value, dict):
        return Parsed((), 1, reading.how, "")
    facts, wrong = leaf_facts(reading.value)
    return Parsed(tuple(facts), wrong, reading.how, "")


def _render(schema: Json, facts: Sequence[Fact], keys: Sequence[str], language: str) -> str:
    """Return the label: schema order, null for a leaf and [] for a list that no fact fills."""
    tree: dict[str, Json] = {}
    for path, value in facts:
        *way, last = path.split("/")
        node = tree
        for step in way:
            node = node.setdefault(step, {})
        node[last] = value
    return json.dumps(_value(schema, tree), ensure_ascii=False)


def _value(schema: Json, tree: Json) -> Json:
    kind = kind_of(schema)
    if kind == "object":
        branches = tree if isinstance(tree, dict) else {}
        return {name: _value(part, branches.get(name)) for name, part in schema["properties"].items()}
    if kind == "list":
        branches = tree if isinstance(tree, dict) else {}
        return [_value(schema["items"], branches[step]) for step in sorted(branches, key=_number)]
    return None if tree is None else _scalar(schema, str(tree))


def _number(step: str) -> int:
    return int(step.removeprefix("#"))


def _scalar(schema: Json, text: str) -> Json:
    if "enum" in schema:
        return next((one for one in schema["enum"] if _text(one) == text), text)
    types = schema["type"]
    if "string" in types:
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text  # breaks the label's schema, which `check` reports


def broken_by(facts: Sequence[Fact], task: Task) -> str:
    """Return why labelled facts are no label of a schema's task; empty where they are one.

    Args:
        facts: (path, value), as a person labelled them.
        task: as schema_task returns it.
    """
    schema = task.label_schema(())
    known = leaf_types(schema)
    for fact in facts:
        if type_of(fact, task).replace("/", ".") not in known:
            return f"the schema has no leaf {fact[0]}"
    return next(iter(schema_problems(json.loads(task.render(facts, (), "en")), schema)), "")


def arrange(located: Sequence[Located]) -> tuple[Located, ...]:
    """Return located facts with the items of each list in the order of the article, numbered without gaps.

    Items lose their place when facts that do not stand in the article are dropped; equal items are kept once.

    Args:
        located: sorted by first position in the article, as `ground` returns them.
    """
    paths = [(tuple(item.fact[0].split("/")), item) for item in located]
    return tuple(Located(("/".join(path), item.fact[1]), item.spans) for path, item in _arranged(paths))


_Placed = tuple[tuple[str, ...], Located]


def _arranged(items: Sequence[_Placed]) -> list[_Placed]:
    groups: dict[str, list[_Placed]] = {}
    for path, item in items:
        if not path:
            return [(path, item)]
        groups.setdefault(path[0], []).append((path[1:], item))
    found: list[_Placed] = []
    seen: set[frozenset[tuple[tuple[str, ...], str]]] = set()
    for step, below in groups.items():
        inner = _arranged(below)
        name = step
        if step.startswith("#"):
            content = frozenset((path, item.fact[1]) for path, item in inner)
            if content in seen:
                continue
            name = f"#{len(seen)}"
            seen.add(content)
        found += [((name, *path), item) for path, item in inner]
    return found


TASK = Task(
    name="schema",
    summary="one JSON object under a schema of your own (--schema FILE)",
    parts=("path", "value"),
    grounded=(1,),
    json_label=True,
    answer_schema=_unknown,
    label_schema=_unknown,
    facts=_facts,
    render=lambda facts, keys, language: _unknown(keys),
    parse=_parse,
    arrange=arrange,
    metrics=("keys",),
    win_rate_metrics=("rouge_l", "cosine", "json_parse_ok"),
    nested_labels=True,
    leaf_facts=True,
)
