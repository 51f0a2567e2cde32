"""`etlch-data predict`: any OpenAI-compatible model as a baseline on the test set of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from etlch.cli.common import split
from etlch.core.settings import Settings, TeacherSettings


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--model", required=True, help="The model's name at the endpoint, or `dictionary`.")
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

    `--model dictionary` asks nobody: for each size it looks up what the training labels say.

    \b
    Examples:
      etlch-data predict outputs/offline-en --model dictionary
      etlch-data predict outputs/offline-en --model gpt-4o-mini --budget 1.00
      etlch-data predict outputs/offline-en --model Qwen/Qwen2.5-7B-Instruct --base-url http://localhost:8000/v1
    """
    import asyncio
    import dataclasses

    from etlch.baselines import dictionary
    from etlch.core.config import load_settings
    from etlch.core.errors import EtlchError
    from etlch.core.files import dumps
    from etlch.core.manifest import read
    from etlch.core.run_folder import Run
    from etlch.pipeline import predict as room

    found = Run(run)
    if model == dictionary.NAME:
        if folder is not None:
            raise EtlchError("--as: a dictionary is named by its size", "Leave it out.")
        manifest = read(found)
        done = dictionary.predict(found, manifest.settings, room.chosen_tests(found, manifest, tasks))
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


def _note(task: str, answered: int, rows: int, spent: float) -> None:
    if answered == rows or answered % max(1, rows // 10) == 0:
        click.echo(f"{task}: {answered}/{rows}" + (f", ${spent:.4f} in all" if spent else ""), err=True)
