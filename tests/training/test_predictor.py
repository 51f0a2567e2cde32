"""Predictions of one model in one process: LlamaFactory's own answers, in its own file, kept when it is stopped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from etlch.core.config import changed, make_settings
from etlch.core.run_folder import Run
from etlch.export.write import export
from etlch.training.predictor import PARTIAL, able, batches, resumed, together
from tests.runs import make_run
from tests.tiny import TEMPLATE, tiny_llama

SETTINGS = make_settings(teacher="offline", language="en", sizes=(20,), test=7, preset="smoke")
GREEDY = {"do_sample": False, "eval_dataset": "a_test", "output_dir": "predictions/base/a"}


@pytest.mark.parametrize(
    "more",
    [
        {"do_sample": True},
        {"num_beams": 4},
        {"eval_dataset": "a_test,b_test"},
        {"deepspeed": "ds_z2.json"},
        {"max_samples": 10},
    ],
)
def test_what_is_left_to_llamafactory(more: dict[str, object]) -> None:
    assert able(GREEDY)
    assert not able({**GREEDY, **more})


def test_a_model_is_shared_by_recipes_of_other_data_alone() -> None:
    other = {**GREEDY, "eval_dataset": "b_test", "output_dir": "predictions/base/b"}
    assert together(GREEDY, other)
    assert not together(GREEDY, {**other, "adapter_name_or_path": "models/m"})
    assert not together(GREEDY, {**other, "cutoff_len": 4096})


def test_answers_of_a_stopped_prediction_are_read_again_but_for_a_line_cut_short(tmp_path: Path) -> None:
    partial = tmp_path / PARTIAL
    assert resumed(partial, 3) == {}
    partial.write_text('{"row": 2, "predict": "張"}\n{"row": 0, "predict": ""}\n{"row": 1, "pre', "utf-8")
    assert resumed(partial, 3) == {2: "張", 0: ""}
    assert resumed(partial, 2) == {0: ""}  # of a data set that had more rows


@pytest.mark.slow
def test_a_batch_that_does_not_fit_is_halved_for_good() -> None:
    import torch

    asked: list[int] = []

    def answer(rows: object) -> list[list[int]]:
        chosen = list(rows)  # type: ignore[call-overload]
        asked.append(len(chosen))
        if len(chosen) > 2:
            raise torch.OutOfMemoryError
        return [[row] for row in chosen]

    made = [(list(rows), ids) for rows, ids in batches(range(5), 5, answer)]
    assert made == [([0, 1], [[0], [1]]), ([2, 3], [[2], [3]]), ([4], [[4]])]
    assert asked == [5, 2, 2, 1]


def test_predictions_have_a_batch_of_their_own(tmp_path: Path) -> None:
    run = make_run(tmp_path / "demo", SETTINGS)
    export(run, changed(SETTINGS, predict_batch=32))
    sizes = {
        path.stem.split("_")[0]: yaml.safe_load(path.read_text("utf-8")).get("per_device_eval_batch_size")
        for path in run.recipes.glob("[pt]*.yaml")
    }
    assert sizes == {"train": 10, "predict": 32}


PRESET = (
    "finetuning_type: lora\ncutoff_len: 1024\nper_device_eval_batch_size: 3\nmax_new_tokens: 90\nuse_cpu: true\n"
    "report_to: none\nsave_strategy: 'no'\noverwrite_output_dir: true\n"
)


def command(run: Run, *words: str) -> None:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=run.folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.train
def test_the_files_are_llamafactorys_byte_for_byte(tmp_path: Path) -> None:
    """Chinese prompts of many lengths, a batch of 3 of 7 rows, the answers of a random model: some end, some never do."""
    (tmp_path / "tiny.yaml").write_text(PRESET, "utf-8")
    settings = changed(
        SETTINGS,
        preset=str(tmp_path / "tiny.yaml"),
        base_model=str(tiny_llama(tmp_path / "model")),
        template=TEMPLATE,
        tasks=("ner", "kge"),
    )
    run = make_run(tmp_path / "run", settings)
    export(run, settings)
    data = run.data(run.stem("ner", "test"))
    rows = json.loads(data.read_text("utf-8"))
    for number, row in enumerate(rows):
        row["input"] += "台北的張先生" * (number * 5 % 7)
    data.write_text(json.dumps(rows), "utf-8")
    recipes = [f"recipes/predict_base_{task}.yaml" for task in settings.plan.tasks]
    theirs = {}
    for task, recipe in zip(settings.plan.tasks, recipes, strict=True):
        command(run, "llamafactory.cli", "train", recipe)
        theirs[task] = run.prediction_file("base", task).read_bytes()
        run.prediction_file("base", task).unlink()
    stopped = run.predictions / "base" / "ner" / PARTIAL
    stopped.write_text('{"row": 4, "predict": "kept"}\n{"row": 5, "pre', "utf-8")
    command(run, "etlch.training.predictor", *recipes)
    assert run.prediction_file("base", "kge").read_bytes() == theirs["kge"]
    ours = run.prediction_file("base", "ner").read_text("utf-8").split("\n")  # a name holds U+2028
    lines = theirs["ner"].decode().split("\n")
    assert ours[:4] + ours[5:] == lines[:4] + lines[5:]
    assert json.loads(ours[4]) == {**json.loads(lines[4]), "predict": "kept"}
    assert not stopped.exists()
