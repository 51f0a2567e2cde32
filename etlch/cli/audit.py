"""`etlch-score audit`: write a sheet for people to check the gold; read it back as error rates and corrected scores."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--sample", type=int, default=50, show_default=True, help="Articles to check.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the draw.")
@click.option("--task", help="One task only.  [default: all of the articles drawn]")
@click.option(
    "--answers", type=click.Path(path_type=Path), help="The filled sheet: CSV.  [default: draw one]"
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder.  [default: RUN/scores/audit]")
@click.option(
    "--settings", "file", type=click.Path(path_type=Path), help="YAML file that the scoring was given."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def audit(
    run: Path,
    sample: int,
    seed: int,
    task: str | None,
    answers: Path | None,
    out: Path | None,
    file: Path | None,
    as_json: bool,
) -> None:
    """Let people check a sample of the gold, and correct every model's F1 by what they find.

    RUN is a scored run folder, or a folder that `etlch-score --out` wrote. Without --answers, articles are drawn
    and a sheet is written twice: sheet.html, to be filled in with a browser, and sheet.csv. With --answers, the
    teacher's precision and recall are printed, and each model's F1 against the truth (PPI++, arXiv 2311.01453).

    \b
    Examples:
      etlch-score audit outputs/offline-en --sample 50
      etlch-score audit outputs/offline-en --answers answers.csv
    """
    import dataclasses

    from etlch.core.config import load_settings
    from etlch.core.files import dumps, write_text
    from etlch.core.settings import ScoreSettings
    from etlch.report import audit as auditing
    from etlch.report.audit_sheet import read_answers, write_sheet
    from etlch.scoring.sample_lines import read_samples
    from etlch.scoring.summary import SCORES

    settings = load_settings(ScoreSettings, file, {"task": task})
    scores = run if (run / SCORES).is_file() else run / "scores"
    folder = out or scores / "audit"
    if answers is None:
        records = auditing.draw(lambda: read_samples(scores), settings, sample, seed)
        page, table = write_sheet(records, folder, run.resolve().name)
        articles = len({record.key.article_id for record in records})
        claims = sum(len(record.claims) for record in records)
        click.echo(f"{articles} articles, {claims} facts to judge:\n  {page}\n  {table}")
        click.echo(f"Then:\n  etlch-score audit {run} --answers FILE")
        return
    found = auditing.evaluate(lambda: read_samples(scores), settings, read_answers(answers))
    plain = dataclasses.asdict(found)
    write_text(folder / "audit.json", dumps(plain, indent=1) + "\n")
    click.echo(dumps(plain, indent=1) if as_json else auditing.in_words(found))
