"""Read a summary, return its result in sentences, each marked better, not significant or worse.

They say which system is better on which task, by how much, how sure that is, and what this test cannot show.
"""

from __future__ import annotations

from typing import NamedTuple

from etlch.report import ranking
from etlch.scoring.summary import Comparison, Score, Summary, System
from etlch.stats.few import ALPHA, ENOUGH, unseen_rate

BETTER, NOT_SIGNIFICANT, WORSE = "better", "not-significant", "worse"


class Verdict(NamedTuple):
    """A sentence, and what stands behind it.

    Attributes:
        kind: BETTER (the model is significantly better), WORSE (significantly worse),
            NOT_SIGNIFICANT, or "" for a remark.
        lead: the sentence.
        text: its numbers; may be empty.
        task: which task it is about; empty for the whole.
    """

    kind: str
    lead: str
    text: str = ""
    task: str = ""


def headline(summary: Summary) -> list[Verdict]:
    """Return what the summary says, the whole first, then task by task, then what is not significant."""
    return [
        *verdicts(summary),
        *_parsing(summary),
        *_impossible(summary),
        *_not_significant(summary),
        *_choice(summary),
        *_training_chance(summary),
    ]


def verdicts(summary: Summary) -> list[Verdict]:
    """Return what the summary says of the whole and of each task, without the remarks."""
    by_task = [verdict for task in ranking.tasks_of(summary) if (verdict := _of_task(summary, task))]
    return [*_overall(by_task, summary), *by_task]


def _overall(by_task: list[Verdict], summary: Summary) -> list[Verdict]:
    decided = [verdict for verdict in by_task if verdict.kind]
    if len(decided) < 2:
        return []
    said = []
    rival = ranking.rival_word(summary)
    for kind, words in (
        (BETTER, f"significantly better than the {rival} on"),
        (NOT_SIGNIFICANT, "no significant difference on"),
        (WORSE, f"significantly worse than the {rival} on"),
    ):
        tasks = [verdict.task for verdict in decided if verdict.kind == kind]
        if tasks:
            said.append(f"{words} {_listed(tasks)}")
    kinds = {verdict.kind for verdict in decided}
    text = "; ".join(said)
    return [Verdict(kinds.pop() if len(kinds) == 1 else NOT_SIGNIFICANT, f"{text[0].upper()}{text[1:]}.")]


def _listed(words: list[str]) -> str:
    return " and ".join(part for part in (", ".join(words[:-1]), words[-1]) if part)


def _of_task(summary: Summary, task: str) -> Verdict | None:
    metric = ranking.headline_metric(summary, task)
    lead = ranking.best(summary, ranking.contenders_of(summary, task), metric) if metric else None
    rivals = ranking.rivals_of(summary, lead[0]) if lead else ranking.baselines_of(summary, task)
    rival = ranking.best(summary, rivals, metric) if metric else None
    if metric is None or (lead is None and rival is None):
        return None
    if lead is None or rival is None:
        system, score = lead or rival  # type: ignore[misc]
        text = f"{ranking.named(metric)} {_value(score)}; there is nothing to compare it with."
        return Verdict("", f"{task}: {system.label} alone.", text, task)
    return _duel(summary, task, metric, lead, rival)


def _kind(comparison: Comparison) -> str:
    if not comparison.significant:
        return NOT_SIGNIFICANT
    return BETTER if (comparison.difference or 0) > 0 else WORSE


def _read_strictly(summary: Summary, model: System, baseline: System, found: Comparison) -> str:
    """Say where the same answers, read strictly as labels are written, would give another verdict."""
    strict = ranking.compared(summary, model, baseline, f"{found.metric}_strict")
    if strict is None or strict.difference is None or _kind(strict) == _kind(found):
        return ""
    words = {BETTER: "significantly better", WORSE: "significantly worse", NOT_SIGNIFICANT: "not significant"}
    bounds = ranking.interval(strict.low, strict.high, sign=True)
    return (
        f" Read strictly, form counting too, the verdict is another: {words[_kind(strict)]}, "
        f"{ranking.signed(strict.difference)} {bounds}".rstrip()
        + "."
    )


