"""Settings: one place of defaults, unknown keys refused by name, a schema for editors in step."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import yaml

from etlch.core.config import ScoreSettings, Settings, load_settings, parse_settings, settings_schema
from etlch.core.errors import EtlchError
from etlch.core.records import Json

DOCS = Path(__file__).parents[2] / "docs"


def test_options_win_over_the_file_and_the_file_over_defaults(tmp_path: Path) -> None:
    file = tmp_path / "etlch.yaml"
    file.write_text("test: 50\nsizes: [20, 40]\nprice: {input: 0.1, output: 0.4}\n", encoding="utf-8")
    settings = load_settings(Settings, file, {"test": 7, "seed": None})
    assert (settings.test, settings.sizes, settings.seed) == (7, (20, 40), Settings.seed)
    assert settings.price is not None and settings.price.output == 0.4


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("langauge: en", "unknown setting 'langauge'. Did you mean 'language'?"),
        ("resamples: 10", "'resamples' is a setting of etlch-score"),
        ("price: {input: -1, output: 2}", "price: input: -1.0 is too little"),
        ("timeout: 0", "timeout: 0.0 is too little\nName more than 0."),
        ("language: fr", "etlch.yaml: language: fr is not one of zh-TW, zh-CN, en"),
        ("sizes: 100", "sizes: 100 is not a list of whole numbers\nWrite it so: sizes: [100]"),
        ("domains: law", "a list of texts\nWrite it so: domains: [finance, medicine]"),
        ("test: many", "test: many is not a whole number\nWrite it so: test: 300"),
        ("budget: 2 USD", "budget: 2 USD is not a number\nWrite it so: budget: 2.0"),
        ("constrained: perhaps", "is not true or false\nWrite it so: constrained: false"),
        ("price: 0.15", "Write it so: price: {input: 0.15, output: 0.6}"),
        ("variants: [one]", "variants: [one] is not a list of some of multi, single, leave-one-out"),
        ("sizes: [0]", "sizes: 0 is not a positive number"),
        ("sizes: [5, 5]", "sizes: 5, 5 names one twice"),
        ("teacher: ofline", "Did you mean 'offline'?"),
        ("tasks: []", "tasks: none chosen"),
        ("test: -1", "test: -1 is too little"),
        ("test: [", "line 2: not YAML"),
        ("- test", "settings are `key: value` lines"),
        ("policies: {person: loose}", "there is no policy 'loose'"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "etlch.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(EtlchError) as caught:
        load_settings(Settings, file, {})
    assert told in str(caught.value) and caught.value.code == 2


@pytest.mark.parametrize("kind", [Settings, ScoreSettings])
def test_every_setting_can_say_what_it_takes(kind: type[Settings | ScoreSettings]) -> None:
    """The example in the message is taken where the wrong value was refused."""
    for item in dataclasses.fields(kind):
        with pytest.raises(EtlchError, match=f"^etlch.yaml: {item.name}: ") as caught:
            parse_settings(kind, {item.name: {"no": {"such": ["thing"]}}}, "etlch.yaml")
        name, _, example = caught.value.hint.removeprefix("Write it so: ").partition(": ")
        assert name == item.name
        parse_settings(kind, {name: yaml.safe_load(example)}, "etlch.yaml")


def test_the_schema_for_editors_is_in_step() -> None:
    kept: Json = json.loads((DOCS / "settings.schema.json").read_text(encoding="utf-8"))
    assert kept == json.loads(json.dumps(settings_schema(Settings))), "run `make docs`"
    assert kept["additionalProperties"] is False
