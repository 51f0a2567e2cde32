"""Read named values, return drawings (SVG and PNG). With canvas.py the only place of matplotlib.

Every drawing is legible in print, in grey and for colour-blind readers: what colour says is also
said by shape, order or text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from etlch.core.locale import _
from etlch.render.canvas import INK, SOFT, Drawing, Letters, choose_letters, draw, quiet

_TUNED = ("#8fbfe3", "#5599cc", "#2273b2", "#0b4a80", "#062c50")
MOST_ACROSS = 18
"""Columns of a heatmap side by side; with more, its panels stand below one another."""

_MARKERS = {"tuned": "o", "base": "D", "baseline": "s", "": "o"}


class Dot(NamedTuple):
    """One value with its interval (None where there is none).

    Attributes:
        label: the row it stands in.
        role: tuned, base, baseline or "": its marker.
        shade: 0 (light) to 4 (dark), for sizes of one model.
        text: stands at the right edge.
    """

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    role: str = ""
    shade: int = 2
    text: str = ""


class Panel(NamedTuple):
    """One of several dot plots side by side."""

    title: str
    dots: Sequence[Dot]


class Point(NamedTuple):
    """A curve's value at one training-set size, with its interval."""

    size: int
    value: float
    low: float | None = None
    high: float | None = None


class Band(NamedTuple):
    """A baseline: a horizontal line with its interval."""

    label: str
    value: float
    low: float | None = None
    high: float | None = None


class Curves(NamedTuple):
    """One panel of a data-efficiency figure.

    `bands`: baselines that know no size; `beside`: baselines that have several, such as dictionaries
    of so many training records. `mark`: the line and size to ring.
    """

    title: str
    lines: Mapping[str, Sequence[Point]]
    bands: Sequence[Band] = ()
    mark: tuple[str, int] | None = None
    beside: Mapping[str, Sequence[Point]] = {}


class Share(NamedTuple):
    """A win rate's cell."""

    won: float
    applicable: int
    significant: int = 0


class Grid(NamedTuple):
    """One panel of a heatmap: (row, column) → share."""

    title: str
    rows: Sequence[str]
    columns: Sequence[str]
    shares: Mapping[tuple[str, str], Share]


def dots(
    panels: Sequence[Panel],
    axis: str,
    *,
    span: tuple[float, float] | None = (0.0, 1.0),
    zero: bool = False,
) -> Drawing:
    """Draw values with intervals: one panel per task, one row per label, the same rows everywhere.

    Args:
        panels: their dots; a label that a panel lacks leaves its row empty.
        axis: what the values are.
        span: ends of the axis; None fits the values.
        zero: draw a line at 0 (for differences).
    """
    labels = list(dict.fromkeys(dot.label for panel in panels for dot in panel.dots))
    letters = choose_letters([*labels, *(panel.title for panel in panels)], [axis])
    height = 1.0 + 0.27 * max(1, len(labels))

    def build(figure: Any) -> None:
        all_axes = figure.subplots(1, len(panels), sharey=True, sharex=True, squeeze=False)[0]
        for axes, panel in zip(all_axes, panels, strict=True):
            _dot_panel(axes, panel, labels, letters)
            if zero:
                axes.axvline(0, color=INK, linewidth=0.9)
        all_axes[0].set_yticks(range(len(labels)), [letters.write(label) for label in labels])
        all_axes[0].set_ylim(len(labels) - 0.5, -0.5)
        if span is not None and span[0] < span[1]:
            margin = 0.03 * (span[1] - span[0])
            all_axes[0].set_xlim(span[0] - margin, span[1] + margin)
        figure.supxlabel(letters.write(axis), fontsize=9, color=SOFT)

    return draw((max(4.6, 1.7 + 2.1 * len(panels)), height), letters, build)


