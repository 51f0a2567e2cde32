"""Judge the form of a JSON answer, apart from what it says."""

from __future__ import annotations

from typing import NamedTuple

from etlch.core.records import Json
from etlch.text.json_text import Reading

LONGEST_REPAIR = 5_000
"""Characters. Longer texts are not offered to the repairer, whose time grows faster than they do."""

DEEPEST_REPAIR = 50
"""Opening brackets in a row; more are a runaway answer that no repair makes useful."""


class Form(NamedTuple):
    """What holds of one text. All but `fenced` and `repaired` speak of the text as it is.

    Attributes:
        parses: json.loads succeeds, as the paper's JSON_Parse_OK has it: `123` and NaN do.
        fenced: it does, or would after one code fence or leading prose is removed.
        repaired: it does, or something is left of it after the package json-repair.
        is_object: it parses, and the top is an object.
        is_flat: it is an object of scalars and lists of scalars.
    """

    parses: bool
    fenced: bool
    repaired: bool
    is_object: bool
    is_flat: bool


def form(text: str, reading: Reading) -> Form:
    """Answer the questions about a text; `reading` is what read_json says of it."""
    if not reading.how:
        return Form(False, False, _repairable(text), False, False)
    strict, value = reading.how == "strict", reading.value
    is_object = strict and isinstance(value, dict)
    return Form(strict, True, True, is_object, is_object and _is_flat(value))


def _is_flat(value: dict[str, Json]) -> bool:
    return all(
        not isinstance(field, dict)
        and not (isinstance(field, list) and any(isinstance(item, dict | list) for item in field))
        for field in value.values()
    )


def _repairable(text: str) -> bool:
    """Whether json-repair finds an object or a list with something in it."""
    bare = "".join(text.split())
    if len(text) > LONGEST_REPAIR or "[" * DEEPEST_REPAIR in bare or bare.count("{") > 2_000:
        return False
    if "{" not in text and "[" not in text:
        return False
    import json_repair

    try:
        value = json_repair.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict | list) and bool(value)
