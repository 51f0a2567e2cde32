"""`etlch-data doctor`: check whether this machine can train and predict; print each problem with its fix."""

from __future__ import annotations

from pathlib import Path

import click

_MARKS = {"ok": "ok  ", "note": "note", "bad": "BAD "}
_WIDTH = len("import rouge-chinese")
"""Of the column of names: each line is printed before the next one is known."""


@click.command()
@click.option(
    "--disk",
    default=Path("outputs"),
    show_default=True,
    type=click.Path(path_type=Path),
    help="Where runs are written.",
)
@click.option(
    "--hub", metavar="MODEL", help="Ask the hub for this model too.  [default: no request to a hub]"
)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def doctor(disk: Path, hub: str | None, as_json: bool) -> None:
    """Check what training and predicting need here; each failure comes with the line that fixes it.

    Exit code 1 if anything fails. Takes half a minute: every package is really imported.

    \b
    Examples:
      etlch-data doctor
      etlch-data doctor --hub meta-llama/Llama-3.2-1B-Instruct
    """
    import dataclasses

    from etlch.core.errors import EtlchError
    from etlch.core.files import dumps
    from etlch.core.locale import _
    from etlch.training.doctor import examine

    click.echo("Importing each package in a process of its own …", err=True)
    findings = []
    for finding in examine(disk, hub):
        findings.append(finding)
        if as_json:
            continue
        click.echo(f"{_MARKS[finding.state]}  {finding.name.ljust(_WIDTH)}  {finding.found}")
        if finding.fix:
            click.echo(f"{' ' * (_WIDTH + 8)}→ {finding.fix}")
    if as_json:
        click.echo(dumps([dataclasses.asdict(finding) for finding in findings]))
    bad = [finding.name for finding in findings if finding.state == "bad"]
    if bad:
        raise EtlchError(
            _("{count} of {count2} fail: {bad}").format(
                count=len(bad), count2=len(findings), bad=", ".join(bad)
            ),
            _("The lines after the arrows fix them."),
            code=1,
        )
