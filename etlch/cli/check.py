"""`etlch-data check`: check the files of a run, or plain files of labelled data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from etlch.cli.common import counted
from etlch.cli.import_labels import named_columns
from etlch.core.records import LANGUAGES

if TYPE_CHECKING:
    from etlch.quality.check_labels import LabelFile


@click.command()
@click.argument("paths", metavar="RUN|FILE…", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--task", help="What the labels of FILE are: ner, kge, json.")
@click.option(
    "--language", type=click.Choice(LANGUAGES), help="Of the labels of FILE.  [default: by their characters]"
)
@click.option(
    "--column", "columns", multiple=True, help="Name a column of FILE: text=body, label=tags; repeatable."
)
@click.option(
    "--limit",
    type=click.IntRange(0),
    default=50,
    show_default=True,
    help="Show at most so many problems; 0 shows all.",
)
@click.option("--json", "as_json", is_flag=True, help="Print all problems as JSON.")
def check(
    paths: tuple[Path, ...],
    task: str | None,
    language: str | None,
    columns: tuple[str, ...],
    limit: int,
    as_json: bool,
) -> None:
    """Check every row of RUN as LlamaFactory reads it, or plain files of labelled data.

    FILE… is alpaca, sharegpt, messages or anything that `etlch-data import` reads: it is checked for parsing,
    schema, labels that are not in their text, repeated texts, leakage between files, and label mix.

    Exit code 1 if anything is wrong, 2 if a path is neither. No request is sent to a teacher.

    \b
    Examples:
      etlch-data check outputs/offline-en
      etlch-data check train.json test.json --task ner
    """
    if len(paths) == 1 and task is None and not paths[0].is_file():
        _check_run(paths[0], limit, as_json)
    else:
        _check_files(paths, task, language or "", named_columns(columns), limit, as_json)


def _check_run(folder: Path, limit: int, as_json: bool) -> None:
    import dataclasses

    from etlch.core.errors import EtlchError
    from etlch.core.files import dumps
    from etlch.core.manifest import read_finished
    from etlch.core.run_folder import Run
    from etlch.quality.check import check_run

    run = Run(folder)
    report = check_run(run, read_finished(run))
    if as_json:
        problems = [dataclasses.asdict(problem) for problem in report.problems]
        click.echo(
            dumps(
                {
                    "files": report.files,
                    "rows": report.rows,
                    "problems": problems,
                    "notes": list(report.notes),
                }
            )
        )
    else:
        _show(report.problems, limit)
        if not report.problems:
            click.echo(f"{report.files} data files, {report.rows:,} rows: nothing is wrong")
        for note in report.notes:
            click.echo(f"note: {note}")
    if report.problems:
        hint = "`etlch-data export RUN` writes the LlamaFactory files again from records.jsonl."
        if any(problem.file in ("articles.jsonl", "records.jsonl") for problem in report.problems):
            hint = "Repeat the run's `etlch-data generate` command: it writes these files again, and pays nothing twice."
        raise EtlchError(f"{counted(len(report.problems), 'problem')} in {folder}", hint, code=1)


def _check_files(
    paths: Sequence[Path],
    task: str | None,
    language: str,
    columns: dict[str, str],
    limit: int,
    as_json: bool,
) -> None:
    import dataclasses

    from etlch.core.errors import EtlchError
    from etlch.core.files import dumps
    from etlch.core.locale import _
    from etlch.quality.check_labels import check_label_files
    from etlch.tasks import all_tasks, find_task

    if task is None:
        raise EtlchError(
            _("{paths} is checked as labelled data, and no task is named").format(paths=paths[0]),
            _("Say what its labels are: --task {all_tasks}. A run folder is checked by itself.").format(
                all_tasks="|".join(all_tasks())
            ),
        )
    report = check_label_files(paths, find_task(task), language, columns)
    if as_json:
        told = {
            "files": [vars(file) for file in report.files],
            "problems": [dataclasses.asdict(problem) for problem in report.problems],
            "notes": list(report.notes),
        }
        click.echo(dumps(told))
    else:
        for file in report.files:
            click.echo(_summary(file))
        _show(report.problems, limit)
        for note in report.notes:
            click.echo(f"note: {note}")
    if report.problems:
        raise EtlchError(
            f"{counted(len(report.problems), 'problem')} in {counted(len(paths), 'path')}",
            _(
                "Correct them in the tool that wrote the files; `etlch-data import` leaves out labels that are "
                "not in their text and lists them."
            ),
            code=1,
        )


def _show(problems: Sequence[object], limit: int) -> None:
    shown = problems[: limit or None]
    for problem in shown:
        click.echo(str(problem))
    if len(shown) < len(problems):
        click.echo(f"… and {len(problems) - len(shown)} more; --limit 0 shows all")


def _summary(file: LabelFile) -> str:
    share = f"{file.grounded / file.facts:.1%} of them in their text" if file.facts else "none"
    line = (
        f"{file.name}: {', '.join(file.formats)}: {counted(file.texts, 'text')}, {file.labelled:,} with labels, "
        f"{counted(file.labels, 'label')}, {counted(file.facts, 'different fact')}, {share}"
    )
    if file.mix:
        mix = ", ".join(f"{name} {count / file.facts:.0%}" for name, count in file.mix.most_common(8))
        line += f"\n  label mix: {mix}" + (f", {len(file.mix) - 8} more" if len(file.mix) > 8 else "")
    if file.other_layers:
        line += "\n  not read for this task: " + ", ".join(
            f"{count:,} × {name}" for name, count in file.other_layers.most_common()
        )
    return line
