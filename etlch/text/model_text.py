"""Find the answer in what a model wrote: cut thoughts, take the first whole JSON value, merge values in a row.

These are the rules of the best-effort reading, the same for every model. What they cannot read is not
repaired: a value that is not whole is no value.
"""

from __future__ import annotations

import ast
import re
from typing import NamedTuple

from etlch.core.records import Json
from etlch.text.json_text import loads

_NAMES = (
    r"(?:[\w-]+[:_])?(?:think|thinking|thought|thoughts|reason|reasoning|reflection|scratchpad|analysis|cot)"
)
_OPENING = re.compile(
    rf"<{_NAMES}>|\[(?:THINK|THINKING)\]|◁think▷|<\|(?:begin_of_thought|START_THINKING)\|>"
    r"|<unused94>|<\|channel>thought",
    re.IGNORECASE,
)
_CLOSING = re.compile(
    rf"</{_NAMES}>|\[/(?:THINK|THINKING)\]|◁/think▷|<\|(?:end_of_thought|END_THINKING)\|>"
    r"|<unused95>|<channel\|>|\.\.\.done thinking\.",
    re.IGNORECASE,
)
_HARMONY_FINAL = re.compile(
    r"<\|channel\|>\s*final\s*(?:<\|[^|]*\|>[^<]*)*?<\|message\|>"
    r"|(?s:\Aanalysis.*)assistant\s*final(?=\W)"  # as it is decoded without its special tokens
)
_HARMONY_END = re.compile(r"<\|(?:return|end|call)\|>\s*\Z")
_ANSWER = re.compile(r"<(answer|final_answer)>(.*?)(?:</\1>|\Z)", re.DOTALL | re.IGNORECASE)
_FENCE = re.compile(r"```[\w+-]*[ \t]*\r?\n?(.*?)\r?\n?[ \t]*```", re.DOTALL)

MOST_LITERAL = 100_000
"""Characters of a Python literal that are read; ast needs about a hundred times as many bytes."""
MOST_STARTS = 200
"""Brackets at which a value is looked for; a text with more of them that begin no value has none."""
_DEEPEST = 100
_BEGINS_JSON = re.compile(r"[{\[]\s*[\"'{\[]")
"""An opening bracket of JSON, not of prose."""


class Found(NamedTuple):
    """A JSON value found in a text.

    Attributes:
        value: the value; several in a row as one (objects merged), else the list of them.
        problem: why there is none; empty where there is one.
    """

    value: Json
    problem: str


def without_thoughts(text: str) -> str:
    """Return a model's text without its thoughts, in all common tags.

    A closing tag ends the thoughts even where no opening one stands (chat templates write it into the
    prompt). Thoughts that are never closed leave nothing. Harmony messages leave the final channel, and of
    answers in <answer> the last one is left.
    """
    finals = list(_HARMONY_FINAL.finditer(text))
    if finals:
        return _HARMONY_END.sub("", text[finals[-1].end() :]).strip()
    closings = list(_CLOSING.finditer(text))
    if closings:
        text = text[closings[-1].end() :]
    opening = _OPENING.search(text)
    text = text[: opening.start()] if opening else text
    answers = _ANSWER.findall(text)
    return answers[-1][1] if answers else text


def first_json(text: str) -> Found:
    """Return the first whole object or list in a text, wherever it stands, with what follows it directly.

    Looked for in this order: the whole text; the first code fence; each opening bracket. Where JSON fails a
    Python literal is tried ({'a': None}). Values that follow with nothing but white space, commas, list
    marks and code fences between them belong to the answer: objects are merged, lists joined.
    """
    bare = text.strip()
    value, problem = loads(bare)
    if not problem and isinstance(value, dict | list):
        return Found(value, "")
    if not problem and isinstance(value, str) and len(value) < len(bare):
        return first_json(value)  # an answer that was written as JSON once more
    if not problem:
        return Found(None, "a JSON value that is neither an object nor a list")
    fence = _FENCE.search(bare)
    if fence and _values(fence.group(1)):
        return Found(_merged(_values(bare[fence.start() :])), "")
    found = _values(bare)
    return Found(_merged(found), "") if found else Found(None, problem or "no JSON value in the text")


