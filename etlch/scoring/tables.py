"""Measure every row of every job: return one table of numbers per system; samples go to a spool on the way.

Rows are measured in chunks by several processes and arrive in the order of the files. Texts are
forgotten as soon as they are measured, so memory grows only by the numbers themselves.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from typing import IO

import numpy as np
from numpy.typing import NDArray

from etlch.core.errors import EtlchError
from etlch.core.locale import _
from etlch.core.settings import ScoreSettings
from etlch.metrics.readers.containers import RawRow
from etlch.scoring.detect import detect_format
from etlch.scoring.inputs import Job
from etlch.scoring.pairing import Tally, meet_by_content, rows_of
from etlch.scoring.summary import Source, System
from etlch.scoring.worker import Block, Chunk, Part, Plan, measure_chunk

CHUNK_ROWS = 250
CHUNK_BYTES = 4 * 1024 * 1024
SMALL = 2 * 1024 * 1024
"""Bytes of all files together below which starting processes costs more than it saves."""

MOST_TYPES = 10_000
"""Types kept by name; a model that invents a new one each time fills '(other)' after that."""


@dataclass(frozen=True)
class Table:
    """All numbers of one system.

    Attributes:
        records: (n,), each row's record as a number of `Collected.ids[task]`.
        articles: (n,), each row's article as a number, the same for all systems of a task.
        columns: names of the columns of `matrix`.
        matrix: (n, columns), NaN where a metric does not apply.
        texts: (n, 2), gold and prediction as numbers of `Collected.texts`; empty without cosine.
        types: type → (hits, predicted, gold).
    """

    system: System
    records: NDArray[np.int32]
    articles: NDArray[np.int32]
    columns: tuple[str, ...]
    matrix: NDArray[np.float64]
    texts: NDArray[np.int32]
    types: dict[str, tuple[float, float, float]]


@dataclass(frozen=True)
class Collected:
    """Everything that was read.

    Attributes:
        texts: every distinct text, in order of appearance; only with cosine.
        runs: the spooled samples as (system, how many follow each other).
    """

    tables: tuple[Table, ...]
    sources: tuple[Source, ...]
    texts: tuple[str, ...]
    runs: tuple[tuple[System, int], ...]
    notes: tuple[str, ...]


@dataclass
class _Draft:
    """A system's table while it grows."""

    system: System
    columns: tuple[str, ...]
    records: list[NDArray[np.int32]] = field(default_factory=list)
    articles: list[NDArray[np.int32]] = field(default_factory=list)
    matrices: list[NDArray[np.float64]] = field(default_factory=list)
    texts: list[NDArray[np.int32]] = field(default_factory=list)
    types: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)


