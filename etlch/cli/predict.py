"""`etlch-data predict`: baselines on the test set of a run: made of its training sets, or any model at an endpoint."""

from __future__ import annotations

import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from etlch.cli.common import split
from etlch.core.settings import Settings, TeacherSettings

if TYPE_CHECKING:
    from etlch.baselines.test_set import Predicted
    from etlch.core.run_folder import Run

ROWS = ("dictionary", "crf", "encoder")
"""What is made of the training labels here; any other name is a model at an endpoint."""


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--model", required=True, help="`dictionary`, `crf`, `encoder:NAME`, or a model's name at an endpoint."
)
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

    Three rows ask nobody and are made of the training labels, for each size of the run: `dictionary`
    looks up what they say, `crf` trains a conditional random field, and `encoder:NAME` tunes an
    encoder, a name of the hub or a folder. The last two do ner.

    \b
    Examples:
      etlch-data predict outputs/offline-en --model dictionary
      etlch-data predict outputs/offline-en --model crf
      etlch-data predict outputs/offline-en --model encoder:google-bert/bert-base-cased
      etlch-data predict outputs/offline-en --model gpt-4o-mini --budget 1.00
      etlch-data predict outputs/offline-en --model Qwen/Qwen2.5-7B-Instruct --base-url http://localhost:8000/v1
    """
    import asyncio
    import dataclasses

    from etlch.core.config import load_settings
    from etlch.core.errors import EtlchError, nearest
    from etlch.core.files import dumps
    from etlch.core.locale import _
    from etlch.core.manifest import read
    from etlch.core.run_folder import Run
    from etlch.pipeline import predict as room

    found = Run(run)
    kind = model.partition(":")[0]
    if kind in ROWS:
        done = _trained(found, model, folder, tasks)
    elif options["base_url"] is None and (meant := nearest(kind, ROWS, cutoff=0.75)):
        raise EtlchError(
            _("there is no baseline {model}.{meant}").format(model=model, meant=meant),
            _("A model of this name at an endpoint is asked with --base-url."),
        )
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
        click.echo(f"{run / item.path}: {_in_words(item)}{'' if kind in ROWS else _paid(item)}")
    click.echo(f"Next:\n  etlch-score {shlex.quote(str(run))}")


def _in_words(item: Predicted) -> str:
    parts = (
        (item.cut, "cut off"),
        (item.refused, "refused"),
        (item.empty, "empty"),
        (item.stored, "answered before"),
    )
    return f"{item.rows} rows" + "".join(f", {count} {what}" for count, what in parts if count)


def _paid(item: Predicted) -> str:
    return ", price unknown" if item.usd is None else f", ${item.usd:.4f}"


def _trained(run: Run, model: str, folder: str | None, tasks: tuple[str, ...] | None) -> list[Predicted]:
    """Predict with what is made of the training sets here: one model for each size of the run."""
    from etlch.baselines import crf, dictionary, encoder, tagging
    from etlch.core.errors import EtlchError
    from etlch.core.locale import _
    from etlch.core.manifest import read
    from etlch.core.records import Model
    from etlch.pipeline.predict import chosen_tests

    kind, _rest, base = model.partition(":")
    if folder is not None:
        raise EtlchError(_("--as: {kind} is named by its size").format(kind=kind), _("Leave it out."))
    manifest = read(run)
    settings, tests = manifest.settings, chosen_tests(run, manifest, tasks)
    if kind == dictionary.NAME:
        return dictionary.predict(run, settings, tests)
    seeds: tuple[int | None, ...]
    train: tagging.Train
    if kind == crf.NAME:
        crf.require()
        name, seeds, train = crf.NAME, (None,), crf.train
    else:
        name, seeds, train = encoder.model_name(base), settings.export.seeds, encoder.trainer(base)
        encoder.require()
    tests = tagging.taggable(settings, tests, tasks is not None)
    models = [
        Model(name, size, seed, "baseline", None, None)
        for size in sorted(settings.plan.sizes)
        for seed in seeds
    ]
    return tagging.predict(run, settings, tests, models, train, partial(click.echo, err=True))


def _note(task: str, answered: int, rows: int, spent: float) -> None:
    if answered == rows or answered % max(1, rows // 10) == 0:
        click.echo(f"{task}: {answered}/{rows}" + (f", ${spent:.4f} in all" if spent else ""), err=True)
