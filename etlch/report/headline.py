"""Read a summary, return its result in sentences, each marked better, not significant or worse.

They say which system is better on which task, by how much, how sure that is, and what this test cannot show.
"""

from __future__ import annotations

from typing import NamedTuple

from etlch.core.locale import _, capital, listed, sentences
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
        (BETTER, _("significantly better than the {rival} on {tasks}")),
        (NOT_SIGNIFICANT, _("no significant difference on {tasks}")),
        (WORSE, _("significantly worse than the {rival} on {tasks}")),
    ):
        tasks = [verdict.task for verdict in decided if verdict.kind == kind]
        if tasks:
            said.append(words.format(rival=rival, tasks=listed(tasks)))
    kinds = {verdict.kind for verdict in decided}
    text = _("{sentence}.").format(sentence=capital(_("; ").join(said)))
    return [Verdict(kinds.pop() if len(kinds) == 1 else NOT_SIGNIFICANT, text)]


def _of_task(summary: Summary, task: str) -> Verdict | None:
    metric = ranking.headline_metric(summary, task)
    lead = ranking.best(summary, ranking.contenders_of(summary, task), metric) if metric else None
    rivals = ranking.rivals_of(summary, lead[0]) if lead else ranking.baselines_of(summary, task)
    rival = ranking.best(summary, rivals, metric) if metric else None
    if metric is None or (lead is None and rival is None):
        return None
    if lead is None or rival is None:
        system, score = lead or rival  # type: ignore[misc]
        text = _("{metric} {value}; there is nothing to compare it with.").format(
            metric=ranking.named(metric), value=_value(score)
        )
        return Verdict("", _("{task}: {model} alone.").format(task=task, model=system.label), text, task)
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
    words = {
        BETTER: _("significantly better"),
        WORSE: _("significantly worse"),
        NOT_SIGNIFICANT: _("not significant"),
    }
    bounds = ranking.interval(strict.low, strict.high, sign=True)
    return _("Read strictly, form counting too, the verdict is another: {verdict}, {difference}.").format(
        verdict=words[_kind(strict)], difference=f"{ranking.signed(strict.difference)} {bounds}".rstrip()
    )


def _duel(
    summary: Summary, task: str, metric: str, lead: tuple[System, Score], rival: tuple[System, Score]
) -> Verdict:
    (model, score), (baseline, baseline_score) = lead, rival
    name = ranking.named(metric)
    names = {"task": task, "model": model.label, "baseline": baseline.label, "metric": name}
    values = _("{metric} {value} against {other} for {baseline}, the {rival}.").format(
        metric=capital(name), value=_value(score), other=_value(baseline_score), baseline=baseline.label,
        rival=ranking.rival_word(summary),
    )  # fmt: skip
    comparison = ranking.compared(summary, model, baseline, metric)
    if comparison is None or comparison.difference is None:
        return Verdict("", _("{task}: {model} and {baseline} were not tested.").format(**names), values, task)
    text = sentences(values, _chance(comparison), _read_strictly(summary, model, baseline, comparison))
    by = f"{abs(comparison.difference):.2f}"
    if comparison.few:
        told = _("{task}: {articles} articles are too few to call {model} or {baseline} better.").format(
            articles=f"{comparison.articles:,}", **names
        )
        return Verdict(NOT_SIGNIFICANT, told, sentences(text, _unseen(comparison)), task)
    if not comparison.significant:
        told = _("{task}: no significant difference between {model} and {baseline}.").format(**names)
        text = sentences(text, _disagreement(comparison), _resolution(comparison))
        return Verdict(NOT_SIGNIFICANT, told, text, task)
    text = sentences(text, _scope(comparison))
    if comparison.difference < 0:
        told = _("{task}: {baseline} is better than {model} by {by} {metric}.").format(by=by, **names)
        return Verdict(WORSE, told, text, task)
    told = _("{task}: {model} is better by {by} {metric}.").format(by=by, **names)
    return Verdict(BETTER, told, sentences(text, _smallest_better(summary, task, metric, model.model)), task)


def _value(score: Score) -> str:
    return f"{score.value or 0.0:.2f} {ranking.interval(score.low, score.high)}".rstrip()


def _chance(comparison: Comparison) -> str:
    bounds = ranking.interval(comparison.low, comparison.high, sign=True)
    p = ranking.p_text(comparison.p_adjusted, comparison)
    if comparison.family > 1:
        p = _("{p} after Holm's correction over {tests} tests").format(p=p, tests=comparison.family)
    records = _("{records} records")
    if comparison.clusters and comparison.clusters != comparison.n:
        records = _("{records} records of {articles} articles")
    return _("Paired difference {difference}, {p}, {records}.").format(
        difference=f"{ranking.signed(comparison.difference or 0.0)} {bounds}".rstrip(),
        p=p,
        records=records.format(records=f"{comparison.n:,}", articles=f"{comparison.clusters:,}"),
    )


def _unseen(comparison: Comparison) -> str:
    """Say what so few articles cannot show; see stats/few.py."""
    return _(
        "So few articles can miss a rare failure: one that strikes up to {rate:.0f} % of all articles may strike none "
        "of these. From {enough} articles on a difference can be significant."
    ).format(rate=100 * unseen_rate(comparison.articles), enough=ENOUGH)


