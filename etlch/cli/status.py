"""`etlch-data status` and `estimate`: print what a run holds, and what it will still cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from etlch.cli.generate import data_options
from etlch.core.settings import Settings


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def status(run: Path, as_json: bool) -> None:
    """Show a run that is going or has stopped: articles, reasons, tokens, money, models.

    \b
    Example: etlch-data status outputs/gpt-4o-mini-zh-TW
    """
    from etlch.core.files import dumps
    from etlch.core.run_folder import Run
    from etlch.pipeline.status import in_words, read, to_json

    found = Run(run)
    state = read(found)
    click.echo(dumps(to_json(found, state)) if as_json else in_words(found, state))


@click.command()
@click.argument("run", required=False, type=click.Path(path_type=Path))
@data_options
def estimate(run: Path | None, out: Path | None, settings_file: Path | None, **options: Any) -> None:
    """Estimate what `generate` with these options would still cost, or what RUN would. Nothing is sent.

    Replies on file are the pilot: generate a small size first, and the estimate of a larger
    one is made from what its articles and labels really took.

    \b
    Examples:
      etlch-data estimate --sizes 100,300,500,1000
      etlch-data estimate outputs/gpt-4o-mini-zh-TW --sizes 1000
    """
    from etlch.core.config import load_settings
    from etlch.core.run_folder import Run
    from etlch.pipeline.estimate import forecast_lines

    settings = load_settings(Settings, settings_file, options)
    folder = Run(run or out or settings.default_out)
    for line in forecast_lines(settings, folder, options if run else None):
        click.echo(line)
