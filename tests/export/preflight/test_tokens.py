"""Token counts by LlamaFactory's own code on a tokenizer whose counts can be made by hand: one a byte."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from etlch.core.config import make_settings
from etlch.core.run_folder import Run
from etlch.export import jobs
from etlch.export.preflight.tokens import Look, at_export, look
from etlch.export.write import export
from tests.runs import make_run
from tests.tiny import TEMPLATE, tiny_llama

HEADERS = len("user") + len("assistant") + 2 * len("\n\n") + 6
"""Tokens around the question in llama3: begin of text, twice start and end of header, and end of turn."""
CUTOFF = 186


class Case(NamedTuple):
    run: Run
    found: Look


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A run whose training cuts some samples, whose ner labels are longer than they may be predicted,
    and one of whose baselines has a chat template of its own."""
    root = tmp_path_factory.mktemp("tokens")
    base, other = tiny_llama(root / "base"), tiny_llama(root / "other")
    (other / "chat_template.jinja").write_text("{{ messages[0]['content'] }} =>", encoding="utf-8")
    preset = root / "tiny.yaml"
    preset.write_text(
        f"cutoff_len: {CUTOFF}\nmax_steps: 2\nmax_new_tokens: 1024\nlearning_rate: 1e-3\n", "utf-8"
    )
    settings = make_settings(
        teacher="offline",
        language="en",
        sizes=(20,),
        test=4,
        preset=str(preset),
        base_model=str(base),
        template=TEMPLATE,
        baselines={"other": {"model": str(other), "template": TEMPLATE}},
        shots=2,
    )
    run = make_run(root / "demo", settings)
    export(run, settings)
    change(run, "predict_base_ner", max_new_tokens=50)
    change(run, "predict_other_kge", cutoff_len=100, eval_dataset="demo_kge_val_20")
    for name in ("predict_base_kge", "predict_other_ner"):
        change(run, name, cutoff_len=4000)
    job = jobs.chosen(
        jobs.read_jobs(run),
        ("train_*", "predict_base_ner", "predict_base_kge", "predict_base-2shot_ner", "predict_other_*"),
        exports=False,
    )
    return Case(run, look(run, job))


def change(run: Run, stem: str, **values: Any) -> None:
    path = run.recipes / f"{stem}.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text("utf-8")), **values}), "utf-8")


def lengths(run: Run, name: str) -> list[tuple[int, int]]:
    """Return (prompt, label) in tokens, by hand."""
    rows = json.loads(run.data(name).read_text("utf-8"))
    return [
        (
            HEADERS + len(f"{row['instruction']}\n{row['input']}".encode()),
            len(row["output"].encode()) + len(["<|eot_id|>"]),
        )
        for row in rows
    ]


def said(case: Case, place: str) -> list[tuple[str, str]]:
    return [(one.level, one.what) for one in case.found.findings if place in one.where]


@pytest.mark.train
@pytest.mark.slow
def test_samples_that_cutoff_len_cuts_are_counted(case: Case) -> None:
    """Labels under half of cutoff_len stay whole, and the prompt gives way; so LlamaFactory has it."""
    counted = lengths(case.run, "demo_kge_train_20")
    over = [(prompt, label) for prompt, label in counted if prompt + label > CUTOFF]
    assert 0 < len(over) < len(counted)
    assert all(2 * label < CUTOFF for _, label in over)
    told = [what for _, what in said(case, "demo_kge_train_20")]
    assert told == [
        f"cutoff_len 186: {len(over)} of 18 samples lose their prompt's end and the assistant's header"
    ]
    assert said(case, "demo_json_train_20") == []


@pytest.mark.train
@pytest.mark.slow
def test_where_neither_fits_both_are_cut(case: Case) -> None:
    """Under a cutoff_len of 100 prompts of 100 tokens and labels of 83 are both cut: an error, for all are."""
    assert [one for one in said(case, "demo_kge_val_20") if "cutoff_len 100:" in one[1]] == [
        ("error", "cutoff_len 100: 2 of 2 samples lose the end of their label and the token that ends it"),
        ("error", "cutoff_len 100: 2 of 2 samples lose their prompt's end and the assistant's header"),
    ]


@pytest.mark.train
@pytest.mark.slow
def test_labels_longer_than_what_may_be_generated(case: Case) -> None:
    counted = [label for _, label in lengths(case.run, "demo_ner_test")]
    over = sum(label > 50 for label in counted)
    assert over
    told = [what for _, what in said(case, "demo_ner_test")]
    assert told == [f"max_new_tokens 50: {over} of 4 labels are longer, the longest {max(counted)}"]


@pytest.mark.train
@pytest.mark.slow
def test_the_longest_are_told(case: Case) -> None:
    longest = lengths(case.run, "demo_kge_test")
    prompt, label = (max(counts) for counts in zip(*longest, strict=True))
    notes = [one.what for one in case.found.findings if one.level == "note"]
    expected = f"cutoff_len 4,000: the longest prompt has {prompt} tokens, the longest label {label}"
    assert expected in notes


@pytest.mark.train
@pytest.mark.slow
def test_examples_count_as_part_of_the_prompt(case: Case) -> None:
    """A turn of llama3 has the tokens of the first, less the one that begins the text."""
    examples = lengths(case.run, "demo_ner_train_20")[:2]
    tests = lengths(case.run, "demo_ner_test")
    prompt = sum(asked + answer - 1 for asked, answer in examples) + max(asked for asked, _ in tests)
    label = max(answer for _, answer in tests)
    notes = [one.what for one in case.found.findings if one.level == "note"]
    assert f"cutoff_len 558: the longest prompt has {prompt} tokens, the longest label {label}" in notes
    assert not [what for _, what in said(case, "demo_ner_test_2shot") if "lose" in what]


@pytest.mark.train
@pytest.mark.slow
def test_the_sample_shows_what_is_trained_on(case: Case) -> None:
    rows = json.loads(case.run.data("demo_json_train_20").read_text("utf-8"))
    assert [piece.trained for piece in case.found.sample] == [False, True]
    assert case.found.sample[0].text.endswith("<|start_header_id|>assistant<|end_header_id|>\n\n")
    assert rows[0]["input"] in case.found.sample[0].text
    assert case.found.sample[1].text == f"{rows[0]['output']}<|eot_id|>"


@pytest.mark.train
@pytest.mark.slow
def test_another_chat_template_in_the_export_is_told(case: Case) -> None:
    told = [one for one in case.found.findings if "served with another" in one.what]
    assert [Path(one.where[0]).name for one in told] == ["other"]
    assert "QUESTION =>" in told[0].what


def test_without_a_tokenizer_on_disk_export_says_so_in_one_line(tmp_path: Path) -> None:
    settings = make_settings(
        teacher="offline",
        language="en",
        sizes=(20,),
        test=4,
        preset="paper",
        base_model="no/model",
        template="llama3",
    )
    run = make_run(tmp_path / "demo", settings)
    export(run, settings)
    warned, *_, told = at_export(run)
    assert warned.startswith("warning: 54 rows in batches of 2")
    assert told == (
        "tokens were not counted: no tokenizer of no/model on this disk; "
        f"`etlch-data run {run.folder} --preflight` counts them"
    )
