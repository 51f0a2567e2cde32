"""Read a file or folder of labelled data: find out its format by content, return its texts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path

from etlch.core.errors import EtlchError, warn_user
from etlch.core.files import parse_line, read_text
from etlch.core.locale import _
from etlch.core.records import Json
from etlch.dataset.readers import columns, hub, rows, standoff
from etlch.dataset.readers.labelled import LabelledText
from etlch.dataset.readers.rows import RowOptions
from etlch.metrics.readers.containers import RawRow, raw_rows
from etlch.tasks import Task
from etlch.text.encodings import UTF8, decode

SPLITS = {
    "train": "train",
    **dict.fromkeys(("dev", "devel", "develop", "development", "valid", "validation", "val"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""Words of file names → the official split that they name."""

_TEXTS = (
    ".txt",
    ".ann",
    ".iob",
    ".iob2",
    ".bio",
    ".bioes",
    ".conll",
    ".conllu",
    ".tsv",
    ".tags",
    ".pubtator",
)
_ROWS = (".json", ".jsonl", ".ndjson", ".csv", ".parquet", ".gz", ".spacy.json")
_NOT_DATA = re.compile(r"(?i)^(licen[cs]e|readme|manifest|notice|changelog|.*2id)\b")


@dataclass
class Source:
    """What was read of one path, and how.

    Attributes:
        texts: split ("train", "validation", "test", or "" where nothing says) → texts.
        formats: format → files.
        unread: ending → files of a folder that were not read.
    """

    texts: dict[str, list[LabelledText]] = field(default_factory=dict)
    formats: Counter[str] = field(default_factory=Counter)
    unread: Counter[str] = field(default_factory=Counter)


def read_path(path: Path, task: Task, options: RowOptions, split: str | None = None) -> Source:
    """Return the labelled texts of a file or of all files of a folder.

    Args:
        path: a file, a folder of files or of brat, a folder that `datasets` saved, or a data set's name.
        task: whose facts the labels are.
        options: columns and words that mean "none".
        split: the split that all of it belongs to; None takes the words of file names.

    Raises:
        EtlchError: nothing there, or a file whose format is not known; says what it looks like.
    """
    if hub.is_saved(path) or not (path.exists() or _looks_like_a_path(path)):
        return _read_hub(path.as_posix(), task, options, split)
    if not path.exists():
        raise EtlchError(
            _("{path} does not exist").format(path=path), _("Name a file or folder of labelled data.")
        )
    source = Source()
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    for file in files:
        name = file.name if path.is_file() else file.relative_to(path).as_posix()
        brat = file.suffix == ".txt" and file.with_suffix(".ann").is_file()
        known = file.suffix.lower() in (*_TEXTS, *_ROWS) and not (
            _NOT_DATA.match(file.name) and path.is_dir()
        )
        if file.suffix == ".ann" or (path.is_dir() and not known):
            if file.suffix != ".ann":
                source.unread[file.suffix or "no ending"] += 1
            continue
        format_name, texts = _read_brat(file, name, task) if brat else _read_file(file, name, task, options)
        source.formats[format_name] += 1
        source.texts.setdefault(split or split_of(name), []).extend(texts)
    if not source.formats:
        kinds = ", ".join(f"{count} {ending}" for ending, count in source.unread.items())
        raise EtlchError(
            _("{path} holds no labelled data that is read ({value})").format(
                path=path, value=kinds or "it is empty"
            ),
            _("See docs/import.md."),
        )
    return source


def _looks_like_a_path(path: Path) -> bool:
    return bool(path.suffix) or path.as_posix().startswith((".", "/", "~"))


def _read_hub(place: str, task: Task, options: RowOptions, split: str | None) -> Source:
    """Return the texts of a data set of the library `datasets`."""
    source = Source()
    for name, found in hub.splits_of(place).items():
        first = list(islice(found, 1))
        if first:
            label = f"{Path(place).name} {name}".strip()
            texts = list(rows.read_rows(chain(first, found), label, task, options))
            source.formats[f"data set: {rows.kind_of(first[0])}"] += 1
            source.texts.setdefault(split or split_of(name), []).extend(texts)
    if not source.formats:
        raise EtlchError(_("{place} holds no rows").format(place=place), _("Name another data set."))
    return source


