"""Files of rows: resumable, never overwritten, one row a document or one a fact."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from etlch.core.errors import EtlchError
from etlch.core.extract_settings import ExtractSettings
from etlch.extract.documents import Wanted, extract_to_file
from etlch.extract.extractor import Extractor
from etlch.extract.facts import Source
from etlch.extract.output import WorkFile
from tests.extract.models import Scripted, card

DOCUMENTS = [Source(f"d{number}", f"Ann{number} left Rim.") for number in range(5)]


def extractor(model: Scripted | None = None) -> Extractor:
    say = model or Scripted(
        lambda asked, _: json.dumps({"Person": [asked.splitlines()[1].split()[0]], "Place": ["Rim"]})
    )
    return Extractor("x", ExtractSettings(tasks=("ner",)), card=card(), answering=say)


def documents() -> Iterator[Source]:
    return iter(DOCUMENTS)


def quiet(documents: int, tokens: int, seconds: float) -> None:
    """Show nothing."""


@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".parquet", ".sqlite"])
def test_every_format_holds_the_same_facts(tmp_path: Path, ending: str) -> None:
    out = tmp_path / f"facts{ending}"
    done = extract_to_file(extractor(), documents, Wanted(out, by_fact=True), quiet)
    assert done.counts == {
        "documents": 5,
        "facts": 10,
        "ungrounded": 0,
        "below": 0,
        "problems": 0,
        "tokens": 5,
        "pieces": 5,
        "fallback": 0,
    }
    if ending == ".jsonl":
        rows = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
        facts = [(row["document"], *row["fact"]) for row in rows]
    elif ending == ".csv":
        with out.open(encoding="utf-8", newline="") as file:
            facts = [(row["document"], *json.loads(row["fact"])) for row in csv.DictReader(file)]
    elif ending == ".sqlite":
        stored = sqlite3.connect(out).execute("SELECT document, fact FROM facts").fetchall()
        facts = [(document, *json.loads(fact)) for document, fact in stored]
    else:
        import pyarrow.parquet as pq

        facts = [(row["document"], *json.loads(row["fact"])) for row in pq.read_table(out).to_pylist()]
    assert facts[:2] == [("d0", "Person", "Ann0"), ("d0", "Place", "Rim")] and len(facts) == 10
    assert list(tmp_path.iterdir()) == [out]


def test_a_stopped_extraction_goes_on_with_the_window_that_it_was_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows of two: d0 d1 are done, d2 d3 were interrupted between them and are asked together again."""
    for module in ("documents", "extractor"):
        monkeypatch.setattr(f"etlch.extract.{module}.WINDOW", 2)
    out = tmp_path / "facts.jsonl"
    whole = tmp_path / "whole.jsonl"
    extract_to_file(extractor(), documents, Wanted(whole), quiet)

    def stop(documents: int, tokens: int, seconds: float) -> None:
        if documents == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract_to_file(extractor(), documents, Wanted(out), stop)
    part = tmp_path / "facts.jsonl.part"
    part.write_bytes(part.read_bytes() + b'{"document": "d3", "fac')  # torn by kill -9
    model = Scripted(
        lambda asked, _: json.dumps({"Person": [asked.splitlines()[1].split()[0]], "Place": ["Rim"]})
    )
    done = extract_to_file(extractor(model), documents, Wanted(out), quiet)
    assert done.asked == 2 and [text.split()[-3] for text, _ in model.asked] == ["Ann2", "Ann3", "Ann4"]
    assert out.read_bytes() == whole.read_bytes()


def test_nothing_is_overwritten_and_a_foreign_work_file_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "facts.jsonl"
    out.write_text("mine")
    with pytest.raises(EtlchError, match="exists and is not overwritten"):
        WorkFile(out, "a")
    WorkFile(tmp_path / "other.csv", "a")
    with pytest.raises(EtlchError, match="another model or other settings"):
        WorkFile(tmp_path / "other.csv", "b")
    with pytest.raises(EtlchError, match="is no format"):
        WorkFile(tmp_path / "facts.xlsx", "a")
