"""etlch-extract as a user calls it; the model stands behind the tests' own endpoint."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from etlch.cli.extract import main
from etlch.extract.card import write_card
from tests.extract.models import card
from tests.fake_server import serve


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model folder without weights, and documents, one of which the model does not understand."""
    (tmp_path / "model").mkdir()
    write_card(tmp_path / "model", card())
    rows = [{"text": "Ann left."}, {"text": "Bob left."}, {"text": "Cid\x00 left."}]
    (tmp_path / "notes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def answer(body: object) -> str:
    asked = json.dumps(body)
    if '"model": "tiny"' in asked and "Bob" in asked:
        return "no idea"
    return json.dumps({"Person": ["Bob" if "Bob" in asked else "Ann"]})


def test_from_documents_to_rows_page_and_bill(folder: Path) -> None:
    (folder / "s.yaml").write_text(
        "fallback: {name: large, price: {input: 1, output: 2}}\nserved: {concurrency: 2}\n"
    )
    with serve(reply=answer) as server:
        options = (
            f"--base-url {server.url} --fallback-base-url {server.url} --settings {folder}/s.yaml --tasks ner"
        )
        command = [
            *f"{folder}/model {folder}/notes.jsonl --out {folder}/facts.csv --facts".split(),
            *options.split(),
        ]
        done = CliRunner().invoke(main, [*command, "--html", f"{folder}/facts.html"])
        assert done.exit_code == 0, done.output
        assert (
            "3 documents, 2 facts; ungrounded 0, below the threshold 0, documents with a problem 1"
            in done.output
        )
        assert "fallback large: 1 of 3 documents, 1 questions, $0.0" in done.output
        assert [line.rpartition(",")[2] for line in (folder / "facts.csv").read_text().splitlines()[1:]] == [
            "False",
            "True",
        ]
        assert "binary data" in (folder / "facts.html").read_text()
        again = CliRunner().invoke(main, command)
        assert again.exit_code == 2 and "not overwritten" in again.output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--decoding copy --base-url http://127.0.0.1:1/v1", "copy is asked of a served model"),
        ("--settings {folder}/no.yaml", "does not exist"),
        ("--tasks nre", "Did you mean 'ner'?"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(folder: Path, options: str, message: str) -> None:
    done = CliRunner().invoke(
        main, [f"{folder}/model", f"{folder}/notes.jsonl", *options.format(folder=folder).split()]
    )
    assert done.exit_code == 2 and message in done.output, done.output
