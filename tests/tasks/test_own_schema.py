"""A schema of one's own: what is read, what is refused and why, and how facts become the label and come back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from etlch.core.config import make_settings
from etlch.core.errors import EtlchError
from etlch.core.records import Json
from etlch.dataset.grounding import ground
from etlch.pipeline.setup import with_schema
from etlch.tasks import Task
from etlch.tasks.own_schema import schema_task
from etlch.tasks.schema_file import leaf_types, read_schema
from etlch.text.json_text import schema_problems

SCHEMA: Json = {
    "properties": {
        "title": {"type": "string", "description": "name of the guide", "pattern": "^[A-Z]"},
        "kind": {"enum": ["report", "guide"]},
        "year": {"type": "integer", "minimum": 1900},
        "open": {"type": "boolean"},
        "when": {"type": "string", "format": "date"},
        "tags": {"type": "array", "items": {"type": "string"}, "minItems": 1},
        "people": {"type": "array", "items": {"$ref": "#/$defs/Person"}},
        "place": {"type": "object", "properties": {"city": {"type": "string"}, "fee": {"type": "number"}}},
    },
    "$defs": {
        "Person": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "role": {"anyOf": [{"type": "string"}, {"type": "null"}], "description": "their post"},
            },
        }
    },
}
ARTICLE = "The Orion Guide of Oslo opened on 5 March 2019. Anna Rossi, the director, and Boris Sato paid 1,200 dollars."
ANSWER: Json = {
    "title": "Orion Guide",
    "kind": "guide",
    "year": 2019.0,
    "open": True,
    "when": "2019-03-05",
    "tags": ["paid", "nowhere", "Oslo", "paid"],
    "people": [
        {"name": "Boris Sato", "role": None},
        {"name": "Zed", "role": None},
        {"name": "Anna Rossi", "role": "director"},
    ],
    "place": {"city": "Oslo", "fee": 1200},
}
LABEL = (
    '{"title": "Orion Guide", "kind": "guide", "year": 2019, "open": true, "when": "2019-03-05",'
    ' "tags": ["Oslo", "paid"], "people": [{"name": "Anna Rossi", "role": "director"},'
    ' {"name": "Boris Sato", "role": null}], "place": {"city": "Oslo", "fee": 1200}}'
)


def written(folder: Path, schema: Json, name: str = "guide.json") -> str:
    path = folder / name
    path.write_text(json.dumps(schema, indent=2), encoding="utf-8")
    return str(path)


def bound(folder: Path, **options: Any) -> Task:
    return schema_task(read_schema(written(folder, SCHEMA)), **options)


def test_an_answer_becomes_the_label_in_schema_order_with_null_for_what_is_not_said(tmp_path: Path) -> None:
    task, own = bound(tmp_path), read_schema(written(tmp_path, SCHEMA))
    assert not schema_problems(ANSWER, own.answer)
    found = ground(task.facts(ANSWER), task, ARTICLE, own.policies)
    assert found.ungrounded == (("tags/#1", "nowhere"), ("people/#1/name", "Zed"))
    assert task.arrange is not None
    located = task.arrange(found.located)
    label = task.render([item.fact for item in located], (), "en")
    assert label == LABEL
    assert not schema_problems(json.loads(label), own.label)
    parsed = task.parse(label, "en", True)
    assert parsed.wrong == 0 and set(parsed.facts) == {item.fact for item in located}


def test_each_leaf_has_its_policy_and_an_empty_answer_is_all_null(tmp_path: Path) -> None:
    own = read_schema(written(tmp_path, SCHEMA))
    assert own.policies == {
        "kind": ["report", "guide"],
        "year": "number",
        "open": "derived",
        "when": "normalised",
        "place.fee": "number",
    }
    assert list(leaf_types(own.answer)) == [
        *(
            "title",
            "kind",
            "year",
            "open",
            "when",
            "tags",
            "people.name",
            "people.role",
            "place.city",
            "place.fee",
        )
    ]
    label = bound(tmp_path).render((), (), "en")
    assert json.loads(label)["people"] == [] and json.loads(label)["place"] == {"city": None, "fee": None}
    assert not schema_problems(json.loads(label), own.label)


def test_a_number_must_stand_in_the_article_and_a_value_outside_its_enum_does_not_pass(
    tmp_path: Path,
) -> None:
    own, task = read_schema(written(tmp_path, SCHEMA)), bound(tmp_path)
    found = ground([("year", "2020"), ("kind", "essay"), ("open", "false")], task, ARTICLE, own.policies)
    assert [item.fact for item in found.located] == [("open", "false")]
    assert found.ungrounded == (("year", "2020"), ("kind", "essay"))


def test_the_schema_stands_in_the_prompt_only_on_request(tmp_path: Path) -> None:
    assert bound(tmp_path).prompt_values["schema"] == ""
    assert json.loads(bound(tmp_path, in_prompt=True).prompt_values["schema"])["required"][0] == "title"


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ({"type": "object", "additionalProperties": {"type": "string"}}, "an object needs `properties`"),
        ({"type": "array", "items": {"type": "array", "items": {"type": "string"}}}, "a list of lists"),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, "'anyOf' with 2 choices"),
        ({"type": "array"}, "a list needs `items`"),
        ({"type": ["string", "number"]}, "several types (string, number)"),
        ({"type": "text"}, 'type "text" is not supported'),
        ({"$ref": "#/$defs/Nothing"}, "#/$defs/Nothing does not stand in this file"),
        ({"type": "string", "not": {"const": "x"}}, "'not' is not supported"),
    ],
)
def test_a_bad_schema_is_refused_with_its_line(part: Json, reason: str, tmp_path: Path) -> None:
    name = written(tmp_path, {"properties": {"fine": {"type": "string"}, "bad": part}})
    with pytest.raises(EtlchError) as refused:
        read_schema(name)
    text = Path(name).read_text(encoding="utf-8").splitlines()
    line = int(str(refused.value).split("line ")[1].split(":")[0])
    assert reason in str(refused.value)
    assert line >= 1 + next(i for i, shown in enumerate(text) if '"bad"' in shown)


def test_recursion_bad_keys_and_broken_json_are_refused(tmp_path: Path) -> None:
    tree = {
        "properties": {"node": {"$ref": "#/$defs/N"}},
        "$defs": {"N": {"properties": {"n": {"$ref": "#/$defs/N"}}}},
    }
    with pytest.raises(EtlchError, match="contains itself"):
        read_schema(written(tmp_path, tree, "tree.json"))
    with pytest.raises(EtlchError, match=r"line 3: the key 'a\.b' holds"):
        read_schema(written(tmp_path, {"properties": {"a.b": {"type": "string"}}}, "keys.json"))
    (tmp_path / "cut.json").write_text('{"properties":', encoding="utf-8")
    with pytest.raises(EtlchError, match=r"is not JSON: .* line 1"):
        read_schema(str(tmp_path / "cut.json"))


def test_a_pydantic_model_is_a_schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_contracts.py").write_text(
        "from datetime import date\nfrom typing import Literal\nfrom pydantic import BaseModel, Field\n\n"
        "class Party(BaseModel):\n    name: str\n    role: Literal['buyer', 'seller'] | None = None\n\n"
        "class Contract(BaseModel):\n    parties: list[Party] = Field(min_length=1)\n    signed: date | None = None\n",
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)
    own = read_schema("own_contracts:Contract")
    assert leaf_types(own.answer) == {"parties.name": "string", "parties.role": "enum", "signed": "date"}
    with pytest.raises(EtlchError, match="no pydantic model 'Missing'"):
        read_schema("own_contracts:Missing")


def test_policies_follow_the_schema_and_the_user(tmp_path: Path) -> None:
    name = written(tmp_path, SCHEMA)
    settings = with_schema(
        make_settings(schema=name, policies={"when": "verbatim", "people.role": "derived"})
    )
    assert settings.plan.tasks == ("schema",)
    assert settings.check.policies["when"] == "verbatim" and settings.check.policies["year"] == "number"
    with pytest.raises(EtlchError, match=r"Did you mean 'people\.role'"):
        with_schema(make_settings(schema=name, policies={"people.rol": "derived"}))
    with pytest.raises(EtlchError, match="year is a number"):
        with_schema(make_settings(schema=name, policies={"year": "verbatim"}))
