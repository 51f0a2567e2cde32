"""`etlch-data prompts`: list, show and eject the Jinja prompts."""

from __future__ import annotations

from pathlib import Path

import click

from etlch.cli.common import Group
from etlch.core.records import LANGUAGES
from etlch.core.settings import PlanSettings

FOLDER = click.option(
    "--prompts", "folder", type=click.Path(path_type=Path), help="Your folder of overrides."
)


@click.group(cls=Group)
def prompts() -> None:
    """List, show or copy the prompts, to customise them."""


@prompts.command("list")
@FOLDER
def list_prompts(folder: Path | None) -> None:
    """List every prompt file: its name, its hash, and whether it is yours.

    \b
    Example: etlch-data prompts list --prompts my_prompts
    """
    from etlch.core.prompts import Prompts

    for entry in Prompts(folder).listing():
        click.echo(f"{entry.hash}  {'yours  ' if entry.own else 'shipped'}  {entry.name}")


@prompts.command()
@click.argument("name")
@click.option(
    "--language", default=PlanSettings.language, show_default=True, help="Which language's template."
)
@FOLDER
def show(name: str, language: str, folder: Path | None) -> None:
    """Print one prompt file.

    \b
    Example: etlch-data prompts show ner/label --language en
    """
    from etlch.core.files import read_text
    from etlch.core.prompts import Prompts

    click.echo(read_text(Prompts(folder).path(name, language)), nl=False)


@prompts.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--task", help="Only this folder of prompts, e.g. ner.  [default: all]")
@click.option("--language", type=click.Choice(LANGUAGES), help="Only what concerns it.  [default: all]")
@click.option("--force", is_flag=True, help="Overwrite files that are there.")
def eject(folder: Path, task: str | None, language: str | None, force: bool) -> None:
    """Copy the shipped prompts to FOLDER, to be edited and named with --prompts.

    \b
    Example: etlch-data prompts eject my_prompts --task kge --language en
    """
    from etlch.core import prompts as room

    for path in room.eject(folder, task, language, force=force):
        click.echo(str(path))
