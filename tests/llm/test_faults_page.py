"""docs/faults.md names a test for each fault: the tests are there, and no fault of the server is left out."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_each_test_that_the_page_names_exists() -> None:
    page = (ROOT / "docs/faults.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+)`", page))
    written = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert len(named) > 20
    assert named <= written, named - written


def test_each_row_of_the_page_names_a_test() -> None:
    page = (ROOT / "docs/faults.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| ") and "| fault |" not in line]
    assert len(rows) > 25
    assert [row for row in rows if "`test_" not in row] == []
