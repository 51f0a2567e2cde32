"""Tell what there is of a job's result: done, stale, half done or open."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from etlch.core.errors import EtlchError
from etlch.core.run_folder import Run
from etlch.export.jobs import Job, names
from etlch.export.preflight.steps import model_folder
from etlch.metrics.predictions import read_aligned
from etlch.training import health, provenance, weights
from etlch.training.provenance import Provenance


@dataclass(frozen=True)
class State:
    """What there is of a job's result.

    Attributes:
        name: done; stale (of another recipe, data or weights); half (can go on); open.
        why: what makes it stale or open.
        checkpoint: where a half-done training goes on.
    """

    name: Literal["done", "stale", "half", "open"]
    why: str = ""
    checkpoint: Path | None = None


def origin(run: Run, job: Job, device: str = "cpu") -> Provenance:
    """Return what a job's result is made from, as of now."""
    made_with = None
    if job.kind != "train":
        named = job.values.get("adapter_name_or_path") or job.values.get("model_name_or_path") or ""
        made_with = weights.fingerprint(run.folder / str(named))
    return Provenance(
        recipe=job.recipe,
        recipe_hash=provenance.recipe_hash(job.values),
        data=provenance.data_hashes(run.data(name) for name in job.data_sets),
        weights=made_with,
        seed=job.values.get("seed", 42) if job.kind == "train" else None,
        versions=provenance.versions(),
        device=device,
        base=base_mark(run, job),
    )


def base_mark(run: Run, job: Job) -> str | None:
    """Return the mark of the base model that a job names; None where it is not on this disk."""
    folder = _base(run, job)
    return None if folder is None else weights.origin_mark(folder)


def _base(run: Run, job: Job) -> Path | None:
    return model_folder(run, str(job.values.get("model_name_or_path")))


def state(run: Run, job: Job) -> State:
    """Return what there is of a job's result. Results made by hand, without provenance, count."""
    if job.kind == "train":
        missing = weights.problem(job.result, adapter=job.adapter) or _unfinished(job.result)
    elif job.kind == "export":
        missing = weights.problem(job.result, adapter=False)
    else:
        missing = prediction_problem(run, job)
    made_by = provenance.read(job.result)
    same = made_by is None or made_by.same_origin(origin(run, job))
    if missing:
        return (_half(job) if job.kind == "train" and made_by and same else None) or State("open", missing)
    if job.kind == "train" and (wrong := health.training_problem(job.result, _base(run, job))):
        return State("open", wrong)
    if not same:
        return State("stale", "made from another recipe, other data, other weights or another base model")
    if made_by is None and job.kind == "predict" and _older(run, job):
        return State("stale", "older than the model")
    return State("done")


def prediction_problem(run: Run, job: Job) -> str:
    """Return why a prediction file is not what a job promises: one line for every row, in order."""
    path = job.result / "generated_predictions.jsonl"
    sets = names(job.values.get("eval_dataset"))
    if not path.is_file():
        return "no predictions"
    if len(sets) != 1 or not run.keys(sets[0]).is_file():
        return f"no keys to check {path.name} with"
    try:
        answered = [bool(row.text) for row in read_aligned(path, run.keys(sets[0]))]
    except EtlchError as error:
        return error.what
    return "" if any(answered) else f"not one answer: all {len(answered)} predictions are empty. {_SILENT}"


_SILENT = (
    "A model trained on empty labels or with a loss that is not a number ends at once; so does one prompted with "
    "another model's template. Look at its training, or say flash_attn: disabled."
)


def _unfinished(folder: Path) -> str:
    """LlamaFactory writes trainer_state.json after the weights and the results."""
    return "" if (folder / "trainer_state.json").is_file() else "no trainer_state.json"


def _half(job: Job) -> State | None:
    for checkpoint in reversed(weights.checkpoints(job.result)):
        if weights.resumable(checkpoint, adapter=job.adapter):
            return State("half", f"goes on from {checkpoint.name}", checkpoint)
    return None


def _older(run: Run, job: Job) -> bool:
    """Tell whether predictions made by hand are older than weights whose provenance is known."""
    trained = run.folder / str(job.values.get("adapter_name_or_path") or job.values["model_name_or_path"])
    mark = trained / provenance.NAME
    made = job.result / "generated_predictions.jsonl"
    return mark.is_file() and made.stat().st_mtime < mark.stat().st_mtime
