"""`etlch-data quality`: the numbers, the page and the card of a run, and ways to share it."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print quality.json.")
@click.option("--parquet", type=click.Path(path_type=Path), help="Write Parquet files to this folder too.")
@click.option("--push-to-hub", help="Push to the Hugging Face hub as OWNER/NAME; private unless --public.")
@click.option("--public", is_flag=True, help="Make the pushed data set public.")
def quality(run: Path, as_json: bool, parquet: Path | None, push_to_hub: str | None, public: bool) -> None:
    """Measure RUN; write its quality.json, quality.html and data set card (README.md).

    Attrition, grounding, diversity, agreement across tasks, leakage; with samples to page through.

    \b
    Examples:
      etlch-data quality outputs/offline-en
      etlch-data quality outputs/offline-en --parquet share/offline-en
    """
    from etlch.core.files import dumps
    from etlch.core.run_data import read_run
    from etlch.core.run_folder import Run
    from etlch.quality import card
    from etlch.quality import page as quality_page
    from etlch.quality.measure import plain

    found, held = Run(run), read_run(run)
    numbers = quality_page.write(found, held)
    card.write(found, held.manifest, numbers)
    if as_json:
        click.echo(dumps(plain(numbers), indent=2))
    else:
        for what, number, meaning in quality_page.summary(numbers):
            click.echo(f"{what:<15} {number:<28} {meaning}")
        click.echo(f"Page: {found.folder / 'quality.html'}")
    if parquet or push_to_hub:
        from etlch.quality import publish

        if parquet:
            for path in publish.write_parquet(held, parquet):
                click.echo(str(path), err=as_json)
        if push_to_hub:
            publish.push(held, found.card, push_to_hub, public=public)
            click.echo(f"pushed to {push_to_hub}", err=as_json)
