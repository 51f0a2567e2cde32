"""The doctor on this machine, and on one that is made ill the way plain installs are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from etlch.cli.data import main
from etlch.training import doctor

MISMATCH = (
    "Detected that PyTorch and TorchAudio were compiled with different CUDA versions. "
    "PyTorch has CUDA version 13.2 whereas TorchAudio has CUDA version 13.0."
)


@pytest.fixture
def ill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Modules that fail to import, before the real ones on the path of every new Python."""
    broken = {"torchaudio": f"raise RuntimeError({MISMATCH!r})", "jieba": "import jieba_of_nowhere"}
    for name, code in broken.items():
        (tmp_path / f"{name}.py").write_text(code, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(doctor, "IMPORTS", {"torchaudio": "torchaudio", "jieba": "jieba", "nltk": "json"})
    return tmp_path


@pytest.mark.train
@pytest.mark.slow
def test_each_failure_comes_with_the_line_that_fixes_it(ill: Path) -> None:
    done = CliRunner().invoke(main, ["doctor", "--json", "--disk", str(ill)])
    assert done.exit_code == 1
    found: dict[str, dict[str, Any]] = {one["name"]: one for one in json.loads(done.stdout)}
    audio = found["import torchaudio"]
    assert (audio["state"], audio["found"]) == ("bad", f"RuntimeError: {MISMATCH}")
    assert {"torch==2.12.1", "torchvision==0.27.1", "llamafactory==0.9.5"} <= set(audio["fix"].split())
    assert found["import jieba"]["state"] == "bad"
    assert found["import nltk"]["state"] == "ok"
    assert found["torchrun"]["state"] == found["Python"]["state"] == "ok"
    assert "2 of " in done.stderr


def test_a_missing_package_is_told_with_its_pin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        doctor, "pins", lambda: {"rouge-chinese-of-nowhere": "rouge-chinese-of-nowhere>=1.0.3"}
    )
    found = next(one for one in doctor.examine(Path(".")) if one.name == "rouge-chinese-of-nowhere")
    assert found.state == "bad"
    assert found.fix == "pip install 'rouge-chinese-of-nowhere>=1.0.3'"


def test_a_bare_environment_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "installed", lambda module: False)
    bad = [one for one in doctor.examine(Path(".")) if one.state == "bad"]
    assert [one.fix for one in bad] == ["pip install 'etlch[train]'"]


def test_the_pins_are_those_of_the_extra() -> None:
    assert doctor.pins()["llamafactory"] == "llamafactory==0.9.5"
    assert {"jieba", "nltk", "rouge-chinese", "torch", "torchvision", "transformers"} < set(doctor.pins())


def test_a_finding_is_told_before_the_next_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> list[doctor.Finding]:
        raise AssertionError("looked for too early")

    monkeypatch.setattr(doctor, "_versions", fail)
    found = doctor.examine(Path("."))
    assert next(found).name == "Python"
    with pytest.raises(AssertionError, match="too early"):
        next(found)


def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(doctor, "DISK_GB", 1e9)
    monkeypatch.setattr(doctor, "IMPORTS", {})
    monkeypatch.setattr(doctor, "_gpus", lambda: iter(()))  # imports torch
    found = {one.name: one for one in doctor.examine(tmp_path / "not" / "there" / "yet")}
    assert found["disk"].state == "bad"
    assert str(tmp_path) in found["disk"].found
