"""`etlch-data predict`: baselines on the test set of a run: made of its training sets, or any model at an endpoint."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from etlch.cli.common import split
from etlch.core.settings import Settings, TeacherSettings

if TYPE_CHECKING:
    from etlch.baselines.test_set import Predicted
    from etlch.core.run_folder import Run

ROWS = ("dictionary", "crf")
"""What is made of the training labels here; any other name is a model at an endpoint."""


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--model", required=True, help="`dictionary`, `crf`, or a model's name at an endpoint.")
@click.option(
    "--base-url",
    envvar="OPENAI_BASE_URL",
    help="An OpenAI-compatible endpoint.  [default: $OPENAI_BASE_URL, or OpenAI's own]",
)
@click.option("--as", "folder", help="The model's folder in predictions/.  [default: from --model]")
@click.option(
    "--tasks", callback=split(), help="Tasks, or test sets such as ner@human, by comma.  [default: the run's]"
)
@click.option("--budget", type=float, help="Hard cap on all that the run ever cost, in US dollars.")
@click.option(
    "--concurrency", type=int, help=f"Requests in flight.  [default: {TeacherSettings.concurrency}]"
)
@click.option(
    "--settings",
    "file",
    type=click.Path(path_type=Path),
    help="YAML file of further settings, e.g. `constrained: true`.  [default: none]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def predict(
    run: Path,
    model: str,
    folder: str | None,
    tasks: tuple[str, ...] | None,
    file: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Ask a model for the test set of RUN and write its predictions, ready to be scored.

    The same command goes on where it was stopped; no answer is paid for twice. With the
    setting `constrained` each record's schema is sent as response format.

    `--model dictionary` and `--model crf` ask nobody. For each size of the run the one looks up
    what the training labels say; the other, for ner, is a conditional random field trained on them.

    \b
    Examples:
      etlch-data predict outputs/offline-en --model dictionary
      etlch-data predict outputs/offline-en --model crf
      etlch-data predict outputs/offline-en --model gpt-4o-mini --budget 1.00
      etlch-data predict outputs/offline-en --model Qwen/Qwen2.5-7B-Instruct --base-url http://localhost:8000/v1
    """
    import asyncio
    import dataclasses

    from etlch.core.config import load_settings
    from etlch.core.files import dumps
    from etlch.core.manifest import read
    from etlch.core.run_folder import Run
    from etlch.pipeline import predict as room

    found = Run(run)
    if model in ROWS:
        done = _trained(found, model, folder, tasks)
    else:
        teacher = load_settings(Settings, file, {"teacher": model, **options}).teacher
        room.refuse_offline(teacher)
        wanted = room.chosen_tests(found, read(found), tasks)
        named = folder or room.folder_name(model, teacher.constrained)
        done = asyncio.run(room.predict(found, teacher, wanted, named, _note))
    if as_json:
        click.echo(dumps([dataclasses.asdict(item) for item in done]))
        return
    for item in done:
        paid = "price unknown" if item.usd is None else f"${item.usd:.4f}"
        parts = ((item.cut, "cut off"), (item.refused, "refused"), (item.stored, "answered before"))
        told = "".join(f", {count} {what}" for count, what in parts if count)
        click.echo(f"{run / item.path}: {item.rows} rows{told}, {paid}")
    click.echo(f"Next:\n  etlch-score {run}")


def _trained(run: Run, model: str, folder: str | None, tasks: tuple[str, ...] | None) -> list[Predicted]:
    """Predict with what is made of the training sets here: one model for each size of the run."""
    from etlch.baselines import crf, dictionary, tagging
    from etlch.core.errors import EtlchError
    from etlch.core.manifest import read
    from etlch.core.records import Model
    from etlch.pipeline.predict import chosen_tests

    if folder is not None:
        raise EtlchError(f"--as: {model} is named by its size", "Leave it out.")
    manifest = read(run)
    tests = chosen_tests(run, manifest, tasks)
    if model == dictionary.NAME:
        return dictionary.predict(run, manifest.settings, tests)
    crf.require()
    tests = tagging.taggable(manifest.settings, tests, tasks is not None)
    sizes = sorted(manifest.settings.plan.sizes)
    models = [Model(crf.NAME, size, None, "baseline", None, None) for size in sizes]
    return tagging.predict(run, manifest.settings, tests, models, crf.train, partial(click.echo, err=True))


def _note(task: str, answered: int, rows: int, spent: float) -> None:
    if answered == rows or answered % max(1, rows // 10) == 0:
        click.echo(f"{task}: {answered}/{rows}" + (f", ${spent:.4f} in all" if spent else ""), err=True)
