"""Read labels that people corrected, return the differences, and write the run again with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from etlch.core import manifest
from etlch.core.errors import EtlchError
from etlch.core.files import write_jsonl
from etlch.core.locale import _
from etlch.core.records import Fact, Json, Located, Record, Rejected
from etlch.core.run_data import RunData, read_run
from etlch.core.run_folder import Run
from etlch.core.settings import Settings
from etlch.dataset.corrections import keep_corrections
from etlch.dataset.readers.choose import by_reason, unusable
from etlch.dataset.readers.find import read_path
from etlch.dataset.readers.ground import ground_labelled
from etlch.dataset.readers.labelled import LabelledFact, LabelledText, lost_labels
from etlch.dataset.readers.rows import RowOptions
from etlch.dataset.writers import READ_AS, expressible
from etlch.export.write import export
from etlch.tasks import Task, find_task

_SHOWN = 20


@dataclass(frozen=True)
class Change:
    """What became of one record.

    Attributes:
        record: its id.
        added, removed: facts.
        refused: why labels were not taken, such as those that are not in the text.
    """

    record: str
    added: tuple[Fact, ...]
    removed: tuple[Fact, ...]
    refused: tuple[str, ...] = ()


@dataclass(frozen=True)
class Updated:
    """What an update did.

    Attributes:
        changes: records that changed, in the order of the run.
        read: texts of the files.
        unknown: texts of the files that the run does not hold, or holds with other characters.
        unlabelled: texts whose label nobody knows, with the reason: not annotated, skipped, unreadable.
        new_types: types that no record of the run had before.
    """

    changes: tuple[Change, ...]
    read: int
    unknown: tuple[str, ...]
    unlabelled: tuple[Rejected, ...] = ()
    new_types: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Return the difference in words: totals, then record by record."""
        added = sum(len(change.added) for change in self.changes)
        removed = sum(len(change.removed) for change in self.changes)
        told = [
            f"{self.read:,} texts read, {len(self.changes):,} records changed: {added:,} labels added, "
            f"{removed:,} removed"
        ]
        for change in self.changes[:_SHOWN]:
            marks = [("+", change.added), ("-", change.removed)]
            facts = [f"{mark} {' – '.join(fact)}" for mark, facts in marks for fact in facts]
            told.append(f"  {change.record}: {'; '.join([*facts, *change.refused])}")
        if len(self.changes) > _SHOWN:
            told.append(f"  … and {len(self.changes) - _SHOWN:,} more records")
        if self.unknown:
            told.append(
                f"{len(self.unknown):,} texts are not in the run, or with other characters, and were left out: "
                + ", ".join(self.unknown[:5])
            )
        if self.unlabelled:
            told.append(
                f"{len(self.unlabelled):,} texts keep the labels they have ({by_reason(self.unlabelled)})"
            )
        if self.new_types:
            told.append(
                f"types that no record had before: {', '.join(self.new_types)}; the instructions do not name them"
            )
        return told


def update_labels(
    run: Run, paths: Sequence[Path], task_name: str | None, options: RowOptions, say: Callable[[str], None]
) -> Updated:
    """Read corrected labels, change the records that they belong to, and write the run's files again.

    A text belongs to the record of its id, else to the one with the same text. Records without a text in the files
    stay as they are, and so do facts that the files' format cannot hold. Nothing is written if nothing changed.

    Args:
        run: imported or generated.
        paths: files or folders in any format of `import`.
        task_name: of the labels; None for runs of one task.
        options: columns and words that mean "none".
        say: takes lines for the terminal.

    Raises:
        EtlchError: no run, no such task in it, or nothing readable.
    """
    data = read_run(run.folder)
    settings = data.manifest.settings
    task = _task(settings, task_name)
    texts, forms = _read(paths, task, options)
    records = {record.id: record for record in data.records if record.task == task.name}
    by_text = {_plain(record.input): record.id for record in records.values()}
    by_article = {record.article_id: record.id for record in records.values()}
    changes: dict[str, Change] = {}
    unknown, unlabelled = [], []
    for text, form in zip(texts, forms, strict=True):
        identity = (
            text.name if text.name in records else by_article.get(text.name) or by_text.get(_plain(text.text))
        )
        if identity is None or _plain(text.text) != _plain(records[identity].input):
            unknown.append(text.name)
            continue
        if why := unusable(text, task).partition(":")[0]:
            unlabelled.append(Rejected(text.name, task.name, "update", (why,), text.text))
            continue
        change, changed = _merged(records[identity], text, task, form, settings)
        if change is not None:
            changes[identity], records[identity] = change, changed
    ordered = tuple(changes[record.id] for record in data.records if record.id in changes)
    known = {
        item.fact[task.type_part]
        for record in data.records
        for item in record.facts
        if record.task == task.name
    }
    added = dict.fromkeys(fact[task.type_part] for change in ordered for fact in change.added)
    new_types = tuple(name for name in added if name not in known)
    done = Updated(ordered, len(texts), tuple(unknown), tuple(unlabelled), new_types)
    for line in done.lines():
        say(line)
    if ordered:
        _write(run, data, [records.get(record.id, record) for record in data.records], ordered, task)
    return done


