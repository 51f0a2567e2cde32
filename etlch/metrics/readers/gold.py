"""Read the gold side: our keys files, and test files of the user's own (alpaca, sharegpt, messages, any columns)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from etlch.core.errors import EtlchError
from etlch.core.files import digest, parse_line
from etlch.core.locale import _
from etlch.core.records import Json, Key, from_dict
from etlch.metrics.readers.containers import RawRow, container
from etlch.metrics.readers.layouts import LABEL, taken

_OUTPUT = ("output", "gold", "completion", "response", *LABEL)
_TEXT = ("input", "text", "sentence", "article", "context", "query", "document")
_INSTRUCTION = ("instruction", "prompt", "question", "system")
_TURNS = ("conversations", "messages", "conversation")


def parse_key(raw: RawRow, path: Path, columns: Mapping[str, str], task: str, language: str) -> Key:
    """Return the gold of one row.

    Args:
        raw: a line of a keys file, or a row of the user's test file.
        path: of the file, for messages.
        columns: the setting `columns`: label, input, instruction, id, article_id, task.
        task: of rows that do not name their own.
        language: of rows that do not name their own.

    Raises:
        EtlchError: no label in any column that is known or named; lists the columns there are.
    """
    value = parse_line(raw.content, path, raw.number) if isinstance(raw.content, bytes) else raw.content
    row: dict[str, Json] = value or {}
    if {"gold", "article_id", "schema", "instruction", "input", "id", "task", "language"} <= row.keys():
        try:
            return from_dict(Key, row)
        except KeyError as error:
            raise EtlchError(
                _("{path}, line {number}: not a key: {args}").format(
                    path=path, number=raw.number, args=error.args[0]
                ),
                _("Keys stand beside the test files as <stem>.keys.jsonl."),
            ) from error
    return _own(row, raw, path, columns, task, language)


def _own(
    row: dict[str, Json], raw: RawRow, path: Path, columns: Mapping[str, str], task: str, language: str
) -> Key:
    turns = next((row[name] for name in _TURNS if isinstance(row.get(name), list)), None)
    if turns and "label" not in columns:
        asked, gold = _turns(turns)
        instruction, text = "", asked
    else:
        gold = _said(row, columns, "label", _OUTPUT)
        text = _text(_said(row, columns, "input", _TEXT))
        instruction = _text(_said(row, columns, "instruction", _INSTRUCTION))
    if gold is None:
        raise EtlchError(
            _(
                "{path}, line {number}: no label in this gold file ({container}); its columns are {value}"
            ).format(
                path=path,
                number=raw.number,
                container=container(path),
                value=", ".join(map(str, row)) or "none",
            ),
            _("Name the label's column in a settings file: columns: {label: COLUMN}."),
        )
    if not isinstance(gold, str):
        gold = json.dumps(gold, ensure_ascii=False)
    article = text or instruction
    return Key(
        id=_text(_said(row, columns, "id", ("id", "custom_id", "uid"))) or f"row {raw.number}",
        article_id=_text(_said(row, columns, "article_id", ("article_id", "doc_id")))
        or (digest(article)[:16] if article else f"row {raw.number}"),
        task=_text(_said(row, columns, "task", ())) or task,
        language=_text(row.get("language")) or language,
        instruction=instruction,
        input=text,
        gold=gold,
        schema=row.get("schema") if isinstance(row.get("schema"), dict) else None,
    )


def _said(row: dict[str, Json], columns: Mapping[str, str], name: str, known: tuple[str, ...]) -> Json:
    if name in columns and (found := taken(row, columns[name])) is not None:
        return found
    return next((row[column] for column in known if row.get(column) is not None), None)


def _turns(turns: list[Json]) -> tuple[str, Json]:
    """Return what was asked last and the answer that is the label, of sharegpt or OpenAI messages."""
    said = [
        (str(turn.get("from") or turn.get("role") or ""), turn.get("value", turn.get("content")))
        for turn in turns
        if isinstance(turn, dict)
    ]
    answers = [place for place, (who, _) in enumerate(said) if who in ("gpt", "assistant", "model")]
    if not answers:
        return "", None
    last = answers[-1]
    asked = next((text for who, text in reversed(said[:last]) if who in ("human", "user")), "")
    return _text(asked), said[last][1]


def _text(value: Json) -> str:
    return "" if value is None or isinstance(value, dict | list) else str(value)
