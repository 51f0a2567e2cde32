"""Read a summary, return the drawings of a report with their captions.

They are the paper's Figures 1 to 8 in their clearest form, each only where there is something to draw.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import floor

from etlch.core.locale import _, capital, sentences
from etlch.render import plots
from etlch.render.canvas import Drawing
from etlch.report import ranking
from etlch.report.headline import smallest_better
from etlch.scoring.summary import Score, Summary, System

DRAWN = ("facts_f1", "leaf_f1", "rouge_l", "cosine")


@dataclass(frozen=True)
class Chart:
    """A figure with its words.

    Attributes:
        name: stem of its files.
        drawing: the figure.
        caption: stands below it.
        alt: what it shows, for those who do not see it.
    """

    name: str
    drawing: Drawing
    caption: str
    alt: str


def win_rate_chart(summary: Summary) -> Chart | None:
    """Return the paper's Figure 8: metrics won of those applicable, per task, baseline and model."""
    panels = []
    for task in dict.fromkeys(rate.task for rate in summary.win_rates):
        rates = [rate for rate in summary.win_rates if rate.task == task]
        rates.sort(key=lambda rate: (rate.model, rate.size or 0, rate.seed or 0))
        cells = {
            (rate.baseline, System(rate.model, task, rate.size, rate.seed).label): plots.Share(
                rate.won, rate.applicable, rate.significant
            )
            for rate in rates
        }
        columns = list(dict.fromkeys(column for _, column in cells))
        rows = list(dict.fromkeys(row for row, _ in cells))
        panels.append(plots.Grid(task, rows, columns, cells))
    if not panels:
        return None
    text = _("{task}: {model} wins {won:g} of {applicable} against {baseline}")
    words = [
        text.format(
            task=rate.task,
            model=System(rate.model, rate.task, rate.size, rate.seed).label,
            won=rate.won,
            applicable=rate.applicable,
            baseline=rate.baseline,
        )
        for rate in summary.win_rates
    ]
    counted = {rate.task: rate.metrics for rate in summary.win_rates}
    named = _("; ").join(
        _spoken_panel(task, map(ranking.named, metrics)) for task, metrics in counted.items() if metrics
    )
    caption = _(
        "Metrics on which the model (column) beats the baseline (row), of those that apply; a tie counts one "
        "half. Each star is a significant win (paired test, Holm, 5 %)."
    )
    told = _("Counted are, for {metrics}.").format(metrics=named) if named else ""
    return Chart("win-rates", plots.win_rates(panels), sentences(caption, told), _(". ").join(words))


def score_charts(summary: Summary) -> list[Chart]:
    """Return the paper's Figures 1 and 2: values with intervals by task and model, one figure a metric."""
    charts = []
    for metric in DRAWN:
        panels = [panel for task in ranking.tasks_of(summary) if (panel := _panel(summary, task, metric))]
        if panels:
            name = ranking.named(metric)
            caption = _(
                "{metric} by task and model, with 95 % intervals. Filled circles: the model, stronger with "
                "more training data; open squares: baselines; open diamonds: the untuned base model."
            ).format(metric=capital(name))
            start = _start([dot.value if dot.low is None else dot.low for p in panels for dot in p.dots])
            drawing = plots.dots(panels, name, span=(start, 1.0))
            charts.append(
                Chart(f"scores-{metric}", drawing, sentences(caption, _cut(start)), _spoken(panels))
            )
    return charts


def _panel(summary: Summary, task: str, metric: str, *, counts: bool = False) -> plots.Panel | None:
    found = []
    for system in ranking.ranked(summary, task):
        score = summary.mean_score(system, metric)
        if score is None or score.value is None:
            continue
        text = f"{round(score.value * score.n)}/{score.n}" if counts else f"{score.value:.2f}"
        found.append(
            plots.Dot(
                system.label,
                score.value,
                score.low,
                score.high,
                _role(summary, system),
                _shade(summary, system),
                text,
            )
        )
    return plots.Panel(task, found) if found else None


def _start(lowest: Sequence[float]) -> float:
    """Return where an axis that ends at 1 begins: at 0, or at a tenth from 0.5 on if nothing lies below."""
    tenth = floor(10 * min(lowest)) / 10
    return tenth if tenth >= 0.5 else 0.0


