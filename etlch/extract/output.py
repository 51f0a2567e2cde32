"""Write extractions as JSONL, CSV, Parquet or SQLite: one row a document, or one a fact.

Rows are appended to a work file while documents are done, so that a stopped extraction goes on where it
was; the finished file takes its place in one step.
"""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from etlch.core.errors import EtlchError
from etlch.core.files import dumps
from etlch.core.records import Json
from etlch.extract.facts import ExtractedFact, Extraction

FORMATS = (".jsonl", ".csv", ".parquet", ".sqlite")
_FACT_COLUMNS = ("document", "task", "fact", "spans", "confidence", "grounded", "fallback")


def document_row(item: Extraction) -> dict[str, Json]:
    """Return a document's row: its facts, what was dropped or is below the threshold, and what went wrong."""
    return {
        "document": item.document,
        "facts": [_fact(fact) for fact in item.facts],
        "below": [_fact(fact) for fact in item.below],
        "dropped": [_fact(fact) for fact in item.dropped],
        "problem": item.problem,
        "pieces": item.pieces,
        "tokens": item.tokens,
        "fallback": list(item.fallback),
    }


def fact_row(item: Extraction, fact: ExtractedFact) -> dict[str, Json]:
    """Return a fact's row; `fallback` tells whether the fallback model wrote it."""
    return {"document": item.document, **_fact(fact), "fallback": fact.task in item.fallback}


def read_extraction(row: dict[str, Json]) -> Extraction:
    """Return what a document's row was written from."""
    facts = {
        name: tuple(
            ExtractedFact(
                told["task"],
                tuple(told["fact"]),
                tuple(None if span is None else (span[0], span[1]) for span in told["spans"]),
                told["confidence"],
                told["grounded"],
            )
            for told in row[name]
        )
        for name in ("facts", "below", "dropped")
    }
    return Extraction(
        row["document"],
        **facts,
        problem=row["problem"],
        pieces=row["pieces"],
        tokens=row["tokens"],
        fallback=tuple(row["fallback"]),
    )


class WorkFile:
    """The rows of an extraction that is going on, beside the file that they will become.

    Args:
        out: the file asked for; its ending names the format.
        fingerprint: of model and settings; a work file of another one is refused.

    Raises:
        EtlchError: the ending is unknown, `out` exists, or the work file is of another extraction.
    """

    def __init__(self, out: Path, fingerprint: str) -> None:
        if out.suffix not in FORMATS:
            raise EtlchError(
                f"--out {out}: '{out.suffix}' is no format", f"End it with {', '.join(FORMATS)}."
            )
        if out.exists():
            raise EtlchError(
                f"{out} exists and is not overwritten", "Name another file with --out, or move it away."
            )
        self.out = out
        self.path = out.with_name(out.name + ".part")
        self.done: set[str] = set()
        if self.path.exists():
            self._resume(fingerprint)
        else:
            out.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(dumps({"extraction": fingerprint}) + "\n", encoding="utf-8")

    def add(self, item: Extraction) -> None:
        """Append a document's row."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(dumps(document_row(item)) + "\n")

    def rows(self) -> Iterator[dict[str, Json]]:
        """Yield the rows so far."""
        with self.path.open(encoding="utf-8") as file:
            next(file)
            for line in file:
                yield json.loads(line)

    def finish(self, *, by_fact: bool) -> None:
        """Write the file that was asked for, and remove the work file.

        Args:
            by_fact: one row a fact; else one a document.
        """
        made = self.out.with_name(self.out.name + ".new")
        rows = self._facts() if by_fact else self.rows()
        writer = {
            ".jsonl": _write_jsonl,
            ".csv": _write_csv,
            ".parquet": _write_parquet,
            ".sqlite": _write_sqlite,
        }
        writer[self.out.suffix](made, rows, _FACT_COLUMNS if by_fact else None)
        made.replace(self.out)
        self.path.unlink()

    def _facts(self) -> Iterator[dict[str, Json]]:
        for row in self.rows():
            for fact in row["facts"]:
                yield {"document": row["document"], **fact, "fallback": fact["task"] in row["fallback"]}

    def _resume(self, fingerprint: str) -> None:
        content = self.path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            self.path.write_bytes(whole)  # the line that was being written when the process was killed
        lines = whole.decode("utf-8").splitlines()
        if not lines or json.loads(lines[0]) != {"extraction": fingerprint}:
            raise EtlchError(
                f"{self.path} belongs to an extraction with another model or other settings",
                "Repeat that command to finish it, or move the file away.",
            )
        self.done = {json.loads(line)["document"] for line in lines[1:]}


def _fact(fact: ExtractedFact) -> dict[str, Json]:
    return {
        "task": fact.task,
        "fact": list(fact.fact),
        "spans": [None if span is None else list(span) for span in fact.spans],
        "confidence": None if fact.confidence is None else round(fact.confidence, 6),
        "grounded": fact.grounded,
    }


def _write_jsonl(path: Path, rows: Iterator[dict[str, Json]], columns: tuple[str, ...] | None) -> None:
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(dumps(row) + "\n")


def _write_csv(path: Path, rows: Iterator[dict[str, Json]], columns: tuple[str, ...] | None) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer: Any = None
        for row in _flat(rows):
            if writer is None:
                writer = csv.DictWriter(file, list(row))
                writer.writeheader()
            writer.writerow(row)
        if writer is None and columns:
            csv.writer(file).writerow(columns)


def _write_parquet(path: Path, rows: Iterator[dict[str, Json]], columns: tuple[str, ...] | None) -> None:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise EtlchError(
            "pyarrow is not installed, and --out ends with .parquet", "pip install 'etlch[datasets]'"
        ) from error
    pq.write_table(pa.Table.from_pylist(list(_flat(rows))), path)


def _write_sqlite(path: Path, rows: Iterator[dict[str, Json]], columns: tuple[str, ...] | None) -> None:
    path.unlink(missing_ok=True)
    name = "facts" if columns else "documents"
    with closing(sqlite3.connect(path)) as base, base:
        made = False
        for row in _flat(rows):
            if not made:
                base.execute(f"CREATE TABLE {name} ({', '.join(row)})")
                made = True
            base.execute(f"INSERT INTO {name} VALUES ({', '.join('?' * len(row))})", list(row.values()))


def _flat(rows: Iterator[dict[str, Json]]) -> Iterator[dict[str, Json]]:
    """Yield rows whose lists are JSON texts, as tables hold them."""
    for row in rows:
        yield {name: dumps(value) if isinstance(value, list) else value for name, value in row.items()}
