"""Trainings and predictions that LlamaFactory ends without an error and that are worth nothing, one by one."""

from __future__ import annotations

import json
import pickle
import traceback
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from etlch.export.jobs import Job
from etlch.training.health import LOADERS, damaged, failure, training_problem

A, B = "base.layers.0.q.lora_A.weight", "base.layers.0.q.lora_B.weight"
MOVED = {A: np.ones((2, 3), np.float32), B: np.full((3, 2), 1e-7, np.float32)}
FINE = [{"loss": 2.0, "grad_norm": 1.5, "step": 1}, {"loss": 1.0, "grad_norm": 0.5}, {"train_loss": 1.5}]


def trained(folder: Path, history: Any, tensors: dict[str, Any]) -> Path:
    folder.mkdir()
    (folder / "trainer_state.json").write_text(json.dumps({"log_history": history}), "utf-8")
    save_file(tensors, folder / "adapter_model.safetensors")
    return folder


NAN = float("nan")
LATE = np.ones(2000, np.float32)
LATE[7] = np.inf


@pytest.mark.parametrize(
    ("history", "tensors", "said"),
    [
        (FINE, MOVED, ""),
        (
            [{"loss": 1.0, "grad_norm": NAN}, {"loss": 0.9, "grad_norm": 0.3}],
            MOVED,
            "",
        ),  # fp16 skipped a step
        ([{"loss": NAN}], MOVED, "the loss is not a number. Lower learning_rate"),
        ([*FINE, {"eval_loss": NAN}], MOVED, "the loss is not a number"),
        (
            [{"loss": 0.0, "grad_norm": NAN}],
            MOVED,
            "flash_attn: disabled",
        ),  # as NaN is logged by transformers
        ([{"loss": 3.0, "grad_norm": 0.0}, {"loss": 3.0, "grad_norm": 0.0}], MOVED, "all gradients were 0"),
        ([{"loss": 0.0}, {"loss": 0.0}], MOVED, "the loss was 0 from the first step on"),
        (FINE, {**MOVED, B: np.zeros((3, 2), np.float32)}, "what it was before training: every lora_B is 0"),
        (FINE, {**MOVED, A: np.full((2, 3), np.nan, np.float16)}, "weights are not numbers"),
        (FINE, {**MOVED, A: LATE}, "weights are not numbers"),
    ],
)
def test_trainings_worth_nothing(tmp_path: Path, history: Any, tensors: dict[str, Any], said: str) -> None:
    found = training_problem(trained(tmp_path / "m", history, tensors), None)
    assert said in found and bool(said) == bool(found)


def test_a_whole_model_that_is_its_base_is_told(tmp_path: Path) -> None:
    whole = {"a": np.ones(9, np.float32), "b": np.zeros(9, np.float32)}
    base = trained(tmp_path / "base", [], whole)
    assert "no weight moved" in training_problem(trained(tmp_path / "same", FINE, whole), base)
    other = {**whole, "b": np.full(9, 1e-6, np.float32)}
    assert training_problem(trained(tmp_path / "other", FINE, other), base) == ""


TRAIN = Job("t", "train", "m", "", {"per_device_train_batch_size": 8, "cutoff_len": 4096}, Path("m"))
PREDICT = Job("p", "predict", "m", "", {"per_device_eval_batch_size": 10}, Path("p"))


@pytest.mark.parametrize(
    ("job", "code", "log", "said"),
    [
        (
            TRAIN,
            1,
            "torch.OutOfMemoryError: CUDA out of memory.",
            "Lower per_device_train_batch_size (8) to 4 and",
        ),
        (TRAIN, 1, "DefaultCPUAllocator: can't allocate memory", "cutoff_len (4096)"),
        (TRAIN, -9, "", "killed (signal 9), most likely by the system for want of memory. Lower"),
        (PREDICT, -9, "", "Lower per_device_eval_batch_size (10), max_new_tokens (1024)."),
        (TRAIN, 1, "KeyError: 'x'", "exit code 1"),
    ],
)
def test_out_of_memory_is_named_with_what_to_lower(job: Job, code: int, log: str, said: str) -> None:
    assert said in failure(job, code, log)
    assert ("memory" in failure(job, code, log)) == (said != "exit code 1")


@pytest.mark.train
def test_a_checkpoint_that_transformers_cannot_load_is_known_by_its_traceback(tmp_path: Path) -> None:
    """An optimizer whose end is there, so that it looks whole, and some of whose bytes are lost."""
    import torch
    from transformers import Trainer, TrainerState, TrainingArguments

    assert all(hasattr(Trainer, name) or hasattr(TrainerState, name) for name in LOADERS)
    for name in ("optimizer.pt", "scheduler.pt"):
        torch.save({"state": torch.ones(5000)}, tmp_path / name)
    content = bytearray((tmp_path / "optimizer.pt").read_bytes())
    content[100:160] = bytes(60)
    (tmp_path / "optimizer.pt").write_bytes(content)
    assert zipfile.is_zipfile(tmp_path / "optimizer.pt")
    trainer = Trainer(torch.nn.Linear(2, 2), TrainingArguments(str(tmp_path), use_cpu=True, report_to="none"))
    trainer.create_optimizer_and_scheduler(10)
    try:
        trainer._load_optimizer_and_scheduler(str(tmp_path))
    except (RuntimeError, ValueError, pickle.UnpicklingError):
        assert damaged(traceback.format_exc())
    else:
        pytest.fail("it was loaded")
    assert not damaged("ValueError: Some keys are not used by the HfArgumentParser")
