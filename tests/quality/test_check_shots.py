"""`check` proves a few-shot test set: the test set's own rows, and before each the promised examples."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from etlch.core.run_folder import Run
from etlch.quality.check import check_run
from tests.small_run import rows, write_run

STEM = "good_ner_test_2shot"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return write_run(tmp_path / "good", shots=2)


def test_a_sound_one(run: Run) -> None:
    proof = check_run(run)
    assert proof.problems == ()
    # 3 tasks × (test 3 + few-shot 3 + train 4 + train 18 + val 2) rows, in 3 × 5 files
    assert (proof.files, proof.rows) == (15, 90)


def edit(run: Run, change: Callable[[list[dict[str, Any]]], object]) -> None:
    edited: list[dict[str, Any]] = rows(run, STEM)
    change(edited)
    text = ",\n".join(json.dumps(row) for row in edited)
    run.data(STEM).write_text(f"[\n{text}\n]\n", encoding="utf-8")


DAMAGES: dict[str, tuple[Callable[[list[dict[str, Any]]], object], str]] = {
    "one example fewer": (
        lambda edited: edited[1]["history"].pop(),
        "3: its examples are not the first 2 rows of good_ner_train_4.json",
    ),
    "an answer from nowhere": (
        lambda edited: edited[1]["history"][0].__setitem__(1, "{}"),
        "3: its examples are not the first 2 rows of good_ner_train_4.json",
    ),
    "the row's own answer as an example": (
        lambda edited: edited[0]["history"].__setitem__(0, [edited[0]["input"], edited[0]["output"]]),
        "2: its examples are not the first 2 rows of good_ner_train_4.json",
    ),
    "an example that is text": (
        lambda edited: edited[2].update(history=["question", "answer"]),
        "4: the column 'history' holds no list of [prompt, response]",
    ),
    "no examples": (lambda edited: edited[2].pop("history"), "4: the column 'history' is missing"),
    "a row too few": (lambda edited: edited.pop(), " its rows are not those of good_ner_test.json"),
    "another order": (lambda edited: edited.reverse(), " its rows are not those of good_ner_test.json"),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_damage_is_seen(run: Run, kind: str) -> None:
    change, told = DAMAGES[kind]
    edit(run, change)
    found = [str(problem) for problem in check_run(run).problems]
    assert any(text.startswith(f"llamafactory/{STEM}.json:{told}") for text in found), "\n".join(found)


def test_its_entry_names_the_examples(run: Run) -> None:
    path = run.llamafactory / "dataset_info.json"
    info = json.loads(path.read_text(encoding="ascii"))
    del info[STEM]["columns"]["history"]
    path.write_text(json.dumps(info, indent=2), encoding="ascii")
    (problem,) = check_run(run).problems
    assert f"{STEM}: columns must be" in problem.reason
