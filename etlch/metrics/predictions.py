"""Read prediction files: return each prediction beside the record it belongs to.

A prediction file is what LlamaFactory writes, {prompt, predict, label} a line, or what other programs and
people make of it (`readers`). Keys are the gold side of the same rows; without any the label is the gold.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from etlch.core.errors import EtlchError
from etlch.core.files import LONGEST_LINE, digest, parse_line
from etlch.core.locale import _
from etlch.core.records import Json, Key
from etlch.core.settings import ScoreSettings
from etlch.metrics.readers.containers import RawRow, container, raw_rows
from etlch.metrics.readers.gold import parse_key
from etlch.metrics.readers.layouts import Layout, find_layout, taken
from etlch.text.normalize import squash

END_MARKERS = ScoreSettings.end_markers
"""What trainers append to a label; removed from the end of labels and predictions before reading."""

EMPTY_THOUGHTS = re.compile(r"\s*(?:<(?:seed:)?think>|◁think▷)?\s*(?:</(?:seed:)?think>|◁/think▷)\s*")
"""What LlamaFactory's templates for models that think put before a label without thoughts."""

PROMPT_HEAD = 64
"""Characters of the input that the prompt must contain where a row has no label."""

_OURS = ("id", "input", "instruction", "article_id", "task", "model", "size", "seed")


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


def layout_of(path: Path, columns: Mapping[str, str] = MappingProxyType({})) -> Layout:
    """Return the layout of a prediction file from its first row that is a JSON object.

    A row of batch output whose request failed does not show where answers stand, so a known layout of a later one of
    the first rows is preferred.

    Args:
        path: the file.
        columns: the setting `columns`.

    Raises:
        EtlchError: the file cannot be read.
    """
    found: list[Layout] = []
    for raw in islice(raw_rows(path), 20):
        try:
            found.append(find_layout(_parsed(raw, path), columns))
        except EtlchError:
            continue
        if found[-1].name:
            return found[-1]
    return found[0] if found else Layout("", dict(columns), frozenset(columns))


def _parsed(raw: RawRow, path: Path) -> dict[str, Json]:
    content = raw.content
    if not isinstance(content, bytes):
        return content
    if len(content) > LONGEST_LINE:
        raise EtlchError(
            _("{path}, line {number}: longer than 16 MiB").format(path=path, number=raw.number),
            _("Split or remove this line."),
        )
    return parse_line(content, path, raw.number) or {}


def parse_row(raw: RawRow, path: Path, layout: Layout | None = None) -> Prediction:
    """Return one row. A block of thoughts that stands empty before the label is part of neither label nor text.

    Args:
        raw: the row.
        path: of its file, for messages.
        layout: which column is which; None finds it from this row.

    Raises:
        EtlchError: not UTF-8, not a JSON object, too long, or without a prediction; names the line, the kind of
            file and its columns.
    """
    value = _parsed(raw, path)
    layout = layout or find_layout(value, {})
    columns = dict(value)
    predict = layout.columns.get("predict")
    predicted = None if predict is None else _take(columns, predict)
    if predicted is None and not layout.name:
        raise _no_prediction(value, raw, path, layout)
    text = _answer_text(predicted)
    label = _label_text(_take(columns, layout.columns["label"]) if "label" in layout.columns else None)
    if label and (block := EMPTY_THOUGHTS.match(label)):
        label = label[block.end() :]
        text = text[before.end() :] if (before := EMPTY_THOUGHTS.match(text)) else text
    prompt = _take(columns, layout.columns["prompt"]) if "prompt" in layout.columns else None
    for name in _OURS:
        if name in layout.columns and (found := taken(value, layout.columns[name])) is not None:
            columns[name] = found
    return Prediction(raw.number, text, label, prompt if isinstance(prompt, str) else "", columns)


def _take(columns: dict[str, Json], path: str) -> Json:
    """Take a column out of a row; what a dotted path names stays inside its column."""
    return columns.pop(path) if path in columns else taken(columns, path)


def _answer_text(value: Json) -> str:
    """Return a prediction as text: of beams the first; a parsed object as JSON."""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        value = value[0] if value else ""
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False)


