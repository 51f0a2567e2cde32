"""The files of a report, and that they can be written again from what scoring left."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from etlch.cli.score import main
from etlch.core.files import write_jsonl, write_text
from etlch.core.locale import speaking
from etlch.core.run_folder import Run
from etlch.report import charts, ranking
from etlch.report.headline import headline
from etlch.report.write import write_report
from etlch.scoring.sample_lines import sample_line
from etlch.scoring.summary import Counts, Summary, System, write_summary
from tests.report import report_case


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("a-run")
    write_text(Run(run).settings, "format: 1\nsettings:\n  teacher: offline\ncost:\n  usd: 0.5\n")
    report_case.write(run / "scores", 20)
    return run / "scores"


def test_every_figure_comes_as_svg_and_png(folder: Path) -> None:
    names = sorted(path.name for path in (folder / "figures").iterdir())
    stems = {
        "differences", "efficiency-facts_f1", "efficiency-json_parse_ok", "efficiency-rouge_l",
        "json-parses", "readings", "scores-facts_f1", "scores-rouge_l", "win-rates",
    }  # fmt: skip
    assert names == sorted(f"{stem}.{ending}" for stem in stems for ending in ("svg", "png"))
    assert sorted(path.name for path in (folder / "tables").iterdir()) == [
        "scores.csv",
        "scores.md",
        "scores.tex",
    ]


def test_the_page_holds_headline_provenance_and_cost(folder: Path) -> None:
    text = (folder / "report.html").read_text("utf-8")
    assert "json: 20 articles are too few to call etlch-1000 or" in text
    assert "tok:hybrid|case:kept|resamples:10000" in text and "teacher" in text
    assert re.search(r"<dt>data set: usd</dt><dd>0\.5</dd>", text)
    assert "Cosine was not computed" in text
    assert f"<title>How well the models extract: {folder.parent.name}" in text
    assert not re.search(r"(?:src|href)=\"(?!#|data:)", text)


@pytest.mark.slow
def test_the_command_renders_the_same_bytes_again_from_what_scoring_left(
    folder: Path, tmp_path: Path
) -> None:
    """scores.jsonl holds samples system by system; keys.jsonl every record once. An old figure goes."""
    run = tmp_path / folder.parent.name
    left, again = tmp_path / "left", run / "scores"
    write_text(Run(run).settings, (folder.parent / "run.yaml").read_text("utf-8"))
    write_summary(report_case.summary(20), left / "summary.json")
    write_text(left / "scores.jsonl", "".join(sample_line(s) + "\n" for s in report_case.samples(20)))
    write_jsonl(left / "keys.jsonl", report_case.keys(20))
    write_text(again / "figures" / "scores-cosine.svg", "<svg/>")
    done = CliRunner().invoke(main, ["report", str(left / "summary.json"), "--out", str(again)])
    assert done.exit_code == 0, done.output
    assert not (again / "figures" / "scores-cosine.svg").exists()
    for path in sorted(folder.rglob("*.*")):
        assert (again / path.relative_to(folder)).read_bytes() == path.read_bytes(), path.name


def test_a_scoring_with_nothing_to_compare_still_has_a_report(tmp_path: Path) -> None:
    whole = report_case.summary(5)
    only = System("etlch", "ner", 100, None, "tuned")
    summary = Summary(
        "s", Counts(5, 5),
        tuple(s for s in whole.scores if (s.model, s.task, s.size) == ("etlch", "ner", 100)),
        (), (), sources=tuple(s for s in whole.sources if s.system == only),
    )  # fmt: skip
    path = write_report(summary, (s for s in report_case.samples(5) if s.system == only), tmp_path)
    text = path.read_text("utf-8")
    assert "there is nothing to compare it with" in text and 'id="tests"' not in text
    assert "predictions of 1 model on ner;" in text


def test_an_empty_summary_says_so(tmp_path: Path) -> None:
    path = write_report(Summary("s", Counts(), (), (), ()), (), tmp_path)
    assert "Nothing was scored." in path.read_text("utf-8")


def test_captions_say_where_a_cut_axis_begins() -> None:
    assert charts._start([0.83, 0.9]) == 0.8 and charts._start([0.3, 0.9]) == 0.0
    drawn = {chart.name: chart for chart in charts.score_charts(report_case.summary(300))}
    assert "axis begins" not in drawn["scores-facts_f1"].caption


def test_a_picture_is_told_in_words() -> None:
    chart = charts.win_rate_chart(report_case.summary(300))
    assert chart is not None
    assert "json: etlch-1000 wins 2 of 2 against qwen2.5-7b" in chart.alt


def test_without_roles_the_comparisons_say_who_is_a_baseline() -> None:
    whole = report_case.summary(300)
    loose = dataclasses.replace(whole, sources=tuple(dataclasses.replace(s, role="") for s in whole.sources))
    named = [system.label for system in ranking.baselines_of(loose, "ner")]
    assert named == ["llama-3.2-1b", "qwen2.5-7b"]
    assert headline(loose)[1].lead == headline(whole)[1].lead


def words_of(page: str) -> str:
    """What a page shows, without its style, its script and the script's data."""
    return re.sub(r"<[^>]*>", "\n", re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL))


@pytest.mark.slow
def test_the_report_speaks_the_reader_s_language_and_the_tables_stay_english(
    folder: Path, tmp_path: Path
) -> None:
    with speaking("zh-TW"):
        report_case.write(tmp_path, 20)
    page = (tmp_path / "report.html").read_text("utf-8")
    assert '<html lang="zh-TW">' in page and '"matched": "答對"' in page
    shown = words_of(page)
    assert "20 篇文章太少，不足以說 etlch-1000 或 qwen2.5-7b 較佳。" in shown
    english = re.findall(r"[A-Za-z]+ [a-z]+ [a-z]+.*", shown)
    assert [line for line in english if "Cosine was not computed" not in line] == []
    for name in ("scores.md", "scores.tex", "scores.csv"):
        assert (tmp_path / "tables" / name).read_bytes() == (folder / "tables" / name).read_bytes()


def test_an_english_page_holds_no_words_of_another_language(folder: Path) -> None:
    page = (folder / "report.html").read_text("utf-8")
    assert '<html lang="en">' in page and 'id="words"' not in page
