"""Tables of README and docs/real-text.md, in Markdown, from the summaries that lie here."""

from __future__ import annotations

from pathlib import Path

from etlch.report import ranking, tables
from etlch.scoring.summary import Comparison, Summary, read_summary

FIRST = (
    ("kge, en (TekGen)", "tekgen", "vicuna-13b", None),
    ("ner, zh-TW (UNER)", "uner-zh-gsd", "crf", 300),
)
"""What README shows first: how the row is called, the summary, the rival and its size."""


def summary_of(name: str) -> Summary:
    """Return the summary of a corpus."""
    return read_summary(Path(__file__).parent / f"{name}-summary.json")


def first_numbers() -> str:
    """Return a table with a line for each of FIRST: both facts F1 and their difference with its interval and p."""
    lines = ["| facts F1 | Gemma-3-270M, LoRA | rival | difference [95 %] |", "|---|---|---|---|"]
    for called, name, rival, size in FIRST:
        summary = summary_of(name)
        values = {(s.model, s.size): s.value for s in summary.scores if s.metric == "facts_f1"}
        ours, theirs = values["gemma", 300], values[rival, size]
        label = f"{rival}-{size}" if size else rival
        lines.append(
            f"| {called} | {ours:.2f} | {label}: {theirs:.2f} | {_in_words(compared(summary, label))} |"
        )
    return "\n".join(lines)


def compared(summary: Summary, baseline: str, model: str = "gemma", size: int = 300) -> Comparison:
    """Return the comparison of facts F1 between a tuned model of a size and a baseline."""
    (found,) = (
        item
        for item in summary.comparisons
        if (item.model, item.size, item.baseline, item.metric) == (model, size, baseline, "facts_f1")
    )
    return found


def of_corpus(name: str, *baselines: str, model: str = "gemma", sizes: tuple[int, ...] = (300,)) -> str:
    """Return a corpus's table of scores, and a line for each comparison of a size with a baseline.

    A baseline that ends in a dash is completed by the size: "crf-" is compared as crf-30 at 30 records.
    """
    summary = summary_of(name)
    lines = [
        f"- facts F1 of {model}-{size} less {rival}: {_in_words(item)}, {item.n} records"
        for size in sizes
        for baseline in baselines
        for rival in [f"{baseline}{size}" if baseline.endswith("-") else baseline]
        for item in [compared(summary, rival, model, size)]
    ]
    return "\n".join([tables.markdown(summary), *lines])


def _in_words(item: Comparison) -> str:
    bounds = ranking.interval(item.low, item.high, sign=True)
    return f"{ranking.signed(item.difference)} {bounds}, {ranking.p_text(item.p_adjusted)}"
