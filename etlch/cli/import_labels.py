"""`etlch-data import`: make a run of labelled data."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from etlch.cli.common import split
from etlch.core.records import LANGUAGES

if TYPE_CHECKING:
    from etlch.core.run_folder import Run
    from etlch.core.settings import Settings
    from etlch.pipeline.import_labels import Imported


@click.command("import")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--task", help="What the labels are: ner, kge, json, or a task of your own.")
@click.option("--schema", help="A JSON Schema file, or module:PydanticModel, of labels of your own form.")
@click.option("--language", type=click.Choice(LANGUAGES), help="Of texts and labels.")
@click.option(
    "--update",
    type=click.Path(path_type=Path),
    help="Take corrected labels into this run instead of making one.",
)
@click.option(
    "--into",
    type=click.Path(path_type=Path),
    help="Add the records to this run: training sets of its own and human records, and a test set.",
)
@click.option(
    "--as-test",
    help="With --into: all of it is a test set of this name.  [default: its test set is named human]",
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
    "--settings",
    "file",
    type=click.Path(path_type=Path),
    help="A YAML file of further settings, e.g. `ungrounded: keep`.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def import_(
    paths: tuple[Path, ...],
    task: str | None,
    schema: str | None,
    language: str | None,
    update: Path | None,
    into: Path | None,
    as_test: str | None,
    out: Path | None,
    file: Path | None,
    columns: tuple[str, ...],
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
      etlch-data import contracts.jsonl --schema contract.json --language en
      etlch-data import corpus/ --task ner --into outputs/gpt-4o-mini-en
      etlch-data import other.jsonl --task ner --into outputs/human-ner-en --as-test news
    """
    from etlch.core.errors import EtlchError
    from etlch.core.locale import _
    from etlch.core.run_folder import Run
    from etlch.dataset.readers.rows import RowOptions
    from etlch.pipeline.import_into import import_into
    from etlch.pipeline.import_labels import ImportRequest, import_labels

    if update is not None:
        _update(Run(update), paths, task, named_columns(columns), as_json)
        return
    request = ImportRequest(
        paths=paths,
        only_test=as_test is not None,
        options=RowOptions(columns=named_columns(columns)),
        **{**told, "sizes": told["sizes"] or ()},
    )
    if into is not None:
        _refuse_with_into(out=out, language=language, schema=schema)
        _told(import_into(Run(into), request, task, as_test, file, _say), into, as_json)
        return
    if as_test is not None:
        raise EtlchError(_("--as-test names a test set of a run"), _("Say which run with --into RUN."))
    task = task or ("schema" if schema else None)
    settings = _settings(file, task, schema=schema, language=language)
    run = Run(out or Path("outputs") / f"human-{task}-{language}")
    _told(import_labels(request, settings, run, _say), run.folder, as_json)


def _settings(file: Path | None, task: str | None, **named: str | None) -> Settings:
    from etlch.core.config import load_settings
    from etlch.core.errors import EtlchError
    from etlch.core.locale import _
    from etlch.core.settings import Settings

    if task is None or named["language"] is None:
        raise EtlchError(
            _("no task was named") if task is None else _("no language was named"),
            _("Say --task ner|kge|json or --schema FILE, and --language zh-TW|zh-CN|en."),
        )
    return load_settings(Settings, file, {"tasks": [task], **named})


def _say(line: str) -> None:
    click.echo(line, err=True)


def _told(done: Imported, run: Path, as_json: bool) -> None:
    from etlch.core.files import dumps

    if as_json:
        click.echo(dumps({"run": str(run), "counts": done.counts}))
    else:
        click.echo("\n".join(done.lines[-2:]))
        click.echo(f"Next: etlch-data run {shlex.quote(str(run))}")


def _refuse_with_into(**given: object) -> None:
    from etlch.core.errors import EtlchError
    from etlch.core.locale import _

    for name, value in given.items():
        if value:
            raise EtlchError(
                _("--{name} does not go with --into: the run that is added to decides it").format(name=name),
                _("Leave it out."),
            )


def _update(
    run: Run, paths: tuple[Path, ...], task: str | None, columns: dict[str, str], as_json: bool
) -> None:
    import dataclasses

    from etlch.core.errors import EtlchError
    from etlch.core.files import dumps
    from etlch.core.locale import _
    from etlch.dataset.readers.rows import RowOptions
    from etlch.pipeline.update_labels import update_labels

    if not paths:
        raise EtlchError(
            _("no corrected labels were named"),
            _("etlch-data import --update {folder} FILE").format(folder=run.folder),
        )
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
    from etlch.core.locale import _

    known = ("text", "label", "id", "document", "instruction")
    found = {}
    for item in said:
        name, mark, column = item.partition("=")
        if not mark or name not in known:
            raise EtlchError(
                _("--column {item}: not NAME=COLUMN.{nearest}").format(
                    item=item, nearest=nearest(name, known)
                ),
                _("Names are {known}.").format(known=", ".join(known)),
            )
        found[name] = column
    return found
