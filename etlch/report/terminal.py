"""Read a summary, return plain text of at most 80 columns for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from etlch.core.locale import _, ngettext, sentences
from etlch.core.records import test_of
from etlch.metrics.registry import BY_NAME, METRICS, RENAMED
from etlch.report import ranking
from etlch.report.headline import verdicts
from etlch.report.robustness import robustness
from etlch.scoring.summary import Comparison, Summary, System
from etlch.text import columns

NAME = 20
CELL = 18
COUNT = 6
SHORT = ("facts_f1", "facts_f1_strict", "leaf_f1", "leaf_f1_strict", "rouge_l", "json_parse_ok")
"""Shown when nothing else was asked for."""
MAIN = (
    *("rouge_l", "cosine", "json_parse_ok", "facts_precision", "facts_recall", "facts_f1", "facts_f1_strict"),
    *("leaf_f1", "leaf_f1_strict", "items_f1"),
)
"""Shown at length; everything else is in the report."""

STRICT = {"facts_f1_strict": "facts_f1", "leaf_f1_strict": "leaf_f1"}
"""Strict readings are shown only where they differ from best effort."""

TESTED = ("facts_f1", "leaf_f1", "rouge_l", "cosine", "json_parse_ok")


def render(summary: Summary, wanted: Sequence[str] = (), *, verbose: bool = False) -> str:
    """Return the result as text: scores with their intervals, seeds, counts and notes.

    Args:
        summary: what was found.
        wanted: the metrics that were asked for; none shows the main ones.
        verbose: also every main metric, the tests, win rates and the signature.
    """
    wanted = [RENAMED.get(name, name) for name in wanted]
    known = {metric.name: metric for metric in METRICS}
    shown = tuple(
        name for name in dict.fromkeys((*SHORT, *known)) if name in (wanted or (MAIN if verbose else SHORT))
    )
    lines: list[str] = []
    for task in dict.fromkeys(system.task for system in summary.systems):
        lines += _task(summary, task, shown)
        lines += _differences(summary, task, wanted or TESTED) if verbose else []
    lines += _win_rates(summary) if verbose else []
    lines += _seeds(summary, shown)
    lines += _forms(summary)
    counts = summary.counts
    lines += columns.wrapped(
        _(
            "read {read}, scored {scored}, skipped {skipped}, unparseable {unparseable}, truncated {truncated}"
        ).format(
            read=counts.read, scored=counts.scored, skipped=counts.skipped, unparseable=counts.unparseable,
            truncated=counts.truncated,
        )
    )  # fmt: skip
    told = _("note: {note}")
    lines += [line for note in summary.notes for line in columns.wrapped(told.format(note=note))]
    lines += columns.wrapped(summary.signature.replace("|", " | ")) if verbose else []
    return "\n".join(lines)


def conclusion(summary: Summary) -> str:
    """Return what the summary says of each task in sentences of at most 80 columns, the whole first."""
    said = [sentences(verdict.lead, verdict.text) for verdict in verdicts(summary)]
    return "\n".join(line for text in said for line in columns.wrapped(text))


def _task(summary: Summary, task: str, shown: Sequence[str]) -> list[str]:
    baselines = ranking.baselines_of(summary, task)
    systems = sorted(
        ranking.systems_of(summary, task),
        key=lambda system: (system not in baselines, system.model, system.size or 0, system.seed or 0),
    )
    names = [name for name in shown if any(summary.mean_score(system, name) for system in systems)]
    names = [name for name in names if name not in STRICT or _differs(summary, systems, name, STRICT[name])]
    lines: list[str] = []
    per_row = (columns.WIDTH - NAME - COUNT) // CELL
    for start in range(0, len(names), per_row):
        part = names[start : start + per_row]
        lines += _heads(task, [_(BY_NAME[name].title) for name in part])
        lines += [
            columns.fit(system.label, NAME)
            + f"{_count(summary, system, part):>{COUNT}}"
            + "".join(_cell(summary, system, name) for name in part)
            for system in systems
        ]
        lines.append("")
    return lines


def _differs(summary: Summary, systems: Sequence[System], one: str, two: str) -> bool:
    pairs = [(summary.mean_score(system, one), summary.mean_score(system, two)) for system in systems]
    return any(first and second and first.value != second.value for first, second in pairs)


def _count(summary: Summary, system: System, metrics: Sequence[str]) -> str:
    """Return how many records the row's scores are of; a range where metrics differ."""
    counts = {score.n for name in metrics if (score := summary.mean_score(system, name)) is not None}
    return "–" if not counts else str(max(counts)) if len(counts) == 1 else f"≤{max(counts)}"


