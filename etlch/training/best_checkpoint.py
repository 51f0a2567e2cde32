"""Choose the checkpoint of a training with the best facts F1 on the validation sets.

The lowest validation loss is not the best extraction, and LlamaFactory's scores of texts generated
while training are wrong for batches over one (its issue 10611). So each kept checkpoint predicts
the validation sets once training is over.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from etlch.core.errors import EtlchError
from etlch.core.files import dump_yaml, dumps, write_text
from etlch.core.locale import _
from etlch.core.manifest import read as read_manifest
from etlch.core.records import to_dict
from etlch.core.run_folder import Run
from etlch.export.jobs import Job, names
from etlch.metrics.predictions import read_aligned
from etlch.training import weights

NAME = "best.json"


@dataclass(frozen=True)
class Best:
    """The content of best.json.

    Attributes:
        chosen: the checkpoint whose weights were put in the model's folder: the one with the highest
            mean over tasks, of equal ones the earliest.
        by_task: task → the best checkpoint for it alone.
        facts_f1: checkpoint → task → micro F1 of facts on the validation set.
    """

    chosen: str
    by_task: dict[str, str]
    facts_f1: dict[str, dict[str, float]]


def warn_few_checkpoints(jobs: Sequence[Job]) -> list[str]:
    """Return, a line each, which trainings leave `--best` little to choose from, and why."""
    told: dict[str, list[str]] = {}
    for job in jobs:
        if job.kind == "train" and (why := _few_reason(job)):
            told.setdefault(why, []).append(job.model)
    return [f"--best: {why}: {', '.join(models)}" for why, models in told.items()]


def keeps_all(training: Job) -> bool:
    """Tell whether a training keeps the checkpoint of each epoch and has a validation set: it is chosen among them."""
    return training.values.get("save_strategy") == "epoch" and not _few_reason(training)


def _few_reason(training: Job) -> str:
    """Return why a training leaves few checkpoints to choose from; empty if it keeps all."""
    values = training.values
    if not names(values.get("eval_dataset")):
        return "no validation set to choose by"
    if values.get("save_strategy") in ("no", False):
        return "no checkpoints are kept (save_strategy)"
    limit = values.get("save_total_limit")
    return (
        f"checkpoints are deleted while training (save_total_limit: {limit} in the preset)" if limit else ""
    )


def validations(run: Run, training: Job, jobs: Sequence[Job]) -> list[Job]:
    """Return the jobs that predict a training's validation sets with each of its checkpoints.

    Their recipes are written to recipes/support/. None, where the training kept no checkpoint, had
    no validation set, or nothing predicts with the model.
    """
    pattern = next((job for job in jobs if job.kind == "predict" and job.model == training.model), None)
    sets = names(training.values.get("eval_dataset"))
    if pattern is None or not sets:
        return []
    made = []
    for checkpoint in weights.checkpoints(training.result):
        if not weights.problem(checkpoint, adapter=training.adapter):
            made += [_validation(run, training, pattern, checkpoint, name) for name in sets]
    return made


def _validation(run: Run, training: Job, pattern: Job, checkpoint: Path, name: str) -> Job:
    inside = checkpoint.relative_to(run.folder).as_posix()
    stem = f"validate_{training.model}_{checkpoint.name}_{name}"
    which = "adapter_name_or_path" if training.adapter else "model_name_or_path"
    values = {**pattern.values, which: inside, "eval_dataset": name, "output_dir": f"{inside}/{name}"}
    recipe = f"recipes/support/{stem}.yaml"
    write_text(run.folder / recipe, dump_yaml(values))
    return replace(
        pattern, stem=stem, kind="validate", recipe=recipe, values=values, result=checkpoint / name
    )


def select_best(run: Run, training: Job) -> Best | None:
    """Score a training's validated checkpoints, put the best one's weights in place, and write best.json.

    The states of their optimizers are removed: they are larger than the weights, and nothing goes on from them.
    Returns None where there is nothing to choose from.
    """
    sets = names(training.values.get("eval_dataset"))
    scored: dict[str, dict[str, float]] = {}
    for checkpoint in weights.checkpoints(training.result):
        if all((checkpoint / name / "generated_predictions.jsonl").is_file() for name in sets):
            scored[checkpoint.name] = dict(_scores(run, checkpoint, sets))
    if not sets or not scored:
        return None
    tasks = list(next(iter(scored.values())))
    best = Best(
        chosen=max(scored, key=lambda name: sum(scored[name].values())),
        by_task={task: max(scored, key=lambda name: scored[name][task]) for task in tasks},
        facts_f1=scored,
    )
    _put(training.result / best.chosen, training.result)
    for checkpoint in weights.checkpoints(training.result):
        for name in weights.RESUMING:
            (checkpoint / name).unlink(missing_ok=True)
    write_text(training.result / NAME, dumps(to_dict(best), indent=2) + "\n")
    return best


def _scores(run: Run, checkpoint: Path, sets: Sequence[str]) -> Iterator[tuple[str, float]]:
    """Yield (task, facts F1) of a checkpoint on each validation set."""
    for name in sets:
        yield facts_f1(run, checkpoint / name / "generated_predictions.jsonl", run.keys(name))


def facts_f1(run: Run, predictions: Path, keys: Path) -> tuple[str, float]:
    """Return the task of a prediction file and its micro F1 of facts, as etlch-score computes it.

    Raises:
        EtlchError: the file does not fit its keys, or holds several tasks.
    """
    import numpy as np

    from etlch.metrics.reading import ParseConfig
    from etlch.metrics.record import measure
    from etlch.metrics.registry import f1
    from etlch.tasks import find_task

    task_file = read_manifest(run).settings.plan.task_file
    sums = np.zeros(3)
    tasks = set()
    for aligned in read_aligned(predictions, keys):
        tasks.add(aligned.key.task)
        config = ParseConfig(
            find_task(aligned.key.task, Path(task_file) if task_file else None),
            rouge=False,
            json=False,
            grounding=False,
        )
        row = measure(aligned.key, aligned.text, config).rows.get("facts")
        sums += np.array(row if row else (0.0, 0.0, 0.0))
    if len(tasks) != 1:
        raise EtlchError(
            _("{keys} holds several tasks").format(keys=keys), _("A validation set is of one task.")
        )
    score = float(f1(sums))
    return tasks.pop(), 0.0 if np.isnan(score) else score


def _put(source: Path, target: Path) -> None:
    """Copy a checkpoint's weights into the model's folder, each file whole or not at all."""
    patterns = ("adapter_model.safetensors", "adapter_config.json", "model*.safetensors", weights.INDEX)
    if weights.fingerprint(source) == weights.fingerprint(target):
        return
    for path in (path for pattern in patterns for path in sorted(source.glob(pattern))):
        half = target / f".{path.name}.half"
        shutil.copyfile(path, half)
        os.replace(half, target / path.name)
