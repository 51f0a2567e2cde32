"""Settings: one place of defaults, unknown keys refused by name, a schema for editors in step."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from etlch.config import Settings, load_settings, settings_schema
from etlch.errors import EtlchError
from etlch.records import Json

DOCS = Path(__file__).parent.parent / "docs"


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
        ("language: fr", "language: Input should be 'zh-TW', 'zh-CN' or 'en' (got 'fr')"),
        ("sizes: [0]", "sizes: 0 is not a positive number"),
        ("sizes: [5, 5]", "sizes: 5, 5 names one twice"),
        ("teacher: ofline", "Did you mean 'offline'?"),
        ("tasks: []", "tasks: none chosen"),
        ("test: -1", "test: -1 articles cannot be kept"),
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


def test_the_schema_for_editors_is_in_step() -> None:
    kept: Json = json.loads((DOCS / "settings.schema.json").read_text(encoding="utf-8"))
    assert kept == json.loads(json.dumps(settings_schema(Settings))), "run `make docs`"
    assert kept["additionalProperties"] is False
