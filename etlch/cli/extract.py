"""etlch-extract: the tuned model on new documents."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from etlch.cli.common import CONTEXT, split, version_option
from etlch.cli.score import WithDefault

if TYPE_CHECKING:
    from etlch.extract.extractor import Extractor


class WithExtract(WithDefault):
    """A group whose command `extract` need not be named: `etlch-extract MODEL PATH…`."""

    default = "extract"


@click.group(cls=WithExtract, context_settings=CONTEXT)
@version_option
def main() -> None:
    """Extract facts from documents with a tuned model."""


def model_options(command: Any) -> Any:
    """Add the options that say which model is asked, and how."""
    for option in reversed(
        (
            click.option(
                "--tasks", callback=split(), help="Only these.  [default: all that need no instruction]"
            ),
            click.option("--instruction", help="What to extract, for a model of the json task."),
            click.option(
                "--fields", callback=split(), help="Names of the fields, for a model of the json task."
            ),
            click.option(
                "--decoding",
                type=click.Choice(["free", "schema", "copy"]),
                default="free",
                show_default=True,
                help="schema forces the label's form; copy lets values be words of the document only.",
            ),
            click.option(
                "--ungrounded",
                type=click.Choice(["drop", "flag", "retry"]),
                default="drop",
                show_default=True,
                help="What becomes of values that do not stand in the document.",
            ),
            click.option(
                "--min-precision",
                type=click.FloatRange(0, 1),
                help="Keep facts above the confidence that held this precision on validation.",
            ),
            click.option("--base-url", help="Ask a served model at this endpoint; MODEL still says how."),
        )
    ):
        command = option(command)
    return command


@main.command(hidden=True)
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("paths", nargs=-1, required=True)
@model_options
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("facts.jsonl"),
    show_default=True,
    help="The file to write: .jsonl, .csv, .parquet or .sqlite.",
)
@click.option("--facts", "by_fact", is_flag=True, help="One row a fact instead of one a document.")
@click.option("--limit", type=click.IntRange(min=1), help="Only so many documents.")
@click.option("--text-column", help="The column of the text.  [default: text, content, article, …]")
def extract(
    model: Path,
    paths: tuple[str, ...],
    out: Path,
    by_fact: bool,
    limit: int | None,
    text_column: str | None,
    **options: Any,
) -> None:
    """Extract facts from PATHS (files, folders or a data set's name) with MODEL (a model folder).

    The same command goes on where it was stopped. Documents that fail are rows with a reason.

    \b
    Examples:
      etlch-extract outputs/demo/models/smoke-80-s42 reports/ --tasks ner,kge --out facts.jsonl
      etlch-extract models/ner notes.csv --decoding copy --facts --out facts.sqlite
    """
    from etlch.extract.documents import extract_to_file, sources

    extractor = _extractor(model, out, options)
    last = 0.0

    def note(documents: int, tokens: int, seconds: float) -> None:
        nonlocal last
        if seconds - last >= 1.0:
            last = seconds
            line = f"{documents:,} documents, {documents / seconds:.1f} a second, {tokens / seconds:.0f} tokens a second"
            click.echo(("\r" + line) if sys.stderr.isatty() else line, err=True, nl=not sys.stderr.isatty())

    done = extract_to_file(extractor, sources(paths, text_column, limit), out, by_fact=by_fact, note=note)
    counts = done.counts
    click.echo(
        f"{counts['documents']:,} documents, {counts['facts']:,} facts; ungrounded {counts['ungrounded']:,}, "
        f"below the threshold {counts['below']:,}, documents with a problem {counts['problems']:,}"
    )
    pace = done.asked / done.seconds if done.seconds else 0.0
    click.echo(f"{out}: {done.asked:,} documents asked in {done.seconds:.0f} s, {pace:.2f} a second")
    if counts["documents"] and counts["problems"] == counts["documents"]:
        raise SystemExit(1)


@main.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--tasks", callback=split(), help="Only these.  [default: all that need no instruction]")
def calibrate(model: Path, tasks: tuple[str, ...] | None) -> None:
    """Ask MODEL for its run's validation set, so that confidence means precision.

    \b
    Example: etlch-extract calibrate outputs/demo/models/smoke-80-s42
    """
    from etlch.extract.calibrate import calibrate as run_it

    for name, held in run_it(model, tasks or ()).calibration.items():
        click.echo(f"{name}: {sum(held.right)} of {len(held.right)} validation facts are right")


@main.command()
@click.argument("model", type=click.Path(path_type=Path))
@model_options
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8400, show_default=True, type=int, help="The port to listen on.")
def serve(model: Path, host: str, port: int, **options: Any) -> None:
    """Serve MODEL over HTTP: POST /extract {"text": …}; GET /health, /metrics, /docs.

    With ETLCH_EXTRACT_KEY in the environment, requests must carry it as a bearer token.

    \b
    Example: etlch-extract serve outputs/demo/models/smoke-80-s42 --tasks ner
    """
    from importlib.util import find_spec

    from etlch.core.errors import EtlchError

    if find_spec("fastapi") is None or find_spec("uvicorn") is None:
        raise EtlchError("fastapi and uvicorn are not installed", "pip install 'etlch[serve]'")
    import uvicorn

    from etlch.extract.server import make_app

    uvicorn.run(
        make_app(_extractor(model, Path("serve"), options)), host=host, port=port, log_level="warning"
    )


def _extractor(model: Path, out: Path, options: dict[str, Any]) -> Extractor:
    from etlch.core.errors import EtlchError
    from etlch.core.settings import TeacherSettings
    from etlch.extract.card import read_card
    from etlch.extract.extractor import Extractor, ExtractSettings, chosen_fields
    from etlch.extract.remote_model import RemoteModel

    if not model.is_dir():
        raise EtlchError(f"{model} is no model folder", "Name one such as outputs/RUN/models/NAME.")
    card = read_card(model)
    if options["fields"]:
        card = chosen_fields(card, options["instruction"], options["fields"])
    settings = ExtractSettings(
        tasks=options["tasks"] or (("json",) if options["fields"] else ()),
        decoding=options["decoding"],
        ungrounded=options["ungrounded"],
        min_precision=options["min_precision"],
    )
    answering = None
    if options["base_url"]:
        teacher = TeacherSettings(name=card.model, base_url=options["base_url"])
        answering = RemoteModel(teacher, out.with_name(out.name + ".replies"), card.max_new_tokens)
    return Extractor(model, settings, card=card, answering=answering)


if __name__ == "__main__":
    main()
