"""`etlch-data run`: what it plans, what it refuses, and how progress and results are shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from etlch.cli.data import main
from etlch.cli.progress import Board, ended, lines
from etlch.core.config import make_settings
from etlch.core.run_folder import Run
from etlch.export import jobs
from etlch.export.write import export
from etlch.training.process import Standing
from etlch.training.queue import Outcome, View
from tests.runs import make_run

SETTINGS = make_settings(
    teacher="offline", language="en", sizes=(20,), test=3, preset="smoke", tasks=("ner",)
)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    made = make_run(tmp_path / "demo", SETTINGS)
    export(made, SETTINGS)
    return made


def test_the_plan_says_what_would_be_run_and_why(run: Run) -> None:
    done = CliRunner().invoke(main, ["run", str(run.folder), "--plan"])
    assert done.exit_code == 0
    assert [re.sub(r"[\d,]+ tokens", "N tokens", line) for line in done.stdout.splitlines()] == [
        "open   predict_base_ner  N tokens, unknown time  (no predictions)",
        "open   train_smoke-20-s42  N tokens, unknown time  (no readable adapter_config.json)",
        "open   predict_smoke-20-s42_ner  N tokens, unknown time  (no predictions)",
        "3 jobs to run: N tokens, for an unknown time: the base model's config.json is not on this disk",
    ]
    assert not run.models.exists()


def test_a_folder_that_is_no_run_and_a_name_that_fits_nothing(run: Run, tmp_path: Path) -> None:
    assert CliRunner().invoke(main, ["run", str(tmp_path)]).exit_code == 2
    done = CliRunner().invoke(main, ["run", str(run.folder), "--only", "smoke-20-s43"])
    assert done.exit_code == 2
    assert "Did you mean 'smoke-20-s42'?" in done.stderr
    empty = CliRunner().invoke(main, ["run", str(run.folder), "--only", ""])
    assert empty.exit_code == 2
    assert "--only names nothing" in empty.stderr


@pytest.mark.train
def test_what_preflight_calls_an_error_is_not_run(run: Run) -> None:
    path = run.recipes / "train_smoke-20-s42.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text("utf-8")), "lora_dropout": 1.5}), "utf-8")
    done = CliRunner().invoke(main, ["run", str(run.folder)])
    assert done.exit_code == 1
    assert "error: lora_dropout: 1.5 (train_smoke-20-s42)" in done.stderr
    assert "Error: preflight finds 1 error\n" in done.stderr
    assert "--anyway" in done.stderr
    assert not run.models.exists()
    shown = CliRunner().invoke(main, ["run", str(run.folder), "--preflight"])
    assert shown.exit_code == 1
    assert "error: lora_dropout: 1.5" in shown.stdout


def test_one_drawing_of_the_queue(run: Run) -> None:
    base, train, _, _ = jobs.read_jobs(run)
    view = View(
        outcomes=(Outcome(base, "skipped"), Outcome(base, "failed", "exit code 1")),
        running=((train, Standing(12, 70, 1.25, "0:03:20")), (base, Standing())),
        waiting=2,
    )
    assert lines(view, 65.0) == [
        "1:05  0 done, 2 running, 2 waiting, 1 failed, 1 skipped",
        "  train_smoke-20-s42: 12 of 70 steps, loss 1.2500, 0:03:20 left",
        "  predict_base_ner: loading",
    ]


def test_an_end_is_told_once_and_a_failure_with_its_log(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    base, train, *_ = jobs.read_jobs(run)
    failed = Outcome(base, "failed", "exit code 1\nCUDA out of memory.")
    assert ended(failed) == "predict_base_ner: failed: exit code 1\n    CUDA out of memory."
    board = Board(terminal=False)
    for _ in range(3):
        board.show(View((failed, Outcome(train, "waiting", "predict_base_ner failed")), (), 0))
    told = capsys.readouterr().err
    assert told.count("CUDA out of memory.") == 1
    assert told.count("train_smoke-20-s42: not run: predict_base_ner failed") == 1
