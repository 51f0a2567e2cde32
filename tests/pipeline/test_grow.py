"""A run grows where its student errs on validation: earlier bytes stay, the rest is drawn by weights, and it stops."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from etlch.cli.data import main
from etlch.core import manifest
from etlch.core.config import changed
from etlch.core.records import Record
from etlch.core.run_data import read_run
from etlch.core.run_folder import Run
from etlch.pipeline.grow import next_step

Answer = Callable[[str, str], str]
"""Task and gold → what the student answers."""


def grow(run: Run, *more: str) -> Result:
    return CliRunner().invoke(main, ["grow", str(run.folder), *more])


def answer(run: Run, size: int, say: Answer, seed: int = 42) -> Path:
    """Put a student's answers where `etlch-data run` leaves those of its best checkpoint."""
    model = run.models / f"efficient-{size}-s{seed}"
    for task in ("kge", "ner"):
        stem = run.stem(task, "val", size)
        keys = [json.loads(line) for line in run.keys(stem).read_text("utf-8").splitlines()]
        rows = [{"prompt": "", "predict": say(task, key["gold"]), "label": key["gold"]} for key in keys]
        folder = model / "checkpoint-9" / stem
        folder.mkdir(parents=True, exist_ok=True)
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / "generated_predictions.jsonl").write_text(lines, encoding="utf-8")
    (model / "best.json").write_text(json.dumps({"chosen": "checkpoint-9"}), encoding="utf-8")
    return model


def no_dates(task: str, gold: str) -> str:
    """Answer all but dates."""
    if task == "ner":
        return json.dumps({kind: names for kind, names in json.loads(gold).items() if kind != "日期"})
    return "\n".join(line for line in gold.split("\n") if "日期" not in line)


def nothing(task: str, gold: str) -> str:
    """Answer that there is nothing."""
    return "{}" if task == "ner" else gold.split("\n", maxsplit=1)[0]


def right(task: str, gold: str) -> str:
    return gold


@pytest.fixture(scope="module")
def grown_from(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of the offline teacher: 80 records of two tasks, eight of them validation."""
    folder = tmp_path_factory.mktemp("grow")
    settings = folder / "s.yaml"
    settings.write_text("base_model: some/model\ntemplate: llama3\n", encoding="utf-8")
    asked = ["generate", "--teacher", "offline", "--tasks", "kge,ner", "--sizes", "80", "--test", "6"]
    done = CliRunner().invoke(main, [*asked, "--settings", str(settings), "--out", str(folder / "run")])
    assert done.exit_code == 0, done.output
    return Run(folder / "run")


@pytest.fixture
def run(grown_from: Run, tmp_path: Path) -> Run:
    return Run(Path(shutil.copytree(grown_from.folder, tmp_path / "run")))


@pytest.mark.slow
def test_what_the_student_misses_is_drawn_more_often_and_what_stands_stays(run: Run) -> None:
    before = {path: path.read_bytes() for path in (run.articles, run.records)}
    answer(run, 80, no_dates)
    done = grow(run, "--by", "40")
    assert done.exit_code == 0, done.output
    for path, content in before.items():
        assert path.read_bytes().startswith(content)
    settings = manifest.read(run).settings
    assert settings.plan.sizes == (80, 120)
    (step,) = settings.plan.growth
    assert step.position == 86 and step.facts["日期"] > 2 and max(step.forms.values()) > 1

    records = [record for record in read_run(run.folder).records if record.task == "ner"]
    assert len(records) == 126

    def dates(some: list[Record]) -> float:
        kinds = Counter(one.fact[0] for record in some for one in record.facts)
        return kinds["日期"] / kinds.total()

    assert dates(records[86:]) > dates(records[:86])
    assert CliRunner().invoke(main, ["check", str(run.folder)]).exit_code == 0


@pytest.mark.slow
def test_it_stops_with_words_where_the_larger_size_is_no_better(run: Run) -> None:
    answer(run, 80, no_dates)
    assert grow(run, "--by", "10").exit_code == 0
    answer(run, 90, no_dates)
    asked = manifest.read(run).settings
    done = grow(run, "--by", "10")
    assert done.exit_code == 1 and "no significant gain on validation from 80 to 90" in done.stdout
    assert manifest.read(run).settings == asked
    assert next_step(run, 10, anyway=True).settings is not None
    answer(run, 80, nothing)
    answer(run, 90, right)  # now it is better on eight articles of eight: exact sign flips give p = 2 / 2^8
    step = next_step(run, 10)
    assert step.settings is not None and step.settings.plan.sizes == (80, 90, 100)
    assert len(step.settings.plan.growth) == 2
    assert "p 0.016" in step.told[0], "0.0078 twice, after Holm over two tasks"


@pytest.mark.slow
def test_at_random_draws_as_before_also_after_a_growth_by_mistakes(run: Run) -> None:
    step = next_step(run, 10, at_random=True)
    assert step.settings is not None and step.settings.plan.growth == ()
    answer(run, 80, no_dates)
    assert grow(run, "--by", "10").exit_code == 0
    step = next_step(run, 10, at_random=True)
    assert step.settings is not None
    last = step.settings.plan.growth[-1]
    assert (last.position, last.facts, last.domains) == (96, {}, {})


@pytest.mark.slow
def test_a_growth_that_was_stopped_goes_on_and_adds_no_second_one(run: Run) -> None:
    answer(run, 80, no_dates)
    wanted = next_step(run, 10).settings
    assert wanted is not None
    before = manifest.read(run)
    # What `generate` writes before its first article, and a kill leaves.
    manifest.write(run, manifest.Manifest(wanted, before.prompts, before.counts, before.cost))
    assert next_step(run, 10).settings == wanted
    done = grow(run, "--by", "10")
    assert done.exit_code == 0 and "goes on" in done.stderr
    assert manifest.read(run).settings.plan.sizes == (80, 90)


def test_answers_that_the_user_names_are_taken(run: Run) -> None:
    folder = answer(run, 80, no_dates)
    alone = next_step(run, 10)
    named = next_step(run, 10, source=folder)
    assert alone.settings == named.settings
    assert f"{folder}: " in named.told[0] and "efficient-80-s42: " in alone.told[0]


def test_predictions_of_the_test_set_are_never_taken(run: Run, tmp_path: Path) -> None:
    keys = [json.loads(line) for line in run.keys(run.test_stem("ner")).read_text("utf-8").splitlines()]
    file = tmp_path / "generated_predictions.jsonl"
    rows = [{"prompt": "", "predict": "{}", "label": key["gold"]} for key in keys]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    done = grow(run, "--from", str(file))
    assert done.exit_code == 2 and "no predictions of a validation set of size 80" in done.stderr
    assert "test set" in done.stderr


def test_without_a_student_it_says_how_to_get_one(run: Run) -> None:
    done = grow(run)
    assert done.exit_code == 2 and "has answered its validation sets" in done.stderr
    assert "etlch-data run" in done.stderr


def test_labels_of_people_cannot_grow(run: Run) -> None:
    before = manifest.read(run)
    human = changed(before.settings, teacher="human")
    manifest.write(run, manifest.Manifest(human, before.prompts, before.counts, before.cost))
    done = grow(run)
    assert done.exit_code == 2 and "labels of people" in done.stderr
