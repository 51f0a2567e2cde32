"""The recipes of a run walk in; jobs walk out, in the order in which they are run, with their state.

Whether a job is done is read from its result and from the provenance beside it, never from
LlamaFactory: run once more, a finished recipe trains one step too many and overwrites its own
results.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from etlch.data import provenance, weights
from etlch.data.provenance import Provenance
from etlch.errors import EtlchError, nearest
from etlch.files import Run, load_yaml, read_text
from etlch.labels import loads
from etlch.predictions import read_aligned
from etlch.records import Json, Model, from_dict

Kind = Literal["train", "validate", "predict", "export"]
STAGES: dict[str, int] = {"train": 0, "validate": 1, "predict": 2, "export": 2}
"""A job waits for the lower stages of its own model."""
_ROLES = {"base": 0, "tuned": 1, "baseline": 2}


@dataclass(frozen=True)
class Job:
    """One call of llamafactory-cli.

    Attributes:
        stem: the recipe's name without .yaml.
        kind: train, validate (predict a checkpoint on a validation set), predict or export.
        model: the model folder's name.
        recipe: the recipe file, as seen from the run folder.
        values: what it says.
        result: the folder it writes to.
    """

    stem: str
    kind: Kind
    model: str
    recipe: str
    values: dict[str, Json]
    result: Path

    @property
    def adapter(self) -> bool:
        """Whether training leaves an adapter."""
        return bool(self.values.get("finetuning_type", "lora") == "lora")

    @property
    def data_sets(self) -> tuple[str, ...]:
        """The data sets it names."""
        return tuple(name for key in ("dataset", "eval_dataset") for name in names(self.values.get(key)))


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


def names(value: Json) -> list[str]:
    """Return the names in `a,b` or in a list."""
    parts = value if isinstance(value, list) else str(value or "").split(",")
    return [name for part in parts if (name := str(part).strip())]


def read_jobs(run: Run) -> list[Job]:
    """Return the jobs of all recipes of a run.

    Base first, then the tuned models by size and name, each trained, predicted and exported
    before the next; baselines, which are the large models, last.

    Raises:
        EtlchError: no recipes, or one that is not a YAML mapping.
    """
    cards = _cards(run)
    found = [_job(run, path) for path in sorted(run.recipes.glob("*.yaml"))]
    if not found:
        raise EtlchError(f"{run.recipes} holds no recipes", f"Run `etlch-data export {run.folder}` first.")

    def place(job: Job) -> tuple[int, int, str, int, int, str]:
        card = cards.get(job.model)
        role = _ROLES.get(card.role, 1) if card else 1
        size = (card.size or 0) if card else 0
        return role, size, job.model, STAGES[job.kind], job.kind == "export", job.stem

    return sorted(found, key=place)


def chosen(jobs: Sequence[Job], patterns: Sequence[str], *, exports: bool) -> list[Job]:
    """Return the jobs whose recipe's or model's name fits one of the patterns (`*` and `?`); none takes all.

    Exports are left out unless they are wanted, or a pattern fits nothing else.

    Raises:
        EtlchError: a pattern fits nothing.
    """
    if not patterns:
        return [job for job in jobs if exports or job.kind != "export"]
    kept: set[str] = set()
    for pattern in patterns:
        fits = [job for job in jobs if fnmatchcase(job.stem, pattern) or fnmatchcase(job.model, pattern)]
        if not fits:
            known = [job.stem for job in jobs] + [job.model for job in jobs]
            raise EtlchError(
                f"no recipe and no model is named '{pattern}'.{nearest(pattern, known)}",
                "Name recipes or models, e.g. --only '*-100-*'.",
            )
        others = [job for job in fits if job.kind != "export"]
        kept |= {job.stem for job in (fits if exports else others or fits)}
    return [job for job in jobs if job.stem in kept]


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
    )


def state(run: Run, job: Job) -> State:
    """Return what there is of a job's result. Results made by hand, without provenance, count."""
    if job.kind == "train":
        missing = weights.problem(job.result, adapter=job.adapter) or _unfinished(job.result)
    elif job.kind == "export":
        missing = weights.problem(job.result, adapter=False)
    else:
        missing = prediction_problem(run, job)
    held = provenance.read(job.result)
    same = held is None or held.same_origin(origin(run, job))
    if missing:
        return (_half(job) if job.kind == "train" and held and same else None) or State("open", missing)
    if not same:
        return State("stale", "made from another recipe, other data or other weights")
    if held is None and job.kind == "predict" and _older(run, job):
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
        for _ in read_aligned(path, run.keys(sets[0])):
            pass
    except EtlchError as error:
        return error.what
    return ""


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


def _job(run: Run, path: Path) -> Job:
    values = load_yaml(path)
    if not isinstance(values, dict):
        raise EtlchError(f"{path}: a recipe is `key: value` lines", "Run `etlch-data export` again.")
    kind: Kind = "export" if "export_dir" in values else "predict" if values.get("do_predict") else "train"
    if kind == "train" and not values.get("do_train"):
        raise EtlchError(
            f"{path}: neither do_train, do_predict nor export_dir is set",
            f"recipes/ holds recipes only; move other files to {run.recipes / 'support'}.",
        )
    key = "export_dir" if kind == "export" else "output_dir"
    if not values.get(key):
        raise EtlchError(f"{path}: no {key}", "LlamaFactory would write to ./trainer_output; name a folder.")
    result = Path(str(values[key]))
    model = result.name if kind == "train" else result.parent.name
    return Job(path.stem, kind, model, f"recipes/{path.name}", values, run.folder / result)


def _cards(run: Run) -> dict[str, Model]:
    """Return model folder → card."""
    return {path.parent.name: _card(path) for path in sorted(run.predictions.glob("*/model.json"))}


def _card(path: Path) -> Model:
    value, _ = loads(read_text(path))
    try:
        return from_dict(Model, value)
    except (KeyError, TypeError) as error:
        raise EtlchError(f"{path} is not a model card: {error}", "`etlch-data export` writes it.") from error
