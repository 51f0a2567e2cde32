"""`etlch-data quality`: write the numbers, the page and the card of a run; push or save the data set."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--reference",
    type=click.Path(path_type=Path),
    help="A run to compare labels with, such as imported human ones.",
)
@click.option("--json", "as_json", is_flag=True, help="Print quality.json.")
@click.option("--parquet", type=click.Path(path_type=Path), help="Write Parquet files to this folder too.")
@click.option("--push-to-hub", help="Push to the Hugging Face hub as OWNER/NAME; private unless --public.")
@click.option("--public", is_flag=True, help="Make the pushed data set public.")
def quality(
    run: Path,
    reference: Path | None,
    as_json: bool,
    parquet: Path | None,
    push_to_hub: str | None,
    public: bool,
) -> None:
    """Measure RUN; write its quality.json, quality.html and data set card (README.md).

    Attrition, grounding, diversity, label mix, agreement across tasks, leakage; with samples to page through.

    \b
    Examples:
      etlch-data quality outputs/offline-en
      etlch-data quality outputs/gpt-4o-mini-en --reference outputs/human-ner-en
      etlch-data quality outputs/offline-en --parquet share/offline-en
    """
    from etlch.core.files import dumps
    from etlch.core.locale import _
    from etlch.core.run_data import read_run
    from etlch.core.run_folder import Run
    from etlch.quality import card
    from etlch.quality import page as quality_page
    from etlch.quality.numbers import plain
    from etlch.quality.overview import summary
    from etlch.text import columns

    found, data = Run(run), read_run(run)
    numbers = quality_page.write(found, data, read_run(reference) if reference else None)
    card.write(found, data.manifest, numbers)
    if as_json:
        click.echo(dumps(plain(numbers), indent=2))
    else:
        for what, number, meaning in summary(numbers):
            click.echo(f"{columns.left(what, 15)} {columns.left(number, 28)} {meaning}")
        for sentence in (item.sentence for items in (numbers.reference, numbers.missed) for item in items):
            click.echo(sentence)
        click.echo(_("Page: {path}").format(path=found.folder / "quality.html"))
    if parquet or push_to_hub:
        from etlch.quality import publish

        if parquet:
            for path in publish.write_parquet(data, parquet):
                click.echo(str(path), err=as_json)
        if push_to_hub:
            publish.push(data, found.card, push_to_hub, public=public)
            click.echo(f"pushed to {push_to_hub}", err=as_json)