def _cut(start: float) -> str:
    return _("The axis begins at {start:.1f}.").format(start=start) if start else ""


def _role(summary: Summary, system: System) -> str:
    """Return the role that decides the marker: where nobody named one, being compared with makes a baseline."""
    return system.role or ("baseline" if system in ranking.baselines_of(summary, system.task) else "")


def _shade(summary: Summary, system: System) -> int:
    """Return 1 to 4, darker for larger sizes of the same model; 2 where there is one size."""
    sizes = sorted({s.size for s in summary.systems if s.model == system.model and s.size is not None})
    if system.size is None or len(sizes) < 2:
        return 2
    return 1 + round(3 * sizes.index(system.size) / (len(sizes) - 1))


def _spoken(panels: list[plots.Panel], *, sign: bool = False) -> str:
    def value(dot: plots.Dot) -> str:
        text = ranking.signed(dot.value) if sign else f"{dot.value:.2f}"
        return f"{dot.label} {text} {ranking.interval(dot.low, dot.high, sign=sign)}".rstrip()

    return _(". ").join(_spoken_panel(panel.title, map(value, panel.dots)) for panel in panels)


def _spoken_panel(title: str, said: Iterable[str]) -> str:
    return _("{title}: {values}").format(title=title, values=_(", ").join(said))


def difference_chart(summary: Summary) -> Chart | None:
    """Return paired differences to the best baseline that each system met, in the metric of the task's headline."""
    panels = []
    for task in ranking.tasks_of(summary):
        metric = ranking.headline_metric(summary, task)
        if metric is None:
            continue
        found, met = [], set()
        for system in ranking.ranked(summary, task):
            rival = ranking.best(summary, ranking.rivals_of(summary, system), metric)
            comparison = ranking.compared(summary, system, rival[0], metric) if rival else None
            if comparison is not None and comparison.difference is not None:
                met.add(comparison.baseline)
                text = ranking.signed(comparison.difference) + ranking.mark(comparison)
                found.append(
                    plots.Dot(
                        system.label, comparison.difference, comparison.low, comparison.high, _role(summary, system),
                        _shade(summary, system), text,
                    )
                )  # fmt: skip
        if found:
            title = _("{task}, to {baseline}") if len(met) == 1 else _("{task}, to the {rival}")
            title = title.format(task=task, baseline=min(met), rival=ranking.rival_word(summary))
            panels.append(plots.Panel(title, found))
    if not panels:
        return None
    rival_word = ranking.rival_word(summary)
    axis = _("difference to the {rival}").format(rival=rival_word)
    caption = _(
        "Paired differences to the {rival} that each model was compared with, in the metric of the "
        "headline, with 95 % intervals. \u25b2 and \u25bc mark significant differences: p < 0.05 after Holm, and an "
        "interval that does not touch the line at 0."
    ).format(rival=rival_word)
    drawing = plots.dots(panels, axis, span=None, zero=True)
    return Chart("differences", drawing, caption, _spoken(panels, sign=True))


def parsing_charts(summary: Summary) -> list[Chart]:
    """Return the paper's Figure 3: how many predictions json.loads takes, with Wilson intervals."""
    panels = [
        panel
        for task in ranking.tasks_of(summary)
        if (panel := _panel(summary, task, "json_parse_ok", counts=True))
    ]
    if not panels:
        return []
    return [
        Chart(
            "json-parses",
            plots.dots(panels, _("share of predictions that json.loads accepts")),
            _("Predictions that json.loads accepts as they are, with 95 % Wilson intervals."),
            _(". ").join(_spoken_panel(p.title, (f"{d.label} {d.text}" for d in p.dots)) for p in panels),
        )
    ]


