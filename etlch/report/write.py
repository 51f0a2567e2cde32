"""Read a summary and its samples, write report.html, figures and tables to the scores folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from etlch.core.files import load_yaml, write_bytes, write_text
from etlch.core.locale import _, ngettext, speaking
from etlch.core.records import Json
from etlch.core.settings import ScoreSettings
from etlch.core.version import __version__
from etlch.render import html
from etlch.render.html import Cell, Html, element
from etlch.report import charts, ranking, sections, tables
from etlch.report.charts import Chart
from etlch.report.headline import Verdict, headline
from etlch.report.samples import DEFAULT, Analysis, analyse
from etlch.scoring.summary import Sample, Summary


def write_report(
    summary: Summary, samples: Iterable[Sample], out: Path, settings: ScoreSettings = DEFAULT
) -> Path:
    """Write report.html, figures/ (SVG and PNG) and tables/ (Markdown, LaTeX, CSV).

    Figures of an earlier report that this one does not have are removed: they would tell old numbers.

    Args:
        summary: all scores, comparisons and win rates.
        samples: every sample; read once, one at a time.
        out: the scores folder. Where it stands in a run folder, run.yaml is quoted as provenance.
        settings: what facts are read with: label map, end markers, the file of a task of the user's own.

    Returns:
        The path of report.html.

    Raises:
        EtlchError: a file cannot be written.
    """
    analysis = analyse(samples, summary.counts.scored, settings)
    drawn = _charts(summary, analysis)
    for old in sorted((out / "figures").glob("*.[sp][vn]g")):
        if old.stem not in drawn:
            old.unlink()
    for chart in drawn.values():
        write_bytes(out / "figures" / f"{chart.name}.svg", chart.drawing.svg)
        write_bytes(out / "figures" / f"{chart.name}.png", chart.drawing.png)
    with speaking("en"):  # for papers and programs, whatever the reader of the page speaks
        for ending, table in (("md", tables.markdown), ("tex", tables.latex), ("csv", tables.csv_text)):
            write_text(out / "tables" / f"scores.{ending}", _writable(table(summary)))
    write_text(out / "report.html", report_page(summary, analysis, drawn, *_run_of(out)))
    return out / "report.html"


def _charts(summary: Summary, analysis: Analysis) -> dict[str, Chart]:
    drawn = [
        charts.win_rate_chart(summary),
        charts.difference_chart(summary),
        *charts.score_charts(summary),
        *charts.parsing_charts(summary),
        charts.reading_chart(summary, analysis.readings),
        *charts.efficiency_charts(summary),
    ]
    return {chart.name: chart for chart in drawn if chart is not None}


def _writable(text: str) -> str:
    """Show what UTF-8 cannot hold (a model or path name may) as its escape."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _run_of(out: Path) -> tuple[str, Json]:
    """Return the name of the run that a scores folder stands in, and its run.yaml; else nothing."""
    folder = out.resolve().parent
    path = folder / "run.yaml"
    return (folder.name, load_yaml(path)) if path.is_file() else ("", None)


def report_page(
    summary: Summary, analysis: Analysis, drawn: dict[str, Chart], name: str = "", run: Json = None
) -> str:
    """Return the page as text. `name` is the run's, `run` what its run.yaml holds; either may be missing."""
    rest = [chart for name, chart in drawn.items() if name not in ("win-rates", "differences")]
    parts = [
        ("result", _("Result"), _result(summary, drawn.get("differences"))),
        ("scores", _("Scores"), sections.scores(summary)),
        ("win-rates", _("Win rates"), sections.win_rates(summary, drawn.get("win-rates"))),
        ("figures", _("Figures"), html.join(map(sections.picture, rest))),
        ("tests", _("Tests"), sections.tests(summary)),
        ("errors", _("Errors"), sections.errors(summary, analysis)),
        ("samples", _("Samples"), html.browser(analysis.samples, name="browser", note=_shown_note(analysis))),
        ("provenance", _("Provenance"), _provenance(summary, run)),
    ]
    articles = len({sample.article for sample in analysis.samples if sample.article})
    subtitle = _("{models} on {tasks}; {records}.").format(
        models=_predictions(summary),
        tasks=_(", ").join(ranking.tasks_of(summary)),
        records=_records(analysis, articles),
    )
    title = _("How well the models extract: {run}") if name else _("How well the models extract")
    title = title.format(run=name)
    return html.document(title, subtitle, [part for part in parts if part[2]])


