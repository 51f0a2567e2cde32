"""Read one file of the user's own texts: plain text, Markdown, rows of a table, or what converters know."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from etlch.core.errors import EtlchError, warn_user
from etlch.core.files import parse_line
from etlch.core.locale import _
from etlch.core.records import Json
from etlch.dataset.converters import CONVERTERS
from etlch.metrics.readers.containers import container, raw_rows
from etlch.text.encodings import decode

COLUMNS = ("text", "content", "article", "body", "context", "document", "passage", "input")
"""Where the text of a row is looked for unless `text_column` names it."""

_LABELS = ("label", "labels", "entities", "spans", "triples", "relations", "annotations", "output")
"""Columns that hold labels more often than not; a run of `--articles` asks the teacher for them."""

_TITLES = ("title", "topic", "subject", "headline")
_DOMAINS = ("domain", "category", "section")
_FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(.*?\n)(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.DOTALL)
_HEADING = re.compile(r"^#{1,6}[ \t]+(.+?)[ \t#]*$", re.MULTILINE)
_PLAIN = (".txt", ".text")
_MARKDOWN = (".md", ".markdown")
ROWS = (".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")
ENDINGS = (*_PLAIN, *_MARKDOWN, *ROWS, *CONVERTERS)
"""Of the files that are read, each also with .gz after it."""


@dataclass(frozen=True, slots=True)
class SourceDocument:
    """One text before it is cut into chunks.

    Attributes:
        source: file or data set, with the row where there are rows.
        text: the whole text.
        start: character at which the article begins in `text`, after any front matter.
        title: from the row, front matter, file or first heading; else the file's name.
        domain: the row's or front matter's category; else the name of the folder.
        problem: why there is no text; empty where it could be read.
        pages: where each page begins in the text; empty for files without pages.
        encoding: what the file was taken to be in; empty where its format says it.
        left_out: what of the file was not read, in words.
    """

    source: str
    text: str
    start: int
    title: str
    domain: str
    problem: str = ""
    pages: tuple[int, ...] = ()
    encoding: str = ""
    left_out: str = ""


def ending(path: Path) -> str:
    """Return what a file's name says of its kind: its ending, that before .gz where it is compressed."""
    found = path.suffix.lower()
    return Path(path.stem).suffix.lower() if found == ".gz" else found


def read_file(path: Path, name: str, text_column: str | None) -> Iterator[SourceDocument]:
    """Yield the texts of a file whose ending is one of ENDINGS.

    Args:
        path: the file.
        name: how sources call it.
        text_column: the column of the text of rows; None looks for one of COLUMNS.

    Raises:
        EtlchError: the file cannot be read, or has no such column.
    """
    kind = ending(path)
    if kind in ROWS:
        if kind == ".parquet" and container(path) not in ("Parquet", "gzip"):
            raise EtlchError(_("{path} is not Parquet").format(path=path), _("Check the file."))
        rows = (_row(raw.content, path, raw.number) for raw in raw_rows(path))
        yield from read_rows(rows, name, text_column)
    elif kind in CONVERTERS:
        made = CONVERTERS[kind](_bytes(path), name)
        title = made.title or _heading(made.text) or path.stem
        yield SourceDocument(
            name, made.text, 0, title, folder_of(name), pages=made.pages, left_out=made.left_out
        )
    else:
        text, encoding = decode(_bytes(path), str(path))
        if kind in _MARKDOWN:
            yield _markdown(path, name, text, encoding)
        else:
            yield SourceDocument(name, text, 0, path.stem, folder_of(name), encoding=encoding)


def _bytes(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if path.suffix.lower() == ".gz" else content
    except (OSError, EOFError) as error:
        raise EtlchError(
            _("cannot read {path}: {error}").format(path=path, error=error),
            _("Check the path and its permissions."),
        ) from error


def _markdown(path: Path, name: str, text: str, encoding: str) -> SourceDocument:
    """Return Markdown without its front matter, whose title and category are kept as topic and domain."""
    import yaml

    matter = _FRONT_MATTER.match(text)
    front: Json = {}
    if matter:
        try:
            front = yaml.safe_load(matter.group(1))
        except yaml.YAMLError:
            front = {}  # the front matter is left out either way; only its title is lost
    front = front if isinstance(front, dict) else {}
    start = matter.end() if matter else 0
    title = _first(front, _TITLES) or _heading(text, start) or path.stem
    return SourceDocument(
        name, text, start, title, _first(front, _DOMAINS) or folder_of(name), encoding=encoding
    )


def _row(content: bytes | dict[str, Json], path: Path, number: int) -> dict[str, Json]:
    return content if isinstance(content, dict) else parse_line(content, path, number) or {}


def read_rows(
    rows: Iterable[Mapping[str, Json]], name: str, text_column: str | None
) -> Iterator[SourceDocument]:
    """Yield the texts of rows.

    Args:
        rows: of a file or data set.
        name: how sources call it.
        text_column: the column of the text; None looks for one of COLUMNS.

    Raises:
        EtlchError: a row has no such column.
    """
    for number, row in enumerate(rows, start=1):
        column = text_column or next((column for column in COLUMNS if column in row), None)
        if column is None or column not in row:
            raise EtlchError(
                _("{name}: no column '{value}' among {row}").format(
                    name=name, value=text_column or "text", row=", ".join(map(str, row))
                ),
                _("Name the column of the text with the setting text_column."),
            )
        if number == 1 and (unused := [column for column in _LABELS if column in row]):
            warn_user(
                f"{name}: the column '{unused[0]}' is not used; "
                "labels that people made come in with `etlch-data import`"
            )
        text = row[column] if isinstance(row[column], str) else ""
        title = _first(row, _TITLES) or f"{name} {number}"
        yield SourceDocument(f"{name}#row{number}", text, 0, title, _first(row, _DOMAINS) or folder_of(name))


def _heading(text: str, start: int = 0) -> str:
    found = _HEADING.search(text, start)
    return found.group(1) if found else ""


def _first(row: Mapping[str, Json], names: Iterable[str]) -> str:
    return next((str(row[name]).strip() for name in names if row.get(name)), "")


def folder_of(name: str) -> str:
    """Return the folder that a file stands in, as its domain where it does not name one."""
    return Path(name).parent.name or "own texts"