def _dot_panel(axes: Any, panel: Panel, labels: Sequence[str], letters: Letters) -> None:
    quiet(axes, "x")
    axes.set_title(letters.write(panel.title))
    for dot in panel.dots:
        row = labels.index(dot.label)
        colour = SOFT if dot.role in ("base", "baseline") else _TUNED[min(4, max(0, dot.shade))]
        if dot.low is not None and dot.high is not None:
            axes.plot([dot.low, dot.high], [row, row], color=colour, linewidth=1.6, solid_capstyle="butt")
        face = "white" if dot.role in ("base", "baseline") else colour
        axes.plot(
            [dot.value], [row], marker=_MARKERS.get(dot.role, "o"), markersize=5.5,
            markerfacecolor=face, markeredgecolor=colour, markeredgewidth=1.3, linestyle="none", clip_on=False,
        )  # fmt: skip
        if dot.text:
            axes.annotate(
                dot.text, (1.02, row), xycoords=("axes fraction", "data"), va="center", fontsize=8,
                annotation_clip=False,
            )  # fmt: skip


def curves(panels: Sequence[Curves], axis: str, *, span: tuple[float, float] = (0.0, 1.0)) -> Drawing:
    """Draw values over training-set sizes on a log axis; baselines are grey, with bands where they have no size.

    Args:
        panels: one per task. A band's label stands at its right end.
        axis: what the values are.
        span: ends of the axis of values.
    """
    texts = []
    for panel in panels:
        texts += [panel.title, *panel.lines, *panel.beside, *(band.label for band in panel.bands)]
    below = _("records per task (train and validation, log scale)")
    letters = choose_letters(texts, [axis, below])

    def build(figure: Any) -> None:
        all_axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, panel in zip(all_axes, panels, strict=True):
            _curve_panel(axes, panel, letters, 0.062 * (span[1] - span[0]))
        all_axes[0].set_ylabel(letters.write(axis))
        margin = 0.03 * (span[1] - span[0])
        all_axes[0].set_ylim(span[0] - margin, span[1] + margin)
        figure.supxlabel(letters.write(below), fontsize=9, color=SOFT)

    return draw((max(4.6, 0.9 + 2.9 * len(panels)), 3.2), letters, build)


def _curve_panel(axes: Any, panel: Curves, letters: Letters, apart: float) -> None:
    quiet(axes, "y")
    axes.set_title(letters.write(panel.title))
    axes.set_xscale("log")
    sizes = sorted({p.size for line in (*panel.lines.values(), *panel.beside.values()) for p in line})
    for band in panel.bands:
        if band.low is not None and band.high is not None:
            axes.axhspan(band.low, band.high, color=SOFT, alpha=0.16, linewidth=0)
        axes.axhline(band.value, color=SOFT, linewidth=0.9, linestyle=(0, (4, 2)))
    names = [(band.value, band.label, SOFT) for band in panel.bands]
    for name, points in panel.beside.items():
        _line(axes, points, SOFT, linewidth=1.1, linestyle=(0, (4, 2)), marker="s", markerfacecolor="white")
        names.append((points[-1].value, name, SOFT))
    for number, (name, points) in enumerate(panel.lines.items()):
        colour = _TUNED[(2 + number) % len(_TUNED)]
        _line(axes, points, colour, linewidth=1.8, marker="o^vDs"[number % 5])
        names.append((points[-1].value, name, colour))
        if panel.mark and panel.mark[0] == name:
            _ring(axes, points, panel.mark[1])
    if sizes:
        axes.set_xlim(sizes[0] / 1.3, sizes[-1] * 1.3)
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axes.set_xticks([], minor=True)
    for at, (_value, name, colour) in zip(_apart([n[0] for n in names], apart), names, strict=True):
        axes.annotate(
            letters.write(name), (1.02, at), xycoords=("axes fraction", "data"), va="center", fontsize=8,
            color=colour, annotation_clip=False,
        )  # fmt: skip


def _line(axes: Any, points: Sequence[Point], colour: str, **style: Any) -> None:
    sizes, values = [p.size for p in points], [p.value for p in points]
    for p in points:
        if p.low is not None and p.high is not None:
            axes.plot([p.size, p.size], [p.low, p.high], color=colour, linewidth=1.2)
    axes.plot(sizes, values, color=colour, markersize=5, clip_on=False, **style)


