"""`etlch-data generate`: make a run, from settings to articles, records, data files and recipes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from etlch.cli.common import split
from etlch.core.config import default
from etlch.core.records import LANGUAGES
from etlch.core.settings import Settings


def shown(name: str) -> str:
    """Return a setting's default as an option's help shows it."""
    value = default(Settings, name)
    return ",".join(str(item) for item in value) if isinstance(value, tuple) else str(value)


def data_options(command: Any) -> Any:
    """Add the options that say which data a run consists of."""
    for option in reversed(
        (
            click.option(
                "--out",
                type=click.Path(path_type=Path),
                help="Run folder.  [default: outputs/<teacher>-<language>]",
            ),
            click.option("--teacher", help=f"A model's name, or `offline`.  [default: {shown('teacher')}]"),
            click.option(
                "--base-url",
                envvar="OPENAI_BASE_URL",
                help="An OpenAI-compatible endpoint.  [default: $OPENAI_BASE_URL, or OpenAI's own]",
            ),
            click.option("--tasks", callback=split(), help=f"Tasks, by comma.  [default: {shown('tasks')}]"),
            click.option(
                "--language",
                type=click.Choice(LANGUAGES),
                help=f"Of all texts.  [default: {shown('language')}]",
            ),
            click.option(
                "--sizes",
                callback=split(int),
                help=f"Records per task, by comma.  [default: {shown('sizes')}]",
            ),
            click.option(
                "--test", type=int, help=f"Articles kept for the test set.  [default: {shown('test')}]"
            ),
            click.option(
                "--articles",
                help="Your own texts: a file, a folder or a data set's name.  [default: written ones]",
            ),
            click.option(
                "--schema",
                help="Your own label: a JSON Schema file or module:Model.  [default: the tasks' own]",
            ),
            click.option("--prompts", help="Your folder of prompt overrides.  [default: none]"),
            click.option(
                "--settings",
                "settings_file",
                type=click.Path(path_type=Path),
                help="YAML file of further settings.  [default: none]",
            ),
            click.option(
                "--budget",
                type=float,
                help="Hard cap in US dollars.  [default: stop if the estimate is over 5]",
            ),
            click.option("--seed", type=int, help=f"Of the plan.  [default: {shown('seed')}]"),
            click.option(
                "--concurrency", type=int, help=f"Requests in flight.  [default: {shown('concurrency')}]"
            ),
        )
    ):
        command = option(command)
    return command


@click.command()
@data_options
@click.option(
    "--retry-rejected",
    is_flag=True,
    help="Ask again for what the checks refused, e.g. once a server is mended.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def generate(
    out: Path | None, settings_file: Path | None, retry_rejected: bool, as_json: bool, **options: Any
) -> None:
    """Write articles and proved labels, LlamaFactory files and recipes into a run folder.

    The same command goes on where a run was stopped, and grows it when sizes are larger;
    no answer is paid for twice.

    \b
    Examples:
      etlch-data generate --teacher offline --language en --sizes 100 --test 10
      etlch-data generate --sizes 100,300 --budget 2.00
      etlch-data generate --base-url http://localhost:8000/v1 --teacher Qwen2.5-7B-Instruct
    """
    import asyncio

    from etlch.cli.progress import Progress
    from etlch.core.config import load_settings
    from etlch.core.files import dumps
    from etlch.core.run_folder import Run
    from etlch.pipeline.generate import generate as run_it

    settings = load_settings(Settings, settings_file, options)
    run = Run(out or settings.default_out)
    done = asyncio.run(
        run_it(
            settings, run, Progress, lambda line: click.echo(line, err=True), retry_rejected=retry_rejected
        )
    )
    if as_json:
        click.echo(dumps(done.to_json()))
    else:
        click.echo(done.in_words())