def split_of(name: str) -> str:
    """Return the official split that a file's name, or its folder's, speaks of; empty where it speaks of none."""
    for part in reversed(Path(name).parts):
        for word in re.split(r"[^A-Za-z]+", part):
            if word.lower() in SPLITS:
                return SPLITS[word.lower()]
    return ""


def _read_brat(file: Path, name: str, task: Task) -> tuple[str, list[LabelledText]]:
    notes = read_text(file.with_suffix(".ann")).splitlines()
    # newline is kept as it is: brat counts \r\n as two characters.
    text = file.read_bytes().decode("utf-8")
    return "brat standoff", [
        standoff.read_brat(text, notes, name.removesuffix(".txt"), spans=len(task.grounded) == 1)
    ]


def _read_file(file: Path, name: str, task: Task, options: RowOptions) -> tuple[str, list[LabelledText]]:
    if file.suffix.lower() not in _ROWS:
        lines = _text(file).splitlines()
        if len(task.grounded) == 1 and columns.recognise(lines):
            return "token columns (IOB2, BIO, BIOES)", list(columns.read(lines, name))
        if task.name == "ner" and standoff.is_pubtator(lines):
            return "PubTator", list(standoff.read_pubtator(lines, name))
        if task.name == "kge" and _is_triple_table(lines):
            found = _triples(lines)
            return "table of subject, object, relation, sentence", list(
                rows.read_rows(found, name, task, options)
            )
    parsed = (_row(raw, file) for raw in raw_rows(file))
    first = list(islice(parsed, 1))
    if not first:
        raise EtlchError(_("{file} holds no rows").format(file=file), _("Name a file with labelled texts."))
    if not isinstance(first[0], dict):
        raise EtlchError(
            _("{file}: the format is not known for the task {name}").format(file=file, name=task.name),
            _(
                "Known are token columns, brat, PubTator, tables and JSON of labelled texts: see "
                "docs/import.md. Columns of other names are named with --column text=NAME --column label=NAME."
            ),
        )
    read = list(rows.read_rows(chain(first, parsed), name, task, options))
    if not any(text.text for text in read):
        named = options.columns.get("text")
        what = (
            _("{file}: no column that holds texts; its columns are {first}")
            if named is None
            else _("{file}: no text stands in the column {named}; its columns are {first}")
        )
        raise EtlchError(
            what.format(file=file, named=named, first=", ".join(map(str, first[0]))),
            _("Name it with --column text=NAME (and --column label=NAME); dotted paths reach into objects."),
        )
    return rows.kind_of(first[0]), read


def _text(file: Path) -> str:
    text, encoding = decode(file.read_bytes(), str(file))
    if encoding != UTF8:
        warn_user(f"{file} is not UTF-8 and was read as {encoding}")
    return text


def _row(raw: RawRow, file: Path) -> dict[str, Json]:
    content = raw.content
    if isinstance(content, bytes):
        if content.lstrip()[:1] == b"[":  # spaCy's ["text", {"entities": […]}]
            return _spacy(content)
        return parse_line(content, file, raw.number) or {}
    return content


def _spacy(content: bytes) -> dict[str, Json]:
    import json

    value = json.loads(content)
    if len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], dict):
        return {"text": value[0], **value[1]}
    return {"value": value}


def _is_triple_table(lines: list[str]) -> bool:
    """Tell whether lines are two names, a relation and the sentence that holds both names."""
    cells = [line.split("\t") for line in lines[:500] if line.strip()]
    whole = [row for row in cells if len(row) == 4]
    if not cells or len(whole) < 0.95 * len(cells):
        return False
    return sum(row[0] in row[3] and row[1] in row[3] for row in whole) > 0.9 * len(whole)


def _triples(lines: list[str]) -> Iterator[dict[str, Json]]:
    for line in lines:
        cells = line.split("\t")
        if len(cells) == 4:
            yield {"text": cells[3], "subject": cells[0], "object": cells[1], "relation": cells[2]}
