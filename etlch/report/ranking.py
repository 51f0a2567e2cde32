"""Read a summary, return its systems in order, their baselines and comparisons.

What headline, tables and figures all ask of a summary is answered here once.
"""

from __future__ import annotations

from collections.abc import Sequence

from etlch.core.locale import _
from etlch.metrics.registry import BY_NAME, EXTRA
from etlch.scoring.recipes import recipes_of
from etlch.scoring.summary import Comparison, Score, Summary, System

HEADLINE_METRICS = ("facts_f1", "leaf_f1", "rouge_l", "json_parse_ok")
"""The first of these that a task has is what its headline speaks of."""

MAIN_METRICS = (
    "facts_f1",
    "facts_precision",
    "facts_recall",
    "leaf_f1",
    "items_f1",
    "rouge_l",
    "cosine",
    "json_parse_ok",
)
"""Columns of the first table; all others stand in a second one."""


def named(metric: str) -> str:
    """Return a metric's name for readers."""
    return _(BY_NAME[metric].title) if metric in BY_NAME else metric.replace("_", " ")


def explained(metric: str) -> str:
    """Return what a metric is, in a line; empty where nobody said."""
    return _(BY_NAME[metric].about if metric in BY_NAME else EXTRA.get(metric, ""))


def tasks_of(summary: Summary) -> list[str]:
    """Return the tasks that were scored, in the order of the sources."""
    return list(dict.fromkeys(system.task for system in summary.systems))


def systems_of(summary: Summary, task: str) -> list[System]:
    """Return a task's systems: a recipe with several seeds is one, named without a seed.

    A training that was compared alone (an earlier release did so, or --baseline names it) stays alone.
    """
    alone = {item.baseline for item in summary.comparisons}
    alone |= {label_of(item) for item in summary.comparisons if item.seed is not None}
    recipes = recipes_of([system for system in summary.systems if system.task == task])
    apart = [bool(alone & {run.label for run in recipe.runs}) for recipe in recipes]
    return [
        system
        for recipe, each in zip(recipes, apart, strict=True)
        for system in (recipe.runs if each else (recipe.system,))
    ]


def trainings_of(summary: Summary, task: str) -> list[System]:
    """Return every single training of a task, in the order of `ranked`."""
    runs = [run for run in summary.systems if run.task == task]
    order = [(system.model, system.size, system.role) for system in ranked(summary, task)]
    return sorted(runs, key=lambda run: order.index((run.model, run.size, run.role)))


def metrics_of(summary: Summary, task: str) -> list[str]:
    """Return the metrics that a task has values of, the main ones first."""
    names = list(dict.fromkeys(s.metric for s in summary.scores if s.task == task and s.value is not None))
    return [m for m in MAIN_METRICS if m in names] + [m for m in names if m not in MAIN_METRICS]


def headline_metric(summary: Summary, task: str) -> str | None:
    """Return the metric that a task's headline speaks of, or None where nothing was measured."""
    names = metrics_of(summary, task)
    return next((metric for metric in HEADLINE_METRICS if metric in names), names[0] if names else None)


def baselines_of(summary: Summary, task: str) -> list[System]:
    """Return the systems that others are compared with: by role, else by the comparisons made."""
    systems = systems_of(summary, task)
    by_role = [system for system in systems if system.role in ("base", "baseline")]
    named_so = {comparison.baseline for comparison in summary.comparisons if comparison.task == task}
    return by_role or [system for system in systems if system.label in named_so]


def rival_word(summary: Summary) -> str:
    """Return what the headline calls the baseline that a model is compared with: assumed ones are no best ones."""
    return _("assumed baseline") if summary.assumed else _("best baseline")


def role_word(role: str) -> str:
    """Return a role for readers; a dash where nobody named one."""
    return {"tuned": _("tuned"), "base": _("base"), "baseline": _("baseline")}.get(role, role) or "–"


def rivals_of(summary: Summary, system: System) -> list[System]:
    """Return the baselines that a system was compared with: a baseline of a size meets models of that size only.

    All baselines of the task for a system that was compared with none.
    """
    who = (system.model, system.task, system.size, system.seed)
    met = {c.baseline for c in summary.comparisons if (c.model, c.task, c.size, c.seed) == who}
    baselines = baselines_of(summary, system.task)
    return [baseline for baseline in baselines if baseline.label in met] or baselines


def contenders_of(summary: Summary, task: str) -> list[System]:
    """Return the systems that are no baseline: the tuned ones, where roles are known."""
    baselines = baselines_of(summary, task)
    return [system for system in systems_of(summary, task) if system not in baselines]


def best(summary: Summary, systems: Sequence[System], metric: str) -> tuple[System, Score] | None:
    """Return the system with the highest value, the first of equals; None where none has a value."""
    scores = [(system, summary.mean_score(system, metric)) for system in systems]
    scored = [(system, score) for system, score in scores if score is not None and score.value is not None]
    return max(scored, key=lambda pair: pair[1].value or 0.0, default=None)


def ranked(summary: Summary, task: str) -> list[System]:
    """Return a task's systems: contenders by falling size, then baselines by falling score."""
    metric = headline_metric(summary, task) or ""

    def value(system: System) -> float:
        score = summary.mean_score(system, metric)
        return score.value if score is not None and score.value is not None else -1.0

    contenders = sorted(
        contenders_of(summary, task), key=lambda system: (system.model, -(system.size or 0), system.seed or 0)
    )
    return contenders + sorted(baselines_of(summary, task), key=lambda system: -value(system))


def compared(summary: Summary, system: System, baseline: System, metric: str) -> Comparison | None:
    """Return the comparison of a system with a baseline, or None where none was made."""
    wanted = (system.model, system.task, system.size, system.seed, metric, baseline.label)
    for item in summary.comparisons:
        if (item.model, item.task, item.size, item.seed, item.metric, item.baseline) == wanted:
            return item
    return None


def label_of(item: Comparison) -> str:
    """Return the label of the system that a comparison is about."""
    return System(item.model, item.task, item.size, item.seed).label


def signed(value: float, digits: int = 2) -> str:
    """Return +0.12 or −0.12, with a true minus sign."""
    return f"{value:+.{digits}f}".replace("-", "\u2212")


def interval(low: float | None, high: float | None, digits: int = 2, *, sign: bool = False) -> str:
    """Return [0.10, 0.14], or nothing where a bound is missing or all resamples agree: no width is no certainty."""
    if low is None or high is None or low == high:
        return ""
    if sign:
        return f"[{signed(low, digits)}, {signed(high, digits)}]"
    return f"[{low:.{digits}f}, {high:.{digits}f}]"


def mark(item: Comparison | None) -> str:
    """Return ▲ where a system is significantly better than its baseline, ▼ where it is worse, else nothing."""
    if item is None or not item.significant or not item.difference:
        return ""
    return "\u25b2" if item.difference > 0 else "\u25bc"


def at_floor(item: Comparison, p: float | None) -> bool:
    """Tell whether a p is only bounded: no drawn pattern of signs was as far from 0 as the data."""
    drawn = item.test in ("sign-flip", "sign-flip-mid-p", "articles-x-seeds")
    return (
        drawn and p is not None and item.floor > 0 and item.p is not None and item.p <= item.floor * 1.000001
    )


def p_text(p: float | None, item: Comparison | None = None) -> str:
    """Return p as readers write it: < 0.001, or two significant figures; ≤ at the floor of the resampling."""
    if p is None:
        return _("no test")
    if item is not None and at_floor(item, p):
        return f"p \u2264 {p:.2g}"
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}" if p < 0.1 else f"p = {p:.2f}"
