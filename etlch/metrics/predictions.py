"""Prediction files and keys walk in; each prediction walks out beside the record it belongs to.

A prediction file is what LlamaFactory writes, {prompt, predict, label} a line, or what people make
of it: a JSON array, other key order, no prompt, predict as a list of beams, columns of their own.
Keys are the gold side of the same rows in the same order; where there are none the label is the gold.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from etlch.core.errors import EtlchError
from etlch.core.files import LONGEST_LINE, digest, parse_line
from etlch.core.records import Json, Key, from_dict
from etlch.core.settings import ScoreSettings
from etlch.text.normalize import squash

PREDICT = ("predict", "prediction", "predicted", "response", "generated_text")
LABEL = ("label", "gold", "reference", "target")
END_MARKERS = ScoreSettings.end_markers
"""What trainers append to a label; removed from the end of labels and predictions before reading."""

PROMPT_HEAD = 64
"""Characters of the input that the prompt must contain where a row has no label."""

ONE_OBJECT = "One JSON object with predict (and label or keys) per line is expected."


class RawRow(NamedTuple):
    """One row of a prediction file, before it is parsed: its line number (from 1) and its bytes.

    A row of a JSON array has its position for a number and comes parsed.
    """

    number: int
    content: bytes | dict[str, Json]


@dataclass(frozen=True, slots=True)
class Prediction:
    """One row, parsed. `label` is None where the row has none; `columns` are all its other values."""

    line: int
    text: str
    label: str | None
    prompt: str
    columns: dict[str, Json]


@dataclass(frozen=True, slots=True)
class Aligned:
    """A prediction with its key. `truncated`: the row's label is the gold cut short."""

    key: Key
    line: int
    text: str
    truncated: bool
    columns: dict[str, Json]


class Skip(NamedTuple):
    """A row that cannot be used, where the settings say to go on without it."""

    line: int
    reason: str


def raw_rows(path: Path) -> Iterator[RawRow]:
    """Yield the rows of a file of JSON lines or of one JSON array; blank lines are passed over.

    A line over LONGEST_LINE comes with its first bytes only, which `parse_row` refuses.

    Raises:
        EtlchError: the file cannot be read, or is an array that is not JSON.
    """
    try:
        handle = path.open("rb")
    except OSError as error:
        raise EtlchError(
            f"cannot read {path}: {error.strerror}", "Check the path and its permissions."
        ) from error
    with handle:
        if handle.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"[":
            yield from _array(path)
            return
        handle.seek(0)
        for number, raw in enumerate(_lines(handle), 1):
            if raw.strip():
                yield RawRow(number, raw)


def _lines(handle: Iterable[bytes]) -> Iterator[bytes]:
    """Yield lines that end in \\n, \\r\\n or \\r; of a longer one than LONGEST_LINE only its head."""
    read = handle.readline  # type: ignore[attr-defined]
    while raw := read(LONGEST_LINE + 1):
        if len(raw) > LONGEST_LINE:
            yield raw
            while raw and not raw.endswith(b"\n"):
                raw = read(LONGEST_LINE)
        elif b"\r" in raw.rstrip(b"\r\n"):
            yield from raw.split(b"\r")
        else:
            yield raw