def _duel(
    summary: Summary, task: str, metric: str, lead: tuple[System, Score], rival: tuple[System, Score]
) -> Verdict:
    (model, score), (baseline, baseline_score) = lead, rival
    name = ranking.named(metric)
    values = f"{name[0].upper()}{name[1:]} {_value(score)} against {_value(baseline_score)} for {baseline.label}, the {ranking.rival_word(summary)}"
    comparison = ranking.compared(summary, model, baseline, metric)
    if comparison is None or comparison.difference is None:
        return Verdict("", f"{task}: {model.label} and {baseline.label} were not tested.", f"{values}.", task)
    text = f"{values}. {_chance(comparison)}{_read_strictly(summary, model, baseline, comparison)}"
    by = f"{abs(comparison.difference):.2f}"
    if comparison.few:
        told = f"{task}: {comparison.articles:,} articles are too few to call {model.label} or {baseline.label} better."
        return Verdict(NOT_SIGNIFICANT, told, text + _unseen(comparison), task)
    if not comparison.significant:
        told = f"{task}: no significant difference between {model.label} and {baseline.label}."
        return Verdict(
            NOT_SIGNIFICANT, told, text + _disagreement(comparison) + _resolution(comparison), task
        )
    text += _scope(comparison)
    if comparison.difference < 0:
        return Verdict(
            WORSE, f"{task}: {baseline.label} is better than {model.label} by {by} {name}.", text, task
        )
    start = _smallest_better(summary, task, metric, model.model)
    return Verdict(BETTER, f"{task}: {model.label} is better by {by} {name}.", text + start, task)


def _value(score: Score) -> str:
    return f"{score.value or 0.0:.2f} {ranking.interval(score.low, score.high)}".rstrip()


def _chance(comparison: Comparison) -> str:
    bounds = ranking.interval(comparison.low, comparison.high, sign=True)
    family = f" after Holm's correction over {comparison.family} tests" if comparison.family > 1 else ""
    records = f"{comparison.n:,} records"
    if comparison.clusters and comparison.clusters != comparison.n:
        records += f" of {comparison.clusters:,} articles"
    difference = f"{ranking.signed(comparison.difference or 0.0)} {bounds}".rstrip()
    return f"Paired difference {difference}, {ranking.p_text(comparison.p_adjusted, comparison)}{family}, {records}."


def _unseen(comparison: Comparison) -> str:
    """Say what so few articles cannot show; see stats/few.py."""
    rate = 100 * unseen_rate(comparison.articles)
    return (
        f" A model that fails badly on up to {rate:.0f} % of all articles would have shown no failure on so few; "
        f"from {ENOUGH} articles on a difference can be significant."
    )


def _disagreement(comparison: Comparison) -> str:
    return "" if comparison.agree else " The seeds disagree on which is better."


def _scope(comparison: Comparison) -> str:
    if comparison.scope == "weights":
        return " Fewer than three trainings of a side: this holds for these weights, not for these recipes."
    if max(comparison.seeds, comparison.baseline_seeds) > 1:
        return f" Means of {comparison.seeds} and {comparison.baseline_seeds} trainings."
    return ""


def _impossible(summary: Summary) -> list[Verdict]:
    """Say where so few articles and so many comparisons leave nothing that could be significant."""
    said = []
    for task in ranking.tasks_of(summary):
        metric = ranking.headline_metric(summary, task)
        family = [c for c in summary.comparisons if (c.task, c.metric) == (task, metric) and c.floor]
        if not family:
            continue
        least = min(c.floor * c.family for c in family)
        if least >= ALPHA:
            n, m = max(c.articles for c in family), max(c.family for c in family)
            said.append(
                f"{task}: {n:,} articles and {m} comparisons, smallest p after Holm {min(1.0, least):.2g}"
            )
    return (
        [Verdict(NOT_SIGNIFICANT, "Nothing can be significant here.", f"{'; '.join(said)}.")] if said else []
    )


