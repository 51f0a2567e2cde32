"""`etlch`: the three commands under one name, for `uvx etlch` and `pipx run etlch`."""

from __future__ import annotations

import click

from etlch.cli.common import CONTEXT, Group, version_option
from etlch.cli.data import main as data
from etlch.cli.extract import main as extract
from etlch.cli.score import main as score


@click.group(cls=Group, context_settings=CONTEXT)
@version_option
def main() -> None:
    """Turn topics, documents or labels into a small extraction model that is measured.

    \b
    `etlch data` is the command etlch-data, `etlch score` etlch-score, `etlch extract` etlch-extract.
    Example: etlch data generate --teacher offline --language en --sizes 30 --test 10
    """


main.add_command(data, "data")
main.add_command(score, "score")
main.add_command(extract, "extract")