def _array(path: Path) -> Iterator[RawRow]:
    try:
        value = json.loads(path.read_bytes().decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise EtlchError(
            f"{path} begins like a JSON array and is none ({error})", "Write JSON lines, or a whole array."
        ) from error
    for number, item in enumerate(value, 1):
        if isinstance(item, dict):
            yield RawRow(number, item)
        else:
            yield RawRow(number, json.dumps(item).encode())


def parse_row(raw: RawRow, path: Path) -> Prediction:
    """Return one row.

    Raises:
        EtlchError: not UTF-8, not a JSON object, too long, or without a text to predict; names the line.
    """
    where = f"{path}, line {raw.number}"
    content = raw.content
    if isinstance(content, bytes):
        if len(content) > LONGEST_LINE:
            raise EtlchError(f"{where}: longer than 16 MiB", "Split or remove this line.")
        value = parse_line(content, path, raw.number) or {}
    else:
        value = content
    columns = dict(value)
    text = _taken(columns, PREDICT)
    if isinstance(text, list):
        text = text[0] if text else ""
    if not isinstance(text, str):
        found = "no predict" if text is None else f"a predict that is a JSON {type(text).__name__}"
        raise EtlchError(f"{where}: {found}", ONE_OBJECT)
    label = _taken(columns, LABEL)
    if isinstance(label, list):
        label = label[0] if label else ""
    if label is not None and not isinstance(label, str):
        label = json.dumps(label, ensure_ascii=False)
    prompt = columns.pop("prompt", "")
    return Prediction(raw.number, text, label, prompt if isinstance(prompt, str) else "", columns)


def _taken(columns: dict[str, Json], names: tuple[str, ...]) -> Json:
    """Take the first of the names out of the columns."""
    for name in names:
        if name in columns:
            return columns.pop(name)
    return None


def parse_key(raw: RawRow, path: Path) -> Key:
    """Return one key.

    Raises:
        EtlchError: not a line of a keys file.
    """
    value = parse_line(raw.content, path, raw.number) if isinstance(raw.content, bytes) else raw.content
    try:
        return from_dict(Key, value or {})
    except KeyError as error:
        raise EtlchError(
            f"{path}, line {raw.number}: not a key: {error.args[0]}",
            "Keys stand beside the test files as <stem>.keys.jsonl.",
        ) from error


def align(prediction: Prediction, key: Key, path: Path, strip: tuple[str, ...] = END_MARKERS) -> Aligned:
    """Return the prediction with its key, once both are known to belong together.

    They do when the label equals the gold or is a non-empty beginning of it; where the label is
    empty or absent, when the prompt contains the first 64 characters of the input, or when the
    row carries the key's own id. White space, Unicode composition and trailing U+FFFD are ignored.

    Raises:
        EtlchError: they do not; names the line.
    """
    label = prediction.label or ""
    if label == key.gold and label:
        return Aligned(key, prediction.line, prediction.text, False, prediction.columns)
    shown, gold = squash(without_markers(label, strip)), squash(without_markers(key.gold, strip))
    if shown:
        fits = gold.startswith(shown)
    else:
        head = (squash(key.input) or squash(key.instruction))[:PROMPT_HEAD]
        named = prediction.columns.get("id")
        fits = (bool(head) and head in squash(prediction.prompt)) or (
            named is not None and str(named) == key.id
        )
    if not fits:
        raise EtlchError(
            f"{path}, line {prediction.line}: does not belong to record '{key.id}'",
            f"Its label begins {label[:40]!r}, the record's gold {key.gold[:40]!r}. "
            "Are these the predictions for this test set, complete and in order?",
        )
    return Aligned(key, prediction.line, prediction.text, bool(shown) and shown != gold, prediction.columns)


def own_gold(prediction: Prediction, path: Path) -> str:
    """Return the label of a row without keys.

    Raises:
        EtlchError: the row has none; names the line.
    """
    if prediction.label is None:
        raise EtlchError(
            f"{path}, line {prediction.line}: no label, and no keys to take the gold from",
            "Name the keys of this test set with --keys FILE.",
        )
    return prediction.label


def own_key(prediction: Prediction, path: Path, task: str, language: str, *, by_prompt: bool = False) -> Key:
    """Return the key that a row without keys is to itself: its label is the gold.

    Its article is what the columns say; else, with `by_prompt`, that of all rows with this prompt;
    else the row's own.

    Raises:
        EtlchError: the row has no label; names the line.
    """
    gold, columns = own_gold(prediction, path), prediction.columns
    # Two files without ids meet line by line, and only where their labels begin alike.
    identity = _text(columns, "id") or f"{prediction.line}-{digest(squash(gold)[:PROMPT_HEAD])[:6]}"
    article = _text(columns, "input")
    source = article or (squash(prediction.prompt) if by_prompt else "")
    return Key(
        id=identity,
        article_id=_text(columns, "article_id") or (digest(source)[:16] if source else identity),
        task=_text(columns, "task") or task,
        language=_text(columns, "language") or language,
        instruction=_text(columns, "instruction"),
        input=article,
        gold=gold,
        schema=columns.get("schema"),
    )


def _text(columns: dict[str, Json], name: str) -> str:
    value = columns.get(name)
    return "" if value is None or isinstance(value, dict | list) else str(value)


def without_markers(text: str, markers: tuple[str, ...]) -> str:
    """Return a text without white space and markers at its end.

    A marker of letters counts only on a line of its own, so that a label may end in the word END.
    """
    while True:
        bare = text.rstrip()
        for marker in markers:
            if bare.endswith(marker):
                rest = bare[: -len(marker)]
                if not marker.isalpha() or not rest.rstrip(" \t") or rest.rstrip(" \t").endswith("\n"):
                    text = rest
                    break
        else:
            return bare


def pair_with_keys(
    rows: Iterable[RawRow], keys: Iterable[RawRow], path: Path, keys_path: Path
) -> Iterator[tuple[RawRow, RawRow]]:
    """Yield row i with key i.

    Raises:
        EtlchError: one side is longer; names the first line too many or missing.
    """
    for seen, (row, key) in enumerate(zip_longest(rows, keys)):
        if row is None:
            raise EtlchError(
                f"{path} ends after {seen} rows and {keys_path} goes on",
                "The prediction run did not finish, or was made for another test set.",
            )
        if key is None:
            raise EtlchError(
                f"{path}, line {row.number}: the keys end after {seen} rows ({keys_path})",
                "These predictions were made for another test set.",
            )
        yield row, key


def read_aligned(path: Path, keys_path: Path) -> Iterator[Aligned]:
    """Yield every prediction of a file with its key, checked.

    Raises:
        EtlchError: the file is empty, not JSON, of the wrong length or not aligned; names the line.
    """
    count = 0
    for row, key in pair_with_keys(raw_rows(path), raw_rows(keys_path), path, keys_path):
        count += 1
        yield align(parse_row(row, path), parse_key(key, keys_path), path)
    if not count:
        raise EtlchError(f"{path} is empty", "Predict again; an empty file scores nothing.")
