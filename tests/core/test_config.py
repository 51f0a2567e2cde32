"""Settings: one place of defaults, unknown keys refused by name, a schema for editors in step."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from etlch.cli.data import main
from etlch.core.config import load_settings, make_settings, parse_settings, plain, settings_schema
from etlch.core.errors import EtlchError, Notice
from etlch.core.manifest import read
from etlch.core.records import Json
from etlch.core.run_folder import Run
from etlch.core.settings import PlanSettings, ScoreSettings, Settings

DOCS = Path(__file__).parents[2] / "docs"


def test_options_win_over_the_file_and_the_file_over_defaults(tmp_path: Path) -> None:
    file = tmp_path / "etlch.yaml"
    file.write_text("test: 50\nsizes: [20, 40]\nprice: {input: 0.1, output: 0.4}\n", encoding="utf-8")
    settings = load_settings(Settings, file, {"test": 7, "seed": None})
    plan = settings.plan
    assert (plan.test, plan.sizes, plan.seed) == (7, (20, 40), PlanSettings.seed)
    assert settings.teacher.price is not None and settings.teacher.price.output == 0.4


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("langauge: en", "unknown setting 'langauge'. Did you mean 'language'?"),
        ("resamples: 10", "'resamples' is a setting of etlch-score"),
        (
            "price: {input: -1, output: 2}",
            "price: input: Input should be greater than or equal to 0 (it is -1)",
        ),
        ("timeout: 0", "timeout: Input should be greater than 0 (it is 0)"),
        ("language: fr", "language: Input should be 'zh-TW', 'zh-CN' or 'en' (it is fr)"),
        ("sizes: 100", "sizes: Input should be a valid list (it is 100)\nWrite it so: sizes: [100]"),
        ("domains: law", "valid list (it is law)\nWrite it so: domains: [finance, medicine]"),
        ("test: many", "unable to parse string as an integer (it is many)\nWrite it so: test: 300"),
        ("budget: 2 USD", "as a number (it is 2 USD)\nWrite it so: budget: 2.0"),
        ("constrained: perhaps", "(it is perhaps)\nWrite it so: constrained: false"),
        (
            "price: 0.15",
            "should be a dictionary (it is 0.15)\nWrite it so: price: {input: 0.15, output: 0.6}",
        ),
        ("variants: [one]", "variants[0]: Input should be 'multi', 'single' or 'leave-one-out' (it is one)"),
        ("sizes: [0]", "sizes[0]: Input should be greater than 0"),
        ("sizes: [5, 5]", "sizes: 5, 5 names one twice"),
        ("plan: {tests: 5}", "unknown setting 'plan: tests'. Did you mean 'test'?"),
        ("plan: 5", "'plan' is a group of settings"),
        ("teacher: {name: ofline}", "Did you mean 'offline'?"),
        ("teacher: ofline", "Did you mean 'offline'?"),
        ("tasks: []", "tasks: List should have at least 1 item"),
        ("test: -1", "test: Input should be greater than or equal to 0"),
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
    for key in plain(kind()):
        wrong = [{"no": {"such": ["thing"]}}]
        with pytest.raises(EtlchError, match=f"^etlch.yaml: {key}[:[]") as caught:
            parse_settings(kind, {key: wrong}, "etlch.yaml")
        name, _, example = caught.value.hint.removeprefix("Write it so: ").partition(": ")
        assert name == key
        parse_settings(kind, {name: yaml.safe_load(example)}, "etlch.yaml")


def test_a_file_may_be_flat_or_in_groups(tmp_path: Path) -> None:
    file = tmp_path / "etlch.yaml"
    file.write_text("plan: {test: 5, language: en}\nsizes: [7]\nteacher: {name: m, tries: 2}\n", "utf-8")
    settings = load_settings(Settings, file, {"test": 9})
    assert settings == make_settings(test=9, language="en", sizes=(7,), teacher="m", tries=2)
    assert parse_settings(Settings, plain(settings), "run.yaml") == settings
    assert (settings.teacher.name, settings.teacher.tries, settings.plan.sizes) == ("m", 2, (7,))


@pytest.mark.parametrize("text", ["asks: 5", "check: {asks: 5}"])
def test_an_old_key_is_taken_with_one_line_of_warning(tmp_path: Path, text: str) -> None:
    file = tmp_path / "etlch.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.warns(Notice, match="'asks' is called 'max_attempts' now") as caught:
        assert load_settings(Settings, file, {}).check.max_attempts == 5
    assert len(caught) == 1


def test_the_command_prints_a_warning_as_one_line(tmp_path: Path) -> None:
    file = tmp_path / "etlch.yaml"
    file.write_text("asks: 5\nteacher: offline\nlanguage: en\n", encoding="utf-8")
    shown = CliRunner().invoke(main, ["preview", "--settings", str(file)])
    assert shown.exit_code == 0
    said = f"{file}: 'asks' is called 'max_attempts' now; the old name goes with the next release"
    assert shown.stderr == f"Warning: {said}\n"


def test_an_old_run_yaml_is_read_without_a_word(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    old = {**plain(make_settings(teacher="m")), "asks": 2}
    del old["max_attempts"]
    (tmp_path / "run.yaml").write_text(yaml.safe_dump({"format": 1, "settings": old}), encoding="utf-8")
    assert read(Run(tmp_path)).settings == make_settings(teacher="m", max_attempts=2)
    assert not recwarn.list


def test_the_schema_for_editors_is_in_step() -> None:
    kept: Json = json.loads((DOCS / "settings.schema.json").read_text(encoding="utf-8"))
    assert kept == json.loads(json.dumps(settings_schema(Settings))), "run `make docs`"
    assert kept["additionalProperties"] is False
