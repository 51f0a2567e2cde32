"""Two outputs of one model: what changed, with tests that other programs compute."""

from __future__ import annotations

from math import comb
from pathlib import Path

import pytest
from click.testing import CliRunner

from etlch.cli.extract import main
from etlch.core.errors import EtlchError
from etlch.extract.documents import Wanted, extract_to_file
from etlch.extract.drift import compare_outputs
from etlch.extract.facts import ExtractedFact, Extraction
from etlch.extract.output import document_row, read_output
from tests.extract.test_routing import documents, extractor


def item(
    number: int, confidence: float, *, problem: bool = False, dropped: bool = False, facts: int = 1
) -> Extraction:
    fact = ExtractedFact("ner", ("Person", "Ann"), (None, (0, 3)), confidence, True)
    return Extraction(f"d{number}", (fact,) * facts, (), (fact,) * dropped, "no" * problem, 1, 5)


def test_equal_weeks_show_no_change_and_shares_have_fisher_s_p() -> None:
    """By hand: of 14 problems 2 fall into the first 40 of 80 documents; no less likely tables are summed."""

    def likely(first: int) -> float:
        return comb(14, first) * comb(66, 40 - first) / comb(80, 40)

    p = sum(likely(first) for first in range(15) if likely(first) <= likely(2) * (1 + 1e-9))
    week = [item(number, 0.5 + number / 100, problem=number < 2) for number in range(40)]
    assert not any(change.significant for change in compare_outputs(week, week))
    later = [item(number, 0.5 + number / 100, problem=number < 12) for number in range(40)]
    problems, *others = compare_outputs(week, later)
    assert problems.p == pytest.approx(p)
    assert problems.adjusted == pytest.approx(5 * p) and problems.significant
    assert (problems.before, problems.after) == (0.05, 0.3)
    assert problems.low is not None and 0 < problems.low < 0.25 < (problems.high or 0)
    assert not any(change.significant for change in others)


def test_a_change_of_spread_with_the_same_middle_is_seen() -> None:
    narrow = [item(number, 0.7 + 0.001 * (number - 50)) for number in range(101)]
    wide = [item(number, 0.7 + 0.005 * (number - 50)) for number in range(101)]
    changes = {change.name: change for change in compare_outputs(narrow, wide)}
    confidence = changes["confidence of a document"]
    assert confidence.before == confidence.after == pytest.approx(0.7) and confidence.significant


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet", "sqlite"])
def test_every_format_is_read_back_as_it_was_found(tmp_path: Path, ending: str) -> None:
    out = tmp_path / f"facts.{ending}"
    extract_to_file(extractor(), documents, Wanted(out), lambda *_: None)
    found = list(read_output(out))
    assert [document_row(item) for item in found] == [
        document_row(item) for item in extractor().extract(documents())
    ]
    assert [len(item.below) for item in found] == [0, 1, 0] and found[2].problem
    by_fact = tmp_path / f"rows.{ending}"
    extract_to_file(extractor(), documents, Wanted(by_fact, by_fact=True), lambda *_: None)
    with pytest.raises(EtlchError, match="no row a document"):
        list(read_output(by_fact))


def test_the_command_says_what_changed_and_ends_with_1(tmp_path: Path) -> None:
    out = tmp_path / "a.jsonl"
    extract_to_file(extractor(), documents, Wanted(out), lambda *_: None)
    same = CliRunner().invoke(main, ["drift", str(out), str(out)])
    assert same.exit_code == 0 and "documents with a problem" in same.output and "changed" not in same.output
    row = out.read_text().splitlines()[0] + "\n"
    (tmp_path / "b.jsonl").write_text(row * 30)
    (tmp_path / "c.jsonl").write_text(row.replace('"problem": ""', '"problem": "no"') * 30)
    assert row in (tmp_path / "b.jsonl").read_text() and '"no"' in (tmp_path / "c.jsonl").read_text()
    other = CliRunner().invoke(main, ["drift", str(tmp_path / "b.jsonl"), str(tmp_path / "c.jsonl")])
    assert other.exit_code == 1 and "changed" in other.output
    assert CliRunner().invoke(main, ["drift", str(out), "missing.jsonl"]).exit_code == 2
