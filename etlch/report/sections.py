"""Read a summary and an analysis of its samples, return the sections of the report page."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from etlch.core.locale import N_, _, ngettext
from etlch.core.records import test_of
from etlch.render import html
from etlch.render.html import Cell, Html, element
from etlch.report import ranking, tables
from etlch.report.charts import Chart
from etlch.report.errors import KINDS, MEANINGS, MISSING, SPURIOUS
from etlch.report.robustness import robustness
from etlch.report.samples import Analysis, Example
from etlch.scoring.summary import Comparison, Summary, System, TypeScore

EFFECTS = {"smd": N_("std. mean"), "cohen_h": N_("Cohen's h")}

MOST_TYPES = 14
"""Rows of a confusion matrix; rarer types are left out, and the caption says so."""


def scores(summary: Summary) -> Html:
    """Return the tables of scores, one a task, and folded every metric, types and meanings."""
    note = _(
        "In brackets: 95 % intervals, over articles and, where a recipe was trained with several seeds, over its "
        "trainings. Bold: best of the column. \u25b2 and \u25bc mark values significantly above and below that of "
        "the {rival} it was compared with (paired, Holm, 5 %)."
    ).format(rival=ranking.rival_word(summary))
    main = map(_score_table, tables.score_tables(summary))
    every = html.fold(_("Every metric"), *map(_score_table, tables.score_tables(summary, every=True)))
    metrics = dict.fromkeys(
        m for task in ranking.tasks_of(summary) for m in ranking.metrics_of(summary, task)
    )
    told = [(ranking.named(metric), ranking.explained(metric)) for metric in metrics]
    meanings = html.fold(_("What the metrics mean"), html.facts_of(told)) if told else None
    return html.join(
        [
            element("p", note, class_="small"),
            element("div", *main, class_="abreast"),
            _forms(summary),
            every,
            _by_type(summary),
            meanings,
        ]
    )


def _forms(summary: Summary) -> Html | None:
    """Mean, worst and spread over prompt forms; nothing where no form was asked."""
    rows: list[list[str | Cell]] = [
        [
            item.system.label,
            item.system.task,
            ranking.named(item.metric),
            Cell(f"{item.mean:.3f}"),
            Cell(f"{item.worst[1]:.3f}", test_of(item.worst[0]) or _("own")),
            Cell(f"{item.spread:.3f}"),
            Cell(", ".join(f"{value:.2f}" for value in item.values.values())),
        ]
        for item in robustness(summary)
    ]
    header = [_("model"), _("task"), _("metric"), _("mean"), _("worst"), _("spread (SD)"), _("each form")]
    caption = _("The same test articles under several prompt forms")
    return html.table(caption, header, rows) if rows else None


def _by_type(summary: Summary) -> Html | None:
    """F1 by type (ner), field (json) or relation (kge); the commonest ones."""
    made = []
    for task in dict.fromkeys(item.task for item in summary.types):
        types = [item for item in summary.types if item.task == task]
        systems = ranking.trainings_of(summary, task)
        support: dict[str, int] = {}
        for item in types:
            support[item.type] = max(support.get(item.type, 0), item.gold)
        cells = {(item.model, item.size, item.seed, item.type): item for item in types}
        rows: list[list[str | Cell]] = [
            [
                kind,
                Cell(f"{support[kind]:,}"),
                *(_type_cell(cells.get((s.model, s.size, s.seed, kind))) for s in systems),
            ]
            for kind in sorted(support, key=lambda kind: (-support[kind], kind))[:MOST_TYPES]
        ]
        rest = len(support) - len(rows)
        caption = _("{task}: F1 of facts by type, field or relation")
        if rest:
            caption = _("{task}: F1 of facts by type, field or relation; {rest} rarer ones are left out")
        caption = caption.format(task=task, rest=rest)
        made.append(html.table(caption, [_("type"), _("in labels"), *(s.label for s in systems)], rows))
    return html.fold(_("By type"), *made) if made else None


def _type_cell(item: TypeScore | None) -> Cell:
    if item is None or item.f1 is None:
        return Cell("–")
    return Cell(f"{item.f1:.2f}", _("{part} of {whole} right").format(part=item.hits, whole=item.predicted))


def _score_table(table: tables.ScoreTable) -> Html:
    rows: list[list[str | Cell]] = [
        [system.label, ranking.role_word(system.role), *map(_score_cell, entries)]
        for system, entries in zip(table.systems, table.entries, strict=True)
    ]
    return html.table(table.task, [_("model"), _("role"), *map(ranking.named, table.metrics)], rows)


def _score_cell(entry: tables.Entry) -> Cell:
    return Cell(entry.text + entry.mark, ranking.interval(entry.low, entry.high), strong=entry.best)


def picture(chart: Chart) -> Html:
    """Return a figure with its caption and its words."""
    return html.picture(chart.drawing.svg, chart.alt, chart.caption, key=chart.drawing.key)


def win_rates(summary: Summary, chart: Chart | None) -> Html:
    """Return the heatmap and, folded, its numbers; nothing where nothing was compared."""
    if chart is None:
        return html.join([])
    rows: list[list[str | Cell]] = [
        [
            System(rate.model, rate.task, rate.size, rate.seed).label,
            rate.baseline,
            rate.task,
            Cell(_("{part} of {whole}").format(part=f"{rate.won:g}", whole=rate.applicable)),
            Cell(f"{100 * rate.won / rate.applicable:.0f} %" if rate.applicable else "–"),
            Cell(str(rate.significant)),
        ]
        for rate in summary.win_rates
    ]
    header = [_("model"), _("baseline"), _("task"), _("won"), _("rate"), _("significant")]
    return html.join([picture(chart), html.fold(_("As a table"), html.table(_("Win rates"), header, rows))])


# ---------------------------------------------------------------- tests


def tests(summary: Summary) -> Html:
    """Return every comparison: those of the headline's metric, and folded all others."""
    if not summary.comparisons:
        return html.join([])
    note = _(
        "Each model against each baseline on the records that both answered. p after Holm holds for all tests "
        "of one task and metric together (the family); q is the false discovery rate over the whole grid "
        "(Benjamini–Hochberg)."
    )
    main: list[Html] = []
    rest: list[Html] = []
    for task in ranking.tasks_of(summary):
        headlined = ranking.headline_metric(summary, task)
        order = {system.label: place for place, system in enumerate(ranking.ranked(summary, task))}
        for metric in ranking.metrics_of(summary, task):
            comparisons = [c for c in summary.comparisons if (c.task, c.metric) == (task, metric)]
            comparisons.sort(key=lambda c: order.get(ranking.label_of(c), len(order)))
            if comparisons:
                (main if metric == headlined else rest).append(
                    _test_table(
                        _("{task}: {metric}").format(task=task, metric=ranking.named(metric)), comparisons
                    )
                )
    others = html.fold(_("Tests of the other metrics"), *rest) if rest else None
    return html.join([element("p", note, class_="small"), *main, others])


