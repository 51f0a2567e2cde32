"""The progress of a generation: what its lines say."""

from __future__ import annotations

import pytest

from etlch.cli.progress import Progress, Redrawer


def test_a_terminal_is_drawn_over_and_a_log_file_goes_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ANSI has it: ESC [ n F goes up n lines, ESC [ J clears what is below."""
    monkeypatch.setenv("COLUMNS", "6")
    terminal, log = Redrawer(True, 0.0, 0.0), Redrawer(False, 0.0, 0.0)
    for shown in (terminal, log):
        shown.draw(["one", "wider than six"])
        shown.draw(["finished"], stays=True)
        shown.draw(["two"])
        shown.draw(["three"])
    written = capsys.readouterr().err
    drawn = "one\nwider\n" + "\x1b[2F\x1b[Jfinished\n" + "two\n" + "\x1b[1F\x1b[Jthree\n"
    assert written == drawn + "one\nwider than six\nfinished\ntwo\nthree\n"


def test_lines_count_candidates_reasons_and_stages() -> None:
    shown = Progress(100, lambda: "1,200 tokens, $0.0012")
    for event in ("asked", "asked", "asked", "done", "again", "rejected"):
        shown.note("ner labels", event)
    shown.rejected({"ner label: not word for word in the article": 1})
    shown.rejected({"ner label: not word for word in the article": 1, "article: the article is empty": 1})
    shown.settled(20, 2)
    assert shown.lines(shown.began + 60) == [
        "accepted 20/100, rejected 2, 20/min, 4 min 0 s left, 1,200 tokens, $0.0012",
        "  rejected: 2 × ner label: not word for word in the article; 1 × article: the article is empty",
        "  ner labels: 1 done, 1 in flight, 1 asked again, 1 rejected",
    ]


def test_a_run_without_rejections_or_cost_has_no_line_for_them() -> None:
    shown = Progress(10, lambda: "")
    shown.note("articles", "asked")
    shown.note("articles", "done")
    shown.settled(10, 0)
    assert shown.lines(shown.began + 30) == ["accepted 10/10, rejected 0, 20/min", "  articles: 1 done"]
