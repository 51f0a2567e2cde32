"""etlch-score as a user meets it: exit codes, streams, help and time to start."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from etlch.cli.score import main
from tests.scoring.scoring_case import key, make_run, rows, write_lines

FEW = ("--metrics", "facts_f1,json_parse_ok,rouge_l")


def run(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


@dataclass(frozen=True)
class Scored:
    """A run that was scored whole once, for the tests that only look at it: most of the time goes into its report."""

    folder: Path
    settings: Path
    result: Result

    def files(self) -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in (self.folder / "scores").rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Scored:
    place = tmp_path_factory.mktemp("scored")
    folder = make_run(place / "run", 6, ["ner"])
    settings = place / "s.yaml"
    settings.write_text("cosine: 'off'\nresamples: 100\n")
    return Scored(folder, settings, run(folder, "--settings", settings))


def test_a_run_gets_a_table_on_stdout_and_progress_on_stderr(scored: Scored) -> None:
    found = scored.result
    assert found.exit_code == 0, found.output
    assert "facts F1" in found.stdout
    *_, last, empty, report = found.stdout.splitlines()
    assert report == f"Report: {scored.folder / 'scores' / 'report.html'}" and not empty and last
    assert found.output.index("facts F1") < found.output.index("drawing the report"), (
        "the table waits for nothing"
    )
    assert all(len(line) <= 80 for line in found.stdout.splitlines() if line != report)
    assert "Holm/" not in found.stdout, "tests are for --verbose"
    at_length = run(scored.folder, *FEW, "--settings", scored.settings, "--verbose").stdout
    assert "p Holm/2\n" in at_length  # two tuned systems (seeds are one), one base, in each metric
    for name in ("summary.json", "scores.jsonl", "report.html"):
        assert (scored.folder / "scores" / name).is_file()


def test_a_filtered_scoring_is_written_where_told_and_json_prints_its_summary(
    scored: Scored, tmp_path: Path
) -> None:
    found = run(scored.folder, "--json", *FEW, "--settings", scored.settings, "--out", tmp_path)
    assert json.loads(found.stdout) == json.loads((tmp_path / "summary.json").read_text())


def test_loose_files_write_nothing_unless_told(tmp_path: Path) -> None:
    keys = [key("ner", number) for number in range(4)]
    path = write_lines(tmp_path / "p.jsonl", rows(keys, 1.0, "x"))
    found = run(path, "--task", "ner", *FEW)
    assert found.exit_code == 0, found.output
    assert [item.name for item in tmp_path.iterdir()] == ["p.jsonl"]
    assert "tiny" in run(path, "--task", "ner", "--model", "tiny", *FEW).stdout


def test_a_failed_gate_exits_1_after_the_table(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", 6, ["ner"])
    found = run(folder, *FEW, "--fail-under", "rouge_l=0.9999", "--fail-under", "facts_f1=0")
    assert found.exit_code == 1
    assert "ROUGE-L" in found.stdout
    assert "Failed: etlch-100 ner rouge_l" in found.stderr
    assert run(folder, *FEW, "--fail-under", "facts_f1=0.1").exit_code == 0


@pytest.mark.parametrize(
    "words",
    [
        FEW,
        ("--model", "etlch-300"),
        ("--task", "ner"),
        ("--metrics", "facts_f1", "--against", "{scores}", "--max-drop", "0"),
        ("--metrics", "facts_f1", "--json", "--fail-under", "facts_f1=0.999"),
    ],
)
def test_a_filtered_scoring_never_replaces_a_full_one(scored: Scored, words: tuple[str, ...]) -> None:
    before = scored.files()
    filled = (word.format(scores=scored.folder / "scores") for word in words)
    found = run(scored.folder, *filled, "--settings", scored.settings)
    assert found.exit_code == ("--fail-under" in words), found.output
    assert "filtered: nothing written; name a folder with --out" in found.stderr.splitlines()
    assert "facts F1" in found.stdout or "facts_f1" in found.stdout
    assert scored.files() == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "nowhere does not exist"),
        (["{folder}x"], "run'?"),
        (["{folder}/prediction/base"], "predictions'?"),
        (["scor", "{folder}"], "'scor' is neither a command nor a path. Did you mean 'score'?"),
        (["{folder}", "--fail-under", "facts_f1=nan"], "no number after"),
        (["{young}"], "this run has no predictions yet"),
        (["{folder}", "--metrics", "rouge"], "there is no metric 'rouge'"),
        (["{folder}", "--fail-under", "facts_f1"], "no number after"),
        (["{folder}", "--against", "old.json"], "need each other"),
        (["{folder}", "--settings", "{settings}"], "unknown setting 'resample'. Did you mean 'resamples'?"),
        (["report", "nowhere/summary.json"], "cannot read"),
    ],
)
def test_mistakes_exit_2_with_one_message(tmp_path: Path, words: list[str], message: str) -> None:
    folder = make_run(tmp_path / "run", 3, ["ner"])
    settings = tmp_path / "s.yaml"
    settings.write_text("resample: 5\n")
    young = tmp_path / "young"
    young.mkdir()
    (young / "run.yaml").write_text("format: 1\n")
    found = run(*(word.format(folder=folder, young=young, settings=settings) for word in words))
    assert found.exit_code == 2
    assert message in found.stderr
    assert "Traceback" not in found.output
    assert not (folder / "scores").exists()


def test_report_renders_again_without_scoring(scored: Scored) -> None:
    scores = scored.folder / "scores"
    before = (scores / "report.html").read_bytes()
    (scores / "report.html").unlink()
    found = run("report", scores / "summary.json")
    assert found.exit_code == 0, found.output
    assert (scores / "report.html").read_bytes() == before


def test_help_shows_every_option_an_example_and_the_other_command() -> None:
    text = run("--help").output
    for word in (
        "--keys",
        "--tokenizer",
        "[default: hybrid]",
        "--fail-under",
        "Examples:",
        "report",
        "--version",
    ):
        assert word in text
    named = {line.split()[0] for line in text.splitlines() if line.startswith("  --")}
    assert len(named - {"--help", "--version", "--lang"}) == 14
    assert "Example:" in run("report", "--help").output


@pytest.mark.slow
def test_help_is_quick_and_loads_nothing_heavy() -> None:
    code = "import sys; from etlch.cli.score import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    code += "bad = {'numpy', 'scipy', 'rapidfuzz', 'pydantic', 'yaml', 'torch', 'matplotlib'} & set(sys.modules)\n"
    code += "sys.exit(f'loaded {bad}' if bad else 0)"

    def seconds(command: str) -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", command], check=True, capture_output=True)
        return time.perf_counter() - start

    click_alone = min(seconds("import click") for _ in range(3))
    assert min(seconds(code) for _ in range(3)) <= max(0.4, 6 * click_alone)


def test_it_speaks_the_language_of_the_option_else_of_the_environment(
    scored: Scored, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [str(scored.folder), "--metrics", "facts_f1", "--settings", str(scored.settings)]
    assert "計分" in run("--lang", "zh-TW", *words).output
    assert "scored" in run(*words).output
    monkeypatch.setenv("LANGUAGE", "zh_CN")
    assert "计分" in run(*words).output
    assert "scored" in run("--lang=en", *words).output
    assert run("--lang", "xx", *words).exit_code == 2
