"""Find what to score below given paths: run folders, prediction files, globs, each with its keys."""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from glob import glob
from itertools import islice
from pathlib import Path

from etlch.core.errors import EtlchError, nearest
from etlch.core.files import read_text
from etlch.core.locale import _
from etlch.core.records import Json, Model, from_dict, task_of
from etlch.core.run_folder import Run
from etlch.core.settings import ScoreSettings
from etlch.metrics.predictions import layout_of, parse_row
from etlch.metrics.readers.containers import raw_rows
from etlch.metrics.readers.layouts import Layout
from etlch.scoring.summary import System
from etlch.tasks import all_tasks

PREDICTIONS = "generated_predictions.jsonl"


@dataclass(frozen=True)
class Job:
    """One prediction file to score.

    Attributes:
        system: whose it is; an empty task is still to be found from the labels, and rows with
            columns of their own override it.
        keys: the gold side, in the same order; None takes the labels for gold.
        shown: the path as results name it: relative to its run folder, else as it was given.
        layout: which column of the file is which.
    """

    path: Path
    system: System
    keys: Path | None
    shown: str
    layout: Layout = field(default_factory=Layout)


@dataclass(frozen=True)
class Inputs:
    """All jobs, the run folder if it is exactly one, and what the reader should know."""

    jobs: tuple[Job, ...]
    run: Path | None
    notes: tuple[str, ...]


def find_inputs(paths: Sequence[Path], keys: Path | None, settings: ScoreSettings) -> Inputs:
    """Find every prediction file below the paths.

    Raises:
        EtlchError: a path does not exist or holds no predictions; no job is left by --model or --task.
    """
    jobs: list[Job] = []
    notes: list[str] = []
    runs: list[Path] = []
    loose: list[Path] = []
    for path in _expanded(paths):
        if path.is_dir() and (path / "predictions").is_dir():
            runs.append(path)
            found, said = _of_run(Run(path))
            jobs += found
            notes += said
        elif path.is_dir() and Run(path).settings.is_file():
            raise EtlchError(
                _("{path}: this run has no predictions yet").format(path=path),
                _("Next: etlch-data run {path}").format(path=shlex.quote(str(path))),
            )
        else:
            loose += _files(path)
    files = [_with_layout(job, settings) for job in _loose(loose, keys, settings, also=bool(jobs))]
    jobs = [_with_layout(job, settings) for job in jobs]
    if not any(map(_names_models, files)):
        check_baseline([job.system for job in (*jobs, *files)], settings)
    jobs = [*(_chosen(jobs, settings) if jobs else []), *files]
    if keys is not None:
        jobs = [replace(job, keys=keys) for job in jobs]
    if not jobs:
        raise EtlchError(
            _("no predictions in {paths}").format(paths=", ".join(map(str, paths))),
            _(
                "Train and predict first: `etlch-data run RUN`, or `llamafactory-cli train "
                "recipes/predict_….yaml` there."
            ),
        )
    notes += [
        _("{file}: read as {layout}").format(file=job.shown, layout=job.layout.name)
        for job in jobs
        if job.layout.name
    ]
    return Inputs(tuple(jobs), runs[0] if len(runs) == 1 and not loose else None, tuple(notes))


