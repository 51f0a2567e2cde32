"""Gates: floors, drops against an earlier scoring, and whom they apply to."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from etlch.core.errors import EtlchError
from etlch.core.records import Json
from etlch.core.settings import ScoreSettings
from etlch.scoring.gates import check, gated, parse_gates
from etlch.scoring.score import score
from etlch.scoring.summary import System, read_summary
from tests.scoring.scoring_case import key, make_run, rows, write_lines

FAST = ScoreSettings(cosine="off", resamples=500, workers=1, metrics=("facts_f1", "json_parse_ok", "rouge_l"))


def failures(
    folder: Path, out: Path, *floors: str, against: Path | None = None, drop: float | None = None
) -> list[str]:
    gates = parse_gates(floors, against, drop)
    found = score([folder], FAST, out=out)
    return check(gates, found.summary, found.out, FAST)


def test_floors_apply_to_tuned_models_only(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", 10, ["ner"])
    assert failures(folder, tmp_path / "out", "facts_f1=0.01") == []
    found = failures(folder, tmp_path / "out", "facts_f1=0.999")
    assert {line.split()[0] for line in found} == {"etlch-100"}


def test_a_floor_is_for_the_mean_over_seeds(tmp_path: Path) -> None:
    """Half of the records right in one training, all in the other: the recipe has 0.75, neither 0.5 nor 1."""
    folder = make_run(tmp_path / "run", 10, ["ner"])
    right = [
        json.loads(line)
        for line in (folder / "predictions" / "etlch-300" / "ner" / "generated_predictions.jsonl")
        .read_text(encoding="utf-8")
        .splitlines()
    ]
    for seed, kept in ((1, 5), (2, 10)):
        lines = [row if place < kept else {**row, "predict": "{}"} for place, row in enumerate(right)]
        write_lines(
            folder / "predictions" / f"etlch-100-s{seed}" / "ner" / "generated_predictions.jsonl", lines
        )
    found = score([folder], replace(FAST, metrics=("exact",)), out=tmp_path / "out")
    told = [
        check(parse_gates((floor,), None, None), found.summary, found.out, FAST)
        for floor in ("exact=0.74", "exact=0.76")
    ]
    assert told == [[], ["etlch-100 ner exact 0.7500 (mean of 2 seeds) is under 0.76"]]


def test_without_roles_gates_apply_to_all() -> None:
    systems = [System("a", "ner"), System("b", "ner")]
    assert gated(systems) == tuple(systems)
    assert gated([System("a", "ner", role="base"), System("b", "ner", role="tuned")]) == (
        System("b", "ner", role="tuned"),
    )
    assert gated([System("a", "ner", role="base")]) == ()


def test_a_gate_on_a_metric_that_nobody_has_is_a_mistake_not_a_pass(tmp_path: Path) -> None:
    with pytest.raises(EtlchError, match="no model that the gate applies to has this metric"):
        failures(make_run(tmp_path / "run", 4, ["kge"]), tmp_path / "out", "json_parse_ok=0.5")


def damaged(tmp_path: Path, share: float) -> Path:
    """The run again, with a share of the best model's predictions lost."""
    folder = make_run(tmp_path / "worse" / "run", 40, ["ner"])
    path = folder / "predictions" / "etlch-300" / "ner" / "generated_predictions.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for line in lines[: round(len(lines) * share)]:
        line["predict"] = "no"
    write_lines(path, lines)
    return folder


def test_a_drop_fails_only_where_the_interval_excludes_smaller_ones(tmp_path: Path) -> None:
    """16 of 40 records lost: -0.4, beyond 0.01 not by chance; beyond 0.39 perhaps. None lost: no drop."""
    old = score([make_run(tmp_path / "run", 40, ["ner"])], FAST, out=tmp_path / "old").out
    assert old is not None
    worse = damaged(tmp_path, 0.4)
    found = failures(worse, tmp_path / "new", against=old / "summary.json", drop=0.01)
    assert {line.split()[2] for line in found} == {"facts_f1", "rouge_l", "json_parse_ok"}
    assert all(line.startswith("etlch-300 ner") for line in found)
    assert failures(worse, tmp_path / "new", against=old, drop=0.39) == []
    assert failures(tmp_path / "run", tmp_path / "new", against=old, drop=0.0) == []