def _resolution(comparison: Comparison) -> str:
    if comparison.detectable is None:
        return ""
    alone = " in one test alone, and after correction a larger one only" if comparison.family > 1 else ""
    return (
        f" With this many records, four of five tries find a true difference of {comparison.detectable:.2f}"
        f"{alone}; smaller ones mostly go unseen."
    )


def _smallest_better(summary: Summary, task: str, metric: str, model: str) -> str:
    """Say from which size on the model is significantly better than every baseline."""
    size = smallest_better(summary, task, metric, model)
    sizes = {system.size for system in ranking.contenders_of(summary, task) if system.model == model}
    if size is None or len(sizes) < 2:
        return ""
    return f" From size {size:,} on, the model is significantly better than every baseline."


def smallest_better(summary: Summary, task: str, metric: str, model: str) -> int | None:
    """Return the smallest size from which on the model is significantly better than all it is compared with."""
    by_size: dict[int, list[System]] = {}
    for system in ranking.contenders_of(summary, task):
        if system.model == model and system.size is not None:
            by_size.setdefault(system.size, []).append(system)
    found = None
    for size in sorted(by_size, reverse=True):
        comparisons = [
            ranking.compared(summary, system, baseline, metric)
            for system in by_size[size]
            for baseline in ranking.rivals_of(summary, system)
        ]
        if not comparisons or not all(
            c is not None and c.significant and (c.difference or 0) > 0 for c in comparisons
        ):
            break
        found = size
    return found


def _parsing(summary: Summary) -> list[Verdict]:
    said = []
    for task in ranking.tasks_of(summary):
        lead = ranking.best(summary, ranking.contenders_of(summary, task), "json_parse_ok")
        if lead is not None:
            rival = ranking.best(summary, ranking.rivals_of(summary, lead[0]), "json_parse_ok")
            beside = (
                f" ({ranking.rival_word(summary)}, {rival[0].label}: {_count(rival[1])})" if rival else ""
            )
            said.append(f"on {task} {_count(lead[1])} predictions of {lead[0].label}{beside}")
    return [Verdict("", "Parsed by json.loads:", f"{'; '.join(said)}.")] if said else []


def _count(score: Score) -> str:
    return f"{round((score.value or 0.0) * score.n):,} of {score.n:,}"


def _not_significant(summary: Summary) -> list[Verdict]:
    made = [c for c in summary.comparisons if c.metric == ranking.headline_metric(summary, c.task) and c.test]
    open_ = [c for c in made if not c.significant]
    if not open_:
        return []
    named = [f"{ranking.label_of(c)} against {c.baseline} on {c.task}" for c in open_[:4]]
    rest = len(open_) - len(named)
    more = f", and {rest} more" if rest else ""
    return [
        Verdict(
            NOT_SIGNIFICANT,
            f"Not significant: {len(open_)} of {len(made)} comparisons.",
            f"{', '.join(named)}{more}.",
        )
    ]


def _choice(summary: Summary) -> list[Verdict]:
    """Say what the best of several is worth, corrected for having been chosen on these very records."""
    said = [
        f"{item.task}, best of {item.among}: {item.model} {item.value:.3f}, corrected {item.corrected:.3f}"
        for item in summary.choices
        if item.metric == ranking.headline_metric(summary, item.task)
    ]
    if not said:
        return []
    lead = "The best of several models was chosen on these same test records."
    return [Verdict("", lead, f"Corrected for that choice: {'; '.join(said)}.")]


def _training_chance(summary: Summary) -> list[Verdict]:
    several = [
        item
        for item in summary.seeds
        if item.seeds > 1 and item.metric == ranking.headline_metric(summary, item.task)
    ]
    if several:
        widest = max(several, key=lambda item: item.sd)
        what = f"the largest: {ranking.named(widest.metric)}, {widest.task}, {widest.seeds} seeds"
        lead = f"Between training seeds values differ by a standard deviation of up to {widest.sd:.3f}."
        return [Verdict("", lead, f"{what[0].upper()}{what[1:]}. Seeds are averaged, not ranked.")]
    if any(system.role == "tuned" for system in summary.systems):
        lead = "Each size was trained once."
        text = "The intervals hold for these weights on other articles, not for these recipes trained again."
        return [Verdict("", lead, text)]
    return []
