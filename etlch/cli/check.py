"""`etlch-data check`: prove the files of a run by code."""

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
    """Read again what was written for LlamaFactory and prove every row of RUN.

    Exit code 1 if anything is wrong, 2 if RUN is not a run folder. Nothing is asked of a teacher.

    \b
    Example: etlch-data check outputs/offline-en
    """
    import dataclasses

    from etlch.core.errors import EtlchError
    from etlch.core.files import dumps
    from etlch.core.manifest import read_finished
    from etlch.core.run_folder import Run
    from etlch.quality.check import prove

    read_finished(Run(run))
    proof = prove(Run(run))
    if as_json:
        problems = [dataclasses.asdict(problem) for problem in proof.problems]
        click.echo(dumps({"files": proof.files, "rows": proof.rows, "problems": problems}))
    else:
        shown = proof.problems[: limit or None]
        for problem in shown:
            click.echo(str(problem))
        if len(shown) < len(proof.problems):
            click.echo(f"… and {len(proof.problems) - len(shown)} more; --limit 0 shows all")
        if not proof.problems:
            click.echo(f"{proof.files} data files, {proof.rows:,} rows: nothing is wrong")
    if proof.problems:
        hint = "`etlch-data export RUN` writes the LlamaFactory files again from records.jsonl."
        if any(problem.file in ("articles.jsonl", "records.jsonl") for problem in proof.problems):
            hint = "Repeat the run's `etlch-data generate` command: it writes these files again, and pays nothing twice."
        raise EtlchError(f"{counted(len(proof.problems), 'problem')} in {run}", hint, code=1)