@dataclass
class Collector:
    """What grows while files are read: tables, numbers of ids and articles, counts."""

    samples: IO[str] | None = None
    keys: IO[str] | None = None
    drafts: dict[System, _Draft] = field(default_factory=dict)
    ids: dict[str, dict[str, int]] = field(default_factory=dict)
    articles: dict[str, dict[str, int]] = field(default_factory=dict)
    article_of: dict[str, list[int]] = field(default_factory=dict)
    texts: dict[str, int] = field(default_factory=dict)
    runs: list[tuple[System, int]] = field(default_factory=list)

    def repeats(self, block: Block, job: Job) -> dict[int, str]:
        """Return the lines whose record the same system has answered before, each with what is wrong."""
        found: dict[int, str] = {}
        for part in block.parts:
            ids = self.ids.get(part.system.task, {})
            draft = self.drafts.get(part.system)
            seen = draft.seen if draft else set()
            fresh: set[str] = set()
            for name, line in zip(part.ids, part.lines, strict=True):
                if name in fresh or ids.get(name) in seen:
                    who = f"'{part.system.label}' has answered record '{name}' before"
                    found[line] = f"{job.path}, line {line}: {who}"
                fresh.add(name)
        return found

    def add(self, part: Part) -> None:
        """Take in the rows of one system, none of them repeated."""
        draft = self.drafts.setdefault(part.system, _Draft(part.system, part.columns))
        task = part.system.task
        ids = self.ids.setdefault(task, {})
        known = len(ids)
        records = [ids.setdefault(name, len(ids)) for name in part.ids]
        draft.seen.update(records)
        self._spool(part, records, known)
        self.runs.append((part.system, len(part.ids)))
        draft.records.append(np.array(records, dtype=np.int32))
        draft.articles.append(np.array(self._articles(part, records), dtype=np.int32))
        draft.matrices.append(part.matrix)
        numbered = [[self.texts.setdefault(text, len(self.texts)) for text in pair] for pair in part.texts]
        draft.texts.append(np.array(numbered, dtype=np.int32).reshape(-1, 2))
        _add_types(draft.types, part)

    def _articles(self, part: Part, records: Sequence[int]) -> list[int]:
        """Return each record's article. The first file that has a record decides, so that all pair alike."""
        numbers = self.articles.setdefault(part.system.task, {})
        article_of = self.article_of.setdefault(part.system.task, [])
        for name, record in zip(part.articles, records, strict=True):
            if record == len(article_of):
                article_of.append(numbers.setdefault(name, len(numbers)))
        return [article_of[record] for record in records]

    def _spool(self, part: Part, records: list[int], known: int) -> None:
        if self.samples is not None:
            self.samples.writelines(line + "\n" for line in part.samples)
        if self.keys is not None and part.keys:
            fresh = dict.fromkeys(place for place, record in enumerate(records) if record >= known)
            self.keys.writelines(part.keys[place] + "\n" for place in fresh)

    def tables(self) -> tuple[Table, ...]:
        """Return the finished tables, in the order in which systems appeared."""
        return tuple(
            Table(
                draft.system,
                np.concatenate(draft.records),
                np.concatenate(draft.articles),
                draft.columns,
                np.concatenate(draft.matrices),
                np.concatenate(draft.texts),
                draft.types,
            )
            for draft in self.drafts.values()
        )


def _add_types(types: dict[str, tuple[float, float, float]], part: Part) -> None:
    for name, (hits, predicted, gold) in part.types.items():
        kept = name if name in types or len(types) < MOST_TYPES else "(other)"
        one, two, three = types.get(kept, (0.0, 0.0, 0.0))
        types[kept] = (one + hits, two + predicted, three + gold)


def collect(
    jobs: Sequence[Job],
    settings: ScoreSettings,
    groups: frozenset[str],
    samples: IO[str] | None,
    keys: IO[str] | None,
    progress: Callable[[str], None],
) -> Collected:
    """Measure every row of every job.

    Args:
        jobs: what to read.
        settings: how.
        groups: of metrics: rouge, json, facts, grounding, cosine.
        samples: where lines for scores.jsonl go, or None.
        keys: where lines for keys.jsonl go, or None.
        progress: told after each file.

    Raises:
        EtlchError: an input that cannot be used; names file and line.
    """
    collector = Collector(samples, keys)
    sources: list[Source] = []
    notes: list[str] = []
    mapped: set[str] = set()
    plans = _plans(jobs, settings, groups, keep_samples=samples is not None, keep_keys=keys is not None)
    notes += [note for plan in plans for note in plan.context.notes]
    workers = _workers(jobs, settings)
    pool = ProcessPoolExecutor(workers) if workers > 1 else None
    try:
        for job, plan in zip(jobs, plans, strict=True):
            tally = Tally(job)
            for chunk, block in _measured(_chunks(job, plan, tally), pool, workers):
                once = _once(chunk, block, collector.repeats(block, job), tally)
                tally.take(once)
                for part in once.parts:
                    collector.add(part)
            found, said = tally.sources()
            sources += found
            notes += said
            mapped |= tally.mapped
            scored = sum(source.counts.scored for source in found)
            progress(_("{file}: {count} scored").format(file=job.shown, count=scored))
    finally:
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)
    unused = [name for name in settings.label_map if name not in mapped]
    if unused:
        told = _("label_map: {names} matched nothing in labels or predictions")
        notes.append(told.format(names=_(", ").join(unused)))
    return Collected(
        collector.tables(), tuple(sources), tuple(collector.texts), tuple(collector.runs), tuple(notes)
    )


