"""Labels of people under a schema of one's own: grounded leaf by leaf, in schema order, and refused where they break it."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from etlch.cli.data import main
from etlch.core.run_data import read_run
from etlch.core.run_folder import Run
from etlch.quality.check import check_run

SCHEMA = {
    "type": "object",
    "properties": {
        "kind": {"enum": ["lease", "sale"]},
        "signed": {"type": "string", "format": "date"},
        "amount": {"type": "number"},
        "parties": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "city": {"type": "string"}},
            },
        },
    },
}
CITIES = ("Oslo", "Rome", "Lyon", "Bern", "Cork", "Graz", "Gent", "Bari", "Pisa", "Turku", "Porto", "Essen")


def row(number: int, **label: object) -> dict[str, object]:
    name, other, city = f"Anna Rossi{number}", f"Ben Hall{number}", CITIES[number % len(CITIES)]
    text = (
        f"Contract {number * 371} of 5 March {1990 + number}: {name} of {city} lets house {number * 53} to {other} "
        f"for 1,{200 + number} a month."
    )
    made = {
        "parties": [{"name": other}, {"city": city, "name": name}],
        "amount": 1200 + number,
        "signed": f"{1990 + number}-03-05",
        "kind": "lease",
    }
    return {"id": f"c{number}", "text": text, "label": {**made, **label}}


def cli(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["import", *map(str, words)])
    return done.exit_code, done.output


def test_labels_under_a_schema_become_a_run_and_a_test_set(tmp_path: Path) -> None:
    schema, settings = tmp_path / "contract.json", tmp_path / "s.yaml"
    schema.write_text(json.dumps(SCHEMA), encoding="utf-8")
    settings.write_text("preset: smoke\nbase_model: some/model\ntemplate: smollm2\n", encoding="utf-8")
    rows = [row(n) for n in range(10)]
    rows += [
        row(10, parties=[{"name": "Nobody There"}, {"name": "Anna Rossi10"}]),
        row(11, kind="gift"),
        row(12, colour="red"),
        row(13, amount="much"),
    ]
    path = tmp_path / "c.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    out = tmp_path / "run"
    words = (path, "--schema", schema, "--language", "en", "--out", out, "--settings", settings)
    code, told = cli(*words, "--test-size", "2")
    assert code == 0, told
    assert "left out: 3 texts (3 × the label breaks the schema)" in told
    data = read_run(out)
    by_topic = {article.topic: record for article, record in zip(data.articles, data.records, strict=True)}
    # In the order of the schema and of the text: Anna stands before Ben, and an absent key is null.
    assert json.loads(by_topic["c3"].output) == {
        "kind": "lease",
        "signed": "1993-03-05",
        "amount": 1203,
        "parties": [{"name": "Anna Rossi3", "city": "Bern"}, {"name": "Ben Hall3", "city": None}],
    }
    assert json.loads(by_topic["c10"].output)["parties"] == [{"name": "Anna Rossi10", "city": None}]
    reasons = {item.article_id: item.reasons for item in data.rejected}
    assert reasons["c12"] == ("the label breaks the schema", "the schema has no leaf colour")
    assert reasons["c11"][1].startswith("kind: ") and reasons["c13"][1].startswith("amount: ")
    (dropped,) = [lost for lost in reasons.values() if lost[0].startswith("not in the text")]
    assert dropped == ("not in the text: parties/#0/name – Nobody There",)
    assert "kind" in data.records[0].instruction
    assert not check_run(Run(out)).problems

    more = tmp_path / "more.jsonl"
    more.write_text("\n".join(json.dumps(row(n)) for n in range(20, 24)) + "\n", encoding="utf-8")
    code, told = cli(more, "--into", out, "--as-test", "more")
    assert code == 0 and "4 in the test set more" in told
    assert len({record.instruction for record in read_run(out).records}) == 1
    assert not check_run(Run(out)).problems

    code, told = cli(path, "--schema", schema, "--task", "ner", "--language", "en", "--out", tmp_path / "x")
    assert code == 2 and "Say --task or --schema, not both" in told
