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
from itertools import islice
from pathlib import Path

from etlch.core.errors import EtlchError
from etlch.core.extras import need
from etlch.core.files import dumps, parquet_rows, read_lines
from etlch.core.locale import _
from etlch.core.records import Json
from etlch.extract.facts import ExtractedFact, Extraction
from etlch.text.json_text import loads

FORMATS = (".jsonl", ".csv", ".parquet", ".sqlite")
_DOCUMENT_COLUMNS = (
    "document",
    "facts",
    "below",
    "dropped",
    "problem",
    "pieces",
    "tokens",
    "fallback",
)
_BATCH = 10_000
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


def read_output(path: Path) -> Iterator[Extraction]:
    """Yield the documents of a finished output, of any format.

    Raises:
        EtlchError: no such file, no output of etlch-extract, or one with a row a fact.
    """
    if path.suffix not in FORMATS or not path.is_file():
        raise EtlchError(
            _("{path} is no output of etlch-extract").format(path=path),
            _("Name a file that ends with {formats}.").format(formats=", ".join(FORMATS)),
        )
    for row in _READERS[path.suffix](path):
        if "facts" not in row:
            raise EtlchError(
                _("{path} has no row a document").format(path=path), _("Write it without --facts.")
            )
        told = {
            name: loads(value)[0] if name in _LISTS and isinstance(value, str) else value
            for name, value in row.items()
        }
        yield read_extraction({**told, "pieces": int(told["pieces"]), "tokens": int(told["tokens"])})


def _read_jsonl(path: Path) -> Iterator[dict[str, Json]]:
    for line in read_lines(path):
        yield line.value


def _read_csv(path: Path) -> Iterator[dict[str, Json]]:
    csv.field_size_limit(2**31 - 1)
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _read_sqlite(path: Path) -> Iterator[dict[str, Json]]:
    with closing(sqlite3.connect(path)) as base:
        base.row_factory = sqlite3.Row
        tables = [row["name"] for row in base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for row in base.execute("SELECT * FROM documents") if "documents" in tables else ({},):
            yield dict(row)


_READERS = {".jsonl": _read_jsonl, ".csv": _read_csv, ".parquet": parquet_rows, ".sqlite": _read_sqlite}
_LISTS = ("facts", "below", "dropped", "fallback")


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
                _("--out {out}: '{suffix}' is no format").format(out=out, suffix=out.suffix),
                _("End it with {formats}.").format(formats=", ".join(FORMATS)),
            )
        if out.suffix == ".parquet":
            need("datasets", f"--out {out}", "pyarrow")
        if out.exists():
            raise EtlchError(
                _("{out} exists and is not overwritten").format(out=out),
                _("Name another file with --out, or move it away."),
            )
        self.out = out
        self.path = out.with_name(out.name + ".part")
        self.done: set[str] = set()
        if self.path.exists():
            self._resume(fingerprint)
        else:
            out.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_bytes(_first_line(fingerprint))

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
        writer[self.out.suffix](made, rows, _FACT_COLUMNS if by_fact else _DOCUMENT_COLUMNS)
        made.replace(self.out)
        self.path.unlink()

    def _facts(self) -> Iterator[dict[str, Json]]:
        for row in self.rows():
            for fact in row["facts"]:
                yield {"document": row["document"], **fact, "fallback": fact["task"] in row["fallback"]}

    def _resume(self, fingerprint: str) -> None:
        with self.path.open("r+b") as file:
            if file.readline() != _first_line(fingerprint):
                raise EtlchError(
                    _("{path} belongs to an extraction with another model or other settings").format(
                        path=self.path
                    ),
                    _("Repeat that command to finish it, or move the file away."),
                )
            whole = file.tell()
            for line in file:
                if not line.endswith(b"\n"):
                    file.truncate(whole)  # the line that was being written when the process was killed
                    break
                whole += len(line)
                self.done.add(json.loads(line)["document"])


def _first_line(fingerprint: str) -> bytes:
    return (dumps({"extraction": fingerprint}) + "\n").encode()


def _fact(fact: ExtractedFact) -> dict[str, Json]:
    return {
        "task": fact.task,
        "fact": list(fact.fact),
        "spans": [None if span is None else list(span) for span in fact.spans],
        "confidence": None if fact.confidence is None else round(fact.confidence, 6),
        "grounded": fact.grounded,
    }


_Rows = Iterator[dict[str, Json]]


def _write_jsonl(path: Path, rows: _Rows, columns: tuple[str, ...]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(dumps(row) + "\n")


def _write_csv(path: Path, rows: _Rows, columns: tuple[str, ...]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(_flat(rows))


def _write_parquet(path: Path, rows: _Rows, columns: tuple[str, ...]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {"confidence": pa.float64(), "grounded": pa.bool_(), "pieces": pa.int64(), "tokens": pa.int64()}
    if columns == _FACT_COLUMNS:
        kinds["fallback"] = pa.bool_()
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in columns])
    flat = _flat(rows)
    with pq.ParquetWriter(path, schema) as writer:
        while batch := list(islice(flat, _BATCH)):
            writer.write_table(pa.Table.from_pylist(batch, schema))


def _write_sqlite(path: Path, rows: _Rows, columns: tuple[str, ...]) -> None:
    path.unlink(missing_ok=True)
    name = "facts" if columns == _FACT_COLUMNS else "documents"
    with closing(sqlite3.connect(path)) as base, base:
        base.execute(f"CREATE TABLE {name} ({', '.join(columns)})")
        values = (list(row.values()) for row in _flat(rows))
        base.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(columns))})", values)


def _flat(rows: _Rows) -> _Rows:
    """Yield rows whose lists are JSON texts, as tables hold them."""
    for row in rows:
        yield {name: dumps(value) if isinstance(value, list) else value for name, value in row.items()}
