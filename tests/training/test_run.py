"""`etlch-data run` with the real llamafactory-cli on a tiny random Llama: stopped, killed, resumed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from etlch.core.config import make_settings
from etlch.core.run_folder import Run
from etlch.export import jobs
from etlch.export.preflight.steps import disk
from etlch.export.write import export
from etlch.training import best_checkpoint, provenance, weights
from etlch.training import state as training_state
from tests.runs import make_run
from tests.tiny import TEMPLATE, tiny_llama

pytestmark = [pytest.mark.slow, pytest.mark.train, pytest.mark.usefixtures("interruptible")]

NAME = "tiny-20-s7"
STEPS = 600
PRESET = (
    "finetuning_type: lora\nlora_rank: 8\ncutoff_len: 1024\nper_device_train_batch_size: 4\n"
    "learning_rate: 5e-3\nmax_steps: {steps}\nsave_steps: {every}\noverwrite_output_dir: true\n"
    "logging_steps: 1\nreport_to: none\nmax_new_tokens: 100\nper_device_eval_batch_size: 10\nuse_cpu: true\n"
)
PATIENCE = 240.0


def tiny_run(root: Path, steps: int, every: int) -> Run:
    preset = root / "tiny.yaml"
    preset.write_text(PRESET.format(steps=steps, every=every), encoding="utf-8")
    settings = make_settings(
        teacher="offline",
        language="en",
        sizes=(20,),
        test=4,
        preset=str(preset),
        base_model=str(tiny_llama(root / "model")),
        template=TEMPLATE,
        seeds=(7,),
        tasks=("ner",),
    )
    run = make_run(root / "outputs" / "first run", settings)
    export(run, settings)
    return run


def etlch(run: Run, *options: str, **environment: str) -> subprocess.Popen[str]:
    tools = Path(sys.executable).parent
    return subprocess.Popen(
        [tools / "etlch-data", "run", str(run.folder), *options],
        env={**os.environ, **environment, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(there: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + PATIENCE
    while not there() and time.monotonic() < until:
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    assert there()


def running(run: Run) -> list[str]:
    """Return the processes that work from the run's folder."""
    listed = subprocess.run(
        ["ps", "-ww", "-eo", "pid,args"], capture_output=True, text=True, check=True
    ).stdout
    return [line for line in listed.splitlines() if f"train_{NAME}.yaml" in line and "llamafactory" in line]


def global_step(run: Run) -> int:
    return int(json.loads((run.models / NAME / "trainer_state.json").read_text("utf-8"))["global_step"])


def test_stopped_killed_finished_and_left_alone(tmp_path: Path) -> None:
    """Ctrl-C exits 130 and leaves no process; kill -9 of everything loses a checkpoint's worth at most;
    the third call finishes with exactly the steps that were asked for; the fourth does nothing."""
    run = tiny_run(tmp_path, STEPS, every=30)
    model = run.models / NAME

    first = etlch(run, "--only", NAME)
    wait_for((model / "checkpoint-30" / "trainer_state.json").is_file, first)
    assert running(run) != []
    first.send_signal(signal.SIGINT)
    _, told = first.communicate(timeout=PATIENCE)
    assert first.returncode == 130, told
    assert "Run the same command again" in told
    assert running(run) == []
    assert not (model / "adapter_model.safetensors").exists()
    stopped_at = len(weights.checkpoints(model))

    second = etlch(run, "--only", NAME)
    wait_for(lambda: len(weights.checkpoints(model)) > stopped_at, second)
    child = int(running(run)[0].split()[0])
    second.kill()
    os.killpg(child, signal.SIGKILL)
    second.communicate()
    half = weights.checkpoints(model)[-1]
    (half / "trainer_state.json").unlink(missing_ok=True)  # as if killed while it was being written
    before = weights.checkpoints(model)[-2].name

    third = etlch(run, "--only", f"{NAME},base")
    shown, told = third.communicate(timeout=PATIENCE)
    assert third.returncode == 0, told
    assert global_step(run) == STEPS
    made = provenance.read(model)
    assert made is not None
    assert made.resumed_from == f"models/{NAME}/{before}"
    assert made.seed == 7 and made.device == "cpu"
    assert made.tokens and made.tokens_per_second and made.seconds
    assert made.peak_memory_gb and 0.2 < made.peak_memory_gb < 8
    assert f"predict_{NAME}_ner" in shown and "predict_base_ner" in shown

    stamp = (model / "train_results.json").stat().st_mtime_ns
    fourth = etlch(run, "--only", NAME)
    shown, told = fourth.communicate(timeout=PATIENCE)
    assert fourth.returncode == 0
    assert shown.count("skipped") == 2
    assert (global_step(run), (model / "train_results.json").stat().st_mtime_ns) == (STEPS, stamp)


def test_the_checkpoint_that_extracts_best_is_kept(tmp_path: Path) -> None:
    """Three checkpoints are predicted on the validation set; the chosen one's weights are the model's."""
    run = tiny_run(tmp_path, 12, every=5)
    done = etlch(run, "--only", NAME, "--best", "--predicting", "2")
    _, told = done.communicate(timeout=PATIENCE * 2)
    assert done.returncode == 0, told
    model = run.models / NAME
    choice: dict[str, Any] = json.loads((model / best_checkpoint.NAME).read_text("utf-8"))
    assert list(choice["facts_f1"]) == ["checkpoint-5", "checkpoint-10", "checkpoint-12"]
    best = max(choice["facts_f1"].items(), key=lambda item: item[1]["ner"])[0]
    assert (choice["chosen"], choice["by_task"]) == (best, {"ner": best})
    assert weights.fingerprint(model) == weights.fingerprint(model / best)
    assert f"{best} is kept" in told
    jobs_left = [job for job in jobs.read_jobs(run) if training_state.state(run, job).name != "done"]
    assert [job.stem for job in jobs_left] == ["predict_base_ner", f"export_{NAME}"]


def test_disk_is_estimated_from_the_model(tmp_path: Path) -> None:
    """One adapter of 4 bytes a weight: what safetensors wrote, header apart, is what was foretold."""
    run = tiny_run(tmp_path, 2, every=500)
    job = next(job for job in jobs.read_jobs(run) if job.kind == "train")
    (foretold,) = disk(run, [job])
    assert "take about 0.0 GB" in foretold.what
    done = etlch(run, "--only", f"train_{NAME}")
    _, told = done.communicate(timeout=PATIENCE)
    assert done.returncode == 0, told
    from etlch.export.preflight.steps import size

    config = json.loads((tmp_path / "model" / "config.json").read_text("utf-8"))
    path = run.models / NAME / "adapter_model.safetensors"
    head = 8 + int.from_bytes(path.read_bytes()[:8], "little")
    assert path.stat().st_size - head == 4 * size(config, 8).adapter


def test_two_processes_under_torchrun(tmp_path: Path) -> None:
    """As on two GPUs: both halve the work, the batch is twice as large, predictions stay in order."""
    run = tiny_run(tmp_path, 3, every=500)
    done = etlch(run, "--only", NAME, FORCE_TORCHRUN="1", NPROC_PER_NODE="2")
    _, told = done.communicate(timeout=PATIENCE)
    assert done.returncode == 0, told
    assert global_step(run) == 3
    log = (run.recipes / "support" / "logs" / f"train_{NAME}.log").read_text("utf-8", errors="replace")
    assert "Total train batch size (w. parallel, distributed & accumulation) = 8" in log
    job = next(job for job in jobs.read_jobs(run) if job.stem == f"predict_{NAME}_ner")
    assert training_state.prediction_problem(run, job) == ""
