"""`etlch-data grow`: add a larger size to a run, drawn where its student errs."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--by", default=100, show_default=True, type=click.IntRange(1), help="Records that each task gains."
)
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path),
    help="Validation predictions, or a summary.json that names models.  [default: the best checkpoints']",
)
@click.option("--at-random", is_flag=True, help="Draw as before instead, e.g. to compare.")
@click.option("--anyway", is_flag=True, help="Grow even where the last growth brought no gain.")
@click.option("--budget", type=float, help="Hard cap in US dollars of the whole run.  [default: the run's]")
def grow(
    run: Path, by: int, source: Path | None, at_random: bool, anyway: bool, budget: float | None
) -> None:
    """Add a larger size to RUN, its topics and facts drawn by the student's errors on validation.

    What the run holds stays as it is, and the test set is never looked at. Where the paired test on
    validation finds the largest size no better than the one before, nothing is added: exit code 1.

    \b
    Examples:
      etlch-data grow outputs/offline-en --by 100 && etlch-data run outputs/offline-en
      etlch-data grow outputs/offline-en --from outputs/offline-en/scores/summary.json
    """
    import asyncio
    import dataclasses

    from etlch.cli.progress import Progress
    from etlch.core.run_folder import Run
    from etlch.pipeline.generate import generate
    from etlch.pipeline.grow import next_step

    folder = Run(run)
    step = next_step(folder, by, source=source, at_random=at_random, anyway=anyway)
    for line in step.told:
        click.echo(line, err=step.settings is not None)
    if step.settings is None:
        raise SystemExit(1)
    settings = step.settings
    if budget is not None:
        settings = dataclasses.replace(settings, teacher=dataclasses.replace(settings.teacher, budget=budget))
    done = asyncio.run(generate(settings, folder, Progress, lambda line: click.echo(line, err=True)))
    click.echo(done.in_words())
