"""Add a column of cosines, and what stands beside them, to the tables of collected texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from etlch.core.locale import _
from etlch.core.settings import ScoreSettings
from etlch.metrics.cosine import cosines, floor, rescaled
from etlch.scoring.embedder import INSTALL, Embedded, embed, find_embedder
from etlch.scoring.summary import Score, System
from etlch.scoring.tables import Collected, Table
from etlch.text.normalize import is_cjk


@dataclass(frozen=True)
class Similarity:
    """The tables, with a column `cosine` where a model was there to compute it.

    `scores` are the floor, the rescaled value and the share of long texts, which are not compared.
    """

    tables: tuple[Table, ...]
    scores: tuple[Score, ...] = ()
    signature: str = ""
    notes: tuple[str, ...] = ()


def add_cosine(found: Collected, settings: ScoreSettings, progress: Callable[[str], None]) -> Similarity:
    """Compute the cosine of every record's two texts.

    Raises:
        EtlchError: the model that the settings name cannot be loaded.
    """
    chinese = any(is_cjk(char) for text in found.texts[:200] for char in text)
    embedder = find_embedder(settings.cosine, chinese)
    if embedder is None:
        return Similarity(found.tables, notes=(_(INSTALL),) if settings.cosine == "auto" else ())
    progress(
        _("embedding {count} distinct texts with {model}").format(count=len(found.texts), model=embedder.name)
    )
    embedded = embed(found.texts, embedder)
    tables = []
    scores: list[Score] = []
    for table in found.tables:
        values = _values(table, embedded)
        tables.append(
            replace(table, columns=(*table.columns, "cosine"), matrix=np.column_stack([table.matrix, values]))
        )
        scores += _beside(table, embedded, float(values.mean()))
    return Similarity(tuple(tables), tuple(scores), embedder.signature)


def _values(table: Table, embedded: Embedded) -> NDArray[np.float64]:
    return cosines(embedded.vectors[table.texts[:, 0]], embedded.vectors[table.texts[:, 1]])


def _beside(table: Table, embedded: Embedded, mean: float) -> list[Score]:
    """The numbers without which a cosine cannot be read."""
    low = floor(embedded.vectors[table.texts[:, 0]], embedded.vectors[table.texts[:, 1]])
    values = {
        "cosine_floor": low,
        "cosine_rescaled": rescaled(mean, low),
        "cosine_long": float(embedded.long[table.texts].any(axis=1).mean()),
    }
    system, n = table.system, len(table.records)
    return [
        Score(
            model=system.model,
            task=system.task,
            size=system.size,
            metric=name,
            value=value,
            low=None,
            high=None,
            n=n,
            seed=system.seed,
            reason="no interval is computed" if value is not None else "needs two records that differ",
        )
        for name, value in values.items()
    ]


def with_cosines(
    lines: Iterable[str], runs: Sequence[tuple[System, int]], tables: Sequence[Table]
) -> Iterator[str]:
    """Yield the lines of scores.jsonl, each with its cosine put in where there is one."""
    values = {
        table.system: iter(table.matrix[:, table.columns.index("cosine")].tolist())
        for table in tables
        if "cosine" in table.columns
    }
    remaining = iter(lines)
    for system, count in runs:
        for line in islice(remaining, count):
            yield _with(line, next(values[system])) if system in values else line


def _with(line: str, value: float) -> str:
    """Put the cosine first among the values; an unescaped `"values": {` can only be that key."""
    before, key, after = line.partition('"values": {')
    return f'{before}{key}"cosine": {value}{"" if after.startswith("}") else ", "}{after}'