def _ring(axes: Any, points: Sequence[Point], size: int) -> None:
    for point in points:
        if point.size == size:
            axes.plot([point.size], [point.value], marker="o", markersize=11, markerfacecolor="none",
                      markeredgecolor=INK, markeredgewidth=1, linestyle="none", clip_on=False)  # fmt: skip


def _apart(places: Sequence[float], least: float) -> list[float]:
    """Move places so that no two are nearer than `least`, keeping their order and rough position."""
    order = sorted(range(len(places)), key=lambda i: places[i])
    moved = list(places)
    for _round in range(50):
        for low, high in pairwise(order):
            overlap = least - (moved[high] - moved[low])
            if overlap > 1e-9:
                moved[low] -= overlap / 2
                moved[high] += overlap / 2
    return moved


class Bin(NamedTuple):
    """Facts of nearly one confidence: their mean confidence, and the share that is right with its interval."""

    confidence: float
    right: float
    low: float
    high: float


class Reliability(NamedTuple):
    """One panel of a reliability diagram: binned facts, and the fitted curve as (confidence, precision)."""

    title: str
    bins: Sequence[Bin]
    fitted: Sequence[tuple[float, float]]


def reliability(panels: Sequence[Reliability]) -> Drawing:
    """Draw how often facts of a confidence are right, side by side; on the diagonal, confidence is precision."""
    axis, height = _("probability that the model gives"), _("share that is right")
    letters = choose_letters([panel.title for panel in panels], [axis, height])

    def build(figure: Any) -> None:
        for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            quiet(axes, "both")
            axes.plot((0, 1), (0, 1), color=SOFT, linewidth=0.8, linestyle=":")
            axes.step(*zip(*panel.fitted, strict=True), where="pre", color=_TUNED[1], linewidth=1.4)
            for item in panel.bins:
                axes.plot((item.confidence,) * 2, (item.low, item.high), color=INK, linewidth=0.8)
                axes.plot(item.confidence, item.right, marker="o", color=INK, markersize=4)
            axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
            axes.set_title(letters.write(panel.title), fontsize=9)
            axes.set_xlabel(letters.write(axis))
        figure.axes[0].set_ylabel(letters.write(height))

    return draw((3.2 * len(panels), 3.2), letters, build)


def win_rates(panels: Sequence[Grid]) -> Drawing:
    """Draw win rates as a heatmap: won/applicable in each cell, a star per significant win."""
    rows = list(dict.fromkeys(row for panel in panels for row in panel.rows))
    columns = list(dict.fromkeys(column for panel in panels for column in panel.columns))
    letters = choose_letters([*rows, *columns, *(panel.title for panel in panels)])
    across = len(panels) * len(columns) <= MOST_ACROSS
    wide, high = (len(panels), 1) if across else (1, len(panels))
    longest = max((len(letters.write(column)) for column in columns), default=0)
    width = max(3.2, 1.8 + wide * max(1.6, 0.62 * len(columns) + 0.2))
    height = 0.9 + 0.055 * longest + high * (0.42 * len(rows) + 0.3 * (high > 1))

    def build(figure: Any) -> None:
        grid = figure.subplots(high, wide, sharey=True, sharex=not across, squeeze=False)
        for axes, panel in zip(grid.flat, panels, strict=True):
            _grid_panel(axes, panel, rows, columns, letters)
        for axes in grid[:, 0]:
            axes.set_yticks(range(len(rows)), [letters.write(row) for row in rows])

    return draw((width, height), letters, build)


