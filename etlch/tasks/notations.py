"""What the notations of entities and of triples share: names of keys, wrappers, and bullets of lines."""

from __future__ import annotations

import re
from collections.abc import Sequence

from etlch.core.records import Json
from etlch.tasks.base import scalar_text

UNSURE = frozenset(
    (
        "an object {relation: [[subject, object]]}",
        "lines with commas",
        "lines with semicolons",
        "`relation: subject, object` pairs",
    )
)
"""Notations that other labels look like too: they are read where the task is named, and never make a guess of it."""

_SPACES = re.compile(r"[\s_\-]+")


def folded_key(key: str) -> str:
    """Return a key's name without case, spaces, underscores and hyphens: entityType, Entity Type, entity_type."""
    return _SPACES.sub("", str(key)).casefold()


def names(*said: str) -> tuple[str, ...]:
    """Return names in the form of `folded_key`."""
    return tuple(dict.fromkeys(map(folded_key, said)))


TEXT_KEYS = names(
    *("text", "mention", "entity", "name", "value", "word", "span", "entity_text", "entity_name", "surface"),
    *(
        "entity span",
        "phrase",
        "content",
        "文本",
        "實體",
        "实体",
        "提及",
        "名稱",
        "名称",
        "內容",
        "内容",
        "名",
    ),
)
WRAPPERS = names(
    *("entities", "triples", "relations", "facts", "spans", "annotations", "ner", "kg", "knowledge_graph"),
    *(
        "relational triplets",
        "triplets",
        "results",
        "result",
        "output",
        "answer",
        "response",
        "data",
        "label",
    ),
    *(
        "labels",
        "named_entities",
        "extracted_entities",
        "實體",
        "实体",
        "三元組",
        "三元组",
        "答案",
        "結果",
        "结果",
    ),
)
BULLET = re.compile(r"^\s*(?:[-*•·‣]\s+|\(?\d{1,4}[.)、](?:\s+|(?=[^\d\s]))|\d{1,4}\s*[:：]\s+)+")
_BOLD = re.compile(r"\*\*(.+?)\*\*")


def plain(text: str) -> str:
    """Return a text without Markdown's marks for bold type."""
    return _BOLD.sub(r"\1", text).strip()


def key_of(item: dict[str, Json], known: Sequence[str], affix: re.Pattern[str] | None = None) -> str | None:
    """Return the item's key that stands earliest among the known names; else one that does without an affix."""
    found = {folded_key(key): key for key in reversed(item)}
    key = next((found[name] for name in known if name in found), None)
    if key is None and affix is not None:
        bare = {affix.sub("", name): key for name, key in found.items()}
        key = next((bare[name] for name in known if name in bare), None)
    return key


def first_text(value: Json) -> str | None:
    """Return a scalar's text; of an object that names something, its name."""
    if isinstance(value, dict):
        return next(
            (scalar_text(content) for key, content in value.items() if folded_key(key) in TEXT_KEYS), None
        )
    if isinstance(value, list):
        return scalar_text(value[0]) if len(value) == 1 else None
    return scalar_text(value)


def unwrapped(value: Json) -> Json:
    """Take a value out of the object that does nothing but hold it: {"entities": […]}, {"result": {…}}."""
    if not isinstance(value, dict):
        return value
    content = {key: inner for key, inner in value.items() if folded_key(key) in WRAPPERS}
    if len(value) == 1 and content and isinstance(inner := next(iter(content.values())), dict):
        return unwrapped(inner)
    lists = [inner for inner in content.values() if isinstance(inner, list)]
    objects = [inner for inner in lists if any(isinstance(item, dict | list) for item in inner) or not inner]
    if len(objects) == 1 and sum(isinstance(inner, list) for inner in value.values()) == 1:
        return objects[0]
    return value
