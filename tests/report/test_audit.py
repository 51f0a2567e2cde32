"""An audit: the sheet goes out, answers come back, and the scores are corrected by them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from etlch.cli.score import main
from etlch.core.errors import EtlchError
from etlch.core.settings import ScoreSettings
from etlch.report.audit import Answers, Audit, Checked, draw, evaluate, form
from etlch.report.audit_sheet import FURTHER, csv_text, page_text, read_answers
from etlch.scoring.sample_lines import read_samples
from etlch.scoring.score import score
from etlch.scoring.summary import read_summary
from tests.scoring.scoring_case import make_run

NER = ScoreSettings(task="ner", cosine="off", resamples=100, workers=1)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_run(tmp_path_factory.mktemp("audit") / "run", records=20, tasks=("ner",))
    score([folder], ScoreSettings(cosine="off", resamples=100, workers=1))
    return folder


def sheet(run: Path, size: int) -> list[Checked]:
    return draw(lambda: read_samples(run / "scores"), NER, size, 0)


def audited(run: Path, answers: Answers) -> Audit:
    return evaluate(lambda: read_samples(run / "scores"), NER, answers)


def answered(records: list[Checked], judge: Callable[[tuple[str, ...], bool], str], further: int) -> Answers:
    claims = {
        (record.key.id, form(claim.fact)): judge(claim.fact, claim.gold)
        for record in records
        for claim in record.claims
    }
    return Answers(claims, {record.key.id: further for record in records})


def test_where_people_agree_with_the_gold_nothing_changes(run: Path) -> None:
    """All 20 articles are checked, so the corrected F1 is that of the summary."""
    found = audited(run, answered(sheet(run, 99), lambda fact, gold: "yes" if gold else "no", 0))
    (teacher,) = found.teachers
    assert (teacher.precision.value, teacher.recall.value) == (1.0, 1.0)
    summary = read_summary(run / "scores")
    scores = {
        item.model: item.value for item in summary.scores if item.metric == "facts_f1" and not item.seed
    }
    for item in found.models:
        if item.model == "base":
            assert item.corrected.value == pytest.approx(scores["base"]) == pytest.approx(item.human.value)
        assert (item.corrected.checked, item.corrected.unchecked) == (20, 0)


def test_the_gold_s_errors_are_counted_by_hand(run: Path) -> None:
    """Each article names two people and a place. Places are judged wrong, and one further fact is stated.

    So the gold's precision is 2 of 3, its recall 2 of 3, and the model that answers as the gold has 2 hits of
    3 predicted and 3 true facts: F1 2/3 against the truth where the gold says 1.
    """
    records = sheet(run, 10)
    found = audited(run, answered(records, lambda fact, gold: "no" if fact[0] == "Location" else "yes", 1))
    (teacher,) = found.teachers
    perfect = next(item for item in found.models if item.model == "etlch-300")
    assert perfect.gold.value == 1.0
    right = all(len(record.claims) == 3 for record in records)
    assert not right, (
        "other models invented facts, judged right here: they are true facts that the gold lacks"
    )
    true = sum(sum(c.fact[0] != "Location" for c in record.claims) + 1 for record in records)
    assert teacher.precision.value == pytest.approx(2 / 3)
    assert teacher.recall.value == pytest.approx(20 / true)
    assert perfect.human.value == pytest.approx(2 * 20 / (30 + true))
    assert perfect.corrected.value is not None and perfect.corrected.value < 0.8
    assert (perfect.corrected.checked, perfect.corrected.unchecked) == (10, 10)


def test_a_claim_that_repeats_another_is_right_and_no_further_truth(run: Path) -> None:
    records = sheet(run, 5)
    same = audited(run, answered(records, lambda fact, gold: "yes" if gold else "same", 0))
    assert same.teachers[0].recall.value == 1.0


def test_what_several_models_state_against_the_gold_comes_first(run: Path) -> None:
    records = sheet(run, 20)
    for record in records:
        kinds = [(claim.gold, -len(claim.models)) for claim in record.claims]
        assert kinds == sorted(kinds)
    worst = [max((len(c.models) for c in record.claims if not c.gold), default=0) for record in records]
    assert worst == sorted(worst, reverse=True) and worst[0] >= 1


def test_the_sheet_goes_out_and_comes_back_by_the_command(run: Path, tmp_path: Path) -> None:
    command = ["audit", str(run), "--out", str(tmp_path)]
    drawn = CliRunner().invoke(main, [*command, "--sample", "6"])
    assert drawn.exit_code == 0 and drawn.output.startswith("6 articles, "), drawn.output
    again = CliRunner().invoke(main, [*command, "--sample", "6"])
    assert again.exit_code == 2 and "sheet.html is there already" in again.output
    lines = list(csv.DictReader((tmp_path / "sheet.csv").open(encoding="utf-8")))
    for number, line in enumerate(lines):
        line["answer"] = "0" if line["fact"] == FURTHER else ("是" if line["in_gold"] == "yes" else "No")
        if number == len(lines) - 1:
            line["answer"] = ""
    with (tmp_path / "filled.csv").open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.DictWriter(stream, list(lines[0]))
        writer.writeheader()
        writer.writerows(lines)
    done = CliRunner().invoke(main, [*command, "--answers", str(tmp_path / "filled.csv")])
    assert done.exit_code == 0, done.output
    assert "5 articles checked, 15 not" in done.output
    assert f"left out, not answered in full: {lines[-1]['record']}" in done.output
    kept = json.loads((tmp_path / "audit.json").read_text(encoding="utf-8"))
    assert kept["teachers"][0]["precision"]["value"] == 1.0 and len(kept["models"]) == 4


def test_the_page_holds_every_claim_and_asks_no_other_machine(run: Path) -> None:
    records = sheet(run, 4)
    page = page_text(records, "a <run>")
    assert "Audit of a &lt;run&gt;" in page and "default-src 'none'" in page
    assert "http://" not in page and "https://" not in page
    assert page.count('class="claim') == sum(len(record.claims) + 1 for record in records)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda text: text.replace("record,", "row,", 1), "lacks the column record"),
        (
            lambda text: text.replace("\n", "maybe\n").replace("answermaybe", "answer"),
            "'maybe' is not an answer",
        ),
        (lambda text: text.replace(f"{FURTHER},,,", f"{FURTHER},,,many"), "line 5: 'many' is not a number"),
        (
            lambda text: text.replace(",yes,", ",yes,").replace('"[', '"').replace("\n", "yes\n", 3),
            "was changed",
        ),
    ],
)
def test_a_sheet_that_cannot_be_read_is_said_so(
    run: Path, tmp_path: Path, change: Callable[[str], str], told: str
) -> None:
    record = next(item for item in sheet(run, 20) if len(item.claims) == 3)
    path = tmp_path / "sheet.csv"
    path.write_text(change(csv_text([record])).replace("answeryes", "answer"), encoding="utf-8")
    with pytest.raises(EtlchError) as caught:
        read_answers(path)
    assert told in caught.value.what


def test_an_unanswered_sheet_and_an_unscored_run_are_said_so(run: Path, tmp_path: Path) -> None:
    with pytest.raises(EtlchError, match="no record of the sheet is answered in full"):
        audited(run, Answers({}, {}))
    (tmp_path / "run.yaml").write_text("format: 1\n", encoding="utf-8")
    shown = CliRunner().invoke(main, ["audit", str(tmp_path)])
    assert shown.exit_code == 2 and "Score again with etlch-score" in shown.output
