"""Read, derive and write extractor.json, which tells how a tuned model is asked.

It stands beside every adapter and export, so that a model folder is enough to extract with. Where it
is missing and the folder still stands in its run, it is derived from the run's recipe and keys.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from etlch.core import manifest
from etlch.core.errors import EtlchError, nearest
from etlch.core.files import dumps, read_text, write_text
from etlch.core.locale import _
from etlch.core.records import Json, Key, to_dict
from etlch.core.run_folder import Run
from etlch.core.settings import Settings
from etlch.export.jobs import Job, names, read_jobs
from etlch.text.json_text import loads

NAME = "extractor.json"
GGUF = ".gguf"
FORMAT = 1
_QUESTION = "QUESTION"


@dataclass(frozen=True)
class TaskPrompt:
    """How one task is asked.

    Attributes:
        instruction: what stands before the article; None where each record has its own (the json task
            without a schema of one's own).
        keys: types or fields of the label; empty where the model chooses them.
        schema: JSON schema of the label; None where the label is not JSON.
    """

    instruction: str | None
    keys: tuple[str, ...] = ()
    schema: Json = None


@dataclass(frozen=True)
class Calibration:
    """Facts that the model predicted on the validation set, by ascending probability.

    Attributes:
        raw: the geometric mean of the probabilities of each fact's tokens.
        right: whether the fact is in the gold; same length.
    """

    raw: tuple[float, ...]
    right: tuple[bool, ...]


@dataclass(frozen=True)
class ExtractorCard:
    """What extractor.json says.

    Attributes:
        model: the model folder's name.
        language: of articles and labels.
        tasks: task name → how it is asked.
        base_model: hub name, or a path relative to the model folder; None where the folder holds whole weights.
        prompt: the text before and after the question, special tokens included, as training wrote it.
        stop: tokens that end an answer besides the tokenizer's own end token.
        max_new_tokens: the longest answer, in tokens.
        chunk: longest piece of a document, in characters; 0 cuts none.
        dtype: bfloat16 or float32.
        policies: field or type → policy, as in the run's settings.
        calibration: task → how probabilities become precision; empty before `etlch-extract calibrate`.
    """

    model: str
    language: str
    tasks: dict[str, TaskPrompt]
    base_model: str | None
    prompt: tuple[str, str]
    stop: tuple[str, ...] = ()
    max_new_tokens: int = 1024
    chunk: int = 0
    dtype: str = "float32"
    policies: dict[str, Json] = field(default_factory=dict)
    calibration: dict[str, Calibration] = field(default_factory=dict)


def read_card(folder: Path) -> ExtractorCard:
    """Return the card of a model folder, derived from its run where no extractor.json stands there.

    Args:
        folder: of the model, or a GGUF file: it has a card of its own once it is calibrated, else its folder's.

    Raises:
        EtlchError: the folder is no model, or nothing tells how it is asked.
    """
    if not folder.is_dir() and not (folder.suffix == GGUF and folder.is_file()):
        raise EtlchError(
            _("{folder} is neither a model folder nor a GGUF file").format(folder=folder),
            _("Name one such as outputs/RUN/models/NAME."),
        )
    for path in (_card_path(folder), *((folder.parent / NAME,) if folder.suffix == GGUF else ())):
        if path.is_file():
            return _parse(path)
    run = run_of(folder)
    if run is None:
        raise EtlchError(
            _("{folder} has no {name} and stands in no run folder").format(folder=folder, name=NAME),
            _(
                "Name a model folder of a run (outputs/RUN/models/NAME), or copy extractor.json along with the "
                "model."
            ),
        )
    return derive(run, folder.parent if folder.suffix == GGUF else folder)


def write_card(folder: Path, card: ExtractorCard) -> None:
    """Write extractor.json into a model folder, or beside a GGUF file under its name."""
    write_text(_card_path(folder), dumps({"format": FORMAT, **to_dict(card)}, indent=2) + "\n")


def _card_path(folder: Path) -> Path:
    return folder.with_suffix(f".{NAME}") if folder.suffix == GGUF else folder / NAME


def write_cards(run: Run, jobs: Iterable[Job]) -> list[str]:
    """Write extractor.json beside the results of trainings and exports that are done.

    Returns:
        A line for each that could not be written.
    """
    said = []
    for job in jobs:
        if job.kind in ("train", "export") and job.result.is_dir() and not (job.result / NAME).is_file():
            try:
                write_card(job.result, derive(run, job.result))
            except EtlchError as error:
                said.append(f"{job.result / NAME} was not written: {error.what}")
    return said


def derive(run: Run, folder: Path) -> ExtractorCard:
    """Return the card of a model of a run from its recipes, keys and settings.

    Raises:
        EtlchError: no recipe trains or exports this folder, or its tokenizer cannot be read.
    """
    jobs = read_jobs(run)
    here = folder.resolve()
    job = next((job for job in jobs if job.kind != "predict" and job.result.resolve() == here), None)
    if job is None:
        known = [job.model for job in jobs if job.kind == "train"]
        raise EtlchError(
            _("no recipe of {folder} trains {name}.{nearest}").format(
                folder=run.folder, name=folder.name, nearest=nearest(folder.name, known)
            ),
            _("Its models are {value}.").format(value=", ".join(known) or "none"),
        )
    trained = next(one for one in jobs if one.kind == "train" and one.model == job.model)
    settings = manifest.read(run).settings
    base = str(trained.values["model_name_or_path"])
    if (run.folder / base).is_dir():
        base = os.path.relpath((run.folder / base).resolve(), here)
    prompt, stop = _prompt_of(run, trained)
    room = next((one.values.get("max_new_tokens") for one in jobs if one.kind == "predict"), None)
    return ExtractorCard(
        model=job.model,
        language=settings.plan.language,
        tasks={task: _task_prompt(run, task) for task in _trained_tasks(run, trained, settings)},
        base_model=base if job.kind == "train" and job.adapter else None,
        prompt=prompt,
        stop=stop,
        max_new_tokens=int(room or 1024),
        chunk=settings.plan.chunk,
        dtype="bfloat16" if trained.values.get("bf16") else "float32",
        policies=dict(settings.check.policies),
    )


def base_path(card: ExtractorCard, folder: Path) -> str:
    """Return where the base model of an adapter stands: a path, or a hub name."""
    base = str(card.base_model)
    return str((folder / base).resolve()) if (folder / base).is_dir() else base


def with_fields(
    card: ExtractorCard, instruction: str, fields: tuple[str, ...], rendered: str
) -> ExtractorCard:
    """Return the card with the json task asked for fields of the user's choice.

    Args:
        card: of a model that knows the json task.
        instruction: what the user wants, in words.
        fields: names of the label's fields.
        rendered: the instruction as the run's prompt writes it.
    """
    schema: Json = {
        "type": "object",
        "properties": {name: {"type": "array", "items": {"type": "string"}} for name in fields},
        "required": list(fields),
        "additionalProperties": False,
    }
    return replace(card, tasks={**card.tasks, "json": TaskPrompt(rendered, fields, schema)})


def _parse(path: Path) -> ExtractorCard:
    value, problem = loads(read_text(path))
    if problem or not isinstance(value, dict) or value.get("format") != FORMAT:
        raise EtlchError(
            _("{path} is not an extractor.json of format {value}").format(path=path, value=FORMAT),
            _("Write it again: `etlch-data run RUN`."),
        )
    value.pop("format")
    try:
        tasks = {
            name: TaskPrompt(told["instruction"], tuple(told["keys"]), told["schema"])
            for name, told in value.pop("tasks").items()
        }
        fitted = {
            name: Calibration(tuple(told["raw"]), tuple(told["right"]))
            for name, told in value.pop("calibration", {}).items()
        }
        before, after = value.pop("prompt")
        stop = tuple(value.pop("stop", ()))
        return ExtractorCard(tasks=tasks, calibration=fitted, prompt=(before, after), stop=stop, **value)
    except (KeyError, TypeError, ValueError) as error:
        raise EtlchError(f"{path}: {error}", _("Write it again: `etlch-data run RUN`.")) from error


def run_of(folder: Path) -> Run | None:
    """Return the run that a model folder stands in: <run>/models/<model>, or <run>/models/<model>/merged."""
    for parent in list(folder.resolve().parents)[:3]:
        if (parent / "run.yaml").is_file():
            return Run(parent)
    return None


def _trained_tasks(run: Run, job: Job, settings: Settings) -> list[str]:
    """Return the tasks whose training data a recipe names."""
    sets = names(job.values.get("dataset"))
    return [task for task in settings.plan.tasks if any(f"_{task}_train" in name for name in sets)]


def _task_prompt(run: Run, task: str) -> TaskPrompt:
    """Return how a task is asked, from the keys of its test set."""
    from etlch.core.files import read_jsonl

    path = run.keys(run.stem(task, "test"))
    if not path.is_file():
        raise EtlchError(
            _("{path} is not there, and it tells how {task} is asked").format(path=path, task=task),
            _("Run `etlch-data export RUN`."),
        )
    keys = read_jsonl(path, Key)
    told = {key.instruction for key in keys}
    schema = keys[0].schema
    if len(told) != 1:
        return TaskPrompt(None)
    fields = tuple((schema or {}).get("properties", ()))
    return TaskPrompt(keys[0].instruction, fields, schema)


def _prompt_of(run: Run, job: Job) -> tuple[tuple[str, str], tuple[str, ...]]:
    """Return the text around a question, and the stop tokens, as LlamaFactory's template has them."""
    from etlch.export.preflight.counter import in_own_process

    whole, stop = in_own_process(_trained_prompt, run, [job])
    before, found, after = whole.partition(_QUESTION)
    if not found:
        raise EtlchError(
            _("the template {values} does not write the question").format(values=job.values.get("template")),
            whole,
        )
    return (before, after), stop


def _trained_prompt(run: Run, jobs: list[Job]) -> tuple[str, tuple[str, ...]]:
    """Work in a process of its own, which may import LlamaFactory."""
    from etlch.export.preflight.counter import counter_of, prompts, setup_of

    os.chdir(run.folder)
    counter, problem = counter_of(setup_of(jobs[0]))
    if counter is None:
        raise EtlchError(problem.what, "")
    stop = counter.template.get_stop_token_ids(counter.tokenizer)
    return prompts(counter)[0], tuple(sorted(counter.tokenizer.convert_ids_to_tokens(list(stop))))
