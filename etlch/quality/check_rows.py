"""Read the rows of a data file, return for each the reasons why it must not be trained on.

Data files are read as a stream, with the line on which each row begins: memory does not grow
with the file.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple, TextIO

from etlch.core.records import Fact, Json, Record
from etlch.dataset.grounding import Policy, ground
from etlch.export.data_files import COLUMNS, SHOT_COLUMNS
from etlch.tasks import Task
from etlch.text.json_text import read_json, schema_problems
from etlch.text.locate import one_line
from etlch.text.normalize import fact_form, special_tokens

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class DataProblem:
    """What is wrong, and where.

    Attributes:
        file: path relative to the run folder, or as the user named it.
        line: counted from 1; None where the whole file is meant.
        reason: one clause, without a full stop.
    """

    file: str
    line: int | None
    reason: str

    def __str__(self) -> str:
        return f"{self.file}{'' if self.line is None else f':{self.line}'}: {self.reason}"


class DataRow(NamedTuple):
    """One row of a LlamaFactory data file.

    Attributes:
        line: on which it begins, from 1.
        instruction, input, output: its columns.
        history: (prompt, response) of the solved examples in a few-shot test file.
    """

    line: int
    instruction: str
    input: str
    output: str
    history: tuple[tuple[str, str], ...] = ()

    @property
    def texts(self) -> tuple[str, str, str]:
        """Instruction, input and output."""
        return self.instruction, self.input, self.output


@dataclass(frozen=True, slots=True)
class CheckRules:
    """What labels of a run may be.

    Attributes:
        policies: settings.check.policies: how parts of facts must stand in their article.
        may_be_empty: whether a label without facts is right. In human data it says that the text has none;
            a teacher is asked only where there is something to answer.
        may_repeat: whether two records may have one text: published sets have such, and each row is scored.
            The repeated article is reported once, not again in every file.
        may_be_ungrounded: whether facts may be absent from their text (`ungrounded: keep`).
    """

    policies: Mapping[str, Policy]
    may_be_empty: bool = False
    may_repeat: bool = False
    may_be_ungrounded: bool = False


def fingerprint(*texts: str) -> int:
    """Return a 64-bit hash of these texts in this order; two of a million rows collide with p < 3e-8."""
    hashed = blake2b(digest_size=8)
    for text in texts:
        hashed.update(text.encode("utf-8", "surrogatepass"))
        hashed.update(b"\0")
    return int.from_bytes(hashed.digest(), "big")


def read_rows(path: Path, name: str, *, history: bool = False) -> Iterator[DataRow | DataProblem]:
    """Yield the rows of a JSON array, or a problem in place of one; a broken array ends the iteration.

    Args:
        path: a data file.
        name: how messages call it.
        history: whether rows have examples, as those of a few-shot test file do.
    """
    try:
        with path.open(encoding="utf-8") as stream:
            for line, value in _array(stream):
                yield _row(value, name, line, history=history)
    except FileNotFoundError:
        yield DataProblem(name, None, "the file is missing")
    except UnicodeDecodeError as error:
        yield DataProblem(name, None, f"not UTF-8 ({error.reason})")
    except _Broken as error:
        yield DataProblem(name, error.line, error.reason)


def shape_problems(value: Json, *, history: bool = False) -> list[str]:
    """Return why a value is no row; empty if it is one. LlamaFactory skips rows of another shape silently."""
    if not isinstance(value, dict):
        return [f"a row must be an object, not {_kind(value)}"]
    wanted = list((SHOT_COLUMNS if history else COLUMNS).values())
    problems = [f"the column '{column}' is missing" for column in wanted if column not in value]
    problems += [f"unknown column '{column}'" for column in value if column not in wanted]
    problems += [
        f"the column '{column}' holds {_kind(cell)}, not a string"
        for column, cell in value.items()
        if not isinstance(cell, str) and not (history and column == "history")
    ]
    if history and "history" in value and not _is_turns(value["history"]):
        problems.append("the column 'history' holds no list of [prompt, response]")
    return problems


def _is_turns(value: Json) -> bool:
    return isinstance(value, list) and all(
        isinstance(turns, list) and len(turns) == 2 and all(isinstance(text, str) for text in turns)
        for turns in value
    )


def placed_facts(record: Record, task: Task) -> frozenset[Fact]:
    """Return the facts of a record whose spans hold exactly their characters."""
    return frozenset(
        item.fact
        for item in record.facts
        if all(
            (span := item.spans[place]) is not None
            and one_line(record.input[slice(*span)]) == item.fact[place]
            for place in task.grounded
        )
    )


def row_problems(
    row: DataRow, task: Task, language: str, schema: Json, rules: CheckRules, placed: Collection[Fact] = ()
) -> list[str]:
    """Return why a row must not be trained on; empty if it may.

    Args:
        row: as the data file holds it.
        task: reads the target and says which parts must stand in the input.
        language: of the row.
        schema: what the target must satisfy; None where it is not JSON.
        rules: of the run.
        placed: facts that the record places in this input. Annotators also mark parts
            of words, which the search for a value rightly does not take for an occurrence.
    """
    problems = [
        f"the {column} contains the special token {token}"
        for column, text in zip(COLUMNS.values(), row.texts, strict=True)
        for token in dict.fromkeys(special_tokens(text))
    ]
    problems += [
        f"the {name} is empty"
        for name, text in (("instruction", row.instruction), ("input", row.input))
        if not text.strip()
    ]
    if not row.output.strip():
        return [*problems, "the target is empty"]
    parsed = task.parse(row.output, language, True)
    if parsed.how != "strict" or parsed.wrong:
        why = parsed.problem or f"{parsed.wrong} of its parts are no fact"
        return [*problems, f"the target is not in the format of {task.name}: {why}"]
    if not parsed.facts and not rules.may_be_empty:
        problems.append("the target holds no fact")
    if schema is not None:
        problems += [
            f"the target breaks its schema: {what}"
            for what in schema_problems(read_json(row.output).value, schema)
        ]
    if rules.may_be_ungrounded:
        return problems
    lost = ground(parsed.facts, task, row.input, rules.policies).ungrounded
    return problems + [
        f"not in the row's own input: {' / '.join(fact)}" for fact in lost if fact not in placed
    ]


def record_problems(record: Record, task: Task, article: int | None, rules: CheckRules) -> list[str]:
    """Return what is wrong with a line of records.jsonl: its article, its facts and their spans.

    Args:
        record: the line.
        task: its task.
        article: fingerprint of its article's text; None if articles.jsonl does not hold it.
        rules: of the run; parts under other policies than verbatim may differ from the characters at
            their span.
    """
    problems = []
    if article is None:
        problems.append(f"article {record.article_id} is not in articles.jsonl")
    elif article != fingerprint(record.input):
        problems.append(f"the input is not the text of article {record.article_id}")
    stated = {tuple(map(fact_form, item.fact)) for item in record.facts}
    parsed = task.parse(record.output, record.language, True)
    if stated != {tuple(map(fact_form, fact)) for fact in parsed.facts}:
        problems.append("the facts are not those of the output")
    for item in record.facts:
        for place in task.grounded:
            span = item.spans[place]
            if span is None:
                if not rules.policies and not rules.may_be_ungrounded:
                    problems.append(f"no span for {item.fact[place]!r}")
            elif one_line(record.input[slice(*span)]) != item.fact[place] and not rules.policies:
                problems.append(f"characters {span[0]}–{span[1]} of the input are not {item.fact[place]!r}")
    return problems


def _row(value: Json, name: str, line: int, *, history: bool) -> DataRow | DataProblem:
    problems = shape_problems(value, history=history)
    if problems:
        return DataProblem(name, line, "; ".join(problems))
    instruction, text, output = (value[column] for column in COLUMNS.values())
    turns = tuple((asked, answer) for asked, answer in value.get("history", ()))
    return DataRow(line, instruction, text, output, turns)


def _kind(value: Json) -> str:
    return "null" if value is None else f"a JSON {type(value).__name__}"


class _Broken(Exception):
    """The file is no JSON array from this line on."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line
        self.reason = reason


