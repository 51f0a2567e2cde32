"""Read plain files of labelled data, return their problems: parse, schema, grounding, repeats, leakage, label mix.

No run folder is needed. Files are read by the readers of `etlch-data import`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from etlch.core.errors import EtlchError
from etlch.core.files import parse_line
from etlch.core.records import Json
from etlch.dataset.dedup import Deduplicator
from etlch.dataset.grounding import Policy
from etlch.dataset.readers.events import EVENT
from etlch.dataset.readers.find import read_path
from etlch.dataset.readers.ground import ground_labelled
from etlch.dataset.readers.labelled import LabelledText
from etlch.dataset.readers.rows import RowOptions
from etlch.metrics.readers.containers import container, raw_rows
from etlch.quality.check_rows import fingerprint
from etlch.tasks import Task
from etlch.text.json_text import read_json, schema_problems
from etlch.text.normalize import fact_form, is_cjk, special_tokens

_OTHER_LAYERS = ("event", "attribute", "note or", "region of type", "relation or other line", "discontinuous")
"""How reasons begin that tell of annotations the task does not read: they are counted, and no problem."""

_ORDER = {"test": 0, "validation": 1, "train": 2, "": 3}


@dataclass(frozen=True, slots=True)
class LabelProblem:
    """What is wrong with one text of a file.

    Attributes:
        file: as the user named it.
        text: its place in the file, from 1; a line, row or sentence. None where the whole file is meant.
        name: what the file calls it, if anything.
        reason: one clause, without a full stop.
    """

    file: str
    text: int | None
    name: str
    reason: str

    def __str__(self) -> str:
        place = "" if self.text is None else f", text {self.text}"
        return f"{self.file}{place}{f' ({self.name})' if self.name else ''}: {self.reason}"


@dataclass
class LabelFile:
    """A file, or the files of one split of a folder, in numbers.

    Attributes:
        name: as the user named it, with the split where a folder holds several.
        split: train, validation or test; empty where the name does not say.
        formats: what wrote it, in words.
        texts, labelled: texts, and those with at least one fact.
        labels: annotations, each occurrence counted.
        facts, grounded: different facts of a text, and those of them that stand in it.
        mix: type, field or relation → facts.
        other_layers: annotations that the task does not read, by kind.
    """

    name: str
    split: str
    formats: tuple[str, ...]
    texts: int = 0
    labelled: int = 0
    labels: int = 0
    facts: int = 0
    grounded: int = 0
    mix: Counter[str] = field(default_factory=Counter)
    other_layers: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class LabelReport:
    """What was read, what is wrong with it, and what is worth a look.

    Attributes:
        files: in the order in which they were compared: test sets first.
        problems: what makes the check fail.
        notes: what may be right and often is not: a type that only the test set has, types spelt two ways.
    """

    files: tuple[LabelFile, ...]
    problems: tuple[LabelProblem, ...]
    notes: tuple[str, ...]


def check_label_files(
    paths: Sequence[Path],
    task: Task,
    language: str = "",
    columns: Mapping[str, str] | None = None,
    policies: Mapping[str, Policy] | None = None,
) -> LabelReport:
    """Return what is wrong with files of labelled data, each by itself and between each other.

    Args:
        paths: files or folders; the words train, dev and test in their names say the split.
        task: whose facts the labels are.
        language: of the labels; empty decides by the first text with a Chinese character.
        columns: ours (text, label, …) → column of the file.
        policies: field, type or part → how it must stand in the text, as settings.check.policies.

    Raises:
        EtlchError: a path does not exist, or its format is not known.
    """
    problems: list[LabelProblem] = []
    read: list[tuple[LabelFile, list[LabelledText]]] = []
    options = RowOptions(columns=dict(columns or {}), drop=frozenset())
    for path in paths:
        try:
            source = read_path(path, task, options)
        except EtlchError:
            broken = list(_broken_lines(path))
            if not broken:
                raise
            problems += broken
            continue
        for split, texts in source.texts.items():
            name = f"{path} ({split})" if len(source.texts) > 1 else str(path)
            read.append((LabelFile(name, split, tuple(source.formats)), texts))
    read.sort(key=lambda item: _ORDER[item[0].split])
    known = {EVENT: "derived", **(policies or {})}
    language = language or _language(read)
    earlier = _Earlier()
    for file, texts in read:
        problems += _file_problems(file, texts, task, language, known)
        problems += earlier.compare(file, texts)
    return LabelReport(
        tuple(file for file, _ in read), tuple(problems), tuple(_notes([file for file, _ in read]))
    )


def _broken_lines(path: Path) -> Iterator[LabelProblem]:
    """Yield the lines of a file of JSON lines that are no JSON objects."""
    if not path.is_file() or container(path) not in ("JSON lines", "gzip"):
        return
    for raw in raw_rows(path):
        if isinstance(raw.content, bytes) and raw.content.lstrip()[:1] != b"[":
            try:
                parse_line(raw.content, path, raw.number)
            except EtlchError as error:
                yield LabelProblem(str(path), raw.number, "", error.what.partition(": ")[2] or error.what)


def _language(read: Sequence[tuple[LabelFile, list[LabelledText]]]) -> str:
    chinese = any(is_cjk(char) for _, texts in read for text in texts[:20] for char in text.text)
    return "zh-TW" if chinese else "en"


def _file_problems(
    file: LabelFile, texts: Sequence[LabelledText], task: Task, language: str, policies: Mapping[str, Policy]
) -> Iterator[LabelProblem]:
    """Yield what is wrong with each text by itself, and count the file."""
    for place, text in enumerate(texts, 1):
        located, ungrounded = ground_labelled(text, task, language, policies)
        file.texts += 1
        file.labelled += bool(text.facts)
        file.labels += len(text.facts)
        file.facts += len(located) + len(ungrounded)
        file.grounded += len(located)
        facts = [item.fact for item in located] + [item.fact for item in ungrounded]
        file.mix.update(fact[task.type_part] for fact in facts)
        reasons = list(_text_reasons(text))
        for reason in text.dropped:
            if reason.startswith(_OTHER_LAYERS):
                file.other_layers[reason] += 1
            elif text.target is None:  # a target is parsed strictly below, with a reason of its own
                reasons.append(f"dropped: {reason}")
        reasons += _target_reasons(text, task, language)
        reasons += [f"not in its text: {' – '.join(item.fact)}" for item in ungrounded]
        for reason in reasons:
            yield LabelProblem(file.name, place, _own_name(text), reason)


def _own_name(text: LabelledText) -> str:
    """Return the name that the source gives a text; empty where the reader numbered it."""
    return "" if text.name.rpartition(":")[2].isdigit() and ":" in text.name else text.name


def _text_reasons(text: LabelledText) -> Iterator[str]:
    if not text.text.strip():
        yield "the text is empty"
    for token in dict.fromkeys(special_tokens(f"{text.text} {text.instruction} {text.target or ''}")):
        yield f"it contains the special token {token}"


def _target_reasons(text: LabelledText, task: Task, language: str) -> list[str]:
    """Return why the answer of a row to train on is not in the task's own form, or breaks its schema."""
    if text.target is None:
        return []
    if not text.target.strip():
        return ["the target is empty"]
    parsed = task.parse(text.target, language, True)
    if parsed.how != "strict" or parsed.wrong:
        why = parsed.problem or (f"{parsed.wrong} of its parts are no fact" if parsed.wrong else parsed.how)
        return [f"the target is not in the format of {task.name}: {why}"]
    value: Json = read_json(text.target).value if task.json_label else None
    schema = task.label_schema(tuple(value)) if isinstance(value, dict) else None
    if schema is None:
        return []
    return [f"the target breaks its schema: {what}" for what in schema_problems(value, schema)]


