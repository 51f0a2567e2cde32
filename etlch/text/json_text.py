"""Read a model's text as JSON, and say how it was read or what is wrong with it."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any, NamedTuple

from etlch.core.records import Json

_FENCE = re.compile(r"```[\w+-]*[ \t]*\r?\n?(.*?)\r?\n?[ \t]*```", re.DOTALL)


class Reading(NamedTuple):
    """A text read as JSON.

    Attributes:
        value: the value, or None where nothing could be read.
        how: "strict" (the text as it is), "fenced" (after one code fence or leading prose was
            removed) or "" (not readable).
        problem: why it is not readable; empty otherwise.
    """

    value: Json
    how: str
    problem: str


def loads(text: str) -> tuple[Json, str]:
    """Return (value, "") or (None, reason). Every text is an answer; none is an exception.

    json.loads raises more than JSONDecodeError: RecursionError for deep nesting and
    ValueError for integers of over 4,300 digits.
    """
    try:
        return json.loads(text), ""
    except json.JSONDecodeError as error:
        return None, f"{error.msg} at line {error.lineno}, column {error.colno}"
    except RecursionError:
        return None, "nested too deeply"
    except ValueError:
        return None, "an integer with too many digits"


@lru_cache(maxsize=16)
def read_json(text: str) -> Reading:
    """Read JSON strictly, else after removing one code fence, else after leading prose.

    Several measures ask for the same text in a row: all get the same value, and none may change it.
    """
    value, problem = loads(text)
    if not problem:
        return Reading(value, "strict", "")
    for candidate in _unwrapped(text):
        inner, trouble = loads(candidate)
        if not trouble and isinstance(inner, dict | list):
            return Reading(inner, "fenced", "")
    return Reading(None, "", problem)


def _unwrapped(text: str) -> list[str]:
    candidates = []
    fence = _FENCE.search(text)
    if fence:
        candidates.append(fence.group(1))
    starts = [place for place in (text.find("{"), text.find("[")) if place >= 0]
    if starts and min(starts) > 0:  # at 0 there is no prose, and the rest would be a repair
        candidates.append(text[min(starts) :])
    return candidates


def schema_problems(value: Json, schema: Json) -> list[str]:
    """Return what a JSON schema refuses in a value, each with its place; empty if nothing."""
    return [
        f"{'/'.join(str(part) for part in error.instance_path) or 'the answer'}: {error.message[:200]}"
        for error in _validator(json.dumps(schema, sort_keys=True)).iter_errors(value)
    ]


@lru_cache(maxsize=1024)
def _validator(schema: str) -> Any:
    import jsonschema_rs

    return jsonschema_rs.validator_for(json.loads(schema))
