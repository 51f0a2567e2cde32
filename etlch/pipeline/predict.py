"""Predict a run's test set with any served model, and write its answers as LlamaFactory writes them.

Any OpenAI-compatible endpoint is asked through the client, so predictions resume, are paid
once, and cost what they cost: a 7B baseline behind vLLM, or the teacher itself as a row of
the table.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from etlch.core.errors import EtlchError, nearest
from etlch.core.files import dumps, read_jsonl, read_lines, write_text
from etlch.core.records import Json, Key, Model, to_dict
from etlch.core.run_folder import Run
from etlch.core.settings import TeacherSettings
from etlch.export.data_files import turn
from etlch.llm.client import LLMClient, open_client
from etlch.llm.errors import BadContent
from etlch.llm.store import Message, Request


@dataclass(frozen=True, slots=True)
class Predicted:
    """What one task's prediction file holds.

    Attributes:
        task: its name.
        path: the file, relative to the run folder.
        rows: predictions, one for each key.
        cut: answers that reached the limit of tokens.
        refused: rows without an answer, because the endpoint refused them (HTTP 400).
        stored: answers on file from before. A question that a model of this name answered, at
            whatever endpoint, is not sent again.
        usd: what was paid for them in this session and before; None without a price.
    """

    task: str
    path: str
    rows: int
    cut: int
    refused: int
    stored: int
    usd: float | None


Note = Callable[[str, int, int, float], None]
"""Called with (task, rows answered, rows, US dollars that the run has cost; 0 without a price)."""


async def predict(
    run: Run, teacher: TeacherSettings, tasks: Sequence[str], folder: str, note: Note
) -> list[Predicted]:
    """Write the prediction files of one model, and its model.json where there is none.

    Args:
        run: a run with LlamaFactory files.
        teacher: the model asked, its endpoint, max_tokens, budget, `constrained`.
            Without a `temperature` 0 is sent, as predictions of recipes do not sample either.
        tasks: whose test sets are predicted.
        folder: name of the model's folder.
        note: takes the progress.

    Raises:
        EtlchError: no test set, predictions of another origin in the folder, or the endpoint
            cannot be used; what was answered is not paid again.
    """
    tests = {task: read_test(run, task) for task in tasks}
    for task, keys in tests.items():
        _refuse_foreign(run.prediction_file(folder, task), keys)
    async with open_client(teacher, run) as client:
        done = await asyncio.gather(
            *(_task(run, teacher, folder, task, keys, client, note) for task, keys in tests.items())
        )
    write_card(run, Model(folder, None, None, "baseline", None, None))
    return list(done)


def folder_name(model: str, constrained: bool) -> str:
    """Return a model's name as a folder: the part after the last slash, and how it was asked."""
    name = re.sub(r"[^\w.-]+", "-", model.rstrip("/").rpartition("/")[2]).strip("-.") or "model"
    return f"{name}-constrained" if constrained else name


def chosen_tasks(run: Run, known: tuple[str, ...], wanted: Sequence[str] | None) -> tuple[str, ...]:
    """Return the tasks to predict: those wanted, else all known ones of the run.

    Raises:
        EtlchError: the run does not have one of them.
    """
    for task in wanted or ():
        if task not in known:
            raise EtlchError(
                f"{run.folder} has no task '{task}'.{nearest(task, known)}", f"It has {', '.join(known)}."
            )
    return tuple(wanted or known)


def read_test(run: Run, task: str) -> list[Key]:
    """Return the keys of a task's test set.

    Raises:
        EtlchError: there is none, or it is empty.
    """
    path = run.keys(run.stem(task, "test"))
    if not path.is_file():
        raise EtlchError(
            f"{run.folder} has no test set for {task}: there is no {path.relative_to(run.folder)}",
            f"Write it with `etlch-data export {run.folder}`.",
        )
    keys = read_jsonl(path, Key)
    if not keys:
        raise EtlchError(f"{path} is empty", "A run with --test 0 has nothing to predict.")
    return keys


def prompt(key: Key) -> str:
    """Return what a user would say."""
    return turn(key.instruction, key.input)


async def _task(
    run: Run, teacher: TeacherSettings, folder: str, task: str, keys: list[Key], client: LLMClient, note: Note
) -> Predicted:
    answered = cut = refused = stored = 0
    why = ""
    costs: list[float | None] = []

    async def one(key: Key) -> str:
        nonlocal answered, cut, refused, stored, why
        text = ""
        try:
            reply = await client.ask(request(key, teacher), f"predict/{task}")
        except BadContent as bad:
            refused, why = refused + 1, str(bad)
        else:
            text = reply.text
            costs.append(reply.cost)
            cut += reply.finish == "length"
            stored += reply.stored
        answered += 1
        note(task, answered, len(keys), client.stats().spent)
        return text

    texts = await asyncio.gather(*(one(key) for key in keys))
    if refused == len(keys):
        raise EtlchError(
            f"every one of the {refused} requests for {task} was refused, the last one so: {why}",
            "Nothing was written. Leave out what the endpoint does not take, such as the setting temperature.",
            code=1,
        )
    known = [cost for cost in costs if cost is not None]
    usd = math.fsum(known) if len(known) == len(costs) else None  # the same in any order of arrival
    written = write_rows(run, folder, task, keys, texts)
    return replace(written, cut=cut, refused=refused, stored=stored, usd=usd)


def request(key: Key, teacher: TeacherSettings) -> Request:
    """Return what is asked for one row of the test set."""
    return Request(
        model=teacher.name,
        messages=(Message("user", prompt(key)),),
        max_tokens=teacher.max_tokens,
        temperature=0.0 if teacher.temperature is None else teacher.temperature,
        schema=key.schema if teacher.constrained else None,
        extra=teacher.extra_body or None,
    )


def write_rows(run: Run, folder: str, task: str, keys: Sequence[Key], texts: Sequence[str]) -> Predicted:
    """Write a prediction file: one text for each key, in order.

    Raises:
        EtlchError: the file holds predictions of another origin.
    """
    path = run.prediction_file(folder, task)
    _refuse_foreign(path, keys)
    write_text(path, "".join(_row(key, text) for key, text in zip(keys, texts, strict=True)))
    return Predicted(task, path.relative_to(run.folder).as_posix(), len(keys), 0, 0, 0, 0.0)


def write_card(run: Run, model: Model) -> None:
    """Write a model's model.json where there is none."""
    card = run.model_card(model.folder)
    if not card.exists():
        write_text(card, dumps(to_dict(model), indent=2) + "\n")


def _row(key: Key, text: str) -> str:
    row: dict[str, Json] = {"prompt": prompt(key), "predict": text, "label": key.gold}
    return dumps(row) + "\n"


def _refuse_foreign(path: Path, keys: Sequence[Key]) -> None:
    """Refuse to write over predictions that something else made, or of another test set."""
    if not path.exists():
        return
    first = next(read_lines(path), None)
    if first is not None and first.value.get("prompt") != prompt(keys[0]):
        raise EtlchError(
            f"{path} holds predictions that `etlch-data predict` did not make for this test set",
            "Name another folder with --as, or move them away.",
        )


def refuse_offline(teacher: TeacherSettings) -> None:
    """Stop where the offline teacher is to predict.

    Raises:
        EtlchError: it is.
    """
    if teacher.name == "offline":
        raise EtlchError(
            "the offline teacher cannot be a row of the table: it wrote the gold of its own articles, "
            "and labels no others",
            "Name a model at an endpoint, or --model dictionary: a row that needs none.",
        )
