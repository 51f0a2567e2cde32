"""Checkpoints: what `--best` can choose among. The choice itself is tested with real ones in test_run.py."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from etlch.export.jobs import Job
from etlch.export.recipes import load_preset
from etlch.training.best_checkpoint import keeps_all, select_best, warn_few_checkpoints
from tests.small_run import write_run


def training(model: str, **values: Any) -> Job:
    return Job(model, "train", model, f"recipes/{model}.yaml", values, Path(model))


def test_trainings_that_leave_little_to_choose_from_are_named() -> None:
    kept_all = training("all", eval_dataset="ner_val_100", save_strategy="epoch")
    two = training("two", eval_dataset="ner_val_100", save_strategy="epoch", save_total_limit=2)
    also = training("also", eval_dataset="ner_val_300", save_strategy="epoch", save_total_limit=2)
    none = training("none", eval_dataset="ner_val_100", save_strategy="no")
    blind = training("blind", save_strategy="epoch")
    assert warn_few_checkpoints([kept_all, two, none, also, blind]) == [
        "--best: checkpoints are deleted while training (save_total_limit: 2 in the preset): two, also",
        "--best: no checkpoints are kept (save_strategy): none",
        "--best: no validation set to choose by: blind",
    ]


def test_the_choice_is_made_unasked_where_every_epoch_is_kept() -> None:
    sets = {"eval_dataset": "ner_val_100"}
    assert keeps_all(training("m", **sets, save_strategy="epoch"))
    assert not keeps_all(training("m", **sets, save_strategy="epoch", save_total_limit=2))
    assert not keeps_all(training("m", **sets, save_strategy="steps"))
    assert not keeps_all(training("m", save_strategy="epoch"))
    chosen = {name: keeps_all(training("m", **sets, **load_preset(name).values)) for name in
              ("paper", "efficient", "qlora", "full", "smoke")}  # fmt: skip
    assert chosen == {"paper": False, "efficient": True, "qlora": True, "full": True, "smoke": False}


@pytest.mark.parametrize("better", ["checkpoint-10", "checkpoint-20"])
def test_the_checkpoint_with_the_best_facts_f1_is_chosen_and_its_weights_put_in_place(
    tmp_path: Path, better: str
) -> None:
    """Two checkpoints on disk: one repeats the gold of its validation set, one answers nothing."""
    run = write_run(tmp_path / "run")
    stem = run.stem("ner", "val", 20)
    keys = [json.loads(line) for line in run.keys(stem).read_text("utf-8").splitlines()]
    job = training("m", eval_dataset=stem)
    job = replace(job, result=run.models / "m")
    for name in ("checkpoint-10", "checkpoint-20"):
        folder = job.result / name
        (folder / stem).mkdir(parents=True)
        (folder / "adapter_config.json").write_text("{}")
        (folder / "optimizer.pt").write_text("nothing goes on from it")
        header = b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
        content = len(header).to_bytes(8, "little") + header + name[-2:].encode() * 2
        (folder / "adapter_model.safetensors").write_bytes(content)
        rows = [
            {"prompt": "", "predict": key["gold"] if name == better else "{}", "label": key["gold"]}
            for key in keys
        ]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / stem / "generated_predictions.jsonl").write_text(text, encoding="utf-8")
    best = select_best(run, job)
    assert best is not None and best.chosen == better
    assert not list(job.result.glob("checkpoint-*/optimizer.pt"))
    assert len(list(job.result.glob("checkpoint-*/adapter_model.safetensors"))) == 2
    assert best.facts_f1 == {
        name: {"ner": float(name == better)} for name in ("checkpoint-10", "checkpoint-20")
    }
    kept = (job.result / "adapter_model.safetensors").read_bytes()
    assert kept == (job.result / better / "adapter_model.safetensors").read_bytes()
