"""Pair the rows of a prediction file with their keys, and count what was lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, zip_longest

from etlch.core.errors import EtlchError
from etlch.core.locale import _
from etlch.core.records import Key
from etlch.core.settings import ScoreSettings
from etlch.metrics.predictions import (
    PROMPT_HEAD,
    Prediction,
    align,
    pair_with_keys,
    parse_row,
    prompt_id,
    without_markers,
)
from etlch.metrics.readers.containers import RawRow, raw_rows
from etlch.metrics.readers.gold import parse_key
from etlch.scoring.inputs import Job
from etlch.scoring.summary import Counts, Source, System
from etlch.scoring.worker import Block
from etlch.text.normalize import squash

LINES_KEPT = 20
"""Line numbers kept per outcome."""

SAMPLE = 500
"""Rows whose prompts are compared between files."""

FIRST = 50
"""Rows whose keys are compared before a file is taken to be in the order of its keys."""


@dataclass
class Tally:
    """Counts of one file while it is read, by system; what cannot be used belongs to none."""

    job: Job
    counts: dict[System, Counts] = field(default_factory=dict)
    lines: dict[System, dict[str, list[int]]] = field(default_factory=dict)
    skipped: list[int] = field(default_factory=list)
    skips: int = 0
    notes: list[str] = field(default_factory=list)
    odd_gold: int = 0
    failed: int = 0
    first_failed: tuple[int, str] = (0, "")
    mapped: set[str] = field(default_factory=set)

    def take(self, block: Block) -> None:
        """Count a block."""
        for line, reason in block.skipped:
            self.skip(line, reason)
        if block.failed and not self.failed:
            self.first_failed = block.failed[0]
        self.failed += len(block.failed)
        for part in block.parts:
            n = len(part.ids)
            fresh = Counts(n, n, 0, len(part.unparseable), len(part.truncated), len(part.odd_gold))
            self.mapped |= part.mapped
            self.counts[part.system] = self.counts.get(part.system, Counts()) + fresh
            counts = self.lines.setdefault(part.system, {})
            for outcome in ("unparseable", "truncated", "odd_gold"):
                numbers = counts.setdefault(outcome, [])
                numbers.extend(getattr(part, outcome)[: LINES_KEPT - len(numbers)])
            if part.odd_gold and not self.odd_gold:
                text = _(
                    "{file}, line {line}: the gold is not whole as {task}; what cannot be read of a label is no fact"
                )
                task = part.system.task
                self.notes.append(text.format(file=self.job.shown, line=part.odd_gold[0], task=task))
            self.odd_gold += len(part.odd_gold)

    def skip(self, line: int, reason: str) -> None:
        """Count a row that cannot be used."""
        if not self.skips:
            self.notes.append(_("skipped: {reason}").format(reason=reason))
        self.skips += 1
        if len(self.skipped) < LINES_KEPT:
            self.skipped.append(line)

    def rest(self, reason: str, count: int) -> None:
        """Count the rows that a file has too many, or the records that it does not answer."""
        self.notes.append(_("skipped: {reason}").format(reason=reason))
        self.skips += count

    def sources(self) -> tuple[list[Source], list[str]]:
        """Return the file's part of each system, and notes.

        Raises:
            EtlchError: nothing in the file could be scored.
        """
        if not self.counts:
            raise EtlchError(
                _("{path}: nothing in it can be scored").format(path=self.job.path),
                _("An empty file scores nothing."),
            )
        lost = Counts(read=self.skips, skipped=self.skips)
        found: list[Source] = []
        for system, counts in self.counts.items():
            lines = {name: tuple(counts) for name, counts in self.lines[system].items() if counts}
            if not found and self.skips:
                lines["skipped"] = tuple(self.skipped)
            whole = counts if found else counts + lost
            who = (system.model, system.task, system.size, system.seed, system.role)
            found.append(Source(self.job.shown, *who, whole, lines))
        if self.failed:
            line, why = self.first_failed
            self.notes.append(
                _(
                    "{file}: {count:,} of {all:,} requests failed (line {line}: {why}) and are scored as answers "
                    "without a fact: ask them again"
                ).format(
                    file=self.job.shown,
                    count=self.failed,
                    all=sum(counts.read for counts in self.counts.values()),
                    line=line,
                    why=why,
                )
            )
        return found, self.notes


def meet_by_content(jobs: Sequence[Job], settings: ScoreSettings) -> bool:
    """Tell whether files without keys and ids meet by their prompts: all differ in each, and most are shared.

    Files of one record each line but with different chat templates share no prompt; they meet in order.
    """
    loose = [job for job in jobs if job.keys is None]
    if len(loose) < 2 or len(loose) < len(jobs):
        return False
    prompts = []
    for job in loose:
        rows = []
        for raw in islice(raw_rows(job.path), SAMPLE):
            try:
                rows.append(parse_row(raw, job.path, job.layout))
            except EtlchError:
                continue
        named = [row.prompt or str(row.columns.get("input") or "") for row in rows]
        if (
            not rows
            or any("id" in row.columns for row in rows)
            or len({*map(squash, named)} - {""}) < len(rows)
        ):
            return False
        prompts.append(set(map(prompt_id, rows)))
    first = prompts[0]
    return all(2 * len(first & other) >= min(len(first), len(other)) for other in prompts[1:])


def rows_of(job: Job, settings: ScoreSettings, tally: Tally) -> Iterator[tuple[RawRow, RawRow | None]]:
    """Yield each row with its key: by id where the rows name the keys' ids, else in order, else by content."""
    if job.keys is None:
        for row in raw_rows(job.path):
            yield row, None
        return
    by_id = _keys_by_id(job, settings)
    if by_id:
        yield from _by_id(job, by_id, settings, tally)
        return
    if not _fits_in_order(job, settings) and (index := _ContentIndex.of(job, settings)).answers_first(job):
        told = _("{file}: rows meet their records by prompt and label, not in order")
        tally.notes.append(told.format(file=job.shown))
        yield from _by_content(job, index, settings, tally)
        return
    try:
        yield from pair_with_keys(raw_rows(job.path), raw_rows(job.keys), job.path, job.keys)
    except EtlchError as error:
        if settings.bad_lines == "refuse":
            raise
        lengths = [sum(1 for _ in raw_rows(path)) for path in (job.path, job.keys)]
        tally.rest(error.what, abs(lengths[0] - lengths[1]))


