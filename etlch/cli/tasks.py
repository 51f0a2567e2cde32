"""`etlch-data tasks`: list the tasks."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option(
    "--task-file", type=click.Path(path_type=Path), help="A Python file that defines TASK; it is executed."
)
def tasks(task_file: Path | None) -> None:
    """List the tasks: name, the parts of a fact, and what it is.

    \b
    Example: etlch-data tasks --task-file events.py
    """
    from etlch.tasks import all_tasks

    for name, task in all_tasks(task_file).items():
        click.echo(f"{name:<8} ({', '.join(task.parts)})  {task.summary}")