def _disagreement(comparison: Comparison) -> str:
    return "" if comparison.agree else _("The seeds disagree on which is better.")


def _scope(comparison: Comparison) -> str:
    if comparison.scope == "weights":
        return _("Fewer than three trainings of a side: this holds for these weights, not for these recipes.")
    if max(comparison.seeds, comparison.baseline_seeds) > 1:
        return _("Means of {seeds} and {others} trainings.").format(
            seeds=comparison.seeds, others=comparison.baseline_seeds
        )
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
            text = _(
                "{task}: {articles} articles and {comparisons} comparisons, smallest p after Holm {p:.2g}"
            )
            said.append(
                text.format(
                    task=task,
                    articles=f"{max(c.articles for c in family):,}",
                    comparisons=max(c.family for c in family),
                    p=min(1.0, least),
                )
            )
    text = _("{sentence}.").format(sentence=_("; ").join(said))
    return [Verdict(NOT_SIGNIFICANT, _("Nothing can be significant here."), text)] if said else []


def _resolution(comparison: Comparison) -> str:
    if comparison.detectable is None:
        return ""
    text = _(
        "With this many records, four of five tries find a true difference of {difference:.2f}; "
        "smaller ones mostly go unseen."
    )
    if comparison.family > 1:
        text = _(
            "With this many records, four of five tries find a true difference of {difference:.2f} in one test "
            "alone, and after correction a larger one only; smaller ones mostly go unseen."
        )
    return text.format(difference=comparison.detectable)


def _smallest_better(summary: Summary, task: str, metric: str, model: str) -> str:
    """Say from which size on the model is significantly better than every baseline."""
    size = smallest_better(summary, task, metric, model)
    sizes = {system.size for system in ranking.contenders_of(summary, task) if system.model == model}
    if size is None or len(sizes) < 2:
        return ""
    return _("From size {size} on, the model is significantly better than every baseline.").format(
        size=f"{size:,}"
    )


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
            text = _("on {task} {count} predictions of {model}").format(
                task=task, count=_count(lead[1]), model=lead[0].label
            )
            if rival:
                text = _("{text} ({rival}, {baseline}: {count})").format(
                    text=text,
                    rival=ranking.rival_word(summary),
                    baseline=rival[0].label,
                    count=_count(rival[1]),
                )
            said.append(text)
    text = _("{sentence}.").format(sentence=_("; ").join(said))
    return [Verdict("", _("Parsed by json.loads:"), text)] if said else []


def _count(score: Score) -> str:
    return _("{part} of {whole}").format(
        part=f"{round((score.value or 0.0) * score.n):,}", whole=f"{score.n:,}"
    )


def _not_significant(summary: Summary) -> list[Verdict]:
    made = [c for c in summary.comparisons if c.metric == ranking.headline_metric(summary, c.task) and c.test]
    open_ = [c for c in made if not c.significant]
    if not open_:
        return []
    text = _("{model} against {baseline} on {task}")
    named = _(", ").join(
        text.format(model=ranking.label_of(c), baseline=c.baseline, task=c.task) for c in open_[:4]
    )
    if len(open_) > 4:
        named = _("{comparisons}, and {rest} more").format(comparisons=named, rest=len(open_) - 4)
    lead = _("Not significant: {part} of {whole} comparisons.").format(part=len(open_), whole=len(made))
    return [Verdict(NOT_SIGNIFICANT, lead, _("{sentence}.").format(sentence=named))]


def _choice(summary: Summary) -> list[Verdict]:
    """Say what the best of several is worth, corrected for having been chosen on these very records."""
    text = _("{task}, best of {among}: {model} {value:.3f}, corrected {corrected:.3f}")
    said = [
        text.format(
            task=item.task, among=item.among, model=item.model, value=item.value, corrected=item.corrected
        )
        for item in summary.choices
        if item.metric == ranking.headline_metric(summary, item.task)
    ]
    if not said:
        return []
    lead = _("The best of several models was chosen on these same test records.")
    text = _("Corrected for that choice: {values}.").format(values=_("; ").join(said))
    return [Verdict("", lead, text)]


def _training_chance(summary: Summary) -> list[Verdict]:
    several = [
        item
        for item in summary.seeds
        if item.seeds > 1 and item.metric == ranking.headline_metric(summary, item.task)
    ]
    if several:
        widest = max(several, key=lambda item: item.sd)
        text = _("The largest: {metric}, {task}, {seeds} seeds. Seeds are averaged, not ranked.").format(
            metric=ranking.named(widest.metric), task=widest.task, seeds=widest.seeds
        )
        lead = _("Between training seeds values differ by a standard deviation of up to {sd:.3f}.")
        return [Verdict("", lead.format(sd=widest.sd), text)]
    if any(system.role == "tuned" for system in summary.systems):
        lead = _("Each size was trained once.")
        text = _(
            "The intervals hold for these weights on other articles, not for these recipes trained again."
        )
        return [Verdict("", lead, text)]
    return []
