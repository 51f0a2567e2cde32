"""Counts cover every sample; the page holds a stated share. Counts are worked out from report_case."""

from __future__ import annotations

import dataclasses

import pytest

from etlch.report import samples
from etlch.report.samples import Analysis, analyse
from etlch.scoring.summary import System
from tests.report import report_case


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return analyse(report_case.samples(300), 4500)


def test_errors_are_counted_per_system_and_kind(analysis: Analysis) -> None:
    """Size 300 is wrong on numbers that end in 7, 8, 9: of each 30, slips 1, 2, 3, 5, 0, 1, 3, 4, 5."""
    json_300 = System("etlch", "json", 300, None, "tuned")
    assert analysis.total == analysis.shown == 4500 and len(analysis.samples) == 900
    # 10 cut texts miss three facts each; slip 4 misses one and invents one.
    assert analysis.errors[json_300] == {
        "unparseable": 10, "cut off": 10, "missing": 40, "fenced": 20, "wrong type": 20,
        "extra key": 20, "spurious": 10, "boundary": 20,
    }  # fmt: skip
    assert analysis.affected[json_300]["missing"] == 20 and analysis.affected[json_300]["wrong type"] == 10
    assert analysis.readings[json_300] == {"strict": 270, "fenced": 20, "unparseable": 10}


def test_only_tasks_with_types_have_a_confusion_matrix() -> None:
    analysis = analyse(report_case.samples(30), 450)
    assert {system.task for system in analysis.confusions} == {"ner"}
    ner = analysis.confusions[System("etlch", "ner", 300, None, "tuned")]
    # Slip 2 swaps person and date on one of 30 articles (number 8).
    assert ner["人物", "日期"] == ner["日期", "人物"] == 1
    assert sum(ner.values()) == sum(
        len(answer.facts)
        + sum(fact.kind == "missing" and "predicted" not in fact.note for fact in answer.gold)
        for sample in analysis.samples
        if sample.task == "ner"
        for answer in sample.answers
        if answer.model == "etlch-300"
    )


def test_above_the_limit_the_same_articles_are_shown_for_every_model(analysis: Analysis) -> None:
    part = analyse(report_case.samples(300), 4500, most=900)
    assert part.total == 4500 and 600 < part.shown < 1200
    assert all(len(sample.answers) == 5 for sample in part.samples)
    by_task = [
        {s.id.split("-")[0] for s in part.samples if s.task == task} for task in ("json", "kge", "ner")
    ]
    assert by_task[0] == by_task[1] == by_task[2]
    assert part.errors == analysis.errors and part.confusions == analysis.confusions


def test_gold_facts_know_where_they_stand() -> None:
    analysis = analyse(report_case.samples(10), 150)
    sample = next(s for s in analysis.samples if s.id == "a0003-ner")
    told = report_case.story(3)
    found = {fact.parts[1]: [sample.article[start:end] for start, end in fact.spans] for fact in sample.facts}
    assert found == {text: [text] for text in (told.person, told.firm, told.place, f"{told.year}年")}


def test_ids_that_two_tasks_share_stay_apart_on_the_page() -> None:
    shared = [dataclasses.replace(s, key=dataclasses.replace(s.key, id="r1")) for s in report_case.samples(1)]
    analysis = analyse(shared, len(shared))
    assert [sample.id for sample in analysis.samples] == ["r1-json", "r1-kge", "r1-ner"]


def test_examples_exist_on_the_page() -> None:
    analysis = analyse(report_case.samples(60), 900)
    known = {(sample.id, answer.model) for sample in analysis.samples for answer in sample.answers}
    assert analysis.examples
    assert all(pair in known for pointed in analysis.examples for pair in (pointed.worst, pointed.typical))


def test_an_unknown_task_is_counted_and_not_taken_apart() -> None:
    odd = [
        dataclasses.replace(s, system=dataclasses.replace(s.system, task="events"))
        for s in report_case.samples(2)
    ]
    analysis = analyse(odd, len(odd))
    assert analysis.samples == () and analysis.total == 30
    assert sum(counts.total() for counts in analysis.readings.values()) == 30


def test_long_texts_leave_fewer_samples_on_the_page_the_same_for_all_models(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = analyse(report_case.samples(60), 900)
    monkeypatch.setattr(samples, "MOST_BYTES", 300_000)
    part = analyse(report_case.samples(60), 900)
    assert 0 < part.shown < whole.shown == part.total == 900
    assert part.errors == whole.errors and part.readings == whole.readings
    assert {len(sample.answers) for sample in part.samples} == {5}
