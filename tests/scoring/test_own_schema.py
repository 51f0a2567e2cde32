"""Labels under a schema that the files do not carry, scored with `--schema`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from etlch.cli.score import main

SCHEMA = {
    "type": "object",
    "properties": {
        "title": {"type": "string"},
        "paid": {"type": "boolean"},
        "parties": {
            "type": "array",
            "items": {"type": "object", "properties": {"name": {"type": "string"}}},
        },
    },
}
TEXT = "Lease of 12 Harbour Street, signed by Anna Rossi."


def rows() -> list[dict[str, str]]:
    gold = {"title": "Lease", "paid": True, "parties": [{"name": "Anna Rossi"}]}
    wrong = {"title": "Lease", "paid": "yes", "parties": [{"name": "Bo"}]}
    return [
        {"prompt": f"{TEXT} {number}", "label": json.dumps(gold), "predict": json.dumps(said)}
        for number, said in enumerate((gold, wrong))
    ]


def test_leaf_item_and_field_tables_and_the_share_that_is_valid(tmp_path: Path) -> None:
    (tmp_path / "contract.json").write_text(json.dumps(SCHEMA), encoding="utf-8")
    file = tmp_path / "tuned.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows()), encoding="utf-8")
    done = CliRunner().invoke(main, [str(file), "--schema", str(tmp_path / "contract.json"), "--json"])
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)
    scores = {score["metric"]: score["value"] for score in summary["scores"]}
    assert summary["sources"][0]["task"] == "schema"
    assert scores["leaf_f1"] == pytest.approx(4 / 6), "of three leaves a row, two are wrong in the second"
    assert scores["items_f1"] == 0.5
    assert scores["schema_ok"] == 0.5, "'yes' is no boolean"
    assert {row["type"]: row["f1"] for row in summary["types"]}.keys() == {"title", "paid", "parties/name"}


def test_a_schema_that_cannot_be_read_is_told_before_any_file_is(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, [str(tmp_path), "--schema", str(tmp_path / "none.json")])
    assert done.exit_code == 2
    assert "does not exist" in done.output
