"""`etlch-data preview`: print the prompts of one topic; no request is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from etlch.cli.common import split
from etlch.core.records import LANGUAGES
from etlch.core.settings import PlanSettings, Settings, TeacherSettings


@click.command()
@click.option(
    "--topic", type=click.IntRange(0), default=0, show_default=True, help="Place in the plan, from 0."
)
@click.option(
    "--tasks", callback=split(), help=f"Tasks, by comma.  [default: {','.join(PlanSettings.tasks)}]"
)
@click.option(
    "--language", type=click.Choice(LANGUAGES), help=f"Of all texts.  [default: {PlanSettings.language}]"
)
@click.option("--articles", help="Your own texts: a file, a folder or a data set's name.")
@click.option("--schema", help="Your own label: a JSON Schema file or module:Model.")
@click.option("--prompts", help="Your folder of prompt overrides.")
@click.option("--teacher", help=f"A model's name, or `offline`.  [default: {TeacherSettings.name}]")
@click.option("--seed", type=int, help=f"Of the plan.  [default: {PlanSettings.seed}]")
@click.option("--settings", "file", type=click.Path(path_type=Path), help="YAML file of further settings.")
@click.option("--schemas", is_flag=True, help="Show the response schemas too.")
def preview(topic: int, file: Path | None, schemas: bool, **options: Any) -> None:
    """Show every prompt for one topic as it would be sent. Nothing is sent or written.

    With `--teacher offline`, which takes no prompts, its article and labels are shown.

    \b
    Examples:
      etlch-data preview --language en --tasks ner
      etlch-data preview --prompts my_prompts --topic 7 --schemas
    """
    import asyncio

    from etlch.core.config import load_settings
    from etlch.core.files import dumps
    from etlch.pipeline import preview as room

    settings = load_settings(Settings, file, options)
    if settings.teacher.name == "offline":
        outcome = asyncio.run(room.written(settings, topic))
        planned = outcome.candidate.topic
        click.echo(f"== topic {topic}: {planned.subject} ({planned.domain}) {planned.genre}".rstrip())
        if outcome.article is not None:
            click.echo(outcome.article.text)
        for record in outcome.records:
            click.echo(f"\n== {record.task}\n{record.instruction}\n--\n{record.output}")
        return
    candidate, sent = asyncio.run(room.requests(settings, topic))
    planned = candidate.topic
    click.echo(f"== topic {topic}: {planned.subject} ({planned.domain}) {planned.genre}".rstrip())
    for item in sent:
        for message in item.request.messages:
            click.echo(f"\n== {item.purpose} ({message.role})\n{message.content}")
        if schemas and item.request.schema is not None:
            click.echo(f"-- response schema\n{dumps(item.request.schema, indent=2)}")
