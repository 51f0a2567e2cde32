"""Tokens and hours before a run, by a tokenizer whose counts can be made by hand: one a byte."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from etlch.cli.run import run as command
from etlch.core.config import make_settings
from etlch.core.run_folder import Run
from etlch.export.jobs import Job, read_jobs
from etlch.export.write import export
from etlch.training import plan, provenance
from etlch.training.provenance import Provenance
from tests.runs import make_run
from tests.tiny import TEMPLATE, tiny_tokenizer

CONFIG = {
    "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "vocab_size": 263, "tie_word_embeddings": True, "model_type": "llama",
}  # fmt: skip
pytestmark = pytest.mark.train


@pytest.fixture
def run(tmp_path: Path) -> Run:
    base = tmp_path / "base"
    tiny_tokenizer().save_pretrained(base)
    (base / "config.json").write_text(json.dumps(CONFIG), "utf-8")
    settings = make_settings(
        teacher="offline", language="en", sizes=(20,), test=4, preset="full", base_model=str(base),
        template=TEMPLATE, tasks=("ner",),
    )  # fmt: skip
    made = make_run(tmp_path / "demo", settings)
    export(made, settings)
    return made


def bytes_of(run: Run, name: str) -> int:
    rows = json.loads(run.data(name).read_text("utf-8"))
    return sum(len(f"{row['instruction']}\n{row['input']}{row['output']}".encode()) for row in rows)


def estimates(run: Run) -> dict[str, plan.Estimate]:
    jobs = read_jobs(run)
    return {job.stem: one for job, one in zip(jobs, plan.estimates(run, jobs, jobs, 0, 2), strict=True)}


def job(run: Run, stem: str) -> Job:
    return next(one for one in read_jobs(run) if one.stem == stem)


def test_tokens_are_those_of_all_epochs_and_a_guess_is_called_one(run: Run) -> None:
    """18 rows in batches of 8 for three epochs; 4 rows to predict, by a model that is yet to be trained."""
    found = estimates(run)
    trained, predicted = found["train_full-20-s42"], found["predict_full-20-s42_ner"]
    assert trained.tokens == 3 * bytes_of(run, "demo_ner_train_20")
    assert predicted.tokens == bytes_of(run, "demo_ner_test")
    assert not trained.measured and trained.seconds and predicted.seconds and trained.took is None


def test_a_job_that_was_run_here_tells_the_pace_and_stands_beside_its_estimate(run: Run) -> None:
    training = job(run, "train_full-20-s42")
    training.result.mkdir(parents=True)
    provenance.write(
        training.result, Provenance("r", "", {}, None, 42, {}, "cpu", seconds=99.0, tokens_per_second=100.0)
    )
    found = estimates(run)[training.stem]
    assert (found.measured, found.took) == (True, 99.0)
    assert found.seconds == plan.LOADING + found.tokens / 100
    shown = CliRunner().invoke(command, [str(run.folder), "--plan", "--gpus", ""])
    assert shown.exit_code == 0, shown.output
    assert (
        f"train_full-20-s42  {found.tokens:,} tokens, about" in shown.output and "took 2 min" in shown.output
    )
    assert "3 jobs to run: " in shown.output and "by a guess at this device" in shown.output


def test_another_devices_pace_does_not_count(run: Run) -> None:
    training = job(run, "train_full-20-s42")
    training.result.mkdir(parents=True)
    provenance.write(
        training.result, Provenance("r", "", {}, None, 42, {}, "0", seconds=9.0, tokens_per_second=100.0)
    )
    assert not estimates(run)[training.stem].measured