def _test_table(caption: str, comparisons: Sequence[Comparison]) -> Html:
    header = [
        *(_("model"), _("baseline"), _("difference"), "p", _("p after Holm"), _("family")),
        *("q", _("effect"), "n", _("test")),
    ]
    return html.table(caption, header, map(_test_row, comparisons))


def _test_row(c: Comparison) -> list[str | Cell]:
    difference = "–" if c.difference is None else ranking.signed(c.difference, 3)
    effect = "–" if c.effect is None else ranking.signed(c.effect)
    articles = ngettext("{articles} article", "{articles} articles", c.clusters).format(
        articles=f"{c.clusters:,}"
    )
    return [
        ranking.label_of(c),
        c.baseline,
        Cell(difference, ranking.interval(c.low, c.high, 3, sign=True), strong=c.significant),
        Cell(_p(c.p, c), _(c.reason) if c.p is None else ""),
        Cell(_p(c.p_adjusted, c), strong=c.significant),
        Cell(str(c.family) if c.family else "–"),
        Cell(_p(c.q)),
        Cell(effect, _(EFFECTS.get(c.effect_name, c.effect_name))),
        Cell(f"{c.n:,}", articles if c.clusters not in (0, c.n) else ""),
        c.test or _("none"),
    ]


def _p(p: float | None, item: Comparison | None = None) -> str:
    if p is None:
        return "–"
    bound = "\u2264 " if item is not None and ranking.at_floor(item, p) else ""
    return bound + (f"{p:.2g}" if p < 0.001 else f"{p:.3f}")


