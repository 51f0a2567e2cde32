"""Whole and broken model folders, written by the safetensors package itself."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from etlch.training import weights


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA"}', encoding="utf-8")
    tensors = {"a": np.arange(12, dtype=np.float32).reshape(3, 4), "b": np.ones(5, dtype=np.float16)}
    save_file(tensors, tmp_path / "adapter_model.safetensors", metadata={"format": "pt"})
    return tmp_path


def test_a_whole_adapter_is_sound(adapter: Path) -> None:
    assert weights.problem(adapter, adapter=True) == ""
    assert weights.problem(adapter, adapter=False) == "no readable config.json"


def test_a_file_cut_anywhere_is_not(adapter: Path) -> None:
    path = adapter / "adapter_model.safetensors"
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert weights.problem(adapter, adapter=True) != "", length
    path.write_bytes(whole + b"\0")
    assert weights.problem(adapter, adapter=True) == "adapter_model.safetensors is cut short"


def test_shards_are_all_looked_at(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    for name in names:
        save_file({name: np.ones(3, dtype=np.float32)}, tmp_path / name)
    index = {"weight_map": {"one": names[0], "two": names[1]}}
    (tmp_path / weights.INDEX).write_text(json.dumps(index), encoding="utf-8")
    assert weights.problem(tmp_path, adapter=False) == ""
    (tmp_path / names[1]).unlink()
    assert weights.problem(tmp_path, adapter=False) == f"no {names[1]}"


def test_the_fingerprint_follows_the_weights(adapter: Path, tmp_path: Path) -> None:
    before = weights.fingerprint(adapter)
    path = adapter / "adapter_model.safetensors"
    tensors = load_file(path)
    tensors["a"][0, 0] = 1e-7
    save_file(tensors, path, metadata={"format": "pt"})
    assert weights.fingerprint(adapter) != before
    empty = tmp_path / "empty"
    empty.mkdir()
    assert weights.fingerprint(empty) is None


def test_only_checkpoints_with_their_optimizer_can_be_gone_on_from(adapter: Path) -> None:
    for name in ("optimizer.pt", "scheduler.pt"):
        with zipfile.ZipFile(adapter / name, "w") as archive:
            archive.writestr("data.pkl", b"x")
    (adapter / "trainer_state.json").write_text("{}", encoding="utf-8")
    assert weights.resumable(adapter, adapter=True)
    whole = (adapter / "optimizer.pt").read_bytes()
    (adapter / "optimizer.pt").write_bytes(whole[:-10])  # as of a disk that was full
    assert not weights.resumable(adapter, adapter=True)
    (adapter / "optimizer.pt").unlink()
    assert not weights.resumable(adapter, adapter=True)
