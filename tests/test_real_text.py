"""benchmarks/real_text: what it runs is in the manifest, its presets load, and other files than the manifest's stop it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import yaml

from etlch.export.recipes import load_preset

HERE = Path(__file__).parent.parent / "benchmarks/real_text"
CORPORA: dict[str, dict[str, Any]] = yaml.safe_load((HERE / "corpora.yaml").read_text("utf-8"))
FILES = [
    "/".join(line.split("\t")[:2]) for line in (HERE / "manifest.tsv").read_text("utf-8").splitlines()[1:]
]


@pytest.fixture(scope="module")
def module() -> Any:
    spec = importlib.util.spec_from_file_location("real_text", HERE / "run.py")
    assert spec is not None and spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.mark.parametrize("name", CORPORA)
def test_a_corpus_has_files_of_the_manifest_and_a_preset(name: str) -> None:
    corpus = CORPORA[name]
    for split in ("train", "validation", "test"):
        if split in corpus:
            assert any(file == corpus[split] or file.startswith(corpus[split] + "/") for file in FILES), split
    assert load_preset(str(HERE / f"{corpus['model']}.yaml")).values["use_cpu"] is True


def test_missing_and_other_files_are_named(
    module: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        "corpus\tfile\tsha256_16",
        "a\tsame.txt\tba7816bf8f01cfea",
        "a\tother.txt\tba7816bf8f01cfea",
        "a\tgone.txt\t0",
    ]
    (tmp_path / "manifest.tsv").write_text("\n".join(rows) + "\n", "utf-8")
    (tmp_path / "a").mkdir()
    (tmp_path / "a/same.txt").write_text("abc", "utf-8")  # SHA-256 of FIPS 180-2, appendix B.1
    (tmp_path / "a/other.txt").write_text("abd", "utf-8")
    monkeypatch.setattr(module, "HERE", tmp_path)
    assert module.differing(tmp_path) == ["a/other.txt", "a/gone.txt"]