def _expanded(paths: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if path.exists():
            found.append(path)
            continue
        matches = sorted(glob(str(path), recursive=True))
        if not matches:
            raise EtlchError(
                _("{path} does not exist.{nearest_path}").format(path=path, nearest_path=_nearest_path(path)),
                _("Name a run folder, a prediction file or a glob."),
            )
        found += map(Path, matches)
    return list(dict.fromkeys(found))


def _nearest_path(path: Path) -> str:
    """Name the neighbour with the most similar name, below the deepest folder that exists."""
    while not path.parent.is_dir():
        path = path.parent
    return nearest(str(path), [str(other) for other in sorted(path.parent.iterdir())], cutoff=0.75)


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(path.rglob(PREDICTIONS))
    if not found:
        raise EtlchError(
            _("{path} is no run folder and holds no {predictions}").format(
                path=path, predictions=PREDICTIONS
            ),
            _("Name a run folder, a prediction file, or a glob such as 'results/*.jsonl'."),
        )
    return found


def _of_run(run: Run) -> tuple[list[Job], list[str]]:
    jobs: list[Job] = []
    notes: list[str] = []
    for folder in sorted(path for path in run.predictions.iterdir() if path.is_dir()):
        files = sorted(folder.glob(f"*/{PREDICTIONS}"))
        if not files:
            notes.append(_("{model}: no predictions yet, left out").format(model=folder.name))
            continue
        card = run.model_card(folder.name)
        model = _model(card) if card.is_file() else None
        if model is None:
            notes.append(_("{model}: no model.json, so its role is unknown").format(model=folder.name))
        for file in files:
            task = file.parent.name
            jobs.append(
                Job(
                    file,
                    _system(model, folder.name, task),
                    _keys(run, task),
                    str(file.relative_to(run.folder)),
                )
            )
    return jobs, notes


def _system(model: Model | None, folder: str, task: str) -> System:
    if model is None:
        return System(folder, task)
    return System(model.name, task, model.size, model.seed, model.role)


def _model(path: Path) -> Model:
    try:
        value: Json = json.loads(read_text(path))
        return from_dict(Model, value)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EtlchError(
            _("{path} is not a model card ({error})").format(path=path, error=error),
            _("`etlch-data export` on the run writes it again."),
        ) from error


def _keys(run: Run, task: str) -> Path | None:
    """Return the keys of a test set such as `ner` or `ner@human`; a renamed run folder keeps its files' old names."""
    own = run.keys(run.test_stem(task))
    if own.is_file():
        return own
    others = sorted(run.llamafactory.glob("*" + own.name.removeprefix(run.name)))
    if len(others) > 1:
        raise EtlchError(
            _("{llamafactory} holds several keys for {task}: {others}").format(
                llamafactory=run.llamafactory, task=task, others=", ".join(path.name for path in others)
            ),
            _("Name the right one with --keys."),
        )
    return others[0] if others else None


def _chosen(jobs: list[Job], settings: ScoreSettings) -> list[Job]:
    """Keep the model and the task asked for, and the baselines that the model is compared with."""
    if settings.task is not None:
        tasks = sorted({job.system.task for job in jobs})
        if settings.task not in tasks:
            raise EtlchError(
                _("no predictions for task '{task}'.{nearest}").format(
                    task=settings.task, nearest=nearest(settings.task, tasks)
                ),
                _("Tasks with predictions: {tasks}.").format(tasks=", ".join(tasks)),
            )
        jobs = [job for job in jobs if job.system.task == settings.task]
    if settings.model is None:
        return jobs
    names = sorted({name for job in jobs for name in names_of(job.system)})
    if settings.model not in names:
        raise EtlchError(
            _("there is no model '{model}'.{nearest}").format(
                model=settings.model, nearest=nearest(settings.model, names)
            ),
            _("Models with predictions: {names}.").format(names=", ".join(names)),
        )
    return [
        job
        for job in jobs
        if settings.model in names_of(job.system)
        or (named_so(job.system, settings.baselines) if settings.baselines else is_baseline(job.system))
    ]


def check_baseline(systems: Sequence[System], settings: ScoreSettings) -> None:
    """Refuse a baseline that is not there.

    Raises:
        EtlchError: no system has this name.
    """
    names = sorted({name for system in systems for name in names_of(system)})
    for baseline in settings.baselines if systems else ():
        if baseline not in names:
            raise EtlchError(
                _("there is no baseline '{baseline}'.{nearest}").format(
                    baseline=baseline, nearest=nearest(baseline, names)
                ),
                _("Models with predictions: {names}.").format(names=", ".join(names)),
            )


def names_of(system: System) -> tuple[str, str]:
    """Return the names that options may call a model by: with its size and seed, and without."""
    return system.model, system.label


def named_so(system: System, names: Collection[str]) -> bool:
    """Tell whether one of the names is a model's."""
    return not set(names).isdisjoint(names_of(system))


def is_baseline(system: System) -> bool:
    """Tell whether models are compared with this one by default."""
    return system.role in ("base", "baseline")


def _loose(files: list[Path], keys: Path | None, settings: ScoreSettings, also: bool) -> list[Job]:
    tasks = all_tasks(Path(settings.task_file) if settings.task_file else None)
    said = {file: _placed(file, tasks) for file in files}
    seen = Counter(said.values())
    placed = {file: system if seen[system] == 1 else None for file, system in said.items()}
    names = _names([file for file in files if placed[file] is None])
    if settings.model is not None and len(files) == 1 and not also:
        names, placed = [settings.model], {}
    unplaced = iter(names)
    return [
        Job(
            file,
            placed.get(file) or System(next(unplaced), settings.task or ""),
            keys or _keys_beside(file),
            str(file),
        )
        for file in files
    ]


_SIZED = re.compile(r"(?P<name>.+?)-(?P<size>[1-9]\d+)(?:-s(?P<seed>\d+))?")
"""A model's folder: `<name>[-<size>][-s<seed>]`; a size has two digits at least, so that GPT-4 has none."""


def _placed(file: Path, tasks: Collection[str]) -> System | None:
    """Return whose a file `<model>/<task>/generated_predictions.jsonl` is; None where it stands elsewhere.

    A model.json in the model's folder is believed; else the folder's name says model, size and seed.
    """
    folder = file.resolve().parent
    if file.name != PREDICTIONS or task_of(folder.name) not in tasks:
        return None
    card = folder.parent / "model.json"
    if card.is_file():
        return _system(_model(card), folder.parent.name, folder.name)
    found = _SIZED.fullmatch(folder.parent.name)
    if found is None:
        return System(folder.parent.name, folder.name)
    seed = None if found["seed"] is None else int(found["seed"])
    return System(found["name"], folder.name, int(found["size"]), seed)


def _with_layout(job: Job, settings: ScoreSettings) -> Job:
    return replace(job, layout=layout_of(job.path, settings.columns))


def _names_models(job: Job) -> bool:
    """Tell whether the first row says whose it is, so that the names are known only after reading."""
    try:
        columns = [parse_row(row, job.path, job.layout).columns for row in islice(raw_rows(job.path), 1)]
    except EtlchError:
        return True  # told, or skipped, when the rows are read
    return any(name in columns[0] for name in ("model", "size", "seed")) if columns else False


def _keys_beside(file: Path) -> Path | None:
    beside = file.with_name(f"{file.stem}.keys.jsonl")
    return beside if beside.is_file() else None


def _names(files: list[Path]) -> list[str]:
    """Name each file by its stem, or its folder where LlamaFactory gave it the usual name; all different."""
    names = [
        file.resolve().parent.name if file.name in (PREDICTIONS, "generated_predictions.json") else file.stem
        for file in files
    ]
    if len(set(names)) == len(names):
        return names
    return [str(file.with_suffix("")) for file in files]
