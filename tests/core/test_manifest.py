"""run.yaml is read once a command and handed on."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from etlch.cli.data import main
from etlch.core import files, manifest
from etlch.core.files import load_yaml

MADE = ["--teacher", "offline", "--language", "en", "--sizes", "5", "--test", "2"]


@pytest.mark.slow
def test_each_command_reads_run_yaml_and_records_at_most_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = str(tmp_path / "run")
    opened: list[str] = []

    def counted(path: Path) -> object:
        opened.append(path.name)
        return load_yaml(path)

    monkeypatch.setattr(manifest, "load_yaml", counted)
    read_lines = files.read_lines

    def counted_lines(path: Path) -> object:
        opened.append(path.name)
        return read_lines(path)

    monkeypatch.setattr(files, "read_lines", counted_lines)
    commands = [
        (["generate", *MADE, "--out", run], {"run.yaml": 0, "records.jsonl": 0}),
        (["generate", *MADE, "--out", run], {"run.yaml": 1, "records.jsonl": 0}),
        (["quality", run], {"run.yaml": 1, "records.jsonl": 1}),
        (["export", run], {"run.yaml": 1, "records.jsonl": 1}),
        (["check", run], {"run.yaml": 1}),
        (["status", run], {"run.yaml": 1, "records.jsonl": 0}),
        (["estimate", run], {"run.yaml": 1, "records.jsonl": 0}),
        (["predict", run, "--model", "dictionary"], {"run.yaml": 1, "records.jsonl": 0}),
    ]
    for command, expected in commands:
        opened.clear()
        done = CliRunner().invoke(main, command)
        assert done.exit_code == 0, done.output
        assert {name: opened.count(name) for name in expected} == expected, command
