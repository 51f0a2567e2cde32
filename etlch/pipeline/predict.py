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
from dataclasses import replace

from etlch.baselines.test_set import Predicted, prompt, read_test, refuse_foreign, write_card, write_rows
from etlch.core.errors import EtlchError, nearest
from etlch.core.locale import _
from etlch.core.manifest import Manifest
from etlch.core.records import Key, Model, task_of
from etlch.core.run_folder import Run
from etlch.core.settings import TeacherSettings
from etlch.llm.client import LLMClient, open_client
from etlch.llm.errors import BadContent
from etlch.llm.store import Message, Request
from etlch.text.model_text import without_thoughts

Note = Callable[[str, int, int, float], None]
"""Called with (task, rows answered, rows, US dollars that the run has cost; 0 without a price)."""


async def predict(
    run: Run, teacher: TeacherSettings, names: Sequence[str], folder: str, note: Note
) -> list[Predicted]:
    """Write the prediction files of one model, and its model.json where there is none.

    Args:
        run: a run with LlamaFactory files.
        teacher: the model asked, its endpoint, max_tokens, budget, `constrained`.
            Without a `temperature` 0 is sent, as predictions of recipes do not sample either.
        names: test sets, such as `ner` and `ner@human`.
        folder: name of the model's folder.
        note: takes the progress.

    Raises:
        EtlchError: no test set, predictions of another origin in the folder, or the endpoint
            cannot be used; what was answered is not paid again.
    """
    tests = {name: read_test(run, name) for name in names}
    for task, keys in tests.items():
        refuse_foreign(run.prediction_file(folder, task), keys)
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


def chosen_tests(run: Run, finished: Manifest, wanted: Sequence[str] | None) -> tuple[str, ...]:
    """Return the test sets to predict: all of the run, or those of the tasks wanted and those named as `ner@human`.

    Raises:
        EtlchError: the run does not have one of them.
    """
    known = finished.tests() or finished.settings.plan.tasks
    chosen: list[str] = []
    for name in wanted or known:
        found = [test for test in known if name in (test, task_of(test))] if wanted else [name]
        if not found:
            raise EtlchError(
                _("{folder} has no task '{name}'.{nearest}").format(
                    folder=run.folder, name=name, nearest=nearest(name, known)
                ),
                _("It has {known}.").format(known=", ".join(known)),
            )
        chosen += found
    return tuple(dict.fromkeys(chosen))


async def _task(
    run: Run, teacher: TeacherSettings, folder: str, task: str, keys: list[Key], client: LLMClient, note: Note
) -> Predicted:
    answered = cut = refused = empty = stored = 0
    why = ""
    costs: list[float | None] = []

    async def one(key: Key) -> str:
        nonlocal answered, cut, refused, empty, stored, why
        text = ""
        try:
            reply = await client.ask(request(key, teacher), f"predict/{task}")
        except BadContent as bad:
            refused, why = refused + 1, str(bad)
        else:
            text = reply.text
            costs.append(reply.cost)
            cut += reply.finish == "length"
            empty += not without_thoughts(text).strip()
            stored += reply.stored
        answered += 1
        note(task, answered, len(keys), client.stats().spent)
        return text

    texts = await asyncio.gather(*(one(key) for key in keys))
    if refused == len(keys):
        raise EtlchError(
            _("every one of the {refused} requests for {task} was refused, the last one so: {why}").format(
                refused=refused, task=task, why=why
            ),
            _(
                "Nothing was written. Leave out what the endpoint does not take, such as the setting temperature."
            ),
            code=1,
        )
    known = [cost for cost in costs if cost is not None]
    usd = math.fsum(known) if len(known) == len(costs) else None  # the same in any order of arrival
    written = write_rows(run, folder, task, keys, texts)
    return replace(written, cut=cut, refused=refused, empty=empty, stored=stored, usd=usd)


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


def refuse_offline(teacher: TeacherSettings) -> None:
    """Stop where the offline teacher is to predict.

    Raises:
        EtlchError: it is.
    """
    if teacher.name == "offline":
        raise EtlchError(
            _(
                "the offline teacher cannot be a row of the table: it wrote the gold of its own articles, and "
                "labels no others"
            ),
            _("Name a model at an endpoint, or --model dictionary: a row that needs none."),
        )
