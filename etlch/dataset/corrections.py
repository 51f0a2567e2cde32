"""Keep labels that people corrected: corrections.jsonl holds each corrected record, and survives `generate`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from etlch.core.files import read_jsonl, write_jsonl
from etlch.core.records import Record
from etlch.core.run_folder import Run


class Corrected(NamedTuple):
    """Records with the labels that people gave them.

    Attributes:
        records: all of them, in their order.
        changed: how many carry a corrected label.
        facts: by how many facts the corrections change their total.
        unused: ids of corrections whose text or instruction no record has any more.
    """

    records: tuple[Record, ...]
    changed: int
    facts: int
    unused: tuple[str, ...]


def read_corrections(run: Run) -> list[Record]:
    """Return the records as people corrected them; empty where nobody did.

    Raises:
        EtlchError: a line is no record; names file and line.
    """
    return read_jsonl(run.corrections, Record) if run.corrections.exists() else []


def keep_corrections(run: Run, records: Iterable[Record]) -> int:
    """Write corrected records to corrections.jsonl, in place of earlier ones of the same id; return how many it has."""
    held = {record.id: record for record in (*read_corrections(run), *records)}
    write_jsonl(run.corrections, [held[name] for name in sorted(held)])
    return len(held)


def with_corrections(records: Sequence[Record], corrections: Sequence[Record]) -> Corrected:
    """Return records with their corrected labels.

    A correction belongs to the record with its id, text and instruction: a label says what this instruction
    asks of this text, and nobody corrected another.
    """
    open_ = {record.id: record for record in corrections}
    made, changed, facts = [], 0, 0
    for record in records:
        better = open_.get(record.id)
        if better and (better.input, better.instruction) == (record.input, record.instruction):
            del open_[record.id]
            changed += 1
            facts += len(better.facts) - len(record.facts)
            record = replace(record, output=better.output, schema=better.schema, facts=better.facts)  # noqa: PLW2901
        made.append(record)
    return Corrected(tuple(made), changed, facts, tuple(open_))


def told(run: Run, records: Sequence[Record]) -> list[str]:
    """Return notes on the corrections of a run: how many its records carry, and how many they do not."""
    corrections = read_corrections(run)
    labels = {record.id: (record.input, record.instruction, record.output) for record in records}
    held = sum(labels.get(item.id) == (item.input, item.instruction, item.output) for item in corrections)
    notes = []
    if held:
        notes.append(f"records with labels that people corrected: {held:,} (corrections.jsonl)")
    if lost := len(corrections) - held:
        notes.append(
            f"corrections that are not in records.jsonl: {lost:,}; repeat the `etlch-data generate` command, which "
            "takes those whose text and instruction the run still has"
        )
    return notes