def _heads(task: str, titles: Sequence[str]) -> list[str]:
    """Return the head of a table; a title that is too long for its column stands on two lines."""
    split = [
        title.rsplit(" ", 1) if columns.count(title) >= CELL and " " in title else ["", title]
        for title in titles
    ]
    upper, lower = ("".join(columns.right(parts[row][: CELL - 1], CELL) for parts in split) for row in (0, 1))
    head = columns.fit(task, NAME) + f"{'n':>{COUNT}}" + lower
    return [" " * (NAME + COUNT) + upper, head] if upper.strip() else [head]


def _cell(summary: Summary, system: System, metric: str) -> str:
    score = summary.mean_score(system, metric)
    if score is None or score.value is None:
        return f"{'–':>{CELL}}"
    return f"{f'{score.value:.2f} {ranking.interval(score.low, score.high)}'.rstrip():>{CELL}}"


def _differences(summary: Summary, task: str, wanted: Sequence[str]) -> list[str]:
    """One line per model, baseline and main metric."""
    found = [item for item in summary.comparisons if item.task == task and item.metric in wanted]
    if not found:
        return []
    head = (
        columns.fit(_("metric"), 15)
        + columns.right(_("diff"), 7)
        + "  "
        + columns.fit(_("95 % interval"), 14)
        + columns.right(_corrected(found), 9)
    )
    lines = [columns.fit(_("{task}: model - baseline").format(task=task), 33) + head]
    lines += [_difference(item) for item in found]
    return [*lines, ""]


def _corrected(found: Sequence[Comparison]) -> str:
    """Head the column of p values with how many tests each was corrected for."""
    sizes = sorted({item.family for item in found if item.family})
    shown = (
        f"p Holm/{'-'.join(str(size) for size in dict.fromkeys([sizes[0], sizes[-1]]))}"
        if sizes
        else "p Holm"
    )
    return shown if len(shown) < 10 else shown.removeprefix("p ")


def _difference(item: Comparison) -> str:
    model = System(item.model, item.task, item.size, item.seed).label
    name = columns.fit(f"{columns.fit(model, 18).rstrip()} - {item.baseline}", 33)
    if item.difference is None:
        return columns.clipped(f"{name}{item.metric:<16} {_(item.reason)}", columns.WIDTH)
    low, high = item.low, item.high
    bounds = "–" if low is None or high is None or low == high else f"{low:+.3f} {high:+.3f}"
    p = "–" if item.p_adjusted is None else _p(item.p_adjusted, ranking.at_floor(item, item.p_adjusted))
    return f"{name}{item.metric:<15}{item.difference:>+7.3f}  {bounds:<13} {p:>7}{ranking.mark(item) or ' '}"


def _p(value: float, floor: bool) -> str:
    return f"{chr(0x2264) if floor else ''}{value:.4f}" if value >= 0.0001 else "<.0001"


def _win_rates(summary: Summary) -> list[str]:
    if not summary.win_rates:
        return []
    lines = [_("Win rates as in the paper (ties count one half; in brackets: significant wins)")]
    cells: dict[tuple[str, str], list[str]] = {}
    short = False
    for item in summary.win_rates:
        model = System(item.model, item.task, item.size, item.seed).label
        text = f"{item.task} {item.won:g}/{item.applicable} ({item.significant})"
        cells.setdefault((model, item.baseline), []).append(text)
        short |= "cosine" not in item.metrics
    for (model, baseline), parts in cells.items():
        lines.append(columns.fit(f"{columns.fit(model, 18).rstrip()} - {baseline}", 33) + "  ".join(parts))
    if short:
        lines += columns.wrapped(_("without cosine, so each count is of one metric fewer than in the paper"))
    return [*lines, ""]


def _seeds(summary: Summary, shown: Sequence[str]) -> list[str]:
    items = [item for item in summary.seeds if item.metric in shown]
    if not items:
        return []
    lines = [_("Several seeds: mean ± standard deviation of the trainings")]
    for item in items:
        name = columns.fit(f"{System(item.model, item.task, item.size).label} {item.task}", 33)
        lines.append(
            f"{name}{item.metric:<16}{item.mean:.3f} ± {item.sd:.3f}  ({_seeds_counted(item.seeds)})"
        )
    return [*lines, ""]


def _seeds_counted(number: int) -> str:
    return ngettext("{number} seed", "{number} seeds", number).format(number=number)


def _forms(summary: Summary) -> list[str]:
    """Two lines per model whose test articles were asked under several prompt forms."""
    found = robustness(summary)
    if not found:
        return []
    lines = [_("The same test articles under several prompt forms (spread: standard deviation)")]
    for item in found:
        name, worst = item.worst
        told = _("mean {mean:.3f}  worst {worst:.3f} ({form})").format(
            mean=item.mean, worst=worst, form=test_of(name) or _("own")
        )
        over = _("spread {spread:.3f} over {forms} forms").format(spread=item.spread, forms=len(item.values))
        lines.append(
            columns.fit(f"{item.system.label} {item.system.task}", 33) + columns.fit(item.metric, 10) + told
        )
        lines.append(f"{'':43}{over}")
    return [*lines, ""]
