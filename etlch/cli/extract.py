"""`etlch-extract`: extract facts from new documents with a tuned model."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from etlch.cli.common import CONTEXT, split, version_option
from etlch.cli.score import WithDefault

if TYPE_CHECKING:
    from etlch.extract.extractor import Extractor
    from etlch.extract.remote_model import Paid


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
                "--schema",
                help="Ask under this schema, not the run's: a JSON Schema file or module:PydanticModel.",
            ),
            click.option(
                "--decoding",
                type=click.Choice(["free", "schema", "copy"]),
                help="schema forces the label's form; copy lets values be words of the document only.  [default: free]",
            ),
            click.option(
                "--ungrounded",
                type=click.Choice(["drop", "flag", "retry"]),
                help="What becomes of values that do not stand in the document.  [default: drop]",
            ),
            click.option(
                "--min-precision",
                type=click.FloatRange(0, 1),
                help="Keep facts above the confidence that held this precision on validation.",
            ),
            click.option("--base-url", help="Ask a served model at this endpoint; MODEL still says how."),
            click.option(
                "--fallback-base-url",
                help="Ask a larger model here where a document's facts lie below the threshold, or cannot be read.",
            ),
            click.option(
                "--settings",
                "file",
                type=click.Path(path_type=Path, exists=True, dir_okay=False),
                help="A YAML file for everything rarer, such as the name and the budget of the fallback model.",
            ),
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
@click.option("--html", type=click.Path(path_type=Path), help="Write a page of highlighted documents.")
@click.option(
    "--review",
    type=click.Path(path_type=Path),
    help="Write documents with facts below the threshold, for an annotation tool.",
)
@click.option("--text-column", help="The column of the text.  [default: text, content, article, …]")
def extract(
    model: Path,
    paths: tuple[str, ...],
    out: Path,
    by_fact: bool,
    limit: int | None,
    html: Path | None,
    review: Path | None,
    text_column: str | None,
    **options: Any,
) -> None:
    """Extract facts from PATHS (files, folders or a data set's name) with MODEL (a model folder or a GGUF file).

    The same command goes on where it was stopped. Documents that fail are rows with a reason.

    \b
    Examples:
      etlch-extract outputs/demo/models/smoke-80-s42 reports/ --tasks ner,kge --out facts.jsonl
      etlch-extract models/ner notes.csv --decoding copy --facts --out facts.sqlite
      etlch-extract models/ner notes.csv --min-precision 0.95 --html facts.html --review unsure.jsonl
    """
    from etlch.extract.documents import Wanted, extract_to_file, sources
    from etlch.extract.remote_model import RemoteModel

    extractor = _extractor(model, out, options)
    last = 0.0

    def note(documents: int, tokens: int, seconds: float) -> None:
        nonlocal last
        if seconds - last >= 1.0:
            last = seconds
            line = f"{documents:,} documents, {documents / seconds:.1f} a second, {tokens / seconds:.0f} tokens a second"
            click.echo(("\r" + line) if sys.stderr.isatty() else line, err=True, nl=not sys.stderr.isatty())

    wanted = Wanted(out, by_fact, html, review)
    done = extract_to_file(extractor, lambda: sources(paths, text_column, limit), wanted, note)
    counts = done.counts
    click.echo(
        f"{counts['documents']:,} documents, {counts['facts']:,} facts; ungrounded {counts['ungrounded']:,}, "
        f"below the threshold {counts['below']:,}, documents with a problem {counts['problems']:,}"
    )
    pace = done.asked / done.seconds if done.seconds else 0.0
    click.echo(f"{out}: {done.asked:,} documents asked in {done.seconds:.0f} s, {pace:.2f} a second")
    for name, count in done.review.items():
        click.echo(f"{name}: {count:,} documents for people; read back with `etlch-data import`")
    if isinstance(extractor.fallback, RemoteModel):
        click.echo(_bill(extractor.fallback.paid(), counts, len(extractor.tasks)))
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

    for name, calibration in run_it(model, tasks or ()).calibration.items():
        click.echo(f"{name}: {sum(calibration.right)} of {len(calibration.right)} validation facts are right")


@main.command()
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def drift(before: Path, after: Path, as_json: bool) -> None:
    """Compare two outputs of one model, BEFORE and AFTER: what has changed in what it reads or writes?

    Both hold one row a document. Exit code 1 where a change is significant: at 5 % after Holm's correction.

    \b
    Example: etlch-extract drift facts-week-30.jsonl facts-week-31.jsonl
    """
    from etlch.core.files import dumps
    from etlch.extract.drift import compare_outputs
    from etlch.extract.output import read_output

    changes = compare_outputs(read_output(before), read_output(after))
    if as_json:
        click.echo(dumps([{**one._asdict(), "significant": one.significant} for one in changes], indent=2))
    else:
        click.echo(f"{'':42} {'before':>8} {'after':>8} {'difference, 95 %':>20} {'p':>8}")
        for one in changes:
            values = ("–" if value is None else f"{value:.3f}" for value in (one.before, one.after))
            interval = "" if one.low is None else f"{one.low:+.3f} to {one.high:+.3f}"
            p = "–" if one.adjusted is None else f"{one.adjusted:.3g}"
            mark = "  changed" if one.significant else ""
            click.echo(f"{one.name:42} {next(values):>8} {next(values):>8} {interval:>20} {p:>8}{mark}")
    if any(one.significant for one in changes):
        raise SystemExit(1)


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
    from etlch.core.extras import need

    need("serve", "etlch-extract serve", "fastapi", "uvicorn")
    import uvicorn

    from etlch.extract.server import make_app

    uvicorn.run(
        make_app(_extractor(model, Path("serve"), options)), host=host, port=port, log_level="warning"
    )


def _extractor(model: Path, out: Path, options: dict[str, Any]) -> Extractor:
    from etlch.core.config import load_settings
    from etlch.core.extract_settings import ExtractSettings
    from etlch.core.settings import TeacherSettings
    from etlch.extract.card import read_card
    from etlch.extract.extractor import Extractor, chosen_fields, under_schema

    card = read_card(model)
    if options["fields"]:
        card = chosen_fields(card, options["instruction"], options["fields"])
    if options["schema"]:
        card = under_schema(card, options["schema"])
    said = {name: options[name] for name in ("decoding", "ungrounded", "min_precision")}
    said["tasks"] = options["tasks"] or (_asked(options) or None)
    settings = load_settings(ExtractSettings, options["file"], said)
    default = TeacherSettings()
    if url := options["base_url"]:
        settings = replace(settings, served=replace(settings.served or default, base_url=url))
    if url := options["fallback_base_url"]:
        settings = replace(settings, fallback=replace(settings.fallback or default, base_url=url))
    return Extractor(model, settings, card=card, replies=out.with_name(out.name + ".replies"))


def _asked(options: dict[str, Any]) -> tuple[str, ...]:
    """Return the tasks that the options ask for without naming them."""
    return (*(("json",) if options["fields"] else ()), *(("schema",) if options["schema"] else ()))


def _bill(paid: Paid, counts: dict[str, int], tasks: int) -> str:
    """Return what the fallback model was asked and cost, for all documents together and had it been asked about all."""
    said = f"fallback {paid.model}: {counts['fallback']:,} of {counts['documents']:,} documents, {paid.questions:,} questions"
    if paid.usd is None or not paid.questions:
        return said + ("" if paid.questions else ", nothing paid")
    each = paid.usd / paid.questions * counts["pieces"] * tasks / counts["documents"]
    return (
        f"{said}, ${paid.usd:.4f}: ${1000 * paid.usd / counts['documents']:.2f} per 1,000 documents, "
        f"against about ${1000 * each:.2f} had it been asked about all"
    )


if __name__ == "__main__":
    main()