# ---------------------------------------------------------------- errors


def errors(summary: Summary, analysis: Analysis) -> Html:
    """Return per task the kinds of error with examples, and folded the confusion of types."""
    by_task = {
        task: [system for system in ranking.trainings_of(summary, task) if system in analysis.errors]
        for task in ranking.tasks_of(summary)
    }
    return html.join(_errors_of(analysis, task, systems) for task, systems in by_task.items() if systems)


def _errors_of(analysis: Analysis, task: str, systems: Sequence[System]) -> Html:
    kinds = [kind for kind in KINDS if any(analysis.errors[system][kind] for system in systems)]
    most = max((analysis.errors[s][kind] for s in systems for kind in kinds), default=1)
    rows: list[list[str | Cell]] = [
        [
            _(kind),
            *(_error_cell(analysis.errors[s][kind], analysis.affected[s][kind], most) for s in systems),
            *_links(analysis, task, kind),
        ]
        for kind in kinds
    ]
    header = [_("kind of error"), *(system.label for system in systems), _("worst"), _("typical")]
    caption = _("{task}: errors, and below each count the predictions that have it").format(task=task)
    meanings = html.facts_of((_(kind), _(MEANINGS[kind])) for kind in kinds)
    return html.join(
        [
            element("h3", task),
            html.table(caption, header, rows) if rows else element("p", _("No errors were found.")),
            html.fold(_("What the kinds mean"), meanings) if kinds else None,
            *(_confusion(system, analysis) for system in systems if system in analysis.confusions),
        ]
    )


def _error_cell(count: int, affected: int, most: int) -> Cell:
    heat = round(9 * count / most) if count else None
    return Cell(
        f"{count:,}" if count else "–",
        _("in {predictions}").format(predictions=f"{affected:,}") if count else "",
        heat=heat,
    )


def _links(analysis: Analysis, task: str, kind: str) -> list[str | Cell]:
    for pointed in analysis.examples:
        if (pointed.task, pointed.kind) == (task, kind):
            return [Cell(_link(pointed.worst), number=False), Cell(_link(pointed.typical), number=False)]
    return [Cell("–"), Cell("–")]


def _link(example: Example) -> Html:
    address = f"#{quote(example.id, safe='')}/{quote(example.model, safe='')}"
    return element("a", example.id, href=address, title=f"{example.id}, {example.model}")


def _confusion(system: System, analysis: Analysis) -> Html:
    counts = analysis.confusions[system]
    seen: dict[str, int] = {}
    for (gold, predicted), count in counts.items():
        for kind in {gold, predicted} - {MISSING, SPURIOUS}:
            seen[kind] = seen.get(kind, 0) + count
    types = sorted(seen, key=lambda kind: (-seen[kind], kind))[:MOST_TYPES]
    most = max(counts.values(), default=1)

    def cell(gold: str, predicted: str) -> Cell:
        count = counts[gold, predicted]
        return Cell(f"{count:,}" if count else "·", heat=round(9 * count / most) if count else None)

    rows: list[list[str | Cell]] = [
        [_(gold) if gold == SPURIOUS else gold, *(cell(gold, kind) for kind in [*types, MISSING])]
        for gold in [*types, SPURIOUS]
    ]
    left_out = len(seen) - len(types)
    caption = _("{model}: gold types in rows, predicted types in columns")
    if left_out:
        caption = _(
            "{model}: gold types in rows, predicted types in columns; {rest} rarer types are left out"
        )
    caption = caption.format(model=system.label, rest=left_out)
    return html.fold(
        _("Confusion of types, {model}").format(model=system.label),
        html.table(caption, [_("gold"), *types, _(MISSING)], rows),
    )
