"""Records of the task schema under other prompt forms: wording, order and names of keys."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from etlch.core.config import make_settings
from etlch.core.errors import EtlchError
from etlch.core.files import write_jsonl
from etlch.core.prompts import Prompts
from etlch.core.records import Json, Key, Record
from etlch.core.run_folder import Run
from etlch.dataset.prompt_forms import forms_of, in_form
from etlch.dataset.splits import split
from etlch.export.data_files import INFO, write_data
from etlch.tasks.own_schema import leaf_facts
from etlch.tasks.schema_file import read_schema
from etlch.text.json_text import schema_problems

SCHEMA: Json = {
    "type": "object",
    "properties": {
        "signed_on": {"type": "string", "format": "date"},
        "kind": {"enum": ["lease", "sale"]},
        "編號": {"type": "string"},
        "parties": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "role": {"type": "string"}},
            },
        },
    },
}
LABEL = {
    "signed_on": "2024-03-05",
    "kind": "lease",
    "編號": "甲-1",
    "parties": [{"name": "Anna", "role": None}, {"name": "Bo", "role": "owner"}],
}


def record(folder: Path, number: int = 0, language: str = "en") -> Record:
    path = folder / "contract.json"
    path.write_text(json.dumps(SCHEMA), encoding="utf-8")
    label = json.dumps(LABEL, ensure_ascii=False)
    name = f"a{number}"
    schema = read_schema(str(path)).label
    return Record(f"{name}-schema", name, "schema", language, "Own.", f"Text {number}", label, schema, (), "")


@pytest.mark.parametrize("language", ["en", "zh-TW", "zh-CN"])
def test_a_form_changes_prompt_and_keys_and_no_value(tmp_path: Path, language: str) -> None:
    own = record(tmp_path, language=language)
    values = sorted(value for _, value in leaf_facts(LABEL)[0])
    seen = {own.instruction}
    for number in range(1, 7):
        turned = in_form(own, number, Prompts(), {})
        label = json.loads(turned.output)
        assert sorted(value for _, value in leaf_facts(label)[0]) == values
        assert [party.get("name", party.get("Name")) for party in label[list_of(label)]] == ["Anna", "Bo"]
        assert not schema_problems(label, turned.schema)
        assert list(label) == list(turned.schema["properties"]) == turned.schema["required"]
        assert json.dumps(turned.schema, ensure_ascii=False) in turned.instruction
        assert turned == in_form(own, number, Prompts(), {}), "the same each time"
        seen.add(turned.instruction)
    assert len(seen) == 7


def list_of(label: dict[str, Json]) -> str:
    return next(key for key, value in label.items() if isinstance(value, list))


def test_keys_take_the_names_that_a_user_gives(tmp_path: Path) -> None:
    names = {"signed_on": ["簽署日期"], "name": ["who"], "role": ["who"]}
    turned = in_form(record(tmp_path), 1, Prompts(), names)
    label = json.loads(turned.output)
    assert label["簽署日期"] == "2024-03-05"
    assert set(label["parties"][0]) == {"name", "role"}, "two keys of one name would be one: both stay"
    assert {"編號", "kind"} <= set(label)


def test_test_articles_stand_under_every_form_and_training_rows_take_them_in_turn(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    settings = make_settings(
        tasks=("schema",), language="en", sizes=(4, 10), test=2, prompt_forms=3, train_forms=1
    )
    records = [record(tmp_path, number) for number in range(12)]
    write_jsonl(run.records, records)
    forms = forms_of(settings)
    ids = [one.article_id for one in records]
    stems = write_data(run, records, split(ids, 2, (4, 10)), ("schema",), forms=forms)
    assert [stem for stem in stems if "form" in stem] == [f"run_schema_test-form{n}" for n in (1, 2, 3)]
    assert set(json.loads((run.llamafactory / INFO).read_text(encoding="ascii"))) == set(stems)
    for name, number in forms.tests.items():
        keys = [
            Key(**json.loads(line)) for line in run.keys(run.test_stem(name)).read_text("utf-8").splitlines()
        ]
        assert [key.article_id for key in keys] == ["a0", "a1"]
        assert keys[0].gold == forms.of(records[0], number).output
    small, large = (json.loads(run.data(run.stem("schema", "train", n)).read_text("utf-8")) for n in (4, 10))
    assert large[:4] == small, "larger sizes keep the rows of smaller ones"
    assert [row["instruction"] == "Own." for row in small] == [True, False, True, False]


def test_forms_need_a_schema() -> None:
    with pytest.raises(
        EtlchError, match="prompt_forms and train_forms vary the prompts of the task 'schema'"
    ):
        forms_of(make_settings(tasks=("ner",), prompt_forms=2))