def _plans(
    jobs: Sequence[Job],
    settings: ScoreSettings,
    groups: frozenset[str],
    *,
    keep_samples: bool,
    keep_keys: bool,
) -> list[Plan]:
    """Return what is the same for all rows of each file."""
    by_content = meet_by_content(jobs, settings)
    return [
        Plan(
            path=job.path,
            keys=job.keys,
            system=job.system,
            layout=job.layout,
            context=detect_format(job, settings),
            settings=settings,
            groups=groups,
            by_content=by_content,
            keep_samples=keep_samples,
            keep_keys=keep_keys and _is_first(jobs, place),
            keep_texts="cosine" in groups,
        )
        for place, job in enumerate(jobs)
    ]


def _is_first(jobs: Sequence[Job], place: int) -> bool:
    """Tell whether a job's gold side was not seen in a job before it."""
    keys = jobs[place].keys
    return keys is None or all(job.keys != keys for job in jobs[:place])


def _workers(jobs: Sequence[Job], settings: ScoreSettings) -> int:
    if settings.workers:
        return settings.workers
    size = sum(job.path.stat().st_size for job in jobs)
    return 1 if size < SMALL else (os.cpu_count() or 1)


def _once(chunk: Chunk, block: Block, repeats: Mapping[int, str], tally: Tally) -> Block:
    """Return the block without repeated answers: the first one counts.

    Raises:
        EtlchError: there are some, and the settings do not skip them.
    """
    if not repeats:
        return block
    if chunk.plan.settings.repeats == "refuse":
        raise EtlchError(
            next(iter(repeats.values())),
            _(
                "Each record may stand in a model's predictions once. Is a file named twice? With the setting "
                "`repeats: skip` the first answer counts."
            ),
        )
    for line, reason in repeats.items():
        tally.skip(line, reason)
    kept = [place for place, row in enumerate(chunk.rows) if row.number not in repeats]
    keys = None if chunk.keys is None else tuple(chunk.keys[place] for place in kept)
    return measure_chunk(replace(chunk, rows=tuple(chunk.rows[place] for place in kept), keys=keys))


def _measured(
    chunks: Iterator[Chunk], pool: ProcessPoolExecutor | None, workers: int
) -> Iterator[tuple[Chunk, Block]]:
    """Yield chunks with their blocks in order, few of them under way at a time."""
    if pool is None:
        for chunk in chunks:
            yield chunk, measure_chunk(chunk)
        return
    under_way: deque[tuple[Chunk, Future[Block]]] = deque()
    for chunk in chunks:
        under_way.append((chunk, pool.submit(measure_chunk, chunk)))
        if len(under_way) > 3 * workers:
            first, block = under_way.popleft()
            yield first, block.result()
    for first, block in under_way:
        yield first, block.result()


def _chunks(job: Job, plan: Plan, tally: Tally) -> Iterator[Chunk]:
    rows: list[RawRow] = []
    keys: list[RawRow] = []
    size = 0
    for row, key in rows_of(job, plan.settings, tally):
        rows.append(row)
        if key is not None:
            keys.append(key)
        size += len(row.content)
        if len(rows) >= CHUNK_ROWS or size > CHUNK_BYTES:
            yield Chunk(plan, tuple(rows), tuple(keys) if job.keys else None)
            rows, keys, size = [], [], 0
    if rows:
        yield Chunk(plan, tuple(rows), tuple(keys) if job.keys else None)
