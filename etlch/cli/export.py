"""`etlch-data export`: write data files and recipes again, for another preset, model or size."""

from __future__ import annotations

from pathlib import Path

import click

from etlch.cli.common import split


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--preset", help="A preset of llamafactory_configs/ or a YAML file.  [default: the run's]")
@click.option(
    "--base-model",
    help="A hub's name or a folder; `preset` is the preset's own again.  [default: the run's]",
)
@click.option(
    "--template",
    help="LlamaFactory's name of its chat template.  [default: the run's, else LlamaFactory's table's]",
)
@click.option("--sizes", callback=split(int), help="Further sizes, e.g. 100,300.  [default: the run's]")
@click.option(
    "--shots", type=int, help="Solved examples for a further row of the base model.  [default: the run's]"
)
@click.option(
    "--matrix", type=click.Choice(["settings", "paper"]), help="Which models.  [default: the run's]"
)
@click.option(
    "--labels",
    type=click.Choice(["doccano", "label-studio", "bio", "brat"]),
    help="Write the labels for this tool instead, to RUN/labels/.",
)
@click.option("--settings", "file", type=click.Path(path_type=Path), help="A YAML file of rarer settings.")
def export(
    run: Path,
    file: Path | None,
    sizes: tuple[int, ...] | None,
    labels: str | None,
    **options: str | int | None,
) -> None:
    """Write the LlamaFactory files and recipes of RUN again. Nothing is paid for.

    What is given here is kept in run.yaml for the next export; later sizes add to earlier ones.
    With --labels, people can correct the labels in their tool: `etlch-data import --update RUN FILE` takes them back.

    \b
    Examples:
      etlch-data export outputs/offline-en --preset efficient
      etlch-data export outputs/offline-en --labels label-studio
    """
    from etlch.core.run_folder import Run
    from etlch.export import write as room
    from etlch.export.preflight.tokens import at_export

    if labels is not None:
        from etlch.pipeline.write_labels import write_run_labels

        for line in write_run_labels(Run(run), labels):
            click.echo(line)
        return
    done = room.reexport(Run(run), file, sizes, dict(options))
    click.echo(f"{len(done.data_sets)} data sets in {run / 'llamafactory'}")
    click.echo(f"{len(done.recipes)} recipes for {len(done.models)} models in {run / 'recipes'}")
    for line in (*done.warnings, *at_export(Run(run))):
        click.echo(line, err=True)