def reading_chart(summary: Summary, readings: Mapping[System, Mapping[str, int]]) -> Chart | None:
    """Return how predictions were read: strictly, after a fence was removed, at best effort, or not at all.

    Args:
        summary: gives the order of tasks and systems.
        readings: system → reading → count.
    """
    order = {
        "strict": _("strict"), "fenced": _("fenced"), "best effort": _("best effort"), "none": _("none"),
        "unparseable": _("unparseable"),
    }  # fmt: skip
    if not any(set(counts) - {"strict", "none"} for counts in readings.values()):
        return None
    parts = [part for part in order if any(counts.get(part) for counts in readings.values())]
    tasks = {system.task for system, counts in readings.items() if set(counts) - {"strict"}}
    rows = {
        _("{task}: {model}").format(task=task, model=system.label): {
            order[part]: readings[system].get(part, 0) for part in parts
        }
        for task in ranking.tasks_of(summary)
        for system in ranking.trainings_of(summary, task)
        if system in readings and task in tasks
    }
    alt = _(". ").join(
        _spoken_panel(row, (f"{count} {part}" for part, count in counts.items()))
        for row, counts in rows.items()
    )
    return Chart(
        "readings",
        plots.shares(rows, _("predictions")),
        _(
            "How predictions could be read. Best effort looks for the answer in what stands around it, "
            "the same for every model; text that is broken is not repaired."
        ),
        alt,
    )


def efficiency_charts(summary: Summary) -> list[Chart]:
    """Return the paper's Figures 4 to 7: values over training-set sizes, baselines as bands."""
    charts = []
    for metric in (*DRAWN, "json_parse_ok"):
        panels = [panel for task in ranking.tasks_of(summary) if (panel := _curves(summary, task, metric))]
        if not panels:
            continue
        name = ranking.named(metric)
        caption = _(
            "{metric} over records per task, on a log scale, with 95 % intervals; where a "
            "size was trained with several seeds, of their mean. Grey: baselines, a line "
            "where they grow with the size. A ring marks the smallest size from which on all baselines that "
            "the model is compared with are beaten significantly."
        ).format(metric=capital(name))
        alt = _(". ").join(
            _("{title}: {values}").format(title=panel.title, values=_spoken_lines(panel)) for panel in panels
        )
        start = _start([low for panel in panels for low in _lows(panel)])
        drawing = plots.curves(panels, name, span=(start, 1.0))
        charts.append(Chart(f"efficiency-{metric}", drawing, sentences(caption, _cut(start)), alt))
    return charts


def _spoken_lines(panel: plots.Curves) -> str:
    text = _("{value:.2f} at {size}")
    return _("; ").join(
        f"{line} " + _(", ").join(text.format(value=point.value, size=point.size) for point in points)
        for line, points in (*panel.lines.items(), *panel.beside.items())
    )


def _lows(panel: plots.Curves) -> list[float]:
    lines = (*panel.lines.values(), *panel.beside.values())
    points = [(point.value, point.low) for line in lines for point in line]
    return [
        value if low is None else low for value, low in [*points, *((b.value, b.low) for b in panel.bands)]
    ]


def _curves(summary: Summary, task: str, metric: str) -> plots.Curves | None:
    lines = _lines(summary, ranking.contenders_of(summary, task), metric)
    if not lines:
        return None
    baselines = ranking.baselines_of(summary, task)
    beside = _lines(summary, baselines, metric)
    bands = [
        plots.Band(system.label, score.value, score.low, score.high)
        for system in baselines
        if system.model not in beside
        and (score := summary.mean_score(system, metric)) is not None
        and score.value is not None
    ]
    lead = ranking.best(summary, ranking.contenders_of(summary, task), metric)
    model = lead[0].model if lead else ""
    size = smallest_better(summary, task, metric, model) if baselines else None
    return plots.Curves(task, lines, bands, (model, size) if size is not None else None, beside)


def _lines(summary: Summary, systems: list[System], metric: str) -> dict[str, list[plots.Point]]:
    """Return model → its points by size, of models that have several sizes."""
    lines: dict[str, list[plots.Point]] = {}
    for system in systems:
        point = _point(summary, system, metric)
        if point is not None and point not in lines.setdefault(system.model, []):
            lines[system.model].append(point)
    return {model: sorted(points) for model, points in lines.items() if len(points) > 1}


def _point(summary: Summary, system: System, metric: str) -> plots.Point | None:
    if system.size is None:
        return None
    score: Score | None = summary.mean_score(system, metric)
    if score is None or score.value is None:
        return None
    return plots.Point(system.size, score.value, score.low, score.high)
