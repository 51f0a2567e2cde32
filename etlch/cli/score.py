"""`etlch-score`: score prediction files; write the scores, tests and report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from etlch.cli.audit import audit
from etlch.cli.common import CONTEXT, Group, split, version_option
from etlch.core.locale import _
from etlch.core.settings import ScoreSettings

if TYPE_CHECKING:
    from etlch.scoring.summary import Summary


class WithDefault(Group):
    """A group whose command `score` need not be named: `etlch-score PATH…`."""

    default = "score"

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the default command's name before arguments that name none."""
        known = {*self.commands, "--help", "-h", "--version"}
        own = 0 if not args or not args[0].startswith("--lang") else 1 if "=" in args[0] else 2
        rest = args[own:]
        if rest and rest[0] not in known:
            self._refuse_misspelt(ctx, rest[0])
        if not rest or rest[0] not in known:
            rest = [self.default, *rest]
        return super().parse_args(ctx, [*args[:own], *rest])

    def _refuse_misspelt(self, ctx: click.Context, word: str) -> None:
        """Stop at a word that is nearly a command, and no path."""
        from etlch.core.errors import nearest

        near = nearest(word, list(self.commands), cutoff=0.75)
        if near and not Path(word).exists():
            ctx.fail(f"'{word}' is neither a command nor a path.{near}")

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Show the default command's help, then the other commands."""
        score = self.commands[self.default]
        own = click.Context(score, info_name=ctx.info_name)
        score.format_usage(own, formatter)
        score.format_help_text(own, formatter)
        score.format_options(own, formatter)
        self.format_commands(ctx, formatter)


@click.group(cls=WithDefault, context_settings=CONTEXT)
@version_option
def main() -> None:
    """Score predictions against gold labels, with intervals, tests and pictures."""


@main.command(hidden=True)
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--keys", type=click.Path(path_type=Path), help="The gold side of loose files, line by line.")
@click.option("--task", help="The task, where the files do not say it.  [default: from the labels]")
@click.option(
    "--schema", help="Schema of labels that carry none: a JSON Schema file or module:PydanticModel."
)
@click.option("--model", help="Score this model only; for one loose file, its name.  [default: all]")
@click.option(
    "--baseline",
    multiple=True,
    help="Compare with this model; may be repeated.  [default: all of role base or baseline]",
)
@click.option("--metrics", callback=split(), help="Only these, comma-separated.  [default: all]")
@click.option(
    "--tokenizer",
    type=click.Choice(["hybrid", "char", "jieba", "rouge-score"]),
    help=f"Of ROUGE.  [default: {ScoreSettings.tokenizer}]",
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder for results.  [default: RUN/scores]")
@click.option("--json", "as_json", is_flag=True, help="Print what summary.json holds.")
@click.option("--verbose", is_flag=True, help="Print all main metrics, every test and win rate too.")
@click.option(
    "--fail-under", multiple=True, metavar="METRIC=X", help="Exit 1 if a tuned model's score is lower."
)
@click.option("--against", type=click.Path(path_type=Path), help="An earlier summary.json to compare with.")
@click.option(
    "--max-drop", type=float, help="With --against: exit 1 if a drop is significantly larger than X."
)
@click.option("--settings", "file", type=click.Path(path_type=Path), help="YAML file of rarer settings.")
@version_option
def score(
    paths: tuple[Path, ...],
    keys: Path | None,
    task: str | None,
    schema: str | None,
    model: str | None,
    baseline: tuple[str, ...],
    metrics: tuple[str, ...] | None,
    tokenizer: str | None,
    out: Path | None,
    as_json: bool,
    verbose: bool,
    fail_under: tuple[str, ...],
    against: Path | None,
    max_drop: float | None,
    file: Path | None,
) -> None:
    """Score the predictions of run folders or files against their gold labels.

    Gives scores with 95 % intervals, paired tests against the baselines, the paper's win rates and
    a report. A run folder gets them in its folder scores/; loose files, and scorings of some metrics,
    models or tasks only, need --out for more than the table.

    \b
    Examples:
      etlch-score outputs/offline-en
      etlch-score base.jsonl tuned.jsonl --keys test.keys.jsonl --out scores
      etlch-score outputs/offline-en --fail-under facts_f1=0.80
    """
    from tempfile import TemporaryDirectory

    from etlch.core.config import load_settings
    from etlch.report.terminal import conclusion
    from etlch.scoring.gates import check, parse_gates
    from etlch.scoring.score import score as run
    from etlch.tasks import all_tasks

    options = {"task": task, "schema": schema, "model": model, "baseline": baseline or None}
    options |= {"metrics": metrics, "tokenizer": tokenizer}
    settings = load_settings(ScoreSettings, file, options)
    own = all_tasks(Path(settings.task_file) if settings.task_file else None)
    gates = parse_gates(fail_under, against, max_drop, own.values())
    with TemporaryDirectory() as folder:
        scratch = Path(folder) if against else None
        found = run(paths, settings, keys, out, progress=_say, scratch=scratch)
        _show(found.summary, settings.metrics, as_json, verbose)
        written = _report(found.summary, found.out, settings) if found.out and found.kept else None
        if not as_json:
            click.echo(f"\n{conclusion(found.summary)}")
        if written is not None:
            click.echo("\n" + _("Report: {path}").format(path=written), err=as_json)
        failures = check(gates, found.summary, found.out, settings, _say)
    for failure in failures:
        click.echo(_("Failed: {reason}").format(reason=failure), err=True)
    if failures:
        raise SystemExit(1)


@main.command()
@click.argument("summary", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the report.  [default: SUMMARY's]")
@click.option(
    "--settings", "file", type=click.Path(path_type=Path), help="YAML file that the scoring was given."
)
def report(summary: Path, out: Path | None, file: Path | None) -> None:
    """Render the report of an earlier scoring again: SUMMARY is summary.json or its folder.

    A label_map or a task_file that the scoring was given is named again with --settings: code is
    executed only where you ask for it.

    \b
    Example: etlch-score report outputs/offline-en/scores/summary.json
    """
    from etlch.core.config import load_settings
    from etlch.report.write import write_report
    from etlch.scoring.sample_lines import read_samples
    from etlch.scoring.summary import read_summary

    settings = load_settings(ScoreSettings, file, {})
    folder = summary if summary.is_dir() else summary.parent
    click.echo(str(write_report(read_summary(summary), read_samples(folder), out or folder, settings)))


main.add_command(audit)


def _show(summary: Summary, wanted: tuple[str, ...], as_json: bool, verbose: bool) -> None:
    """Print the tables, or JSON, before the report is drawn, which takes as long as the scoring."""
    from etlch.core.files import dumps
    from etlch.report.terminal import render
    from etlch.scoring.summary import summary_json

    if as_json:
        click.echo(dumps(summary_json(summary), indent=1))
    else:
        click.echo(render(summary, wanted, verbose=verbose))


def _report(summary: Summary, out: Path, settings: ScoreSettings) -> Path:
    from etlch.report.write import write_report
    from etlch.scoring.sample_lines import read_samples

    _say(_("drawing the report"))
    return write_report(summary, read_samples(out), out, settings)


def _say(message: str) -> None:
    click.echo(message, err=True)