@dataclass
class _Earlier:
    """The texts of the files read so far, as fingerprints and shingles."""

    places: dict[int, str] = field(default_factory=dict)
    copies: Deduplicator = field(default_factory=Deduplicator)

    def compare(self, file: LabelFile, texts: Sequence[LabelledText]) -> Iterator[LabelProblem]:
        """Yield the texts of a file that repeat one of the same file, or of an earlier one; remember the rest."""
        own: dict[int, tuple[int, LabelledText]] = {}
        for place, text in enumerate(texts, 1):
            mark = fingerprint(fact_form(text.text))
            pair = fingerprint(fact_form(text.text), text.instruction)
            if pair in own:
                first, other = own[pair]
                same = {item.fact for item in other.facts} == {item.fact for item in text.facts}
                what = "the same labels" if same else "other labels"
                yield LabelProblem(
                    file.name, place, _own_name(text), f"the text of text {first} again, with {what}"
                )
                continue
            own[pair] = place, text
            if mark in self.places:
                yield LabelProblem(
                    file.name, place, _own_name(text), f"its text is in {self.places[mark]} too"
                )
            elif (duplicate := self.copies.find(text.text)) is not None:
                reason = f"its text is a near copy of {duplicate}"
                yield LabelProblem(file.name, place, _own_name(text), reason)
        for place, text in own.values():
            where = f"{file.name}, text {place}"
            self.places.setdefault(fingerprint(fact_form(text.text)), where)
            self.copies.add(where, text.text)


def _notes(files: Sequence[LabelFile]) -> Iterator[str]:
    """Yield what the label mix shows: types spelt two ways, types without training data, files of one type."""
    types = Counter[str]()
    for file in files:
        types.update(file.mix)
    spellings: dict[str, list[str]] = {}
    for name in types:
        spellings.setdefault(fact_form(name).casefold().replace("_", "").replace(" ", ""), []).append(name)
    for names in spellings.values():
        if len(names) > 1:
            yield "types that may be one: " + ", ".join(f"{name} ({types[name]:,})" for name in names)
    train = Counter[str]()
    for file in files:
        train.update(file.mix if file.split in ("train", "") else ())
    for file in files:
        if file.split == "test" and train and (lost := [name for name in file.mix if name not in train]):
            yield f"{file.name}: no training file has {', '.join(lost[:10])}"
        if file.labelled > 1 and len(file.mix) == 1:
            yield f"{file.name}: every label is of the type {next(iter(file.mix))}"
