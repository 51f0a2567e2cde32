"""A real CRF on made-up rows in which only the context tells the type."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from etlch.baselines import crf
from etlch.baselines.tagging import Mention, Sentence, sentence, tagged
from etlch.cli.data import main
from etlch.core.records import Model
from etlch.core.run_folder import Run
from etlch.metrics.predictions import read_aligned
from tests.small_run import write_run

pytest.importorskip("pycrfsuite")
MODEL = Model("crf", 12, None, "baseline", None, None)


def marked(text: str, facts: Mapping[str, str]) -> Sentence:
    return sentence(
        text,
        [Mention(kind, (text.index(word), text.index(word) + len(word))) for word, kind in facts.items()],
    )


def found(train: Sequence[Sentence], *texts: str) -> list[dict[str, str]]:
    made = [sentence(text) for text in texts]
    return [
        {one.text[slice(*mention.span)]: mention.kind for mention in tagged(one.tokens, tags)}
        for one, tags in zip(made, crf.train(train, MODEL)(made), strict=True)
    ]


def test_english_context_tells_a_person_from_a_city() -> None:
    """The same names stand in both roles; the tested ones stand in no training row."""
    names = ("Jordan", "Paris", "Sydney", "Austin", "Florence", "Madison")
    train = [
        marked(text, {name: kind})
        for name in names
        for text, kind in (
            (f"Yesterday Mr {name} said no .", "Person"),
            (f"Yesterday trains to {name} stood still .", "City"),
        )
    ]
    assert found(
        train, "Yesterday Mr Lincoln said no .", "Yesterday trains to Lincoln stood still .", "Nothing ."
    ) == [{"Lincoln": "Person"}, {"Lincoln": "City"}, {}]


def test_chinese_context_tells_an_organisation_from_a_place() -> None:
    names = ("新竹", "長榮", "中華", "遠東", "南亞", "台中")
    train = [
        marked(text, {name: kind})
        for name in names
        for text, kind in ((f"昨天{name}宣布增資。", "組織"), (f"他住在{name}很久。", "地點"))
    ]
    assert found(train, "昨天高雄宣布增資。", "他住在高雄很久。", "沒有事。") == [
        {"高雄": "組織"},
        {"高雄": "地點"},
        {},
    ]


def test_without_a_mention_nothing_is_found() -> None:
    assert found([sentence("Nothing here.")], "Ann left.") == [{}]
    assert found([], "Ann left.") == [{}]
    assert found([sentence("Ann.", [Mention("Person", (0, 3))])], "", "Ann.") == [{}, {"Ann": "Person"}]


def test_features_are_those_of_the_docstring() -> None:
    first, second = crf.features(["Bell7", "台"])
    assert {"w=bell7", "word=Bell7", "kind=Xxd", "starts=bel", "ends=l7", "w+1=台", "kind-1=<>"} <= {*first}
    assert "w-1+0=bell7|台" in second and not any(one.startswith(("word=", "ends=")) for one in second)


def predict(run: Run, *more: str) -> str:
    shown = CliRunner().invoke(main, ["predict", str(run.folder), "--model", "crf", *more])
    assert shown.exit_code == 0, shown.output
    return shown.stdout


def test_each_size_predicts_the_test_set_the_same_way_each_time(tmp_path: Path) -> None:
    """Years, names and firms of small_run have one form each, so a few records are enough."""
    run = write_run(tmp_path / "run")
    stdout = predict(run)
    assert [line.rpartition("predictions/")[2] for line in stdout.splitlines()[:2]] == [
        f"crf-{size}/ner/generated_predictions.jsonl: 3 rows" for size in (4, 20)
    ]
    card = json.loads(run.model_card("crf-20").read_text())
    assert (card["name"], card["size"], card["seed"], card["role"]) == ("crf", 20, None, "baseline")
    path = run.prediction_file("crf-20", "ner")
    rows = list(read_aligned(path, run.keys(run.stem("ner", "test"))))
    assert len(rows) == 3 and all(row.text == row.key.gold for row in rows)
    before = path.read_bytes()
    predict(run, "--tasks", "ner")
    assert path.read_bytes() == before


def test_rows_that_were_written_by_hand_are_trained_on(tmp_path: Path) -> None:
    """What the training file says counts, not what the records said."""
    run = write_run(tmp_path / "run")
    path = run.data(run.stem("ner", "train", 20))
    path.write_text(path.read_text().replace('\\"Date\\"', '\\"Year\\"').replace("Person", "Organization"))
    records = run.data(run.stem("ner", "test"))
    assert "Person" in records.read_text()
    predict(run)
    rows = list(read_aligned(run.prediction_file("crf-20", "ner"), run.keys(run.stem("ner", "test"))))
    assert all(
        {*json.loads(row.text)} == {"Organization"} for row in rows
    )  # a type that is not asked is left out


def test_what_it_cannot_do_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = write_run(tmp_path / "run")
    command = ["predict", str(run.folder), "--model", "crf"]
    for more, said in ((["--tasks", "kge"], "does not do kge"), (["--as", "x"], "crf is named by its size")):
        shown = CliRunner().invoke(main, [*command, *more])
        assert shown.exit_code == 2 and said in shown.stderr
    monkeypatch.setitem(sys.modules, "pycrfsuite", None)
    shown = CliRunner().invoke(main, command)
    assert shown.exit_code == 2 and "pip install 'etlch[crf]'" in shown.stderr
    assert not run.model_card("crf-4").exists()
