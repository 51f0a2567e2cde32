"""Read a JSON Schema file or a pydantic model; return the schema of the label, and a policy for each of its leaves.

What a label of one's own may be: an object of strings, numbers, booleans, enums, objects, and lists of these. Every
property is required and may be null (a list: empty), so that a label says of every leaf whether the text states it.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from etlch.core.errors import EtlchError
from etlch.core.files import read_text
from etlch.core.locale import _
from etlch.core.records import Json
from etlch.tasks.base import scalar_text

_SCALARS = ("string", "integer", "number", "boolean")
_TEXT_LIMITS = ("pattern", "minLength", "maxLength")
_LIMITS = (
    *_TEXT_LIMITS,
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "maxItems"),
)
"""Kept in what the teacher is asked for. The label keeps those of numbers and lists: its texts are the article's own."""
_IGNORED = (
    *("title", "default", "examples", "$schema", "$id", "$comment", "$defs", "definitions", "deprecated"),
    *("readOnly", "writeOnly", "minItems", "uniqueItems", "required", "format", "nullable", "description"),
)
"""`required` and `minItems` cannot be kept: what a text does not say is null or []."""
_DATES = ("date", "date-time", "time")


@dataclass(frozen=True)
class OwnSchema:
    """A schema of the user's own.

    Attributes:
        answer: the JSON Schema that a teacher answers under, with the user's limits.
        label: the same without limits on the form of texts.
        policies: dotted path of a leaf → how it must stand in the article, where that is not word for word.
        outline: for prompts, in schema order: {depth, name, kind, list, description, values}; kind is string, date,
            integer, number, boolean, enum or object.
    """

    answer: Json
    label: Json
    policies: Mapping[str, str | list[str]]
    outline: tuple[dict[str, Json], ...]


@lru_cache(maxsize=8)
def read_schema(name: str) -> OwnSchema:
    """Return the schema of a file, or of a pydantic model.

    Args:
        name: a JSON (or YAML) file with a JSON Schema, or `module:Model`; that module is imported, which executes it.

    Raises:
        EtlchError: no such file or model, or a schema that labels cannot follow; with line and reason.
    """
    if not Path(name).exists() and ":" in name and not name.endswith((".json", ".yaml", ".yml")):
        source = _Source(name, _model_schema(name), {})
    else:
        source = _load(Path(name))
    schema = source.node(source.root, ())
    if schema["type"] != "object":
        source.refuse((), "the label must be an object", 'Wrap a list: {"items": [...]}.')
    import jsonschema_rs

    try:
        jsonschema_rs.validator_for(schema)
    except (ValueError, jsonschema_rs.ValidationError) as error:
        raise EtlchError(
            _("{name} is not a JSON Schema: {error}").format(name=name, error=error), _("Correct the schema.")
        ) from error
    return OwnSchema(
        schema, _without(schema, _TEXT_LIMITS), leaf_policies(schema), tuple(_outline(schema, 0))
    )


def leaf_types(schema: Json) -> dict[str, str]:
    """Return dotted path → string, date, integer, number, boolean or enum, of every leaf."""
    return dict(_kinds(schema, ""))


def leaf_policies(schema: Json) -> dict[str, str | list[str]]:
    """Return dotted path → how a leaf must stand in the article, where that is not word for word."""
    return dict(_policies(schema, ""))