def _task(settings: Settings, name: str | None) -> Task:
    """Return the task whose labels come in.

    Raises:
        EtlchError: the run has several and none is named, or not this one.
    """
    tasks = settings.plan.tasks
    if name is None and len(tasks) > 1:
        raise EtlchError(
            _("the run has the tasks {tasks}").format(tasks=", ".join(tasks)),
            _("Name the one of the labels with --task."),
        )
    if name is not None and name not in tasks:
        raise EtlchError(
            _("the run has no records of the task {name}").format(name=name),
            _("Its tasks are {tasks}.").format(tasks=", ".join(tasks)),
        )
    return find_task(name or tasks[0], Path(settings.plan.task_file) if settings.plan.task_file else None)


def _read(paths: Sequence[Path], task: Task, options: RowOptions) -> tuple[list[LabelledText], list[str]]:
    """Return the texts of all paths, and for each the format that it was written in."""
    texts, forms = [], []
    for path in paths:
        source = read_path(path, task, options)
        form = READ_AS.get(next(iter(source.formats)), "")
        for found in source.texts.values():
            texts += found
            forms += [form] * len(found)
    return texts, forms


def _plain(text: str) -> str:
    """Return a text without what formats change: kinds of white space, and white space at its ends."""
    return "".join(" " if char.isspace() else char for char in text).strip()


def _merged(
    record: Record, text: LabelledText, task: Task, form: str, settings: Settings
) -> tuple[Change | None, Record]:
    """Return what the file changes in a record, and the changed record.

    The file is compared with what would have been written for the record: what its format cannot hold was not
    deleted by anybody. Where a label of the text cannot be read nothing is removed: it may be the one that is missing.
    """
    before = expressible(record, task, form)
    shift = len(record.input) - len(record.input.lstrip()) - (len(text.text) - len(text.text.lstrip()))
    moved = replace(
        text, text=record.input, facts=tuple(_moved(item, shift, record.input, task) for item in text.facts)
    )
    located, ungrounded = ground_labelled(moved, task, record.language, settings.check.policies)
    found = {item.fact: item for item in located}
    added = [item for fact, item in found.items() if fact not in before and fact not in _facts(record)]
    lost = lost_labels(text)
    missing = {*found, *(item.fact for item in ungrounded)}
    gone = [item for fact, item in before.items() if fact not in missing and item.fact not in missing]
    removed = [] if lost else gone
    refused = tuple(
        f"not in the text: {' – '.join(item.fact)}" for item in ungrounded if item.fact not in _facts(record)
    ) + tuple(f"not read: {reason}" for reason in lost)
    if not added and not removed and not refused:
        return None, record
    facts = sorted([item for item in record.facts if item not in removed] + added, key=_first_place)
    keys = list(record.schema["properties"]) if isinstance(record.schema, dict) else []
    keys += [item.fact[task.type_part] for item in added if item.fact[task.type_part] not in keys]
    change = Change(record.id, tuple(i.fact for i in added), tuple(i.fact for i in removed), refused)
    return change, replace(
        record,
        output=task.render([item.fact for item in facts], tuple(dict.fromkeys(keys)), record.language),
        schema=task.label_schema(tuple(dict.fromkeys(keys))) if task.json_label else None,
        facts=tuple(facts),
    )


def _facts(record: Record) -> set[Fact]:
    return {item.fact for item in record.facts}


def _moved(item: LabelledFact, shift: int, text: str, task: Task) -> LabelledFact:
    """Return a fact with its offsets in the run's own text, and its parts as they stand there."""
    spans = tuple(None if span is None else (span[0] + shift, span[1] + shift) for span in item.spans)
    parts = list(item.fact)
    for place in task.grounded:
        span = spans[place]
        parts[place] = text[slice(*span)] if span is not None else parts[place]
    return LabelledFact(tuple(parts), spans)


def _first_place(item: Located) -> tuple[int, ...]:
    return tuple(sorted(span[0] for span in item.spans if span is not None)) or (2**62,)


def _write(run: Run, data: RunData, records: list[Record], changes: Sequence[Change], task: Task) -> None:
    from etlch.quality import card, page

    rejected = list(dict.fromkeys([*data.rejected, *_refusals(changes, records, task)]))
    ids = {change.record for change in changes}
    corrected = keep_corrections(run, [record for record in records if record.id in ids])
    counts = {**_counts(data.manifest.counts, changes), "corrected": corrected}
    done = replace(data.manifest, counts=counts)
    write_jsonl(run.records, records)
    write_jsonl(run.rejected, rejected)
    export(run, done.settings, records)
    manifest.write(run, done)
    card.write(run, done, page.write(run, RunData(done, data.articles, records, rejected)))


def _refusals(changes: Sequence[Change], records: Sequence[Record], task: Task) -> Iterator[Rejected]:
    articles = {record.id: record.article_id for record in records}
    for change in changes:
        if change.refused:
            yield Rejected(articles[change.record], task.name, "update", change.refused, change.record)


def _counts(counts: Mapping[str, Json], changes: Sequence[Change]) -> dict[str, Json]:
    """Return the run's counts with those of the facts as they are now."""
    more = sum(len(change.added) - len(change.removed) for change in changes)
    refused = sum(len(change.refused) for change in changes)
    facts: Counter[str] = Counter(counts.get("facts", {}))
    facts.update({"grounded": more, "stated": more + refused})
    return {**counts, "facts": dict(facts)}
