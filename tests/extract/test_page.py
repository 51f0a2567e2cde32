"""The page of highlighted documents in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest

from etlch.extract.documents import Wanted, extract_to_file
from tests.extract.test_routing import documents, extractor
from tests.report.test_browser import Window, window  # noqa: F401

pytestmark = pytest.mark.browser


def test_facts_are_marked_where_they_stand_and_say_what_became_of_them(
    window: Window,  # noqa: F811
    tmp_path: Path,
) -> None:
    page = tmp_path / "facts.html"
    extract_to_file(extractor(), documents, Wanted(tmp_path / "facts.jsonl", html=page), lambda *_: None)
    window.size(1280)
    window.open(page)
    assert window.count == "3 of 3 samples"
    assert window.run("return [...document.querySelectorAll('.sample mark')].map(m => m.textContent)") == [
        "Ann"
    ]
    assert "Facts" in window.run(
        "return [...document.querySelectorAll('.sample h4')].map(h => h.textContent)"
    )
    assert not window.run("return document.querySelectorAll('.sample details').length")
    window.choose(text="Bob")
    noted = window.run("return document.querySelector('.sample .facts .note').textContent")
    assert noted.startswith("below the threshold, 0.")
    assert not window.complaints()
    assert all(url.startswith(("file:", "data:", "about:")) for url in window.requests())
    window.shoot("extract")
