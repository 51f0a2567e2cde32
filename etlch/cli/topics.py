"""`etlch-data topics`: have a teacher write the topic tree of the user's field."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from etlch.cli.common import split
from etlch.core.records import LANGUAGES
from etlch.core.settings import PlanSettings, Settings, TeacherSettings


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--domains", callback=split(), help="Your fields, by comma.")
@click.option("--sub-domains", "parts", default=5, show_default=True, help="Per domain.")
@click.option("--subjects", default=6, show_default=True, help="Per sub-domain.")
@click.option(
    "--language", type=click.Choice(LANGUAGES), help=f"Of the names.  [default: {PlanSettings.language}]"
)
@click.option("--teacher", help=f"A model's name.  [default: {TeacherSettings.name}]")
@click.option(
    "--base-url",
    envvar="OPENAI_BASE_URL",
    help="An OpenAI-compatible endpoint.  [default: $OPENAI_BASE_URL, or OpenAI's own]",
)
@click.option("--budget", type=float, help="Hard cap in US dollars.  [default: none]")
@click.option("--settings", "file", type=click.Path(path_type=Path), help="YAML file of further settings.")
def topics(folder: Path, parts: int, subjects: int, file: Path | None, **options: Any) -> None:
    """Have a teacher write the topic tree of your fields into FOLDER, to be named with --prompts.

    The file, FOLDER/topics/<language>.yaml, is yours to read and edit. Domains that it holds stay
    as they are, others are added. FOLDER keeps the replies too: the same command again goes on
    where it stopped.

    \b
    Example:
      etlch-data topics my_prompts --domains "shipping law,wind power" --language en
      etlch-data generate --prompts my_prompts --language en
    """
    import asyncio

    from etlch.core.config import load_settings
    from etlch.pipeline.topics import grow

    settings = load_settings(Settings, file, options)
    grown = asyncio.run(grow(settings, folder, parts, subjects, lambda line: click.echo(line, err=True)))
    if grown.kept:
        click.echo(f"left as they are: {', '.join(grown.kept)}", err=True)
    if grown.added:
        names = [subject for branches in grown.added.values() for few in branches.values() for subject in few]
        click.echo(f"{grown.path}: {len(grown.added)} domains, {len(names)} subjects added")
    click.echo("Next: read it, change what you like, then")
    click.echo(
        f"  etlch-data generate --prompts {shlex.quote(str(folder))} --language {settings.plan.language}"
    )