class _Scanner:
    """A text stream with one JSON value in sight at a time, and the line it is on."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._buffer = ""
        self._decoder = json.JSONDecoder()
        self.line = 1

    def peek(self) -> str:
        """Return the next character that is not white space; nothing at the end."""
        while True:
            rest = self._buffer.lstrip()
            self.line += self._buffer.count("\n", 0, len(self._buffer) - len(rest))
            self._buffer = rest
            if rest or not self._fill():
                return rest[:1]

    def take(self, wanted: str) -> str:
        """Take one character, one of those wanted."""
        found = self.peek()
        if not found or found not in wanted:
            raise _Broken(self.line, f"{found or 'the end'} where {' or '.join(wanted)} belongs")
        self._buffer = self._buffer[1:]
        return found

    def value(self) -> Json:
        """Take one JSON value."""
        self.peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._buffer)
            except (ValueError, RecursionError) as error:
                if not self._fill():
                    raise _Broken(self.line, f"not JSON ({error})") from error
            else:
                self.line += self._buffer.count("\n", 0, end)
                self._buffer = self._buffer[end:]
                return value

    def _fill(self) -> bool:
        chunk = self._stream.read(_CHUNK)
        self._buffer += chunk
        return bool(chunk)


def _array(stream: TextIO) -> Iterator[tuple[int, Json]]:
    """Yield the items of a JSON array with the line of each, reading a chunk at a time.

    Raises:
        _Broken: not an array, cut off, or followed by something.
    """
    scanner = _Scanner(stream)
    scanner.take("[")
    more = scanner.peek() != "]" or not scanner.take("]")
    while more:
        line = scanner.line
        yield line, scanner.value()
        more = scanner.take(",]") == ","
        scanner.peek()
    if scanner.peek():
        raise _Broken(scanner.line, "text after the end of the array")
