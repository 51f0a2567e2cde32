"""`etlch-data import`: labelled data that people made, as a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from etlch.cli.common import split
from etlch.core.records import LANGUAGES

if TYPE_CHECKING:
    from etlch.core.run_folder import Run


@click.command("import")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--task", help="What the labels are: ner, kge, json, or a task of your own.")
@click.option("--language", type=click.Choice(LANGUAGES), help="Of texts and labels.")
@click.option(
    "--update",
    type=click.Path(path_type=Path),
    help="Take corrected labels into this run instead of making one.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Run folder.  [default: outputs/human-<task>-<language>]"
)
@click.option(
    "--train", type=click.Path(path_type=Path), help="The official training set.  [default: by file names]"
)
@click.option("--validation", type=click.Path(path_type=Path), help="The official validation set.")
@click.option("--test", type=click.Path(path_type=Path), help="The official test set.")
@click.option(
    "--test-size",
    type=click.IntRange(min=0),
    help="Records of the test set, drawn by hash.  [default: all of an official one, else a fifth, at most 300]",
)
@click.option("--sizes", callback=split(int), help="Training sizes, by comma.  [default: one of all records]")
@click.option(
    "--column", "columns", multiple=True, help="Name a column: text=body, label=spans.tags; repeatable."
)
@click.option(
    "--ungrounded",
    type=click.Choice(["drop", "keep"]),
    default="drop",
    show_default=True,
    help="What becomes of labels that do not stand in their text.",
)
@click.option("--settings", "file", type=click.Path(path_type=Path), help="A YAML file of further settings.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def import_(
    paths: tuple[Path, ...],
    task: str | None,
    language: str | None,
    update: Path | None,
    out: Path | None,
    file: Path | None,
    columns: tuple[str, ...],
    ungrounded: str,
    as_json: bool,
    **told: Any,
) -> None:
    """Make a run of labelled data: records, LlamaFactory files, recipes, card and quality page.

    Formats are recognised by content: token columns (IOB2, BIO, BIOES), brat, doccano, Label Studio, spaCy,
    PubTator, IEPile, InstructUIE, alpaca, sharegpt and OpenAI messages, JSON, CSV or Parquet with columns, data sets
    of the library `datasets` (a saved folder, or NAME).

    \b
    Examples:
      etlch-data import corpus/ --task ner --language en --sizes 100,300
      etlch-data import --train train.jsonl --test test.jsonl --task kge --language zh-CN
      etlch-data import --update outputs/human-ner-en corrected.jsonl
    """
    from etlch.core.config import load_settings
    from etlch.core.errors import EtlchError
    from etlch.core.files import dumps
    from etlch.core.run_folder import Run
    from etlch.core.settings import Settings
    from etlch.dataset.readers.rows import RowOptions
    from etlch.pipeline.import_labels import ImportRequest, import_labels

    if update is not None:
        _update(Run(update), paths, task, named_columns(columns), as_json)
        return
    if task is None or language is None:
        raise EtlchError(
            "no task or language was named", "Say --task ner|kge|json and --language zh-TW|zh-CN|en."
        )
    settings = load_settings(
        Settings, file, {"tasks": [task], "language": language, "ungrounded": ungrounded}
    )
    request = ImportRequest(
        paths=paths,
        train=told["train"],
        validation=told["validation"],
        test=told["test"],
        test_size=told["test_size"],
        sizes=told["sizes"] or (),
        options=RowOptions(columns=named_columns(columns)),
    )
    run = Run(out or Path("outputs") / f"human-{task}-{language}")
    done = import_labels(request, settings, run, lambda line: click.echo(line, err=True))
    if as_json:
        click.echo(dumps({"run": str(run.folder), "counts": done.counts}))
    else:
        click.echo("\n".join(done.lines[-2:]))
        click.echo(f"Next: etlch-data run {run.folder}")


def _update(
    run: Run, paths: tuple[Path, ...], task: str | None, columns: dict[str, str], as_json: bool
) -> None:
    import dataclasses

    from etlch.core.errors import EtlchError
    from etlch.core.files import dumps
    from etlch.dataset.readers.rows import RowOptions
    from etlch.pipeline.update_labels import update_labels

    if not paths:
        raise EtlchError("no corrected labels were named", f"etlch-data import --update {run.folder} FILE")
    options = RowOptions(columns=columns, drop=frozenset())
    done = update_labels(run, paths, task, options, lambda line: click.echo(line, err=as_json))
    if as_json:
        click.echo(dumps(dataclasses.asdict(done)))


def named_columns(said: tuple[str, ...]) -> dict[str, str]:
    """Return `name=column` options as a mapping.

    Raises:
        EtlchError: one without '=', or a name that no reader asks for.
    """
    from etlch.core.errors import EtlchError, nearest

    known = ("text", "label", "id", "document", "instruction")
    found = {}
    for item in said:
        name, mark, column = item.partition("=")
        if not mark or name not in known:
            raise EtlchError(
                f"--column {item}: not NAME=COLUMN.{nearest(name, known)}", f"Names are {', '.join(known)}."
            )
        found[name] = column
    return found