def _key(raw: RawRow, job: Job, settings: ScoreSettings) -> Key:
    assert job.keys is not None
    return parse_key(raw, job.keys, settings.columns, settings.task or "", settings.language or "")


def _keys_by_id(job: Job, settings: ScoreSettings) -> dict[str, RawRow]:
    """Return the keys by id if the first row names one of them, else nothing."""
    assert job.keys is not None
    for row in islice(raw_rows(job.path), 1):
        try:
            named = parse_row(row, job.path, job.layout).columns.get("id")
        except EtlchError:
            return {}
        if named is None:
            return {}
        by_id = {_key(key, job, settings).id: key for key in raw_rows(job.keys)}
        return by_id if str(named) in by_id else {}
    return {}


def _fits_in_order(job: Job, settings: ScoreSettings) -> bool:
    """Tell whether both files have as many rows and the first of them belong together."""
    assert job.keys is not None
    for place, (row, raw) in enumerate(zip_longest(raw_rows(job.path), raw_rows(job.keys))):
        if row is None or raw is None:
            return False
        if place < FIRST:
            try:
                align(
                    parse_row(row, job.path, job.layout),
                    _key(raw, job, settings),
                    job.path,
                    settings.end_markers,
                )
            except EtlchError:
                return False
    return True


@dataclass
class _ContentIndex:
    """The keys of a file by what their rows say.

    Attributes:
        by_prompt: squashed input, or instruction and input → keys.
        by_gold: squashed label → keys.
    """

    by_prompt: dict[str, list[tuple[Key, RawRow]]]
    by_gold: dict[str, list[tuple[Key, RawRow]]]

    @classmethod
    def of(cls, job: Job, settings: ScoreSettings) -> _ContentIndex:
        """Return the index of a job's keys."""
        assert job.keys is not None
        index = cls({}, {})
        for raw in raw_rows(job.keys):
            key = _key(raw, job, settings)
            texts = {squash(key.input), squash(f"{key.instruction}\n{key.input}"), squash(key.instruction)}
            for text in texts if key.input else {squash(key.instruction)}:
                index.by_prompt.setdefault(text, []).append((key, raw))
            index.by_gold.setdefault(squash(without_markers(key.gold, settings.end_markers)), []).append(
                (key, raw)
            )
        index.by_prompt.pop("", None)
        return index

    def find(self, row: Prediction) -> tuple[Key, RawRow] | None:
        """Return the one key that a row belongs to: by its input or prompt, told apart by its label."""
        label = squash(row.label or "")
        given = squash(str(row.columns.get("input") or ""))
        found = self.by_prompt.get(given) or self.by_prompt.get(squash(row.prompt)) or []
        if len(found) > 1 and label:
            found = [item for item in found if squash(item[0].gold).startswith(label)]
        if not found and label:
            head = squash(row.prompt)
            found = [
                item
                for item in self.by_gold.get(label, [])
                if not head or squash(item[0].input)[:PROMPT_HEAD] in head
            ]
        return found[0] if len(found) == 1 else None

    def answers_first(self, job: Job) -> bool:
        """Tell whether the first rows find their keys."""
        rows = [parse_row(row, job.path, job.layout) for row in islice(raw_rows(job.path), FIRST)]
        return bool(rows) and sum(self.find(row) is not None for row in rows) > len(rows) // 2


