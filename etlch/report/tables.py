"""Read a summary, return its tables in Markdown, LaTeX (booktabs) and CSV.

Best values are bold. ▲ and ▼ mark values significantly above and below that of the best
baseline they are compared with (paired test, Holm within the task and metric, 5 %, and an interval
of the difference that excludes 0; docs/statistics.md).
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

from etlch.report import ranking
from etlch.scoring.summary import Summary, System

_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "|": r"\textbar{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "\u25b2": r"$\blacktriangle$",
        "\u25bc": r"$\blacktriangledown$",
    }
)
_LATEX_MARKS = {"": "", "\u25b2": r"$^{\blacktriangle}$", "\u25bc": r"$^{\blacktriangledown}$"}
_MARKDOWN = str.maketrans({char: f"\\{char}" for char in "\\`*_[]<>|"})


LEGEND = (
    "Bold: best. In brackets: 95 % interval. \u25b2 and \u25bc: significantly better and worse than the "
    "best baseline that it was compared with (paired, Holm-corrected, 5 %; the interval of the difference excludes 0)."
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One value of the table. `mark`: ▲ or ▼ where it is significantly better or worse than the best baseline."""

    value: float | None
    low: float | None = None
    high: float | None = None
    best: bool = False
    mark: str = ""

    @property
    def text(self) -> str:
        """The value with three digits, or a dash."""
        return "–" if self.value is None else f"{self.value:.3f}"


@dataclass(frozen=True, slots=True)
class ScoreTable:
    """One task's scores: rows are systems, columns metrics."""

    task: str
    metrics: tuple[str, ...]
    systems: tuple[System, ...]
    entries: tuple[tuple[Entry, ...], ...]


def score_tables(summary: Summary, *, every: bool = False) -> list[ScoreTable]:
    """Return one table per task, of the main metrics or of every metric."""
    return [_score_table(summary, task, every) for task in ranking.tasks_of(summary)]


def _score_table(summary: Summary, task: str, every: bool) -> ScoreTable:
    names = ranking.metrics_of(summary, task)
    metrics = names if every else [metric for metric in names if metric in ranking.MAIN_METRICS]
    systems = ranking.ranked(summary, task)
    columns = [_column(summary, metric, systems) for metric in metrics]
    rows = tuple(zip(*columns, strict=True)) if columns else tuple(() for _ in systems)
    return ScoreTable(task, tuple(metrics), tuple(systems), rows)


def _column(summary: Summary, metric: str, systems: list[System]) -> list[Entry]:
    top = ranking.best(summary, systems, metric)
    entries = []
    for system in systems:
        score = summary.mean_score(system, metric)
        if score is None or score.value is None:
            entries.append(Entry(None))
            continue
        rival = ranking.best(summary, ranking.rivals_of(summary, system), metric)
        comparison = ranking.compared(summary, system, rival[0], metric) if rival else None
        is_best = top is not None and score.value == top[1].value and len(systems) > 1
        entries.append(Entry(score.value, score.low, score.high, is_best, ranking.mark(comparison)))
    return entries


def markdown(summary: Summary) -> str:
    """Return the tables in Markdown, with the signature below."""
    parts = []
    for table in score_tables(summary):
        head = ["model", *(ranking.named(metric) for metric in table.metrics)]
        lines = [f"**{table.task}**", "", _line(head), _line(["---", *("---:" for _ in table.metrics)])]
        for system, entries in zip(table.systems, table.entries, strict=True):
            lines.append(_line([system.label.translate(_MARKDOWN), *map(_in_markdown, entries)]))
        parts.append("\n".join(lines) + "\n")
    return "\n".join([*parts, f"{LEGEND} {summary.signature}".translate(_MARKDOWN) + "\n"])


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _in_markdown(entry: Entry) -> str:
    text = f"**{entry.text}**" if entry.best else entry.text
    return f"{text}{entry.mark} {ranking.interval(entry.low, entry.high)}".rstrip()


def latex(summary: Summary) -> str:
    """Return one booktabs table per task. Needs \\usepackage{booktabs,amssymb}; CJK labels need xeCJK or the like."""
    return "\n".join(_latex_table(summary, table) for table in score_tables(summary))


def _latex_table(summary: Summary, table: ScoreTable) -> str:
    head = " & ".join(["Model", *(ranking.named(metric).translate(_LATEX) for metric in table.metrics)])
    rows = [
        _latex_rows(system.label, entries)
        for system, entries in zip(table.systems, table.entries, strict=True)
    ]
    parts = len([system for system in table.systems if system in ranking.contenders_of(summary, table.task)])
    if 0 < parts < len(rows):
        rows.insert(parts, r"\midrule")
    signature = summary.signature.replace("|", ", ")
    return "\n".join(
        [
            r"\begin{table}[t]",
            r"\centering\small\setlength{\tabcolsep}{4pt}",
            rf"\begin{{tabular}}{{l{'r' * len(table.metrics)}}}",
            r"\toprule",
            head + r" \\",
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            rf"\caption{{Task {table.task.translate(_LATEX)}. {LEGEND.translate(_LATEX)}}}",
            rf"\par\smallskip{{\footnotesize\raggedright {signature.translate(_LATEX)}\par}}",
            r"\end{table}",
            "",
        ]
    )


def _latex_rows(label: str, entries: tuple[Entry, ...]) -> str:
    """A row of values and, so that six metrics fit a page, a smaller row of intervals below it."""
    values = " & ".join([label.translate(_LATEX), *map(_in_latex, entries)])
    bounds = [ranking.interval(entry.low, entry.high) for entry in entries]
    if not any(bounds):
        return rf"{values} \\"
    below = " & ".join(["", *(rf"{{\scriptsize {bound}}}" if bound else "" for bound in bounds)])
    return rf"{values} \\[-2pt]" + "\n" + rf"{below} \\[2pt]"


def _in_latex(entry: Entry) -> str:
    text = rf"\textbf{{{entry.text}}}" if entry.best else entry.text.replace("–", "--")
    return text + _LATEX_MARKS[entry.mark]


def csv_text(summary: Summary) -> str:
    """Return every score, one a line, as CSV: the numbers as they are, not rounded."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["task", "model", "size", "seed", "role", "metric", "value", "low", "high", "n"])
    roles = {(s.model, s.task, s.size, s.seed): s.role for s in summary.systems}
    for score in summary.scores:
        role = roles.get((score.model, score.task, score.size, score.seed), "")
        who = (score.task, score.model, score.size, score.seed, role)
        writer.writerow([*who, score.metric, score.value, score.low, score.high, score.n])
    return text.getvalue()
