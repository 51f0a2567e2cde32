"""The row that needs no model. Expectations are written by hand from the rules in the module's docstring."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from etlch.baselines import dictionary
from etlch.baselines.dictionary import answer, build
from etlch.cli.data import main
from etlch.core.config import make_settings
from etlch.core.errors import EtlchError
from etlch.core.manifest import read
from etlch.core.records import Fact, Json, Key
from etlch.metrics.predictions import read_aligned
from etlch.tasks import Task, find_task
from tests.small_run import write_run

NER, KGE, JSON = (find_task(name) for name in ("ner", "kge", "json"))
SETTINGS = make_settings(language="en")


def key(article: str, schema: Json = None, language: str = "en") -> Key:
    return Key("a0-x", "a0", "x", language, "Extract.", article, "", schema)


def said(task: Task, training: Sequence[Fact], article: str, *keys: str) -> str:
    schema = task.label_schema(keys) if keys else None
    return answer(build(training, task), key(article, schema), {})


def test_a_mention_is_labelled_as_it_most_often_was() -> None:
    training = [("Person", "Paris"), ("Location", "Paris"), ("Location", "Paris"), ("Person", "Ann")]
    found = said(NER, training, "Anna left Paris for Pariser Platz.", "Person", "Location")
    assert json.loads(found) == {"Location": ["Paris"]}


def test_the_longest_phrase_counts_and_types_keep_their_order() -> None:
    training = [("Location", "New York"), ("Organization", "New York Times"), ("Date", "1804")]
    types = ("Organization", "Location", "Date")
    once = said(NER, training, "In 1804 there was no New York Times.", *types)
    assert once == '{"Organization": ["New York Times"], "Date": ["1804"]}'
    twice = said(NER, training, "In 1804 New York had no New York Times.", *types)
    assert twice == '{"Organization": ["New York Times"], "Location": ["New York"], "Date": ["1804"]}'
    assert said(NER, training, "Nothing known in 18045.", *types) == "{}"


def test_a_triple_needs_both_of_its_ends() -> None:
    training = [
        ("Ann Bell", "led", "Firm 3"),
        ("Ann Bell", "founded", "Firm 3"),
        ("Ann Bell", "founded", "Firm 3"),
        ("Firm 3", "is in", "Lyon"),
        ("Bob", "lives in", "Lyon"),
    ]
    assert said(KGE, training, "In Lyon stands Firm 3, says Ann Bell.").splitlines() == [
        "【1. Triple format (Subject–Relation–Object)】",
        "Firm 3 – is in – Lyon",
        "Ann Bell – founded – Firm 3",
    ]
    assert said(KGE, training, "Ann Bell left.") == "【1. Triple format (Subject–Relation–Object)】"


def test_a_value_is_looked_up_under_the_field_that_is_asked() -> None:
    training = [
        ("Year founded", "1804"),
        ("birth_year", "1790"),
        ("birth_year", "1804"),
        ("city", "Lyon"),
        ("city", "Lyon Nord"),
    ]
    article = "In 1804 and in 1790 nothing happened at Lyon Nord."
    found = said(JSON, training, article, "yearFounded", "owner", "city")
    assert found == '{"yearFounded": ["1804"], "owner": [], "city": ["Lyon Nord"]}'


def test_chinese_needs_no_spaces() -> None:
    dictionary = build([("組織", "台積電"), ("地點", "新竹"), ("日期", "二月")], NER)
    row = key("十二月起台積電在新竹擴廠。", NER.label_schema(("組織", "地點", "日期")), "zh-TW")
    assert answer(dictionary, row, {}) == '{"組織": ["台積電"], "地點": ["新竹"]}'


def test_where_nothing_must_stand_in_the_article_it_is_the_most_frequent_fact() -> None:
    """A task of the user's own that classifies: the majority class."""
    moods = replace(NER, name="moods", parts=("what", "value"), grounded=())
    training = [("mood", "glad"), ("mood", "sad"), ("mood", "sad")]
    assert said(moods, training, "Any text.") == '{"mood": ["sad"]}'


def test_each_size_has_its_own_and_rows_stand_beside_the_gold(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    done = dictionary.predict(run, read(run).settings, ("json", "kge", "ner"))
    assert [(item.task, item.rows, item.usd) for item in done] == [
        (task, 3, 0.0) for _ in (4, 20) for task in ("json", "kge", "ner")
    ]
    for size in (4, 20):
        card = json.loads(run.model_card(f"dictionary-{size}").read_text())
        assert card == {
            **{"name": "dictionary", "size": size, "seed": None},
            **{"role": "baseline", "adapter": None, "recipe": None},
        }
        path = run.prediction_file(f"dictionary-{size}", "ner")
        rows = list(read_aligned(path, run.keys(run.stem("ner", "test"))))
        assert [row.key.id for row in rows] == ["a00000-ner", "a00001-ner", "a00002-ner"]
    before = path.read_bytes()
    dictionary.predict(run, read(run).settings, ("ner",))
    assert path.read_bytes() == before


def test_it_is_built_from_the_training_file_and_nothing_else(tmp_path: Path) -> None:
    """With the test set's own labels for a training file it is right everywhere."""
    run = write_run(tmp_path / "run")
    for task in ("json", "kge", "ner"):
        run.data(run.stem(task, "train", 4)).write_bytes(run.data(run.stem(task, "test")).read_bytes())
    dictionary.predict(run, read(run).settings, ("json", "kge", "ner"))
    for task in ("json", "kge", "ner"):
        keys = run.keys(run.stem(task, "test"))
        for size, right in ((4, True), (20, False)):
            rows = read_aligned(run.prediction_file(f"dictionary-{size}", task), keys)
            assert all(row.text == row.key.gold for row in rows) is right
    run.data(run.stem("ner", "train", 4)).unlink()
    with pytest.raises(EtlchError, match=r"train_4\.json: the file is missing"):
        dictionary.predict(run, read(run).settings, ("ner",))


def test_the_command_asks_nobody(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    command = ["predict", str(run.folder), "--model", "dictionary", "--base-url", "http://127.0.0.1:9/v1"]
    shown = CliRunner().invoke(main, [*command, "--tasks", "ner"])
    assert shown.exit_code == 0, shown.output
    assert [line.rpartition("predictions/")[2] for line in shown.stdout.splitlines()[:2]] == [
        f"dictionary-{size}/ner/generated_predictions.jsonl: 3 rows" for size in (4, 20)
    ]
    named = CliRunner().invoke(main, [*command, "--as", "words"])
    assert named.exit_code == 2 and "named by its size" in named.stderr


def test_the_offline_teacher_is_no_row_of_the_table(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    told = CliRunner().invoke(main, ["predict", str(run.folder), "--model", "offline"])
    assert told.exit_code == 2
    assert "it wrote the gold" in told.stderr and "--model dictionary" in told.stderr
    assert not (run.predictions / "offline").exists()


@pytest.mark.parametrize(("model", "meant"), [("dictionry", "dictionary"), ("crff", "crf")])
def test_a_misspelt_baseline_is_named_before_a_key_is_asked_for(
    tmp_path: Path, model: str, meant: str
) -> None:
    told = CliRunner().invoke(main, ["predict", str(tmp_path), "--model", model])
    assert told.exit_code == 2
    assert f"there is no baseline {model}. Did you mean '{meant}'?" in told.output