def _label_text(value: Json) -> str | None:
    """Return a label as text: of several texts the first; any other value is the label itself."""
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        value = value[0]
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _no_prediction(value: dict[str, Json], raw: RawRow, path: Path, layout: Layout) -> EtlchError:
    wanted = layout.columns.get("predict")
    what = f"no column '{wanted}'" if wanted else "no column that holds predictions"
    return EtlchError(
        _("{path}, line {number}: {what} in this file ({container}); its columns are {value}").format(
            path=path,
            number=raw.number,
            what=what,
            container=container(path),
            value=", ".join(map(str, value)) or "none",
        ),
        _(
            "Name them in a settings file, dotted paths for nested ones: columns: {predict: COLUMN, label: "
            "COLUMN}."
        ),
    )


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
        given = squash(_text(prediction.columns, "input"))
        fits = (
            (bool(head) and head in squash(prediction.prompt))
            or (named is not None and str(named) == key.id)
            or (bool(given) and given == squash(key.input))
        )
    if not fits:
        raise EtlchError(
            _("{path}, line {line}: does not belong to record '{id}'").format(
                path=path, line=prediction.line, id=key.id
            ),
            _stranger(prediction, key, label),
        )
    return Aligned(key, prediction.line, prediction.text, bool(shown) and shown != gold, prediction.columns)


def _stranger(prediction: Prediction, key: Key, label: str) -> str:
    """Return what to look at where a prediction is not that of its key."""
    if label:
        return _(
            "Its label begins {label!r}, the record's gold {gold!r}. Are these the predictions for this "
            "test set, complete and in order?"
        ).format(label=label[:40], gold=key.gold[:40])
    if (named := prediction.columns.get("id")) is not None:
        return _(
            "It has no label, and the test set has no record with its id, {id!r}. Give the records of --keys a column "
            "id with the ids of the requests."
        ).format(id=str(named))
    return _(
        "It has no label, and its prompt does not hold the record's text. Predictions need a label, a prompt or an id."
    )


def own_gold(prediction: Prediction, path: Path) -> str:
    """Return the label of a row without keys.

    Raises:
        EtlchError: the row has none; names the line.
    """
    if prediction.label is None:
        raise EtlchError(
            _(
                "{path}, line {line}: no label, and no keys to take the gold from ({container}; beside the "
                "prediction its columns are {value})"
            ).format(
                path=path,
                line=prediction.line,
                container=container(path),
                value=", ".join(map(str, prediction.columns)) or "none",
            ),
            _(
                "Name the keys of this test set with --keys FILE, or the label's column in a settings file: "
                "columns: {label: COLUMN}."
            ),
        )
    return prediction.label


def own_key(
    prediction: Prediction,
    path: Path,
    task: str,
    language: str,
    *,
    by_prompt: bool = False,
    by_content: bool = False,
) -> Key:
    """Return the key that a row without keys is to itself: its label is the gold.

    Its article is what the columns say; else, with `by_prompt`, that of all rows with this prompt;
    else the row's own. Without an id of its own it is known by its prompt (`by_content`), else by its line and
    the beginning of its label.

    Raises:
        EtlchError: the row has no label; names the line.
    """
    gold, columns = own_gold(prediction, path), prediction.columns
    # Two files without ids meet by prompt, or line by line where their labels begin alike.
    place = (
        prompt_id(prediction) if by_content else f"{prediction.line}-{digest(squash(gold)[:PROMPT_HEAD])[:6]}"
    )
    identity = _text(columns, "id") or place
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


def prompt_id(prediction: Prediction) -> str:
    """Return what a row without an id is known by where all prompts of its file differ."""
    return f"p-{digest(squash(prediction.prompt or _text(prediction.columns, 'input')))[:12]}"


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
                _("{path} ends after {seen} rows and {keys_path} goes on").format(
                    path=path, seen=seen, keys_path=keys_path
                ),
                _("The prediction run did not finish, or was made for another test set."),
            )
        if key is None:
            raise EtlchError(
                _("{path}, line {number}: the keys end after {seen} rows ({keys_path})").format(
                    path=path, number=row.number, seen=seen, keys_path=keys_path
                ),
                _("These predictions were made for another test set."),
            )
        yield row, key


def read_aligned(path: Path, keys_path: Path) -> Iterator[Aligned]:
    """Yield every prediction of a file with its key, checked.

    Raises:
        EtlchError: the file is empty, not JSON, of the wrong length or not aligned; names the line.
    """
    count = 0
    layout = layout_of(path)
    for row, key in pair_with_keys(raw_rows(path), raw_rows(keys_path), path, keys_path):
        count += 1
        yield align(parse_row(row, path, layout), parse_key(key, keys_path, {}, "", ""), path)
    if not count:
        raise EtlchError(
            _("{path} is empty").format(path=path), _("Predict again; an empty file scores nothing.")
        )
