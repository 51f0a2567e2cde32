"""Human records in a run of a teacher: mixed for training, tested apart, and never in both."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from etlch.cli.data import main
from etlch.cli.score import main as score_main
from etlch.core.run_data import read_run
from etlch.core.run_folder import Run
from etlch.quality.check import check_run
from etlch.scoring.summary import read_summary

OWN = ("--teacher", "offline", "--language", "en", "--tasks", "ner,kge", "--test", "5")


def cli(*words: object) -> str:
    done = CliRunner().invoke(main, list(map(str, words)))
    assert done.exit_code == 0, done.output
    return done.output


def human(path: Path, numbers: Iterable[int]) -> Path:
    rows = []
    for n in numbers:
        name = f"Person{n:02d} Smith"
        text = (
            f"{name} moved to City{n} in the year {1900 + n}, and the neighbours of house {n * 37} said so."
        )
        start = text.index("City")
        spans = [[0, len(name), "Person"], [start, start + len(f"City{n}"), "Location"]]
        rows.append(json.dumps({"id": f"x-{n}", "text": text, "label": spans}))
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    settings = folder / "s.yaml"
    settings.write_text("preset: smoke\nbase_model: some/model\ntemplate: smollm2\n", encoding="utf-8")
    cli("generate", *OWN, "--sizes", "12", "--out", folder / "run", "--settings", settings)
    return folder


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Run:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return Run(tmp_path / "run")


def recipe(run: Run, stem: str) -> dict[str, str]:
    values: dict[str, str] = yaml.safe_load((run.recipes / f"{stem}.yaml").read_text("utf-8"))
    return values


@pytest.mark.slow
def test_imported_records_train_alone_and_with_the_run_s_own_and_survive_growth(
    run: Run, tmp_path: Path
) -> None:
    told = cli("import", human(tmp_path / "h.jsonl", range(25)), "--task", "ner", "--into", run.folder)
    assert "5 in the test set human, 20 for training" in told
    alone = recipe(run, "train_smoke-human-20-s42")
    assert (alone["dataset"], alone["eval_dataset"]) == ("run_ner_train-human_20", "run_ner_val-human_20")
    both = recipe(run, "train_smoke-human20-synthetic12-32-s42")
    assert both["dataset"] == "run_ner_train-human_20,run_ner_train_12"
    assert both["eval_dataset"] == "run_ner_val-human_20,run_ner_val_12"
    assert recipe(run, "train_smoke-12-s42")["dataset"] == "run_ner_train_12,run_kge_train_12"
    data = read_run(run.folder)
    assert {record.source for record in data.records if record.split} == {"human"}
    assert {record.source for record in data.records if not record.split} == {"offline"}
    # The run's own instruction has all types of the labels, so both sources ask alike.
    assert len({record.instruction for record in data.records if record.task == "ner"}) == 1
    assert not check_run(run).problems

    imported = [record for record in data.records if record.split]
    cli("generate", *OWN, "--sizes", "20", "--out", run.folder, "--settings", tmp_path / "s.yaml")
    assert [record for record in read_run(run.folder).records if record.split] == imported
    assert recipe(run, "train_smoke-human20-synthetic12-32-s42")["dataset"] == both["dataset"]
    assert not check_run(run).problems


def test_mix_says_which_training_sets_there_are(run: Run, tmp_path: Path) -> None:
    cli("import", human(tmp_path / "h.jsonl", range(25)), "--task", "ner", "--into", run.folder)
    mix = tmp_path / "mix.yaml"
    mix.write_text("mix: [{human: 10}, {human: 5, synthetic: 7}, {synthetic: 4}]\n", encoding="utf-8")
    cli("export", run.folder, "--settings", mix)
    trained = sorted(path.stem for path in run.recipes.glob("train_*"))
    assert trained == [
        "train_smoke-12-s42",
        "train_smoke-4-s42",
        "train_smoke-human-10-s42",
        "train_smoke-human5-synthetic7-12-s42",
    ]
    assert "eval_dataset" not in recipe(run, "train_smoke-human5-synthetic7-12-s42")
    assert not check_run(run).problems
    mix.write_text("mix: [{human: 21}]\n", encoding="utf-8")
    done = CliRunner().invoke(main, ["export", str(run.folder), "--settings", str(mix)])
    assert done.exit_code == 2 and "21 human records are wanted, and the run holds 20 for ner" in done.output


def test_no_text_of_one_source_is_trained_on_and_tested_in_another(run: Run, tmp_path: Path) -> None:
    own = read_run(run.folder).articles
    rows = [json.dumps({"id": f"o{n}", "text": own[n].text, "label": []}) for n in (0, 8)]
    path = human(tmp_path / "h.jsonl", range(10))
    path.write_text(path.read_text("utf-8") + "\n".join(rows) + "\n", encoding="utf-8")
    told = cli("import", path, "--task", "ner", "--into", run.folder, "--as-test", "both")
    # Article 8 is trained on; article 0 is of the run's own test set, and may be tested again.
    assert "left out: 1 texts (1 × near copy of a text of the run)" in told
    assert "11 in the test set both, 0 for training" in told
    assert not check_run(run).problems

    data = json.loads(run.data("run_ner_train_12").read_text("utf-8"))
    keys = [json.loads(line) for line in run.keys("run_ner_test-both").read_text("utf-8").splitlines()]
    lines = (
        run.data("run_ner_train_12")
        .read_text("utf-8")
        .replace(json.dumps(data[0]["input"]), json.dumps(keys[0]["input"]))
    )
    run.data("run_ner_train_12").write_text(lines, encoding="utf-8")
    found = [problem.reason for problem in check_run(run).problems]
    assert any("its article is in the test set (run_ner_test-both.json:" in reason for reason in found)


@pytest.mark.slow
def test_each_test_set_is_predicted_and_scored_apart(run: Run, tmp_path: Path) -> None:
    cli("import", human(tmp_path / "h.jsonl", range(25)), "--task", "ner", "--into", run.folder)
    news = human(tmp_path / "n.jsonl", range(30, 37))
    cli("import", news, "--task", "ner", "--into", run.folder, "--as-test", "news")
    cli("predict", run.folder, "--model", "dictionary", "--tasks", "ner")
    for name, right in (("ner", 0), ("ner@human", 5), ("ner@news", 2)):
        golds = [json.loads(line) for line in run.keys(run.test_stem(name)).read_text("utf-8").splitlines()]
        path = run.prediction_file("smoke-12-s42", name)
        path.parent.mkdir(parents=True)
        rows = [
            {"prompt": key["input"], "predict": key["gold"] if n < right else "{}", "label": key["gold"]}
            for n, key in enumerate(golds)
        ]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (tmp_path / "score.yaml").write_text('cosine: "off"\n', encoding="utf-8")
    done = CliRunner().invoke(score_main, [str(run.folder), "--settings", str(tmp_path / "score.yaml")])
    assert done.exit_code == 0, done.output
    summary = read_summary(run.scores)
    exact = {
        item.task: (item.value, item.n)
        for item in summary.scores
        if (item.model, item.metric) == ("smoke", "exact")
    }
    assert exact == {"ner": (0.0, 5), "ner@human": (1.0, 5), "ner@news": (2 / 7, 7)}
    told = {(item.task, item.baseline) for item in summary.comparisons}
    assert ("ner@news", "dictionary-12") in told
    assert "ner@human: 5 articles are too few" in (run.scores / "report.html").read_text("utf-8")


def test_what_cannot_be_added_is_refused_and_nothing_is_written(run: Run, tmp_path: Path) -> None:
    before = run.records.read_bytes(), run.settings.read_bytes()
    path = human(tmp_path / "h.jsonl", range(25))
    for words, message in (
        (["--into", "{run}", "--language", "en"], "--language does not go with --into"),
        (["--as-test", "news", "--language", "en"], "Say which run with --into RUN"),
        (["--into", "{run}", "--as-test", "te/st"], "cannot name a test set"),
        (["--into", "{run}", "--sizes", "100"], "20 imported training records are too few for a size of 100"),
        (["--into", "{run}", "--task", "json"], "the run has no records of the task json"),
        (["--into", "{run}/models"], "is not a run folder"),
    ):
        told = [word.replace("{run}", str(run.folder)) for word in words]
        done = CliRunner().invoke(main, ["import", str(path), "--task", "ner", *told])
        assert done.exit_code == 2 and message in done.output
    assert (run.records.read_bytes(), run.settings.read_bytes()) == before


@pytest.mark.slow
def test_a_name_is_taken_once_and_an_imported_run_takes_test_sets_only(run: Run, tmp_path: Path) -> None:
    path = human(tmp_path / "h.jsonl", range(25))
    cli("import", path, "--task", "ner", "--into", run.folder, "--as-test", "human")
    done = CliRunner().invoke(main, ["import", str(path), "--task", "ner", "--into", str(run.folder)])
    assert done.exit_code == 2 and "has a test set 'human' for ner already" in done.output

    mine = tmp_path / "mine"
    settings = str(tmp_path / "s.yaml")
    cli("import", path, "--task", "ner", "--language", "en", "--out", mine, "--settings", settings)
    other = human(tmp_path / "o.jsonl", range(40, 50))
    done = CliRunner().invoke(main, ["import", str(other), "--into", str(mine)])
    assert done.exit_code == 2 and "takes further test sets only" in done.output
    cli("import", other, "--into", mine, "--as-test", "other")
    assert not check_run(Run(mine)).problems
