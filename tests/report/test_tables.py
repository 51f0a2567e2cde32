"""Tables for a paper: bold, stars, escapes; the LaTeX has balanced braces and the CSV reads back."""

from __future__ import annotations

import csv
import dataclasses
import io
import shutil
import subprocess
from pathlib import Path

import pytest

from etlch.report import tables
from etlch.scoring.summary import Summary
from tests.report import report_case

NASTY = r"a_b & 100% #1 {x}~^\ <b>|*"


@pytest.fixture
def nasty() -> Summary:
    """A summary in which the tuned model's name needs every escape."""
    summary = report_case.summary(300)
    return dataclasses.replace(
        summary,
        sources=tuple(
            dataclasses.replace(s, model=NASTY) if s.model == "etlch" else s for s in summary.sources
        ),
        scores=tuple(
            dataclasses.replace(s, model=NASTY) if s.model == "etlch" else s for s in summary.scores
        ),
    )


def test_best_is_bold_and_a_mark_needs_a_test() -> None:
    text = tables.markdown(report_case.summary(300))
    row = next(line for line in text.splitlines() if line.startswith("| etlch-1000 |"))
    assert "**0.950**▲ [0.92, 0.97]" in row
    weak = next(line for line in text.splitlines() if line.startswith("| etlch-100 |"))
    assert "0.450 [0.39, 0.51]" in weak and "*" not in weak
    assert text.count("**json**") == 1 and "tok:hybrid" in text


def test_all_rows_of_a_markdown_table_have_the_same_cells(nasty: Summary) -> None:
    block = tables.markdown(nasty).split("\n\n")[1]
    bars = {line.replace("\\|", "").count("|") for line in block.splitlines()}
    assert len(bars) == 1


def test_latex_escapes_what_latex_reads(nasty: Summary) -> None:
    text = tables.latex(nasty)
    assert (
        r"a\_b \& 100\% \#1 \{x\}\textasciitilde{}\textasciicircum{}\textbackslash{} \textless{}b\textgreater{}\textbar{}*-1000"
        in text
    )
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 3
    plain = text.replace(r"\{", "").replace(r"\}", "")
    assert plain.count("{") == plain.count("}")
    plain = tables.latex(report_case.summary(300))
    assert r"etlch-1000 & \textbf{0.950}$^{\blacktriangle}$ & \textbf{0.980} &" in plain
    assert r" & {\scriptsize [0.92, 0.97]} & {\scriptsize [0.96, 0.99]} &" in plain
    assert text.count(r"\midrule") == 6


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex here")
def test_latex_compiles(nasty: Summary, tmp_path: Path) -> None:
    body = tables.latex(nasty)
    page = (
        rf"\documentclass{{article}}\usepackage{{booktabs,amssymb}}\begin{{document}}{body}\end{{document}}"
    )
    (tmp_path / "t.tex").write_text(page, "utf-8")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "t.tex"], cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:]


def test_csv_holds_every_score_unrounded() -> None:
    summary = report_case.summary(300)
    rows = list(csv.DictReader(io.StringIO(tables.csv_text(summary))))
    assert len(rows) == len(summary.scores)
    first = summary.scores[0]
    assert float(rows[0]["low"]) == first.low and rows[0]["role"] == "tuned" and rows[0]["size"] == "1000"
