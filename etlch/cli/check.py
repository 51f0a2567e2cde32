"""`etlch-data check`: check the files of a run."""

from __future__ import annotations

from pathlib import Path

import click

from etlch.cli.common import counted


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--limit",
    type=click.IntRange(0),
    default=50,
    show_default=True,
    help="Show at most so many problems; 0 shows all.",
)
@click.option("--json", "as_json", is_flag=True, help="Print all problems as JSON.")
def check(run: Path, limit: int, as_json: bool) -> None:
    """Read the files of RUN again as LlamaFactory does and check every row.

    Exit code 1 if anything is wrong, 2 if RUN is not a run folder. No request is sent to a teacher.

    \b
    Example: etlch-data check outputs/offline-en
    """
    import dataclasses

    from etlch.core.errors import EtlchError
    from etlch.core.files import dumps
    from etlch.core.manifest import read_finished
    from etlch.core.run_folder import Run
    from etlch.quality.check import check_run

    read_finished(Run(run))
    report = check_run(Run(run))
    if as_json:
        problems = [dataclasses.asdict(problem) for problem in report.problems]
        click.echo(dumps({"files": report.files, "rows": report.rows, "problems": problems}))
    else:
        shown = report.problems[: limit or None]
        for problem in shown:
            click.echo(str(problem))
        if len(shown) < len(report.problems):
            click.echo(f"… and {len(report.problems) - len(shown)} more; --limit 0 shows all")
        if not report.problems:
            click.echo(f"{report.files} data files, {report.rows:,} rows: nothing is wrong")
    if report.problems:
        hint = "`etlch-data export RUN` writes the LlamaFactory files again from records.jsonl."
        if any(problem.file in ("articles.jsonl", "records.jsonl") for problem in report.problems):
            hint = "Repeat the run's `etlch-data generate` command: it writes these files again, and pays nothing twice."
        raise EtlchError(f"{counted(len(report.problems), 'problem')} in {run}", hint, code=1)
