"""One process: the environment that a job is started in."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from subprocess import Popen

import pytest

from etlch.core.run_folder import Run
from etlch.export.jobs import Job, Kind
from etlch.training.hardware import Machine, visible_gpus
from etlch.training.process import Process, environment, finished, standing
from etlch.training.provenance import Provenance


def started(folder: Path, place: str | None, kind: Kind = "train", predicting: int = 1) -> dict[str, str]:
    job = Job(kind, kind, "tuned", f"recipes/{kind}.yaml", {"model_name_or_path": "hub/name"}, folder / "to")
    machine = Machine(() if place is None else (place,), predicting=predicting, cores=4, cli=folder / "cli")
    return environment(Run(folder), job, place, machine)


def test_memory_is_kept_on_a_cpu_unless_the_user_says_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "65536")
    on_cpu = started(tmp_path, None)
    assert (on_cpu["MALLOC_TRIM_THRESHOLD_"], on_cpu["MALLOC_TOP_PAD_"]) == ("17179869184", "268435456")
    assert on_cpu["MALLOC_MMAP_THRESHOLD_"] == "65536"
    on_gpu = started(tmp_path, "1")
    assert "MALLOC_TRIM_THRESHOLD_" not in on_gpu
    assert on_gpu["CUDA_VISIBLE_DEVICES"] == "1"


def test_predictions_side_by_side_share_the_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert started(tmp_path, None, "predict", predicting=2)["OMP_NUM_THREADS"] == "2"
    assert "OMP_NUM_THREADS" not in started(tmp_path, None, "train", predicting=2)


def running(folder: Path, *logged: tuple[int, str]) -> Process:
    job = Job("train", "train", "tuned", "recipes/train.yaml", {}, folder)
    entries = [
        {
            "current_steps": step,
            "total_steps": 810,
            "loss": 0.5,
            "elapsed_time": elapsed,
            "remaining_time": "0:01:22",
        }
        for step, elapsed in logged
    ]
    (folder / "trainer_log.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries), "utf-8")
    made = Provenance(job.recipe, "", {}, None, 42, {}, "cpu")
    popen = Popen(["true"])
    popen.wait()
    return Process(job, None, popen, folder / "log", 0.0, made)


def test_the_time_left_goes_by_this_sessions_pace(tmp_path: Path) -> None:
    """Continued at step 405 after 1:24 of loading: LlamaFactory says 1:22 are left, at 2 s a step it is 13 min."""
    begun = running(tmp_path, (410, "0:01:24"))
    assert standing(begun).left == ""
    going = running(tmp_path, (410, "0:01:24"), (415, "0:01:34"), (420, "0:01:44"))
    assert (standing(going).step, standing(going).left) == (420, "0:13:00")
    long = running(tmp_path, (400, "23:59:50"), (410, "1 day, 0:00:10"), (420, "2 days, 0:00:10"))
    assert standing(long).left == str(timedelta(seconds=round((86400 + 20) / 20 * 390)))


def test_tokens_per_second_are_those_of_this_session(tmp_path: Path) -> None:
    process = running(tmp_path, (810, "0:10:00"))
    log = tmp_path / "trainer_log.jsonl"
    log.write_text(json.dumps({"current_steps": 810, "total_tokens": 470_000}) + "\n", "utf-8")
    (tmp_path / "train_results.json").write_text('{"train_runtime": 1000.0}', "utf-8")
    process.seen = 236_000
    made = finished(Run(tmp_path), process)
    assert (made.tokens, made.tokens_per_second) == (470_000, 234.0)


@pytest.mark.parametrize(
    ("named", "seen"),
    [
        ("0, 2", ("0", "2")),
        ("", ()),
        ("-1", ()),
        ("1,-1,0", ("1",)),
        ("0,x,1", ("0",)),
        ("0,0", ()),
        ("NoDevFiles", ()),
        ("GPU-8932f937,MIG-GPU-1/2/3", ("GPU-8932f937", "MIG-GPU-1/2/3")),
    ],
)
def test_visible_devices_are_read_as_cuda_does(
    named: str, seen: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """CUDA C++ Programming Guide: what stands after an invalid index is not visible, and none is twice."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert visible_gpus() == seen
