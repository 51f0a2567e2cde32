"""Checkpoints: what `--best` can choose among. The choice itself is tested with real ones in test_run.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from etlch.export.jobs import Job
from etlch.training.best_checkpoint import few


def training(model: str, **values: Any) -> Job:
    return Job(model, "train", model, f"recipes/{model}.yaml", values, Path(model))


def test_trainings_that_leave_little_to_choose_from_are_named() -> None:
    kept_all = training("all", eval_dataset="ner_val_100", save_strategy="epoch")
    two = training("two", eval_dataset="ner_val_100", save_strategy="epoch", save_total_limit=2)
    also = training("also", eval_dataset="ner_val_300", save_strategy="epoch", save_total_limit=2)
    none = training("none", eval_dataset="ner_val_100", save_strategy="no")
    blind = training("blind", save_strategy="epoch")
    assert few([kept_all, two, none, also, blind]) == [
        "--best: checkpoints are deleted while training (save_total_limit: 2 in the preset): two, also",
        "--best: no checkpoints are kept (save_strategy): none",
        "--best: no validation set to choose by: blind",
    ]
