"""Read the recipes of a run as jobs, in the order in which they are run.

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

from etlch.core.errors import EtlchError, nearest
from etlch.core.files import load_yaml, read_text
from etlch.core.locale import _
from etlch.core.records import Json, Model, from_dict
from etlch.core.run_folder import Run
from etlch.text.json_text import loads

Kind = Literal["train", "validate", "predict", "export"]
STAGES: dict[str, int] = {"train": 0, "validate": 1, "predict": 2, "export": 2}
"""A job waits for the lower stages of its own model."""
ADAPTERS = ("lora", "oft")
"""LlamaFactory's finetuning types that leave an adapter; the others leave a whole model."""
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
        return self.values.get("finetuning_type", "lora") in ADAPTERS

    @property
    def data_sets(self) -> tuple[str, ...]:
        """The data sets it names."""
        return tuple(name for key in ("dataset", "eval_dataset") for name in names(self.values.get(key)))


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
        raise EtlchError(
            _("{recipes} holds no recipes").format(recipes=run.recipes),
            _("Run `etlch-data export {folder}` first.").format(folder=run.folder),
        )

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
                _("no recipe and no model is named '{pattern}'.{nearest}").format(
                    pattern=pattern, nearest=nearest(pattern, known)
                ),
                _("Name recipes or models, e.g. --only '*-100-*'."),
            )
        others = [job for job in fits if job.kind != "export"]
        kept |= {job.stem for job in (fits if exports else others or fits)}
    return [job for job in jobs if job.stem in kept]


def _job(run: Run, path: Path) -> Job:
    values = load_yaml(path)
    if not isinstance(values, dict):
        raise EtlchError(
            _("{path}: a recipe is `key: value` lines").format(path=path), _("Run `etlch-data export` again.")
        )
    kind: Kind = "export" if "export_dir" in values else "predict" if values.get("do_predict") else "train"
    if kind == "train" and not values.get("do_train"):
        raise EtlchError(
            _("{path}: neither do_train, do_predict nor export_dir is set").format(path=path),
            _("recipes/ holds recipes only; move other files to {recipes}.").format(
                recipes=run.recipes / "support"
            ),
        )
    key = "export_dir" if kind == "export" else "output_dir"
    if not values.get(key):
        raise EtlchError(
            f"{path}: no {key}", _("LlamaFactory would write to ./trainer_output; name a folder.")
        )
    result = Path(str(values[key]))
    model = result.name if kind == "train" else result.parent.name
    return Job(path.stem, kind, model, f"recipes/{path.name}", values, run.folder / result)


def _cards(run: Run) -> dict[str, Model]:
    """Return model folder → card."""
    return {path.parent.name: _card(path) for path in sorted(run.predictions.glob("*/model.json"))}


def _card(path: Path) -> Model:
    value, _rest = loads(read_text(path))
    try:
        return from_dict(Model, value)
    except (KeyError, TypeError) as error:
        raise EtlchError(
            _("{path} is not a model card: {error}").format(path=path, error=error),
            _("`etlch-data export` writes it."),
        ) from error
