"""Read token-per-line files: IOB2, BIO, BIOES and BILOU tags in any column, with document marks and comments.

Tags are read as conlleval reads them: an I without a beginning, or of another type, begins an entity.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from etlch.core.records import Json
from etlch.dataset.readers.labelled import LabelledFact, LabelledText, entity
from etlch.text.normalize import is_cjk

_TAG = re.compile(r"(?:[BIESLU]-\S.*|O)\Z")
_TOKENS = ("tokens", "words")
_TAGS = ("ner_tags", "tags", "labels", "ner", "label")
_NO_SPACE_BEFORE = frozenset(".,;:!?)]}%'’”。，、；：！？）】」』》")
_NO_SPACE_AFTER = frozenset("([{“‘（【「『《")


class _Columns(NamedTuple):
    """Which column holds the token and which the tag."""

    token: int
    tag: int


def recognise(lines: Sequence[str]) -> bool:
    """Tell whether the first lines of a file are tokens with tags."""
    return find_columns(lines) is not None


def find_columns(lines: Sequence[str]) -> _Columns | None:
    """Return the columns of token and tag, or None where no column holds tags.

    The tag is the first column after the token of nothing but tags that has at least one entity; the token is
    the first column that does not number the tokens.
    """
    rows = [_cells(line) for line in lines if line.strip() and not _is_mark(line)][:2000]
    width = min((len(row) for row in rows), default=0)
    if width < 2:
        return None
    tags = [place for place in range(1, width) if all(_TAG.match(row[place]) for row in rows)]
    named = [place for place in tags if any(row[place] != "O" for row in rows)]
    if not named:
        return None
    before = range(named[0])
    token = next((place for place in before if not _is_numbering([row[place] for row in rows])), named[0] - 1)
    return _Columns(token, named[0])


def _is_numbering(cells: Sequence[str]) -> bool:
    """Tell whether a column numbers the tokens of each sentence, from 0 or 1 on."""
    if not all(cell.isdigit() for cell in cells):
        return False
    numbers = [int(cell) for cell in cells]
    return numbers[0] in (0, 1) and all(two == one + 1 or two in (0, 1) for one, two in pairwise(numbers))


def read(lines: Iterator[str] | Sequence[str], name: str) -> Iterator[LabelledText]:
    """Yield the sentences of a file.

    Args:
        lines: of the file, without line ends.
        name: of the file; sentences without an id of their own are numbered in it.
    """
    all_lines = list(lines)
    columns = find_columns(all_lines)
    if columns is None:
        return
    document, count = name, 0
    rows: list[list[str]] = []
    comments: dict[str, str] = {}
    for line in [*all_lines, ""]:
        if line.startswith("-DOCSTART-"):
            document = f"{name}:{count}"
        elif line.startswith("# ") and not rows:
            key, _, value = line[2:].partition("=")
            comments[key.strip()] = value.strip()
            if key.strip() == "newdoc id":
                document = f"{name}:{value.strip()}"
        elif line.strip():
            rows.append(_cells(line))
        elif rows:
            count += 1
            yield _sentence(rows, columns, comments, name, document, count)
            rows, comments = [], {}


def tagged(row: Mapping[str, Json]) -> tuple[list[str], list[str]] | None:
    """Return (tokens, tags) of a row that holds them as two lists of one length, as data sets on the hub do."""
    tokens = next((row[name] for name in _TOKENS if isinstance(row.get(name), list)), None)
    if not tokens or not all(isinstance(token, str) and token for token in tokens):
        return None
    for name in _TAGS:
        tags = row.get(name)
        if isinstance(tags, list) and len(tags) == len(tokens) and all(_is_tag(tag) for tag in tags):
            return tokens, tags
    return None


def read_tagged(tokens: list[str], tags: list[str], name: str, document: str) -> LabelledText:
    """Return the sentence of tokens and their tags; tokens are joined as the language of each writes them."""
    text, places = _placed(tokens, "")
    return LabelledText(name, document, text, tuple(_entities(tags, places, text)))


def _is_tag(value: Json) -> bool:
    return isinstance(value, str) and bool(_TAG.match(value))


def _is_mark(line: str) -> bool:
    """Tell whether a line is a comment or the mark of a document; a token may be # too."""
    return line.startswith("-DOCSTART-") or (line.startswith("#") and not line.startswith("#\t"))


def _cells(line: str) -> list[str]:
    return line.rstrip("\r\n").split("\t") if "\t" in line else line.split()


def _sentence(
    rows: list[list[str]], columns: _Columns, comments: dict[str, str], name: str, document: str, count: int
) -> LabelledText:
    tokens = [row[columns.token] for row in rows]
    text, places = _placed(tokens, comments.get("text", ""))
    own = comments.get("sent_id") or f"{name}:{count}"
    facts = tuple(_entities([row[columns.tag] for row in rows], places, text))
    return LabelledText(own, document if document != name else own, text, facts)


def _placed(tokens: list[str], told: str) -> tuple[str, list[tuple[int, int]]]:
    """Return the sentence and each token's place: in the text that the file tells, else in the joined tokens."""
    if told:
        places, cursor = [], 0
        for token in tokens:
            start = told.find(token, cursor)
            if start < 0:
                break
            places.append((start, start + len(token)))
            cursor = start + len(token)
        if len(places) == len(tokens):
            return told, places
    text, places = tokens[0], [(0, len(tokens[0]))]
    for before, token in pairwise(tokens):
        wide = is_cjk(before[-1]) or is_cjk(token[0]) or ord(before[-1]) > 0x2E7F or ord(token[0]) > 0x2E7F
        joined = wide or token[0] in _NO_SPACE_BEFORE or before[-1] in _NO_SPACE_AFTER
        text += "" if joined else " "
        places.append((len(text), len(text) + len(token)))
        text += token
    return text, places


def _entities(tags: Sequence[str], places: Sequence[tuple[int, int]], text: str) -> Iterator[LabelledFact]:
    open_type, start, end = "", 0, 0
    for tag, (first, last) in zip(tags, places, strict=True):
        mark, _, kind = tag.partition("-")
        if open_type and (mark in "OBSU" or kind != open_type):
            yield entity(open_type, start, end, text)
            open_type = ""
        if mark == "O":
            continue
        if not open_type:
            open_type, start = kind, first
        end = last
        if mark in "SUEL":
            yield entity(open_type, start, end, text)
            open_type = ""
    if open_type:
        yield entity(open_type, start, end, text)