@dataclass(frozen=True)
class _Source:
    """A schema as the user wrote it, and on which line each of its values begins."""

    name: str
    root: Json
    lines: Mapping[tuple[str, ...], int]

    def refuse(self, at: tuple[str, ...], reason: str, hint: str) -> Any:
        line = next((self.lines[at[:end]] for end in range(len(at), -1, -1) if at[:end] in self.lines), None)
        where = f"{self.name}, line {line}" if line else self.name
        place = f" (at {'/'.join(at)})" if at else ""
        raise EtlchError(f"{where}: {reason}{place}", hint)

    def node(self, value: Json, at: tuple[str, ...], seen: tuple[str, ...] = ()) -> dict[str, Json]:
        """Return one part of the schema in the form that labels follow."""
        value, at, seen = self._resolved(value, at, seen)
        said = value.get("type")
        if isinstance(said, list):
            kinds = [kind for kind in said if kind != "null"]
            if len(kinds) > 1:
                self.refuse(
                    at,
                    f"several types ({', '.join(map(str, kinds))})",
                    _("Name one, with null beside it at most."),
                )
            said = next(iter(kinds), None)
        if said is None and "properties" in value:
            said = "object"
        if "enum" in value or "const" in value:
            return self._enum(value, at)
        self._check_keys(value, at)
        described = {"description": value["description"]} if value.get("description") else {}
        limits = {key: value[key] for key in _LIMITS if key in value}
        if said == "object":
            return self._object(value, at, seen, described)
        if said == "array":
            return {"type": "array", **described, "items": self._item(value, at, seen), **limits}
        if said not in _SCALARS:
            self.refuse(at, f"type {json.dumps(value.get('type'))} is not supported", _HINT)
        form = {"format": value["format"]} if value.get("format") in _DATES and said == "string" else {}
        return {"type": [said, "null"], **described, **limits, **form}

    def _check_keys(self, value: Json, at: tuple[str, ...]) -> None:
        known = {"properties", "items", "additionalProperties", "type", *_IGNORED, *_LIMITS}
        for key in value:
            if key not in known and not key.startswith("x-"):
                self.refuse((*at, key), f"'{key}' is not supported in a label's schema", _HINT)

    def _item(self, value: Json, at: tuple[str, ...], seen: tuple[str, ...]) -> dict[str, Json]:
        if not isinstance(value.get("items"), dict):
            self.refuse(at, "a list needs `items`, one schema for all of them", _HINT)
        item = self.node(value["items"], (*at, "items"), seen)
        if item["type"] == "array":
            self.refuse((*at, "items"), "a list of lists is not supported", "Put an object between them.")
        return _not_null(item)

    def _resolved(
        self, value: Json, at: tuple[str, ...], seen: tuple[str, ...]
    ) -> tuple[dict[str, Json], tuple[str, ...], tuple[str, ...]]:
        """Follow `$ref` and unwrap `anyOf` with null; what stands beside them, such as a description, is kept."""
        while True:
            if not isinstance(value, dict):
                self.refuse(at, f"{json.dumps(value)[:40]} is no schema", _HINT)
            beside = {
                key: item for key, item in value.items() if key not in ("$ref", "anyOf", "oneOf", "allOf")
            }
            if "$ref" in value:
                name = str(value["$ref"])
                if name in seen:
                    self.refuse(at, f"{name} contains itself; a label's depth must be fixed", _HINT)
                steps = tuple(name.removeprefix("#/").split("/"))
                target = self.root
                for step in steps:
                    if not name.startswith("#/") or not isinstance(target, dict) or step not in target:
                        self.refuse(at, f"{name} does not stand in this file", "Use #/$defs/NAME.")
                    target = target[step]
                value, at, seen = {**target, **beside}, steps, (*seen, name)
                continue
            key = next((key for key in ("anyOf", "oneOf", "allOf") if key in value), None)
            if key is None:
                return value, at, seen
            kept = [(i, one) for i, one in enumerate(value[key]) if one != {"type": "null"}]
            if len(kept) != 1:
                self.refuse((*at, key), f"'{key}' with {len(kept)} choices is not supported", _HINT)
            value, at = {**kept[0][1], **beside}, (*at, key, str(kept[0][0]))

    def _object(
        self, value: Json, at: tuple[str, ...], seen: tuple[str, ...], described: dict[str, Json]
    ) -> dict[str, Json]:
        properties = value.get("properties")
        if not isinstance(properties, dict) or not properties:
            self.refuse(at, "an object needs `properties`: the keys of a label are fixed", _HINT)
        if value.get("additionalProperties") not in (None, False, True):
            self.refuse(
                (*at, "additionalProperties"), "keys that the schema does not name are not supported", _HINT
            )
        found = {}
        for name, part in properties.items():
            if not name.strip() or any(char in name for char in "/.#"):
                self.refuse(
                    (*at, "properties", name),
                    f"the key '{name}' holds / . or #",
                    "They write paths; rename it.",
                )
            found[name] = self.node(part, (*at, "properties", name), seen)
        return {
            "type": "object",
            **described,
            "properties": found,
            "required": list(found),
            "additionalProperties": False,
        }

    def _enum(self, value: Json, at: tuple[str, ...]) -> dict[str, Json]:
        values = value["enum"] if "enum" in value else [value["const"]]
        values = [one for one in values if one is not None] if isinstance(values, list) else []
        if not values or any(isinstance(one, dict | list) for one in values):
            self.refuse((*at, "enum"), "an enum needs a list of texts, numbers or booleans", _HINT)
        described = {"description": value["description"]} if value.get("description") else {}
        kinds = [kind for kind in _SCALARS if any(_is(one, kind) for one in values)]
        return {"type": [*kinds, "null"], **described, "enum": [*values, None]}


_HINT = "docs/own-schema.md lists what a schema may hold."


def _is(value: Json, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, {"string": str, "integer": int, "number": float, "boolean": bool}[kind])


