"""Read rows out of files: JSON lines, a JSON array, an array inside an object, CSV, TSV, Parquet, gzip.

What a file is decides its content, not its name; a file of JSON lines is read as a stream, line by line.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

from etlch.core.errors import EtlchError, warn_user
from etlch.core.files import LONGEST_LINE, parquet_rows
from etlch.core.locale import _
from etlch.core.records import Json
from etlch.text.encodings import decode, is_damaged_ascii

HEAD = 2**16
"""Bytes of a file that tell whether it is UTF-8."""


class RawRow(NamedTuple):
    """One row of a file, before it is parsed: its line number (from 1) and its bytes.

    A row of anything but JSON lines has its position for a number and comes parsed.
    """

    number: int
    content: bytes | dict[str, Json]


def raw_rows(path: Path) -> Iterator[RawRow]:
    """Yield the rows of a file; blank lines are passed over.

    A line over LONGEST_LINE comes with its first bytes only, which parsing refuses.

    Raises:
        EtlchError: the file cannot be read, or is whole JSON without a list of objects; says what it holds.
    """
    try:
        handle = path.open("rb")
    except OSError as error:
        raise EtlchError(
            _("cannot read {path}: {strerror}").format(path=path, strerror=error.strerror),
            _("Check the path and its permissions."),
        ) from error
    with handle:
        start = handle.read(4)
        handle.seek(0)
        if start == b"PAR1":
            yield from _parquet(path)
        elif start[:2] == b"\x1f\x8b":
            with gzip.open(handle) as inner:
                yield from _text_rows(_as_utf8(io.BufferedReader(inner), path), path)
        else:
            yield from _text_rows(_as_utf8(handle, path), path)


def container(path: Path) -> str:
    """Return in words what kind of file this is, for messages."""
    try:
        with path.open("rb") as handle:
            start = handle.read(4096)
    except OSError:
        return "a file that cannot be read"
    if start[:4] == b"PAR1":
        return "Parquet"
    if start[:2] == b"\x1f\x8b":
        return "gzip"
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text[:1] == b"[":
        return "a JSON array"
    if text[:1] == b"{":
        return "one JSON object" if _is_whole_object(text) else "JSON lines"
    return "a table (CSV or TSV)" if _delimiter(text) else "text"


def _text_rows(handle: IO[bytes], path: Path) -> Iterator[RawRow]:
    head = _peek(handle)
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text[:1] == b"[":
        yield from _items(_whole(handle, path), path)
    elif text[:1] == b"{" and _is_whole_object(text):
        yield from _items(_inside(_whole(handle, path), path), path)
    elif (text and text[:1] not in b'{"' and _delimiter(text)) or (text[:1] == b'"' and _delimiter(text)):
        yield from _table(handle, _delimiter(text), path)
    else:
        for number, raw in enumerate(_lines(handle), 1):
            if raw.strip():
                yield RawRow(number, raw)


def _as_utf8(handle: IO[bytes], path: Path) -> IO[bytes]:
    """Return a file as it is if it begins as UTF-8, else its whole content as UTF-8; a warning says from what."""
    head = handle.read(HEAD)
    handle.seek(0)
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
        if "\0" not in text:
            return handle
    except UnicodeDecodeError as error:
        if sum(byte > 127 for byte in head[: error.start]) > 10:
            return handle  # damaged UTF-8: the line that is says so
    content = handle.read()
    if is_damaged_ascii(content):
        handle.seek(0)
        return handle
    try:
        text, encoding = decode(content, str(path))
    except EtlchError:
        handle.seek(0)
        return handle
    warn_user(f"{path} is not UTF-8 and was read as {encoding}")
    return io.BytesIO(text.encode())


def _peek(handle: IO[bytes]) -> bytes:
    start = handle.read(4096)
    handle.seek(0)
    return start


def _is_whole_object(head: bytes) -> bool:
    """Tell whether a file that begins with { is one object over several lines, and no JSON lines."""
    first = head.split(b"\n", 1)[0].rstrip()
    if first == b"{":
        return True
    try:
        json.loads(first)
    except ValueError:
        # An object over several lines breaks after a comma or an opening bracket.
        return b"\n" in head and first[-1:] in b",{["
    return False


def _delimiter(head: bytes) -> str:
    """Return the delimiter of a table whose first line names its columns; empty where it is none."""
    first = head.split(b"\n", 1)[0].decode("utf-8", "replace").strip("\r")
    for mark in ("\t", ",", ";"):
        names = next(csv.reader([first], delimiter=mark), [])
        if (
            len(names) > 1
            and all(0 < len(name.strip()) <= 60 for name in names)
            and len(set(names)) == len(names)
        ):
            return mark
    return ""


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


def _whole(handle: IO[bytes], path: Path) -> Json:
    try:
        return json.loads(handle.read().decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise EtlchError(
            _("{path} begins like {container} and is none ({error})").format(
                path=path, container=container(path), error=error
            ),
            _("Write JSON lines, or a whole array."),
        ) from error


def _items(value: Json, path: Path) -> Iterator[RawRow]:
    for number, item in enumerate(value, 1):
        yield RawRow(number, item if isinstance(item, dict) else json.dumps(item).encode())


def _inside(value: Json, path: Path) -> list[Json]:
    """Return the one list of objects that an object holds; an object without one is a row by itself."""
    lists = {
        name: inner
        for name, inner in value.items()
        if isinstance(inner, list) and inner and all(isinstance(item, dict) for item in inner)
    }
    if len(lists) == 1:
        return next(iter(lists.values()))
    if len(lists) > 1:
        longest = sorted(lists.values(), key=len)
        if len(longest[-1]) > len(longest[-2]):
            return longest[-1]
        raise EtlchError(
            _("{path} is one JSON object with several lists of rows: {lists}").format(
                path=path, lists=", ".join(lists)
            ),
            _("Save the list to score as a file of its own."),
        )
    return [value]


def _table(handle: IO[bytes], delimiter: str, path: Path) -> Iterator[RawRow]:
    csv.field_size_limit(2**31 - 1)
    text = io.TextIOWrapper(handle, encoding="utf-8-sig", newline="")
    try:
        for number, row in enumerate(csv.DictReader(text, delimiter=delimiter), 1):
            yield RawRow(number, {str(name): value for name, value in row.items() if name is not None})
    except UnicodeDecodeError as error:
        handle.seek(0)
        line = next(number for number, raw in enumerate(handle, 1) if not _is_utf8(raw))
        raise EtlchError(
            _("{path}, line {number}: not UTF-8").format(path=path, number=line),
            _("Save the file as UTF-8."),
        ) from error
    text.detach()


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _parquet(path: Path) -> Iterator[RawRow]:
    for number, row in enumerate(parquet_rows(path), 1):
        yield RawRow(number, row)