def _by_content(
    job: Job, index: _ContentIndex, settings: ScoreSettings, tally: Tally
) -> Iterator[tuple[RawRow, RawRow | None]]:
    answered: set[str] = set()
    for row in raw_rows(job.path):
        try:
            found = index.find(parse_row(row, job.path, job.layout))
            if found is None:
                raise EtlchError(
                    _("{path}, line {number}: no one record of {keys} has its prompt and label").format(
                        path=job.path, number=row.number, keys=job.keys
                    ),
                    _(
                        "Are these the predictions for this test set? With `bad_lines: skip` such rows are counted."
                    ),
                )
        except EtlchError as error:
            if settings.bad_lines == "refuse":
                raise
            tally.skip(row.number, error.what)
            continue
        answered.add(found[0].id)
        yield row, found[1]
    total = len({key.id for pairs in index.by_gold.values() for key, _ in pairs})
    _report_missing(job, total - len(answered), "some of the records", settings, tally)


def _by_id(
    job: Job, keys: dict[str, RawRow], settings: ScoreSettings, tally: Tally
) -> Iterator[tuple[RawRow, RawRow | None]]:
    answered = set()
    for row in raw_rows(job.path):
        try:
            named = str(parse_row(row, job.path, job.layout).columns.get("id"))
            key = keys.get(named)
            if key is None:
                raise EtlchError(
                    _("{path}, line {number}: there is no record '{named}' in {keys}").format(
                        path=job.path, number=row.number, named=named, keys=job.keys
                    ),
                    _("Are these the predictions for this test set?"),
                )
        except EtlchError as error:
            if settings.bad_lines == "refuse":
                raise
            tally.skip(row.number, error.what)
            continue
        answered.add(named)
        yield row, key
    missing = next((name for name in keys if name not in answered), "")
    _report_missing(job, len(keys) - len(answered), f"record '{missing}'", settings, tally)


def _report_missing(job: Job, count: int, which: str, settings: ScoreSettings, tally: Tally) -> None:
    if count <= 0:
        return
    what = f"{job.path} has no prediction for {which} ({count} are missing)"
    if settings.bad_lines == "refuse":
        raise EtlchError(what, _("The prediction run did not finish, or was made for another test set."))
    tally.rest(what, count)
