"""Read articles.jsonl and records.jsonl, return their problems and an index from a row to its record.

The index holds fingerprints and byte offsets, some 300 bytes per record, whatever its length.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import NamedTuple, TypeVar

from etlch.core.errors import EtlchError
from etlch.core.files import parse_line
from etlch.core.manifest import Manifest
from etlch.core.records import HUMAN, Article, Record, from_dict
from etlch.core.run_folder import Run
from etlch.dataset.prompt_forms import PromptForms
from etlch.quality.check_rows import CheckRules, DataProblem, DataRow, fingerprint, record_problems
from etlch.tasks import Task
from etlch.text.normalize import fact_form

Noun = TypeVar("Noun")

ENOUGH = 10
"""Articles with labels of two tasks from which on it is told that these never agree."""


class ReadLine(NamedTuple):
    """A line of a JSONL file.

    Attributes:
        number: from 1; 0 where there is no file.
        offset: byte at which it begins.
        value: the record type asked for, or a string that says why it could not be read.
    """

    number: int
    offset: int
    value: object


@dataclass
class RunSources:
    """The articles and records that the data files were written from.

    Attributes:
        run, tasks: of the run.
        split_by: the group that test and training may not share: article, topic or domain.
        rules: what labels of the run may be.
        forms: prompt forms under which data files may hold the records.
        marks: article id → fingerprint of its text.
        groups: fingerprint of a text → its topic or domain, if `split_by` names it.
        places: fingerprint of task, instruction and input → byte offset in records.jsonl.
        types: task → type, field or relation → records that have it.
        both: two tasks → articles with facts of both; `shared` those where some values of theirs are the same text.
        repeated: the same → offsets of further records with the same instruction and input.
        formed: fingerprint of task, instruction and input of a record in a prompt form → its output there.
    """

    run: Run
    tasks: Mapping[str, Task]
    split_by: str
    rules: CheckRules
    forms: PromptForms
    marks: dict[str, int] = field(default_factory=dict)
    groups: dict[int, str] = field(default_factory=dict)
    places: dict[int, int] = field(default_factory=dict)
    repeated: dict[int, list[int]] = field(default_factory=dict)
    formed: dict[int, str] = field(default_factory=dict)
    types: dict[str, Counter[str]] = field(default_factory=dict)
    both: Counter[tuple[str, str]] = field(default_factory=Counter)
    shared: Counter[tuple[str, str]] = field(default_factory=Counter)

    def read(self, manifest: Manifest) -> Iterator[DataProblem]:
        """Read articles, records and rejected; yield what is wrong in them."""
        yield from self._articles(manifest)
        yield from self._records()
        if not self.run.rejected.is_file():
            yield DataProblem(self.run.rejected.name, None, "the file is missing")
        added = sum(sum(splits.values()) for splits in manifest.imported.values())
        own = (manifest.counts.get("articles"), sum(manifest.counts.get("records", {}).values()) or None)
        for path, found, counted in (
            (self.run.articles, len(self.marks), own[0]),
            (self.run.records, len(self.places) + self._repeats(), own[1]),
        ):
            promised = None if counted is None else counted + added
            if promised is None:
                yield DataProblem(
                    self.run.settings.name, None, f"no counts for {path.name}: the run is not finished"
                )
            elif found != promised and path.is_file():
                yield DataProblem(
                    path.name, None, f"{found} different lines where run.yaml counts {promised}"
                )

    def notes(self) -> tuple[str, ...]:
        """Return a note for each task all of whose records have one type, and for tasks that never agree."""
        alike = (
            f"{task}: all records have the one type '{next(iter(counts))}': nothing tells types apart"
            for task, counts in self.types.items()
            if len(counts) == 1 and counts.total() > 1
        )
        apart = (
            f"{one} and {other}: in none of {articles} articles with labels of both do they name the same text: "
            "are these labels of these articles?"
            for (one, other), articles in self.both.items()
            if articles >= ENOUGH and not self.shared[one, other]
        )
        return (*alike, *apart)

    def _compare(self, values: Mapping[str, set[str]]) -> None:
        """Count, for two tasks each, whether the values of one article share a text or a part of one."""
        sets = {task: forms for task, forms in values.items() if forms}
        for one, other in combinations(sorted(sets), 2):
            self.both[one, other] += 1
            self.shared[one, other] += any(a in b or b in a for a in sets[one] for b in sets[other])

    def rules_for(self, record: Record | None) -> CheckRules:
        """Return what the label of a record may be: people may say that a text holds nothing."""
        human = record is not None and record.source == HUMAN
        return replace(self.rules, may_be_empty=True) if human else self.rules

    def _repeats(self) -> int:
        """Return how many records repeat an earlier one's text, where that is allowed."""
        return sum(map(len, self.repeated.values())) if self.rules.may_repeat else 0

    def record(self, task: str, row: DataRow) -> Record | None:
        """Return the record that a row was written from, or None."""
        mark = fingerprint(task, row.instruction, row.input)
        if mark not in self.places:
            return None
        found = [self._record_at(offset) for offset in (self.places[mark], *self.repeated.get(mark, ()))]
        return next((record for record in found if record and record.output == row.output), found[0])

    def in_form(self, task: str, row: DataRow) -> str | None:
        """Return the output of the record in a prompt form that has a row's instruction and input, or None."""
        return self.formed.get(fingerprint(task, row.instruction, row.input))

    def _record_at(self, offset: int) -> Record | None:
        with self.run.records.open("rb") as stream:
            stream.seek(offset)
            value = parse_line(stream.readline(), self.run.records, 0)
        return None if value is None else from_dict(Record, value)

    def _articles(self, manifest: Manifest) -> Iterator[DataProblem]:
        name, texts = self.run.articles.name, set()
        for number, _, article in read_jsonl_lines(self.run.articles, Article):
            if not isinstance(article, Article):
                yield DataProblem(name, number or None, str(article))
                continue
            mark = fingerprint(article.text)
            if article.id in self.marks:
                yield DataProblem(name, number, f"a second article with the id {article.id}")
            if mark in texts and not (article.source == HUMAN and manifest.imported):
                yield DataProblem(name, number, "a second article with the same text")
            texts.add(mark)
            self.marks[article.id] = mark
            if self.split_by != "article":
                self.groups[mark] = getattr(article, self.split_by)

    def _records(self) -> Iterator[DataProblem]:
        name, ids = self.run.records.name, set()
        article = ""
        values: dict[str, set[str]] = {}
        for number, offset, record in read_jsonl_lines(self.run.records, Record):
            if not isinstance(record, Record):
                yield DataProblem(name, number or None, str(record))
                continue
            if record.task not in self.tasks:
                yield DataProblem(
                    name, number, f"a record of the task '{record.task}', which run.yaml does not name"
                )
                continue
            if record.id in ids:
                yield DataProblem(name, number, f"a second record with the id {record.id}")
            ids.add(record.id)
            kinds = {item.fact[self.tasks[record.task].type_part] for item in record.facts}
            self.types.setdefault(record.task, Counter()).update(kinds)
            if record.article_id != article:
                self._compare(values)
                article, values = record.article_id, {}
            values[record.task] = _values(record, self.tasks[record.task])
            place = fingerprint(record.task, record.instruction, record.input)
            if self.places.setdefault(place, offset) != offset:
                self.repeated.setdefault(place, []).append(offset)
            for turned in self.forms.all(record):
                place = fingerprint(turned.task, turned.instruction, turned.input)
                self.formed[place] = turned.output
            mark = self.marks.get(record.article_id)
            for reason in record_problems(record, self.tasks[record.task], mark, self.rules):
                yield DataProblem(name, number, reason)
        self._compare(values)


def _values(record: Record, task: Task) -> set[str]:
    """Return the parts of a record's facts that stand in its article, in the form in which they are compared."""
    forms = {fact_form(item.fact[place]).casefold() for item in record.facts for place in task.grounded}
    return forms - {""}


def read_jsonl_lines(path: Path, kind: type[Noun]) -> Iterator[ReadLine]:
    """Yield each line with its number, offset and value, or the reason why it could not be read."""
    if not path.is_file():
        yield ReadLine(0, 0, "the file is missing")
        return
    with path.open("rb") as stream:
        offset = 0
        for number, raw in enumerate(stream, start=1):
            try:
                value = parse_line(raw, path, number)
                if value is not None:
                    yield ReadLine(number, offset, from_dict(kind, value))
            except EtlchError as error:
                yield ReadLine(number, offset, error.what.partition(": ")[2] or error.what)
            except (KeyError, TypeError, IndexError, ValueError) as error:
                reason = error.args[0] if error.args else error
                yield ReadLine(number, offset, f"not a {kind.__name__.lower()}: {reason}")
            offset += len(raw)