def test_the_earlier_scoring_is_read_before_it_is_written_over(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", 40, ["ner"])
    out = tmp_path / "scores"
    score([folder], FAST, out=out)
    found = failures(damaged(tmp_path, 0.4), out, against=out / "summary.json", drop=0.01)
    assert len(found) == 3


def test_other_records_or_other_tokens_are_no_comparison(tmp_path: Path) -> None:
    old = score(
        [make_run(tmp_path / "run", 4, ["ner"])], replace(FAST, tokenizer="char"), out=tmp_path / "old"
    ).out
    with pytest.raises(EtlchError, match="tok:char before and tok:hybrid now"):
        failures(tmp_path / "run", tmp_path / "new", against=old, drop=0.1)
    other = write_lines(tmp_path / "p.jsonl", rows([key("json", number) for number in range(3)], 1.0, "x"))
    with pytest.raises(EtlchError, match="no model, task and record"):
        found = score([other], FAST, out=tmp_path / "new")
        gates = parse_gates((), old, 0.1)
        check(gates, found.summary, found.out, replace(FAST, metrics=("facts_f1",)))


@pytest.mark.parametrize(
    ("floors", "against", "drop", "message"),
    [
        (("facts_f1",), None, None, "no number after"),
        (("facts=0.5",), None, None, "there is no metric 'facts'"),
        ((), None, 0.1, "need each other"),
        ((), Path("x"), None, "need each other"),
        ((), Path("x"), 5.0, "not between 0 and 1"),
        ((), Path("/nowhere/summary.json"), 0.1, "cannot read"),
    ],
)
def test_gates_that_make_no_sense_are_refused(
    floors: tuple[str, ...], against: Path | None, drop: float | None, message: str
) -> None:
    with pytest.raises(EtlchError, match=message):
        parse_gates(floors, against, drop)


def test_a_summary_of_the_first_release_is_still_read() -> None:
    """summary_1.json was written by release 0.1.0 and is never written again."""
    summary = read_summary(Path(__file__).parent / "summary_1.json")
    assert summary.counts.scored == 16
    assert len(summary.scores) == 12
    assert {item.metric for item in summary.comparisons} == {"facts_f1", "json_parse_ok", "rouge_l"}


def test_unknown_keys_are_passed_over_and_unknown_formats_refused(tmp_path: Path) -> None:
    text = (Path(__file__).parent / "summary_1.json").read_text(encoding="utf-8")
    value = json.loads(text)
    value["new_list"] = [1]
    value["scores"][0]["new_field"] = 1
    path = tmp_path / "summary.json"
    path.write_text(json.dumps(value), encoding="utf-8")
    assert len(read_summary(tmp_path).scores) == 12
    damaged_ones: list[Json] = [{**value, "format": 3}, {"format": 1}, [], {**value, "scores": [{}]}]
    for broken in damaged_ones:
        path.write_text(json.dumps(broken), encoding="utf-8")
        with pytest.raises(EtlchError, match=str(path)):
            read_summary(path)


def test_a_score_that_equals_its_floor_passes(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "p.jsonl", rows([key("ner", number) for number in range(4)], 1.0, "x"))
    found = score([path], FAST, out=tmp_path / "out")
    assert check(parse_gates(("facts_f1=1.0",), None, None), found.summary, found.out, FAST) == []


def test_labels_that_cannot_be_read_fail_a_gate_unless_allowed(tmp_path: Path) -> None:
    lines = [
        *rows([key("ner", number) for number in range(4)], 1.0, "x"),
        {"predict": "{}", "label": '{"Person": ["A'},
    ]
    found = score([write_lines(tmp_path / "p.jsonl", lines)], replace(FAST, task="ner"), out=tmp_path / "out")
    gates = parse_gates(("facts_f1=0.1",), None, None)
    assert found.summary.counts.unreadable_gold == 1
    (failed,) = check(gates, found.summary, found.out, FAST)
    assert failed.startswith("1 labels cannot be read")
    assert check(gates, found.summary, found.out, replace(FAST, unreadable_gold="allow")) == []
