"""`etlch-data calibrate`: measure a teacher on articles whose labels are known, before the real run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from etlch.cli.common import split
from etlch.core.records import LANGUAGES
from etlch.core.settings import PlanSettings, Settings, TeacherSettings


@click.command()
@click.option("--teacher", help=f"A model's name, or `offline`.  [default: {TeacherSettings.name}]")
@click.option(
    "--base-url",
    envvar="OPENAI_BASE_URL",
    help="An OpenAI-compatible endpoint.  [default: OpenAI's own]",
)
@click.option(
    "--tasks", callback=split(), help=f"Tasks, by comma.  [default: {','.join(PlanSettings.tasks)}]"
)
@click.option(
    "--language", type=click.Choice(LANGUAGES), help=f"Of all texts.  [default: {PlanSettings.language}]"
)
@click.option("--articles", "count", default=30, show_default=True, help="Articles of known truth.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Keeps the replies.  [default: outputs/calibrate-<teacher>-<language>]",
)
@click.option("--prompts", help="Your folder of prompt overrides.  [default: none]")
@click.option("--budget", type=float, help="Hard cap in US dollars.  [default: none]")
@click.option("--seed", type=int, help=f"Of the articles.  [default: {PlanSettings.seed}]")
@click.option("--settings", "file", type=click.Path(path_type=Path), help="YAML file of further settings.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def calibrate(count: int, out: Path | None, file: Path | None, as_json: bool, **options: Any) -> None:
    """Print a teacher's precision, recall, F1, grounding and form per task, and its price.

    The articles are the offline teacher's, so their truth is known. Each label is asked for once;
    a run asks again what its checks refuse, so it does no worse. Asking twice costs nothing.

    \b
    Examples:
      etlch-data calibrate --language en
      etlch-data calibrate --base-url http://localhost:8000/v1 --teacher Qwen2.5-7B-Instruct
    """
    import asyncio
    import dataclasses

    from etlch.core.config import load_settings
    from etlch.core.errors import EtlchError
    from etlch.core.files import dumps
    from etlch.core.locale import _
    from etlch.core.run_folder import Run
    from etlch.pipeline import calibrate as room

    if count < 1:
        raise EtlchError(
            _("--articles {count}: at least one is needed").format(count=count), _("Name 1 or more.")
        )
    settings = load_settings(Settings, file, options)
    folder = out or settings.default_out.with_name(f"calibrate-{settings.default_out.name}")
    found = asyncio.run(room.calibrate(settings, Run(folder), count, lambda line: click.echo(line, err=True)))
    if as_json:
        click.echo(dumps(dataclasses.asdict(found), indent=2))
    else:
        click.echo(room.in_words(found))
