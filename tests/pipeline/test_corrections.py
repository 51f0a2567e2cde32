"""A run moves and keeps its name; labels that people corrected survive `generate`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from etlch.cli.data import main
from etlch.core.run_data import read_run
from etlch.core.run_folder import Run
from etlch.export.jobs import read_jobs
from etlch.training.state import origin

OFFLINE = ("generate", "--teacher", "offline", "--language", "en", "--tasks", "ner", "--test", "2")


def cli(*words: object) -> str:
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.slow
def test_corrected_labels_survive_a_growing_run_and_are_told_of(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    cli(*OFFLINE, "--sizes", 10, "--out", folder)
    assert "people" not in cli("check", folder)
    wrong = next(record for record in read_run(folder).records if len(record.facts) > 1)
    gone = wrong.facts[0].fact
    rows = [
        {
            "id": wrong.id,
            "text": wrong.input,
            "label": [[*(item.spans[1] or (0, 0)), item.fact[0]] for item in wrong.facts[1:]],
        }
    ]
    (tmp_path / "better.jsonl").write_text(json.dumps(rows[0]) + "\n", encoding="utf-8")
    cli("import", "--update", folder, tmp_path / "better.jsonl")

    cli(*OFFLINE, "--sizes", 20, "--out", folder)

    data = read_run(folder)
    held = {record.id: record for record in data.records}
    assert len(held) == 22 and gone not in {item.fact for item in held[wrong.id].facts}
    assert data.manifest.counts["facts"]["grounded"] == sum(len(record.facts) for record in data.records)
    assert "records with labels that people corrected: 1 " in cli("check", folder)
    assert "records whose labels people corrected afterwards: 1 (corrections.jsonl)" in (
        folder / "README.md"
    ).read_text("utf-8")

    # A correction of a text that the run no longer has is named, and no other label changes.
    line = json.loads((folder / "corrections.jsonl").read_text("utf-8"))
    (folder / "corrections.jsonl").write_text(json.dumps({**line, "input": "Another text."}) + "\n", "utf-8")
    assert f"instruction: 1 ({wrong.id})" in cli(*OFFLINE, "--sizes", 20, "--out", folder)
    assert gone in {item.fact for record in read_run(folder).records for item in record.facts}
    assert "corrections that are not in records.jsonl: 1;" in cli("check", folder)


def test_what_was_made_from_a_run_stays_valid_when_it_is_copied(tmp_path: Path) -> None:
    first = tmp_path / "first"
    cli(*OFFLINE, "--sizes", 10, "--out", first)
    second = Path(shutil.copytree(first, tmp_path / "second"))
    cli("export", second)
    origins = [[origin(Run(folder), job) for job in read_jobs(Run(folder))] for folder in (first, second)]
    assert len(origins[0]) > 1 and origins[0] == origins[1]
    assert "name: first\n" in (second / "run.yaml").read_text("utf-8")
    cli(*OFFLINE, "--sizes", 20, "--out", second)
    assert (second / "llamafactory" / "first_ner_train_20.json").is_file()