def _not_null(item: dict[str, Json]) -> dict[str, Json]:
    """Return the schema of a list's item: there is no item that the text does not say."""
    if not isinstance(item["type"], list):
        return item
    kinds = [kind for kind in item["type"] if kind != "null"]
    enum = {"enum": [one for one in item["enum"] if one is not None]} if "enum" in item else {}
    return {**item, "type": kinds[0] if len(kinds) == 1 else kinds, **enum}


def kind_of(node: Json) -> str:
    """Return what one part of a schema holds: object, list, enum, date, or the type of a scalar."""
    if node["type"] == "array":
        return "list"
    if node["type"] == "object" or "enum" in node:
        return "object" if node["type"] == "object" else "enum"
    said = node["type"] if isinstance(node["type"], str) else node["type"][0]
    return "date" if "format" in node else str(said)


def _kinds(node: Json, path: str) -> Iterator[tuple[str, str]]:
    kind = kind_of(node)
    if kind == "object":
        for name, part in node["properties"].items():
            yield from _kinds(part, f"{path}.{name}" if path else name)
    elif kind == "list":
        yield from _kinds(node["items"], path)
    else:
        yield path, kind


def _policies(node: Json, path: str) -> Iterator[tuple[str, str | list[str]]]:
    kind = kind_of(node)
    if kind == "object":
        for name, part in node["properties"].items():
            yield from _policies(part, f"{path}.{name}" if path else name)
    elif kind == "list":
        yield from _policies(node["items"], path)
    elif kind == "enum":
        yield path, [str(scalar_text(one)) for one in node["enum"] if one is not None]
    elif kind != "string":
        yield path, {"boolean": "derived", "date": "normalised"}.get(kind, "number")


def _outline(node: Json, depth: int) -> Iterator[dict[str, Json]]:
    for name, part in node["properties"].items():
        inner = part["items"] if part["type"] == "array" else part
        yield {
            "depth": depth,
            "name": name,
            "kind": kind_of(inner),
            "list": part["type"] == "array",
            "description": part.get("description") or inner.get("description") or "",
            "values": [scalar_text(one) for one in inner.get("enum", ()) if one is not None],
        }
        if inner["type"] == "object":
            yield from _outline(inner, depth + 1)


def _without(node: Json, keys: tuple[str, ...]) -> Json:
    """Return a schema without some keywords; names of properties are no keywords."""
    kept = {key: item for key, item in node.items() if key not in (*keys, "format")}
    if "properties" in node:
        kept["properties"] = {name: _without(part, keys) for name, part in node["properties"].items()}
    if "items" in node:
        kept["items"] = _without(node["items"], keys)
    return kept


def _load(path: Path) -> _Source:
    if not path.is_file():
        raise EtlchError(
            _("schema {path} does not exist").format(path=path),
            _("Name a JSON Schema file, or module:Model."),
        )
    text = read_text(path)
    import yaml

    if path.suffix not in (".yaml", ".yml"):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise EtlchError(
                _("schema {path} is not JSON: {error}").format(path=path, error=error),
                _("Correct the file there."),
            ) from error
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if path.suffix in (".yaml", ".yml"):
            value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        if path.suffix in (".yaml", ".yml"):
            raise EtlchError(
                _("schema {path} is not YAML: {error}").format(path=path, error=error),
                _("Correct the file there."),
            ) from error
        root = None  # JSON that YAML cannot read (tabs): messages then name no line
    return _Source(str(path), value, dict(_lines(root, ())))


def _lines(node: Any, at: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], int]]:
    """Yield the line on which each value begins: of a mapping's entry, that of its key."""
    if node is None:
        return
    if not at:
        yield at, node.start_mark.line + 1
    if node.id == "mapping":
        for key, value in node.value:
            yield (*at, key.value), key.start_mark.line + 1
            yield from _lines(value, (*at, key.value))
    elif node.id == "sequence":
        for place, value in enumerate(node.value):
            yield (*at, str(place)), value.start_mark.line + 1
            yield from _lines(value, (*at, str(place)))


def _model_schema(name: str) -> Json:
    module, _rest, model = name.partition(":")
    here = str(Path.cwd())
    added = here not in sys.path
    if added:
        sys.path.insert(0, here)  # a model of the user's own stands beside the run, as with `python -m`
    try:
        found = getattr(importlib.import_module(module), model, None)
    except Exception as error:
        raise EtlchError(
            _("schema {name} does not load: {error!r}").format(name=name, error=error),
            _("Import it with python to see why."),
        ) from error
    finally:
        if added:
            sys.path.remove(here)
    if not callable(getattr(found, "model_json_schema", None)):
        raise EtlchError(
            _("schema {name}: {module} has no pydantic model '{model}'").format(
                name=name, module=module, model=model
            ),
            _("Write module:Model."),
        )
    return found.model_json_schema()  # type: ignore[union-attr]
