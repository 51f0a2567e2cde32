"""Small prediction files in shapes that other programs and people write, each with its right values by hand.

Most hold the same three records: four of five gold facts are right, one of five predicted ones is spurious, so
precision, recall and F1 are 0.8. What is right elsewhere is said beside the case.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from etlch.core.config import load_settings
from etlch.core.errors import EtlchError
from etlch.core.settings import ScoreSettings
from etlch.report.terminal import render
from etlch.scoring.score import score
from etlch.scoring.summary import Summary

CASES = Path(__file__).parent / "cases"


def scored(tmp_path: Path, case: str, *files: str, keys: str | None = None, **options: str) -> Summary:
    """Score files of a case, without cosine; its s.yaml holds further settings."""
    folder = tmp_path / case
    shutil.copytree(next(CASES.glob(f"{case}-*")), folder)
    file = folder / "s.yaml"
    settings = load_settings(ScoreSettings, file if file.exists() else None, dict(options))
    gold = None if keys is None else folder / keys
    return score([folder / name for name in files], replace(settings, cosine="off"), keys=gold).summary


def value(summary: Summary, metric: str, model: str) -> float | None:
    found = [item.value for item in summary.scores if (item.metric, item.model) == (metric, model)]
    assert len(found) == 1, f"{metric} of {model}: {found}"
    return found[0]


@pytest.mark.parametrize(
    ("case", "file", "keys"),
    [
        ("07", "p.jsonl", None),
        ("12", "p.jsonl", None),
        ("13", "p.jsonl", "keys.jsonl"),
        ("14", "samples_toy_2026.jsonl", None),
        ("15", "lit.json", None),
        ("15", "odie.json", None),
        ("15", "openai.jsonl", None),
        ("15", "ie.jsonl", None),
        ("16", "p.jsonl", "test.json"),
        ("16", "p.jsonl", "keys8.jsonl"),
        ("17", "p.jsonl", None),
        ("18", "p.jsonl", None),
        ("21", "uie.jsonl", None),
        ("22", "p.jsonl", None),
        ("23", "wrapped.json", None),
        ("23", "dict.jsonl", None),
        ("29", "p.jsonl", None),
    ],
)
def test_the_same_answers_score_the_same_however_a_program_wrote_them(
    tmp_path: Path, case: str, file: str, keys: str | None
) -> None:
    summary = scored(tmp_path, case, file, keys=keys)
    assert {item.task for item in summary.scores} == {"ner"}
    for metric in ("facts_precision", "facts_recall", "facts_f1"):
        assert value(summary, metric, Path(file).stem) == pytest.approx(0.8)
    assert summary.counts.scored == 3


def test_entity_objects_are_entities_and_no_half_right_leaves(tmp_path: Path) -> None:
    summary = scored(tmp_path, "01", "p.jsonl", task="ner")
    assert [value(summary, name, "p") for name in ("facts_f1", "span_f1", "type_counts_f1")] == [
        0.0,
        0.0,
        1.0,
    ]
    assert any("a list of objects (text, type); scored as ner facts" in note for note in summary.notes)


@pytest.mark.parametrize("task", [None, "kge"])
def test_triples_as_objects_are_triples(tmp_path: Path, task: str | None) -> None:
    summary = scored(tmp_path, "02", "p.jsonl", **({"task": task} if task else {}))
    assert value(summary, "facts_f1", "p") == 0.0
    assert {item.task for item in summary.scores} == {"kge"}


def test_equal_triples_score_equally_as_a_list_and_as_lines(tmp_path: Path) -> None:
    summary = scored(tmp_path, "03", "list.jsonl", "text.jsonl")
    assert value(summary, "facts_f1", "list") == value(summary, "facts_f1", "text") == 0.0
    (comparison,) = [item for item in summary.comparisons if item.metric == "facts_f1"]
    assert comparison.n == 3  # they meet by their prompts, though their labels are written differently


def test_a_label_map_works_at_every_depth(tmp_path: Path) -> None:
    summary = scored(tmp_path, "05", "keys.jsonl", "values.jsonl")
    assert value(summary, "leaf_f1", "keys") == 1.0
    assert value(summary, "items_f1", "keys") == 1.0
    assert value(summary, "facts_f1", "values") == 1.0
    assert not any("matched nothing" in note for note in summary.notes)


def test_entries_of_a_label_map_that_match_nothing_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "x"
    shutil.copytree(next(CASES.glob("05-*")), folder)
    settings = ScoreSettings(cosine="off", label_map={"parameters": "arguments", "firm": "ORG"})
    summary = score([folder / "keys.jsonl"], settings).summary
    assert "label_map: firm matched nothing in labels or predictions" in summary.notes


def test_a_label_that_is_a_list_of_objects_is_the_label(tmp_path: Path) -> None:
    assert value(scored(tmp_path, "06", "p.jsonl"), "facts_f1", "p") == 1.0


def test_thoughts_are_content_to_no_one_and_form_to_json_parse_ok(tmp_path: Path) -> None:
    summary = scored(tmp_path, "07", "p.jsonl")
    assert value(summary, "json_parse_ok", "p") == 0.0
    assert value(summary, "facts_f1_strict", "p") == 0.0
    assert "read:best-effort" in summary.signature


@pytest.mark.parametrize("name", ["p", "list"])
def test_thoughts_and_bullets_before_triples_are_cut(tmp_path: Path, name: str) -> None:
    assert value(scored(tmp_path, "09", f"{name}.jsonl"), "facts_f1", name) == 1.0


def test_words_after_the_json_cost_form_and_no_content(tmp_path: Path) -> None:
    summary = scored(tmp_path, "10", "good.jsonl", "poor.jsonl")
    assert value(summary, "facts_f1", "good") == 1.0
    assert value(summary, "facts_f1", "poor") == pytest.approx(0.75)  # 3 of 5 facts, nothing wrong
    assert value(summary, "facts_f1_strict", "good") == 0.0
    assert value(summary, "json_parse_ok", "good") == 0.0
    assert "strict F1" in " ".join(render(summary).split())


def test_empty_labels_are_said_to_be_empty(tmp_path: Path) -> None:
    with pytest.raises(EtlchError, match="all 3 labels looked at are empty") as caught:
        scored(tmp_path, "19", "p.jsonl")
    assert "--keys" in caught.value.hint


@pytest.mark.parametrize("name", ["pipe", "paren", "hyphen", "call"])
def test_gold_triples_in_other_dress_are_triples(tmp_path: Path, name: str) -> None:
    summary = scored(tmp_path, "20", f"{name}.jsonl")
    assert value(summary, "facts_f1", name) == 1.0
    assert summary.counts.unreadable_gold == 0


def test_bio_lines_are_entities(tmp_path: Path) -> None:
    summary = scored(tmp_path, "21", "bio.jsonl")
    assert value(summary, "facts_precision", "bio") == 1.0
    assert value(summary, "facts_f1", "bio") == pytest.approx(2 / 3)


def test_a_csv_file_is_read(tmp_path: Path) -> None:
    assert value(scored(tmp_path, "23", "t.csv"), "facts_f1", "t") == 1.0


def test_words_for_no_value_are_no_facts(tmp_path: Path) -> None:
    assert value(scored(tmp_path, "25", "p.jsonl"), "facts_f1", "p") == 0.0


def test_heads_of_the_terminal_s_table_are_readable(tmp_path: Path) -> None:
    names = ("json_parse_ok", "json_fenced_ok", "json_repaired_ok", "span_f1", "facts_f1")
    summary = scored(tmp_path, "28", "p.jsonl")
    lines = render(summary, names).splitlines()
    heads = [line.split()[2:] for line in lines if line.startswith("ner ")]
    assert heads == [
        ["facts", "F1", "JSON", "ok", "JSON", "fenced"],
        ["JSON", "repaired", "span", "F1"],
    ]
    assert max(len(line) for line in lines if "note:" not in line) <= 80


def test_columns_are_named_by_dotted_paths(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(
        '{"answer": {"said": ["{\\"Person\\": [\\"Ada\\"]}"]}, "truth": "{\\"Person\\": [\\"Ada\\"]}"}\n'
    )
    with pytest.raises(EtlchError, match="its columns are answer, truth") as caught:
        score([path], ScoreSettings(cosine="off", columns={"predict": "missing"}))
    assert "columns: {predict" in caught.value.hint
    settings = ScoreSettings(cosine="off", columns={"predict": "answer.said.0", "label": "truth"})
    assert value(score([path], settings).summary, "facts_f1", "p") == 1.0