def _values(text: str) -> list[Json]:
    """Return the first value that has something in it, and those that follow it directly.

    Lists of nothing but numbers ([1], a citation) and empty brackets in prose are passed over where a
    later value says more.
    """
    place, starts = 0, 0
    fallback: list[Json] = []
    while (start := _next_bracket(text, place)) >= 0 and starts < MOST_STARTS:
        starts += 1
        value, end = _value_at(text, start)
        if end < 0:
            closed = _closing(text, start)
            if closed < 0 and _BEGINS_JSON.match(text, start):
                break  # a value that is cut: what stands inside it is no answer
            place = closed if closed > 0 and not _wraps_one(text, start, closed) else start + 1
            continue
        values, place = _following(text, value, end)
        if any(map(_says_something, values)):
            return values
        fallback = fallback or values
    return fallback


def _wraps_one(text: str, start: int, end: int) -> bool:
    """Tell whether brackets hold nothing but another pair of them, as in {{"a": 1}} and \\boxed{[1]}."""
    inner = end - len(text[start + 1 : end].lstrip())
    return text[inner : inner + 1] in ("{", "[") and _closing(text, inner) == len(text[: end - 1].rstrip())


def _following(text: str, value: Json, end: int) -> tuple[list[Json], int]:
    """Return a value with those that follow it, and where the last of them ends."""
    values = [value]
    gap = re.compile(r"(?:[\s,;]|```[\w+-]*|[-*•]|\d+[.)](?=\s))*")
    while True:
        match = gap.match(text, end)
        start = match.end() if match else end
        if start >= len(text) or text[start] not in "{[":
            return values, end
        value, after = _value_at(text, start)
        if after < 0:
            return values, end
        values.append(value)
        end = after


def _next_bracket(text: str, place: int) -> int:
    places = [at for at in (text.find("{", place), text.find("[", place)) if at >= 0]
    return min(places) if places else -1


def _value_at(text: str, start: int) -> tuple[Json, int]:
    """Return the value that begins at a bracket and where it ends, or (None, -1)."""
    import json

    try:
        return json.JSONDecoder().raw_decode(text, start)
    except RecursionError:
        return None, -1
    except ValueError:
        pass
    end = _closing(text, start)
    if end < 0 or end - start > MOST_LITERAL:
        return None, -1
    try:
        value = ast.literal_eval(text[start:end])
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        return None, -1
    return (_plain(value), end) if isinstance(value, dict | list) else (None, -1)


_TOKEN = re.compile(r"\"(?:[^\"\\\\]|\\\\.)*\"|'(?:[^'\\\\]|\\\\.)*'|[{}\[\]()]", re.DOTALL)
"""A string in either quotes, or a bracket."""
_PARTNER = {"}": "{", "]": "[", ")": "("}


def _closing(text: str, start: int) -> int:
    """Return where the bracket at `start` is closed (exclusive), strings passed over; else -1."""
    stack: list[str] = []
    for match in _TOKEN.finditer(text, start):
        token = match.group()
        if token in "{[(":
            stack.append(token)
            if len(stack) > _DEEPEST:
                return -1
        elif token in _PARTNER:
            if not stack or stack.pop() != _PARTNER[token]:
                return -1
            if not stack:
                return match.end()
    return -1


def _plain(value: object) -> Json:
    """Return a Python literal as JSON has it: tuples and sets are lists, keys are texts."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((_plain(item) for item in value), key=str)
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


def _says_something(value: Json) -> bool:
    if isinstance(value, dict):
        return bool(value)
    return isinstance(value, list) and any(isinstance(item, str | dict | list) and item for item in value)


def _merged(values: list[Json]) -> Json:
    """Return several values as one: objects with their lists joined, lists end to end, else the list of all."""
    if len(values) == 1:
        return values[0]
    if all(isinstance(value, dict) for value in values):
        return _merged_objects(values)
    if all(isinstance(value, list) for value in values):
        nested = any(isinstance(item, list | dict) for value in values for item in value)
        return [item for value in values for item in value] if nested else values
    return values


def _merged_objects(values: list[Json]) -> Json:
    """Merge objects of different keys or of lists; objects that repeat scalar keys are items of a list."""
    merged: dict[str, Json] = {}
    for value in values:
        for key, item in value.items():
            if key not in merged:
                merged[key] = item
            elif isinstance(merged[key], list) and isinstance(item, list):
                merged[key] = [*merged[key], *(new for new in item if new not in merged[key])]
            elif merged[key] != item:
                return values
    return merged
