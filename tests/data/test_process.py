"""One process: the environment that a job is started in."""

from __future__ import annotations

from pathlib import Path

import pytest

from etlch.data.jobs import Job, Kind
from etlch.data.machine import Machine
from etlch.data.process import environment
from etlch.files import Run


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
