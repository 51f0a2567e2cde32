"""`etlch-data export`: what it prints, and how it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from etlch.cli.data import main
from etlch.core.config import changed, make_settings
from tests.runs import make_run

SETTINGS = make_settings(teacher="offline", language="en", sizes=(10,), test=3, preset="smoke")


def test_it_counts_what_it_wrote(tmp_path: Path) -> None:
    run = make_run(tmp_path / "demo", SETTINGS)
    done = CliRunner().invoke(main, ["export", str(run.folder), "--preset", "efficient", "--sizes", "5"])
    assert done.exit_code == 0, done.output
    # 3 tasks: a test set, train sets of 5 and 10, a validation set of 10
    assert done.stdout.splitlines()[0] == f"12 data sets in {run.llamafactory}"
    # base, and two sizes: 2 trainings, 2 exports, 3 × 3 predictions
    assert f"13 recipes for 3 models in {run.recipes}" in done.stdout
    assert (run.recipes / "train_efficient-5-s42.yaml").is_file()


def test_shots_are_kept(tmp_path: Path) -> None:
    run = make_run(tmp_path / "demo", SETTINGS)
    for options in (["--shots", "2"], []):
        done = CliRunner().invoke(main, ["export", str(run.folder), *options])
        assert done.exit_code == 0, done.output
        # 3 tasks: two test sets, a train and a validation set; 1 training, 1 export, 3 × 3 predictions
        assert done.stdout.splitlines() == [
            f"12 data sets in {run.llamafactory}",
            f"11 recipes for 3 models in {run.recipes}",
        ]


def test_another_base_model_takes_its_own_template_and_the_presets_can_be_had_back(tmp_path: Path) -> None:
    run = make_run(tmp_path / "demo", SETTINGS)

    def prompted(*options: str) -> tuple[str, str]:
        done = CliRunner().invoke(main, ["export", str(run.folder), "--preset", "efficient", *options])
        assert done.exit_code == 0, done.output
        recipe = yaml.safe_load((run.recipes / "predict_base_ner.yaml").read_text("utf-8"))
        return recipe["model_name_or_path"], recipe["template"]

    llama, qwen = ("meta-llama/Llama-3.2-1B-Instruct", "llama3"), ("Qwen/Qwen2.5-1.5B-Instruct", "qwen")
    assert prompted("--base-model", qwen[0], "--template", qwen[1]) == qwen
    assert prompted() == qwen
    done = CliRunner().invoke(main, ["export", str(run.folder), "--base-model", "nobody/gemma-3-1b-mine"])
    assert done.exit_code == 2 and "no chat template is named for gemma-3-1b-mine" in done.stderr
    assert prompted("--base-model", "preset") == llama


def test_a_model_that_knows_no_chinese_is_told(tmp_path: Path) -> None:
    run = make_run(tmp_path / "demo", changed(SETTINGS, language="zh-TW"))
    told = "SmolLM2-135M-Instruct knows English only, and the articles are in zh-TW"
    assert told in CliRunner().invoke(main, ["export", str(run.folder)]).stderr
    assert told not in CliRunner().invoke(main, ["export", str(run.folder), "--preset", "efficient"]).stderr
    english = make_run(tmp_path / "english", SETTINGS)
    assert "knows English only" not in CliRunner().invoke(main, ["export", str(english.folder)]).stderr


def test_mistakes_are_exit_code_2(tmp_path: Path) -> None:
    run = make_run(tmp_path / "demo", SETTINGS)
    for arguments, message in (
        ([str(tmp_path)], "is not a run folder"),
        ([str(run.folder), "--preset", "smok"], "Did you mean 'smoke'?"),
        ([str(run.folder), "--sizes", "11"], "13 articles are too few"),
        ([str(run.folder), "--shots", "10"], "size 10 trains on 9 articles"),
        ([str(run.folder), "--shots", "-1"], "shots: Input should be greater than or equal to 0 (it is -1)"),
        ([str(run.folder), "--sizes", "many"], "is not a list of numbers"),
    ):
        done = CliRunner().invoke(main, ["export", *arguments])
        assert done.exit_code == 2, done.output
        assert message in done.stderr
        assert not run.recipes.exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            ["--base-model", "nobody/Qwen2.5-1.5B-mine"],
            "no chat template is named for Qwen2.5-1.5B-mine",
        ),
        (["--template", "lama3"], "LlamaFactory has no template 'lama3'. Did you mean 'llama3'?"),
    ],
)
def test_a_template_that_prompts_wrongly_is_refused(tmp_path: Path, options: list[str], told: str) -> None:
    run = make_run(tmp_path / "run", SETTINGS)
    shown = CliRunner().invoke(main, ["export", str(run.folder), *options])
    assert shown.exit_code == 2 and told in shown.output
