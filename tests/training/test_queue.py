"""The queue: order, places, what is done and what is stale, failures, stops. Processes are stand-ins."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from etlch.core.config import changed, make_settings
from etlch.core.errors import EtlchError
from etlch.core.run_folder import Run
from etlch.export import jobs
from etlch.export.jobs import Job
from etlch.export.write import export
from etlch.training import provenance, queue
from etlch.training.hardware import Machine
from etlch.training.queue import Outcome, PostTraining
from etlch.training.state import state
from tests.runs import make_run

SETTINGS = make_settings(
    teacher="offline", language="en", sizes=(5, 20), test=3, preset="smoke", tasks=("ner",)
)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    made = make_run(tmp_path / "demo", SETTINGS)
    export(made, SETTINGS)
    return made


@pytest.fixture
def cli(tmp_path: Path) -> Path:
    path = tmp_path / "llamafactory-cli"
    stand_in = Path(__file__).parent / "cli_stand_in.py"
    path.write_text(f'#!/bin/sh\nexec {sys.executable} {stand_in} "$@"\n', encoding="utf-8")
    path.chmod(0o755)
    return path


def work(
    run: Run, cli: Path, gpus: tuple[str, ...] = ("0",), after: PostTraining | None = None
) -> dict[str, Outcome]:
    machine = Machine(gpus, predicting=1, cores=2, cli=cli)
    outcomes = queue.work(run, jobs.read_jobs(run), machine, lambda view: None, after)
    return {outcome.job.stem: outcome for outcome in outcomes}


def calls(run: Run) -> list[dict[str, Any]]:
    path = run.folder / "calls.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def wish(run: Run, stem: str, what: str | None) -> None:
    path = run.recipes / f"{stem}.yaml"
    values = yaml.safe_load(path.read_text("utf-8"))
    values.pop("new_special_tokens", None)
    path.write_text(yaml.safe_dump({**values, **({"new_special_tokens": what} if what else {})}), "utf-8")


def test_base_then_each_size_trained_predicted_and_exported(run: Run, cli: Path) -> None:
    outcomes = work(run, cli)
    assert [Path(call["recipe"]).stem for call in calls(run)] == [
        "predict_base_ner",
        *(f"{kind}_smoke-{size}-s42{end}" for size in (5, 20) for kind, end in
          (("train", ""), ("predict", "_ner"), ("export", ""))),
    ]  # fmt: skip
    assert {outcome.state for outcome in outcomes.values()} == {"done"}
    assert outcomes["train_smoke-5-s42"].loss == 0.5
    made = provenance.read(run.models / "smoke-5-s42")
    assert made is not None
    assert (made.seed, made.tokens, made.tokens_per_second, made.device) == (42, 100, 50.0, "0")


def test_what_is_done_is_not_run_again(run: Run, cli: Path) -> None:
    work(run, cli)
    before = len(calls(run))
    assert {outcome.state for outcome in work(run, cli).values()} == {"skipped"}
    assert len(calls(run)) == before


def test_one_run_a_gpu_and_no_gpu_twice_at_a_time(run: Run, cli: Path) -> None:
    work(run, cli, gpus=("0", "3"))
    spans = [(call["gpu"], call["at"], call["end"]) for call in calls(run)]
    assert {gpu for gpu, _, _ in spans} == {"0", "3"}
    for gpu, begin, end in spans:
        others = [span for span in spans if span[0] == gpu and span != (gpu, begin, end)]
        assert all(other[2] <= begin or other[1] >= end for other in others)
    trained = {Path(call["recipe"]).stem: call for call in calls(run)}
    assert trained["predict_smoke-5-s42_ner"]["at"] > trained["train_smoke-5-s42"]["end"]


def test_a_failure_is_told_with_its_log_and_the_others_go_on(run: Run, cli: Path) -> None:
    wish(run, "train_smoke-5-s42", "fail")
    outcomes = work(run, cli)
    failed = outcomes["train_smoke-5-s42"]
    assert failed.state == "failed"
    assert "exit code 1" in failed.why and "CUDA out of memory" in failed.why
    assert outcomes["predict_smoke-5-s42_ner"].state == "waiting"
    assert outcomes["predict_smoke-20-s42_ner"].state == "done"
    wish(run, "train_smoke-5-s42", None)
    states = {stem: outcome.state for stem, outcome in work(run, cli).items()}
    assert states["train_smoke-5-s42"] == states["predict_smoke-5-s42_ner"] == "done"
    assert states["train_smoke-20-s42"] == "skipped"


def test_a_prediction_file_one_line_short_is_a_failure(run: Run, cli: Path) -> None:
    wish(run, "predict_base_ner", "short")
    outcome = work(run, cli)["predict_base_ner"]
    assert outcome.state == "failed"
    assert "ends after 2 rows" in outcome.why


@pytest.mark.parametrize(
    ("stem", "what", "told"),
    [
        ("train_smoke-20-s42", "nan", "ended without an error, but: the loss is not a number"),
        ("predict_smoke-20-s42_ner", "mute", "not one answer: all 3 predictions are empty"),
        ("train_smoke-20-s42", "killed", "for want of memory. Lower per_device_train_batch_size (2) to 1"),
    ],
)
def test_what_is_worth_nothing_is_a_failure_that_stays_one(
    run: Run, cli: Path, stem: str, what: str, told: str
) -> None:
    wish(run, stem, what)
    for _ in range(2):
        outcome = work(run, cli)[stem]
        assert outcome.state == "failed" and told in outcome.why


def test_a_damaged_checkpoint_gives_way_to_the_one_before(run: Run, cli: Path) -> None:
    """Both look whole from outside; the second cannot be loaded, and the training goes on from the first."""
    wish(run, "train_smoke-20-s42", "damaged")
    work(run, cli)
    model = run.models / "smoke-20-s42"
    for name in ("checkpoint-1", "checkpoint-2"):
        shutil.copytree(model, model / name, ignore=shutil.ignore_patterns("checkpoint-*"))
        for kept in ("optimizer.pt", "scheduler.pt"):
            with zipfile.ZipFile(model / name / kept, "w"):
                pass
    (model / "trainer_state.json").unlink()
    assert work(run, cli)["train_smoke-20-s42"].state == "done"
    made = provenance.read(model)
    assert made is not None and made.resumed_from == "models/smoke-20-s42/checkpoint-1"
    assert sorted(path.name for path in model.glob("*checkpoint-*")) == [
        "checkpoint-1",
        "damaged-checkpoint-2",
    ]


def test_another_base_model_of_the_same_name_makes_everything_stale(tmp_path: Path, cli: Path) -> None:
    base = tmp_path / "base"
    base.mkdir()
    weigh(base, b"old")
    settings = changed(SETTINGS, base_model=str(base), template="llama3", sizes=(5,))
    run = make_run(tmp_path / "demo", settings)
    export(run, settings)
    work(run, cli)
    assert {outcome.state for outcome in work(run, cli).values()} == {"skipped"}
    weigh(base, b"new")
    assert {outcome.state for outcome in work(run, cli).values()} == {"done"}


def weigh(folder: Path, weights: bytes) -> None:
    (folder / "config.json").write_text("{}", "utf-8")
    (folder / "model.safetensors").write_bytes(weights)


@pytest.mark.parametrize("change", ["recipe", "data", "weights", "half"])
def test_what_is_stale_is_made_again_and_nothing_else(run: Run, cli: Path, change: str) -> None:
    work(run, cli)
    model = run.models / "smoke-20-s42"
    if change == "recipe":
        wish(run, "train_smoke-20-s42", "other")
    elif change == "data":
        path = run.data(run.stem("ner", "train", 20))
        path.write_text(path.read_text("utf-8").replace("Taipei", "Tainan"), "utf-8")
    elif change == "weights":
        (run.models / "smoke-20-s42" / "adapter_model.safetensors").write_bytes(
            (run.models / "smoke-5-s42" / "adapter_model.safetensors").read_bytes()
        )
    else:
        whole = (model / "adapter_model.safetensors").read_bytes()
        (model / "adapter_model.safetensors").write_bytes(whole[:-1])
    states = {stem: outcome.state for stem, outcome in work(run, cli).items()}
    again = {stem for stem, state in states.items() if state == "done"}
    follow = {"predict_smoke-20-s42_ner", "export_smoke-20-s42"}
    assert again == (follow if change == "weights" else {"train_smoke-20-s42", *follow})


def test_comments_and_order_do_not_make_a_recipe_another(run: Run, cli: Path) -> None:
    work(run, cli)
    export(run, SETTINGS)
    path = run.recipes / "train_smoke-20-s42.yaml"
    values = yaml.safe_load(path.read_text("utf-8"))
    path.write_text("# mine\n" + yaml.safe_dump(values, sort_keys=True), "utf-8")
    assert {outcome.state for outcome in work(run, cli).values()} == {"skipped"}


def test_results_made_by_hand_count(run: Run, cli: Path) -> None:
    for recipe in ("train_smoke-20-s42", "predict_smoke-20-s42_ner"):
        subprocess.run(
            [cli, "train", f"recipes/{recipe}.yaml"], cwd=run.folder, check=True, stdout=subprocess.PIPE
        )
    states = {stem: outcome.state for stem, outcome in work(run, cli).items()}
    assert states["train_smoke-20-s42"] == states["predict_smoke-20-s42_ner"] == "skipped"


def test_what_a_training_brings_is_run_before_the_model_is_used(run: Run, cli: Path) -> None:
    settled = []

    def brought(training: Job) -> list[Job]:
        if training.model != "smoke-20-s42":
            return []
        path = run.recipes / "support" / "validate_one.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        values = {**predicting.values, "output_dir": "models/smoke-20-s42/checkpoint-1/val"}
        path.write_text(yaml.safe_dump(values), "utf-8")
        result = run.folder / str(values["output_dir"])
        return [
            Job(
                "validate_one",
                "validate",
                training.model,
                "recipes/support/validate_one.yaml",
                values,
                result,
            )
        ]

    predicting = next(job for job in jobs.read_jobs(run) if job.stem == "predict_smoke-20-s42_ner")
    after = PostTraining(brought, lambda training: settled.append((training.model, len(calls(run)))))
    work(run, cli, after=after)
    order = [Path(call["recipe"]).stem for call in calls(run)]
    assert order.index("validate_one") == order.index("train_smoke-20-s42") + 1
    assert settled == [("smoke-20-s42", order.index("validate_one") + 1)]


@pytest.mark.parametrize("kind", ["slow", "stubborn"])
def test_an_interrupt_stops_children_and_is_passed_on(
    run: Run, cli: Path, kind: str, monkeypatch: Any
) -> None:
    monkeypatch.setattr("etlch.training.process.GRACE", 1.0)
    wish(run, "train_smoke-5-s42", kind)
    pid = run.models / "smoke-5-s42" / "pid"

    def interrupt(view: queue.View) -> None:
        if pid.exists():
            os.kill(os.getpid(), signal.SIGTERM)

    machine = Machine((), 1, 2, cli)
    with pytest.raises(KeyboardInterrupt):
        queue.work(run, jobs.read_jobs(run), machine, interrupt)
    assert not alive(int(pid.read_text("utf-8")))
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


WORK = (
    "import sys; from pathlib import Path; from etlch.core.run_folder import Run; from etlch.export import jobs; "
    "from etlch.training import queue; from etlch.training.hardware import Machine; run = Run(Path(sys.argv[1])); "
    "made = queue.work(run, jobs.read_jobs(run), Machine((), 1, 2, Path(sys.argv[2])), lambda view: None); "
    "print(*(one.job.model for one in made if one.state == 'done'))"
)


def test_two_processes_share_a_run_by_models(tmp_path: Path, cli: Path) -> None:
    """As two tasks of a cluster's array on a shared disk: each job once, a model wholly by one of them."""
    settings = changed(SETTINGS, seeds=(1, 2, 3))
    run = make_run(tmp_path / "demo", settings)
    export(run, settings)
    both = [
        subprocess.Popen(
            [sys.executable, "-c", WORK, str(run.folder), str(cli)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    one, two = (set(process.communicate(timeout=60)[0].split()) for process in both)
    assert [process.returncode for process in both] == [0, 0]
    assert one and two and not one & two
    assert one | two == {job.model for job in jobs.read_jobs(run)}
    made = [call["recipe"] for call in calls(run)]
    assert sorted(made) == sorted(job.recipe for job in jobs.read_jobs(run))


def test_a_child_that_outlives_a_killed_run_keeps_the_lock(run: Run, cli: Path) -> None:
    """kill -9 leaves nobody to stop the training; a second run must not start it beside itself."""
    wish(run, "train_smoke-5-s42", "slow")
    parent = subprocess.Popen([sys.executable, "-c", WORK, str(run.folder), str(cli)])
    pid = run.models / "smoke-5-s42" / "pid"
    until = time.monotonic() + 30
    while not (pid.exists() and pid.read_text("utf-8")) and time.monotonic() < until:
        time.sleep(0.1)
    parent.kill()
    parent.wait()
    child = int(pid.read_text("utf-8"))
    try:
        assert alive(child)
        states = {stem: outcome.state for stem, outcome in work(run, cli).items()}
        assert states["train_smoke-5-s42"] == states["predict_smoke-5-s42_ner"] == "elsewhere"
        assert states["train_smoke-20-s42"] == "done"
        only = [job for job in jobs.read_jobs(run) if job.model == "smoke-5-s42"]
        with pytest.raises(EtlchError, match="another process trains or predicts"):
            queue.work(run, only, Machine((), 1, 2, cli), lambda view: None)
    finally:
        os.killpg(child, signal.SIGKILL)
    wish(run, "train_smoke-5-s42", None)
    time.sleep(0.5)
    assert work(run, cli)["train_smoke-5-s42"].state == "done"


def test_what_only_takes(run: Run) -> None:
    listed = jobs.read_jobs(run)

    def stems(*patterns: str, exports: bool = False) -> list[str]:
        return [job.stem for job in jobs.chosen(listed, patterns, exports=exports)]

    assert stems("*-5-*") == ["train_smoke-5-s42", "predict_smoke-5-s42_ner"]
    assert stems("base", "export_smoke-5-s42") == ["predict_base_ner", "export_smoke-5-s42"]
    assert stems("export_*") == ["export_smoke-5-s42", "export_smoke-20-s42"]
    assert stems("*") == stems()
    assert len(stems()) == len(stems(exports=True)) - 2
    with pytest.raises(EtlchError, match=r"no model is named 'smoke-5-s4'.*Did you mean 'smoke-5-s42'"):
        stems("smoke-5-s4")


def test_a_failed_prediction_leaves_its_models_other_predictions_alone(run: Run, cli: Path) -> None:
    other = run.recipes / "predict_smoke-20-s42_again.yaml"
    values = yaml.safe_load((run.recipes / "predict_smoke-20-s42_ner.yaml").read_text("utf-8"))
    other.write_text(yaml.safe_dump({**values, "output_dir": "predictions/smoke-20-s42/again"}), "utf-8")
    wish(run, "predict_smoke-20-s42_again", "fail")  # stands before the other in the queue
    states = {stem: outcome.state for stem, outcome in work(run, cli).items()}
    assert states["predict_smoke-20-s42_again"] == "failed"
    assert states["predict_smoke-20-s42_ner"] == "done"


@pytest.mark.parametrize(("age", "wanted"), [(-100, "stale"), (100, "done")])
def test_predictions_made_by_hand_are_stale_only_where_the_weights_are_newer(
    run: Run, cli: Path, age: int, wanted: str
) -> None:
    work(run, cli)
    job = next(job for job in jobs.read_jobs(run) if job.stem == "predict_smoke-20-s42_ner")
    (job.result / provenance.NAME).unlink()  # as if llamafactory-cli had been called by hand
    trained = (run.models / "smoke-20-s42" / provenance.NAME).stat().st_mtime
    made = job.result / "generated_predictions.jsonl"
    os.utime(made, (trained + age, trained + age))
    assert state(run, job).name == wanted