def _grid_panel(
    axes: Any, panel: Grid, rows: Sequence[str], columns: Sequence[str], letters: Letters
) -> None:
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.patches import Rectangle

    shades = LinearSegmentedColormap.from_list("share", ["#ffffff", "#9cc5e5", "#0b4a80"])
    axes.set_title(letters.write(panel.title))
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xticks(range(len(columns)), [letters.write(c) for c in columns], rotation=40, ha="right",
                    rotation_mode="anchor", color=INK)  # fmt: skip
    for (row, column), share in panel.shares.items():
        x, y = columns.index(column), rows.index(row)
        rate = share.won / share.applicable if share.applicable else 0.0
        axes.add_patch(Rectangle((x - 0.47, y - 0.45), 0.94, 0.9, facecolor=shades(rate), edgecolor=SOFT,
                                 linewidth=0.6))  # fmt: skip
        text = f"{share.won:g}/{share.applicable}" + "*" * share.significant
        axes.text(x, y, text, ha="center", va="center", fontsize=8.5,
                  color="white" if rate > 0.75 else INK)  # fmt: skip


def shares(rows: Mapping[str, Mapping[str, int]], axis: str) -> Drawing:
    """Draw how counts divide: one stacked bar per row, its parts named in a line above.

    Args:
        rows: row → part → count; parts keep the order of the first row. Shades and hatches differ,
            so that grey print still tells them apart.
        axis: what is counted.
    """
    parts = list(dict.fromkeys(part for row in rows.values() for part in row))
    letters = choose_letters([*rows, *parts], [axis])
    looks = [("#0b4a80", ""), ("#7fb3dc", ""), ("#f4f4ef", "///"), ("#d9a441", "xx"), ("#b9bdc2", "..")]

    def build(figure: Any) -> None:
        axes = figure.subplots()
        quiet(axes, "x")
        left = {row: 0 for row in rows}
        for number, part in enumerate(parts):
            colour, hatch = looks[number % len(looks)]
            widths = [counts.get(part, 0) for counts in rows.values()]
            axes.barh(range(len(rows)), widths, left=list(left.values()), height=0.62, color=colour,
                      hatch=hatch, edgecolor=SOFT, linewidth=0.6, label=letters.write(part))  # fmt: skip
            left = {row: start + width for (row, start), width in zip(left.items(), widths, strict=True)}
        axes.set_yticks(range(len(rows)), [letters.write(row) for row in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlabel(letters.write(axis))
        figure.legend(loc="outside upper left", ncols=len(parts), frameon=False, fontsize=8)

    return draw((7.2, 1.2 + 0.3 * len(rows)), letters, build)


def bars(rows: Mapping[str, int], axis: str) -> Drawing:
    """Draw one bar per row from zero, its count beside it (by reason, by domain, by type)."""
    letters = choose_letters(rows, [axis])

    def build(figure: Any) -> None:
        axes = figure.subplots()
        quiet(axes, "x")
        drawn = axes.barh(range(len(rows)), list(rows.values()), height=0.62, color=_TUNED[2])
        axes.bar_label(drawn, labels=[f"{value:,}" for value in rows.values()], padding=3, fontsize=8)
        axes.set_yticks(range(len(rows)), [letters.write(row) for row in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.locator_params(axis="x", integer=True)
        axes.set_xlabel(letters.write(axis))

    return draw((6.4, 0.9 + 0.27 * len(rows)), letters, build)


def histogram(values: Sequence[float], axis: str, *, bins: int = 30) -> Drawing:
    """Draw how values spread, with the median marked; few values get fewer bins (Rice's rule)."""
    from statistics import median

    middle = _("median {value:,.4g}").format(value=median(values)) if values else ""
    count = _("count")
    letters = choose_letters((), [axis, middle, count])

    def build(figure: Any) -> None:
        axes = figure.subplots()
        quiet(axes, "y")
        fitting = min(bins, max(5, round(2 * len(values) ** (1 / 3))))
        axes.hist(values, bins=fitting, color=_TUNED[2], edgecolor="white", linewidth=0.5)
        if values:
            axes.axvline(median(values), color=INK, linewidth=1)
            axes.annotate(letters.write(middle), (median(values), 1.0), xycoords=("data", "axes fraction"),
                          xytext=(0, 3), textcoords="offset points", ha="center", fontsize=8)  # fmt: skip
        axes.locator_params(axis="y", integer=True)
        axes.set_xlabel(letters.write(axis))
        axes.set_ylabel(letters.write(count))

    return draw((6.4, 2.6), letters, build)
