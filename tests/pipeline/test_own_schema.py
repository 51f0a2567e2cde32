"""Forty documents under a nested schema of one's own go the whole way, from a file of texts to scores."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from etlch.cli.data import main
from etlch.cli.score import main as score
from etlch.core.records import Json
from etlch.text.locate import one_line
from tests import fake_teacher
from tests.fake_server import serve

TEXTS = Path(__file__).parents[1] / "dataset" / "articles"
SCHEMA: Json = {
    "type": "object",
    "properties": {
        "agency": {"type": "string", "description": "the agency that the text is about"},
        "kind": {"enum": ["policy", "guide", "event"]},
        "names_people": {"type": "boolean"},
        "figure": {"type": "number"},
        "topics": {"type": "array", "items": {"type": "string"}},
        "mentions": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "next_to": {"type": ["string", "null"]}},
            },
        },
        "source": {
            "type": "object",
            "properties": {"opening": {"type": "string"}, "link": {"type": "string"}},
        },
    },
}
COUNT = 40


def documents(folder: Path) -> Path:
    """Write forty documents, cut from three real articles at paragraph ends."""
    pieces = [
        piece.strip()
        for path in sorted(TEXTS.glob("*.md"))
        for piece in re.split(r"\n\s*\n", path.read_text(encoding="utf-8"))
        if len(piece.split()) > 12 and not piece.startswith(("---", "<", "![", "title", "|"))
    ]
    made = folder / "documents"
    made.mkdir()
    for number, text in enumerate(pieces[: COUNT + 8]):
        (made / f"d{number:02d}.txt").write_text(text, encoding="utf-8")
    assert len(pieces) >= COUNT
    return made


def answer(body: Any) -> str:
    """Fill the schema with words, numbers and phrases of the article, and one name that it does not hold."""
    match = re.search(r"<article>\n(.*?)\n</article>", body["messages"][0]["content"], re.DOTALL)
    if match is None:
        return fake_teacher.reply(body)
    article = match.group(1)
    words = list(dict.fromkeys(re.findall(r"\b[A-Z][a-z]{2,}\b", article))) or [article.split()[0]]
    numbers = re.findall(r"(?<![\w.,])\d{1,4}(?![\w.,])", article)
    mentions: list[Json] = [
        {"name": word, "next_to": other} for word, other in zip(words, [*words[1:], None], strict=True)
    ]
    return json.dumps(
        {
            "agency": words[0],
            "kind": ("policy", "guide", "event")[len(article) % 3],
            "names_people": len(words) > 3,
            "figure": int(numbers[0]) if numbers else None,
            "topics": [word for word in article.split() if word.isalpha() and len(word) > 8][:3],
            "mentions": [*mentions[:3], {"name": "Zaphod Beeblebrox", "next_to": None}],
            "source": {"opening": " ".join(article.split()[:2]), "link": None},
        }
    )


def run(*arguments: str) -> str:
    result = CliRunner().invoke(main, list(arguments))
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def made(tmp_path: Path) -> Path:
    schema = tmp_path / "agency.json"
    schema.write_text(json.dumps(SCHEMA, indent=1), encoding="utf-8")
    out = tmp_path / "run"
    with serve(reply=answer) as server:
        run(
            *("generate", "--out", str(out), "--teacher", "m", "--base-url", server.url, "--language", "en"),
            *(
                "--schema",
                str(schema),
                "--articles",
                str(documents(tmp_path)),
                "--sizes",
                "30",
                "--test",
                "10",
            ),
        )
        sent = server.seen[0].body
    assert sent["response_format"]["json_schema"]["strict"]
    assert list(sent["response_format"]["json_schema"]["schema"]["properties"]) == list(SCHEMA["properties"])
    return out


def records(run_folder: Path) -> list[Json]:
    return [
        json.loads(line) for line in (run_folder / "records.jsonl").read_text(encoding="utf-8").splitlines()
    ]


@pytest.mark.slow
def test_forty_documents_go_the_whole_way_and_every_leaf_has_a_span_or_a_stated_policy(made: Path) -> None:
    found = records(made)
    assert len(found) == COUNT and {record["task"] for record in found} == {"schema"}
    for record in found:
        label = json.loads(record["output"])
        assert list(label) == list(SCHEMA["properties"])
        assert "the agency that the text is about" in record["instruction"]
        assert "Zaphod" not in record["output"]
        for fact in record["facts"]:
            path, value = fact["fact"]
            span = fact["spans"][1]
            if path in ("kind", "names_people"):  # one of a list; derived
                continue
            assert span is not None, fact
            if path != "figure":
                assert one_line(record["input"][slice(*span)]) == value
    rejected = [
        json.loads(line) for line in (made / "rejected.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    reasons = [reason for item in rejected for reason in item["reasons"]]
    assert any("mentions/#3/name 'Zaphod Beeblebrox'" in reason for reason in reasons)
    assert "nothing is wrong" in run("check", str(made))
    info = json.loads((made / "llamafactory" / "dataset_info.json").read_text(encoding="utf-8"))
    assert {"run_schema_train_30", "run_schema_val_30", "run_schema_test"} <= set(info)
    forms = made.parent / "forms.yaml"
    forms.write_text("{prompt_forms: 3, train_forms: 2, shots: 2}", encoding="utf-8")
    run("export", str(made), "--settings", str(forms))
    assert "nothing is wrong" in run("check", str(made)), (
        "forms and their solved examples are told from damage"
    )
    damaged = made / "llamafactory" / "run_schema_test-form2.json"
    damaged.write_text(damaged.read_text(encoding="utf-8").replace("policy", "event"), encoding="utf-8")
    assert CliRunner().invoke(main, ["check", str(made)]).exit_code == 1


@pytest.mark.slow
def test_predictions_under_a_schema_are_scored_by_leaf_item_and_field(made: Path) -> None:
    keys = [
        json.loads(line)
        for line in (made / "llamafactory" / "run_schema_test.keys.jsonl")
        .read_text(encoding="utf-8")
        .splitlines()
    ]
    folder = made / "predictions" / "tuned" / "schema"
    folder.mkdir(parents=True)
    rows = []
    for number, key in enumerate(keys):
        value = json.loads(key["gold"])
        if number == 0:
            value["agency"] = "Nobody"
        rows.append(
            {
                "prompt": key["instruction"] + "\n" + key["input"],
                "predict": json.dumps(value),
                "label": key["gold"],
            }
        )
    (folder / "generated_predictions.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8"
    )
    (made / "predictions" / "tuned" / "model.json").write_text(
        json.dumps(
            {"name": "tuned", "size": None, "seed": None, "role": "tuned", "adapter": None, "recipe": None}
        ),
        encoding="utf-8",
    )
    scored = CliRunner().invoke(score, [str(made)])
    assert scored.exit_code == 0, scored.output
    summary = json.loads((made / "scores" / "summary.json").read_text(encoding="utf-8"))
    values = {row["metric"]: row["value"] for row in summary["scores"]}
    tested = {key["article_id"] for key in keys}
    leaves = sum(len(record["facts"]) for record in records(made) if record["article_id"] in tested)
    assert values["leaf_f1"] == pytest.approx((leaves - 1) / leaves)  # one leaf of all is wrong
    assert values["items_f1"] == 1.0  # `mentions` are the only items, and all are right
    fields = {row["type"]: row["f1"] for row in summary["types"]}
    assert fields["agency"] == pytest.approx(0.9) and fields["mentions/name"] == 1.0