def _predictions(summary: Summary) -> str:
    models = len({system.label for system in summary.systems})
    return ngettext(
        "{predictions} predictions of {models} model", "{predictions} predictions of {models} models", models
    ).format(predictions=f"{summary.counts.scored:,}", models=models)


def _records(analysis: Analysis, articles: int) -> str:
    """Return how many records the page holds, and of how many articles where there are several."""
    text = _("{records} records") if analysis.shown == analysis.total else _("{records} shown records")
    text = text.format(records=f"{len(analysis.samples):,}")
    return (
        _("{records} of {articles} articles").format(records=text, articles=f"{articles:,}")
        if articles > 1
        else text
    )


def _result(summary: Summary, differences: Chart | None) -> Html:
    verdicts = [_verdict(verdict) for verdict in headline(summary)]
    notes = [element("p", note, class_="small") for note in summary.notes]
    return html.join(
        [
            element("ul", *verdicts, class_="verdict")
            if verdicts
            else element("p", _("Nothing was scored.")),
            sections.picture(differences) if differences else None,
            *notes,
        ]
    )


def _verdict(verdict: Verdict) -> Html:
    text = element("span", f" {verdict.text}") if verdict.text else None
    return element("li", element("b", verdict.lead), text, class_=verdict.kind or None)


def _shown_note(analysis: Analysis) -> str:
    if analysis.shown == analysis.total:
        return ""
    return _(
        "The browser holds {shown} of {total} predictions: those of the articles whose "
        "ids a hash picked, the same for every model. All counts and scores above cover all predictions."
    ).format(shown=f"{analysis.shown:,}", total=f"{analysis.total:,}")


def _provenance(summary: Summary, run: Json) -> Html:
    counts = summary.counts
    pairs = [
        (_("signature"), summary.signature),
        ("etlch", __version__),
        (_("lines read"), f"{counts.read:,}"),
        (_("scored"), f"{counts.scored:,}"),
        (_("skipped"), f"{counts.skipped:,}"),
        (_("unparseable"), f"{counts.unparseable:,}"),
        (_("truncated"), f"{counts.truncated:,}"),
    ]
    rows: list[list[str | Cell]] = [
        [
            source.system.label,
            source.task,
            ranking.role_word(source.role),
            *(Cell(f"{n:,}") for n in (source.counts.read, source.counts.scored, source.counts.skipped)),
            *(Cell(f"{n:,}") for n in (source.counts.unparseable, source.counts.truncated)),
            source.path,
        ]
        for source in summary.sources
    ]
    header = [
        *(_("model"), _("task"), _("role"), _("read"), _("scored"), _("skipped")),
        *(_("unparseable"), _("truncated"), _("file")),
    ]
    files = html.table(_("Prediction files"), header, rows)
    if not isinstance(run, dict):
        return html.join([html.facts_of(pairs), files])
    pairs += [
        (_("data set: {name}").format(name=name), value) for name, value in _flat(run.get("cost") or {})
    ]
    made = html.fold(_("How the data set was made (run.yaml)"), html.facts_of(_flat(run)))
    return html.join([html.facts_of(pairs), files, made])


def _flat(value: Json, name: str = "") -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [
            pair
            for key, inner in value.items()
            for pair in _flat(inner, f"{name}.{key}" if name else str(key))
        ]
    if isinstance(value, list):
        return [(name, ", ".join(map(str, value)))]
    return [(name, "–" if value is None else str(value))]
