"""Label mix: counts by hand, p-values of tables that others published, and the permutation test on known truths."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from etlch.cli.data import main
from etlch.core.files import read_jsonl, write_jsonl
from etlch.core.records import Located, Record, Span
from etlch.core.run_folder import Run
from etlch.quality.check import check_run
from etlch.quality.label_mix import Difference, differences, label_mix
from etlch.quality.numbers import Proportion
from etlch.tasks import find_task
from tests.small_run import write_run

TASKS = {"json": find_task("json"), "ner": find_task("ner")}


def record(
    number: int, facts: list[tuple[str, str, Span | None]], length: int = 100, task: str = "json"
) -> Record:
    located = tuple(Located((kind, value), (None, span)) for kind, value, span in facts)
    return Record(f"{number}", f"a{number}", task, "en", "i", "x" * length, "{}", None, located)


def test_the_labels_of_four_records_counted_by_hand() -> None:
    records = [
        record(0, [("event_type", "Adverse", None), ("Trigger", "rash", (0, 4)), ("Effect", "rash", (0, 4))]),
        record(1, [("event_type", "Adverse", None), ("Effect", "pain", (5, 9))], 200),
        # role and sub-role share a span by design
        record(2, [("event_type", "Benefit", None), ("Drug", "abc", (1, 4)), ("Drug.Dose", "abc", (1, 4))]),
        record(3, []),
    ]
    found = label_mix(records, TASKS)["json"]
    assert found.types == {"event_type": 3, "Effect": 2, "Trigger": 1, "Drug": 1, "Drug.Dose": 1}
    assert found.classes == {"event_type": {"Adverse": 2, "Benefit": 1}}
    assert found.facts_per_100 == 1.6  # 8 facts in 500 characters
    assert found.density.high == 3.0 and found.density.low == 0.0
    assert found.empty == Proportion(1, 4)
    assert found.two_types == Proportion(1, 3)  # spans: rash, pain, abc
    assert found.pairs == (("Effect", "Trigger", Proportion(1, 4)),)


def by_what(found: tuple[Difference, ...], what: str) -> Difference:
    return next(item for item in found if what in item.what)


def entity(number: int, kind: str) -> Record:
    return record(number, [(kind, "x", (0, 1))], 50 + number % 7, "ner")


def test_equal_samples_do_not_differ_and_another_mix_does() -> None:
    half = [entity(number, "A" if number % 2 else "B") for number in range(60)]
    assert {item.p for item in differences(half, half, TASKS, 1)} == {1.0}
    mostly = [entity(number, "A" if number % 10 else "B") for number in range(60)]
    found = by_what(differences(half, mostly, TASKS, 1), "mix of types")
    assert "the share of 'A'" in found.what or "the share of 'B'" in found.what
    assert {round(found.own, 2), round(found.reference, 2)} <= {0.5, 0.9, 0.1}
    assert found.p < 0.01 and "significantly different" in found.sentence


def test_rates_are_compared_by_fisher_s_test() -> None:
    # Fisher's tea: 3 of 4 against 1 of 4, two-sided p = 0.4857 (Agresti, Categorical Data Analysis, 2.6.2),
    # times 5 at most by Holm, so 1; a table of 20 times as many is clear.
    own = [record(n, [] if n < 3 else [("A", "x", (0, 1))], task="ner") for n in range(4)]
    reference = [record(n, [] if n < 1 else [("A", "x", (0, 1))], task="ner") for n in range(4)]
    found = by_what(differences(own, reference, TASKS, 1), "without a fact")
    assert (found.own, found.reference, found.p) == (0.75, 0.25, 1.0)
    assert by_what(differences(own * 20, reference * 20, TASKS, 1), "without a fact").p < 0.001


def test_tasks_that_the_reference_lacks_are_left_out() -> None:
    assert differences([entity(0, "A")], [record(0, [])], TASKS, 1) == ()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return write_run(tmp_path_factory.mktemp("runs") / "good")


def test_the_command_compares_a_run_with_its_reference(run: Run) -> None:
    words = ["quality", str(run.folder), "--reference", str(run.folder)]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    assert (
        "ner: characters (median)" in done.output and "no significant difference (p = 1.000)" in done.output
    )
    numbers = json.loads((run.folder / "quality.json").read_text(encoding="utf-8"))
    # against itself nothing is missed
    assert "ner: 0.0% of the facts are missed" in done.output
    assert numbers["missed"][0]["share"] == 0.0 and numbers["reference"][0]["p"] == 1.0
    assert numbers["labels"]["ner"]["empty"] == {"hits": 0, "total": 23, "rate": 0.0}
    assert "Against the reference" in (run.folder / "quality.html").read_text(encoding="utf-8")


def test_check_notes_that_all_records_have_one_type(run: Run, tmp_path: Path) -> None:
    # kge of the small run has one relation; ner has three types
    (note,) = check_run(run).notes
    assert note.startswith("kge: all records have the one type")


def test_check_notes_that_two_tasks_never_name_the_same(run: Run, tmp_path: Path) -> None:
    # Of ner only the dates stay; triples of the small run name people and firms, and json fields both.
    shutil.copytree(run.folder, tmp_path / "good")
    records = read_jsonl(run.records, Record)
    lines = [
        replace(record, facts=tuple(item for item in record.facts if item.fact[0] == "Date"))
        if record.task == "ner"
        else record
        for record in records
    ]
    write_jsonl(tmp_path / "good" / "records.jsonl", lines)
    apart = [note for note in check_run(Run(tmp_path / "good")).notes if "one type" not in note]
    assert apart == [
        "kge and ner: in none of 23 articles with labels of both do they name the same text: "
        "are these labels of these articles?"
    ]
