"""A prediction file and its keys walk in; rows beside their keys walk out, and what was lost is counted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from etlch.core.errors import EtlchError
from etlch.core.settings import ScoreSettings
from etlch.metrics.predictions import RawRow, pair_with_keys, parse_key, parse_row, raw_rows
from etlch.scoring.inputs import Job
from etlch.scoring.summary import Counts, Source, System
from etlch.scoring.worker import Block

LINES_KEPT = 20
"""Line numbers kept per outcome."""


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

    def take(self, block: Block) -> None:
        """Count a block."""
        for line, reason in block.skipped:
            self.skip(line, reason)
        for part in block.parts:
            n = len(part.ids)
            fresh = Counts(n, n, 0, len(part.unparseable), len(part.truncated))
            self.counts[part.system] = self.counts.get(part.system, Counts()) + fresh
            held = self.lines.setdefault(part.system, {})
            for outcome in ("unparseable", "truncated", "odd_gold"):
                numbers = held.setdefault(outcome, [])
                numbers.extend(getattr(part, outcome)[: LINES_KEPT - len(numbers)])
            if part.odd_gold and not self.odd_gold:
                self.notes.append(
                    f"{self.job.shown}, line {part.odd_gold[0]}: the gold is not whole as {part.system.task}; "
                    "what cannot be read of a label is no fact"
                )
            self.odd_gold += len(part.odd_gold)

    def skip(self, line: int, reason: str) -> None:
        """Count a row that cannot be used."""
        if not self.skips:
            self.notes.append(f"skipped: {reason}")
        self.skips += 1
        if len(self.skipped) < LINES_KEPT:
            self.skipped.append(line)

    def rest(self, reason: str, count: int) -> None:
        """Count the rows that a file has too many, or the records that it does not answer."""
        self.notes.append(f"skipped: {reason}")
        self.skips += count

    def sources(self) -> tuple[list[Source], list[str]]:
        """Return the file's part of each system, and notes.

        Raises:
            EtlchError: nothing in the file could be scored.
        """
        if not self.counts:
            raise EtlchError(f"{self.job.path}: nothing in it can be scored", "An empty file scores nothing.")
        lost = Counts(read=self.skips, skipped=self.skips)
        found: list[Source] = []
        for system, counts in self.counts.items():
            lines = {name: tuple(held) for name, held in self.lines[system].items() if held}
            if not found and self.skips:
                lines["skipped"] = tuple(self.skipped)
            whole = counts if found else counts + lost
            who = (system.model, system.task, system.size, system.seed, system.role)
            found.append(Source(self.job.shown, *who, whole, lines))
        return found, self.notes


def rows_of(job: Job, settings: ScoreSettings, tally: Tally) -> Iterator[tuple[RawRow, RawRow | None]]:
    """Yield each row with its key: by id where the rows name the keys' ids, else line by line."""
    if job.keys is None:
        for row in raw_rows(job.path):
            yield row, None
        return
    keys = raw_rows(job.keys)
    by_id = _keys_by_id(job)
    if by_id:
        yield from _by_id(job, by_id, settings, tally)
        return
    try:
        yield from pair_with_keys(raw_rows(job.path), keys, job.path, job.keys)
    except EtlchError as error:
        if settings.bad_lines == "refuse":
            raise
        lengths = [sum(1 for _ in raw_rows(path)) for path in (job.path, job.keys)]
        tally.rest(error.what, abs(lengths[0] - lengths[1]))


def _keys_by_id(job: Job) -> dict[str, RawRow]:
    """Return the keys by id if the first row names one of them, else nothing."""
    assert job.keys is not None
    for row in islice(raw_rows(job.path), 1):
        try:
            named = parse_row(row, job.path).columns.get("id")
        except EtlchError:
            return {}
        if named is None:
            return {}
        held = {parse_key(key, job.keys).id: key for key in raw_rows(job.keys)}
        return held if str(named) in held else {}
    return {}


def _by_id(
    job: Job, keys: dict[str, RawRow], settings: ScoreSettings, tally: Tally
) -> Iterator[tuple[RawRow, RawRow | None]]:
    answered = set()
    for row in raw_rows(job.path):
        try:
            named = str(parse_row(row, job.path).columns.get("id"))
            key = keys.get(named)
            if key is None:
                raise EtlchError(
                    f"{job.path}, line {row.number}: there is no record '{named}' in {job.keys}",
                    "Are these the predictions for this test set?",
                )
        except EtlchError as error:
            if settings.bad_lines == "refuse":
                raise
            tally.skip(row.number, error.what)
            continue
        answered.add(named)
        yield row, key
    missing = next((name for name in keys if name not in answered), None)
    if missing is not None:
        what = (
            f"{job.path} has no prediction for record '{missing}' ({len(keys) - len(answered)} are missing)"
        )
        if settings.bad_lines == "refuse":
            raise EtlchError(what, "The prediction run did not finish, or was made for another test set.")
        tally.rest(what, len(keys) - len(answered))
