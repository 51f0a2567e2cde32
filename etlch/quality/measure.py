"""Read a finished run, return its quality in numbers, as quality.json, the page and the card show them.

Every number is a count, a share or a similarity that can be computed again; no model judges.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from etlch.core.records import Article, Record, Rejected
from etlch.core.run_data import RunData
from etlch.core.settings import PlanSettings
from etlch.dataset.collect import reasons
from etlch.dataset.dedup import nearest
from etlch.dataset.splits import Splits, split
from etlch.quality.label_mix import Difference, TaskLabels, differences, label_mix
from etlch.quality.missed import Missed, missed_facts
from etlch.quality.numbers import FiveNumbers, Proportion, five_numbers
from etlch.quality.sentence_forms import SentenceForms, sentence_forms
from etlch.tasks import Task, find_task
from etlch.tasks.base import without_numbers
from etlch.text.normalize import fact_form

SAMPLE = 500
"""Articles compared with each other for self-similarity, drawn with the run's seed."""

_OUTLIERS = 10


@dataclass(frozen=True)
class Attrition:
    """Accepted and rejected articles.

    Attributes:
        accepted: number of articles accepted.
        rejected: number of articles rejected by a check.
        by_reason: task, stage and kind of reason → count; facts dropped from accepted records included.
    """

    accepted: int
    rejected: int
    by_reason: dict[str, int]


@dataclass(frozen=True)
class Diversity:
    """How varied the data are.

    Attributes:
        domains: domain → articles.
        topics: different topics.
        characters: per article.
        facts: per record, by task.
        nearest: similarity of each sampled article to its nearest other, 0 to 1.
        instructions: different instructions, by task.
        keys: different first parts of facts (fields, types, subjects) by task.
        relations: different relations of triples.
        types: entity type → mentions.
        unanswered: fields of the json task that hold [], of all fields.
    """

    domains: dict[str, int]
    topics: int
    characters: FiveNumbers
    facts: dict[str, FiveNumbers]
    nearest: FiveNumbers
    instructions: dict[str, int]
    keys: dict[str, int]
    relations: int
    types: dict[str, int]
    unanswered: Proportion


@dataclass(frozen=True)
class Agreement:
    """How far the labels of different tasks on the same article agree.

    Attributes:
        ends: ends of triples that are entities, by the same characters.
        ends_within: the same, counting an end that holds an entity or lies inside one.
        values: values of json that are entities or ends of triples.
        values_within: likewise.
        outliers: ids of the articles on which the tasks agree least, with their share of agreement.
    """

    ends: Proportion
    ends_within: Proportion
    values: Proportion
    values_within: Proportion
    outliers: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Leakage:
    """What the test set shares with the training and validation data of the largest size.

    Attributes:
        nearest: similarity of each test article to the nearest training article, 0 to 1.
        closest: test id, training id, similarity of the closest pairs.
        topics, domains: test articles whose topic or domain is trained on too.
        seen: test facts that stand in a training label word for word, by task.
    """

    nearest: FiveNumbers
    closest: tuple[tuple[str, str, float], ...]
    topics: Proportion
    domains: Proportion
    seen: dict[str, Proportion]


@dataclass(frozen=True)
class Quality:
    """Everything that quality.json holds.

    Attributes:
        articles, records: articles, and records by task.
        attrition, grounding, diversity, agreement, leakage, forms: see there.
        labels: task → what its labels are like.
        reference: how they differ from those of a reference, where one was named.
        missed: how many facts are missed, where the reference labels the same texts.
    """

    articles: int
    records: dict[str, int]
    attrition: Attrition
    grounding: Proportion
    diversity: Diversity
    agreement: Agreement
    leakage: Leakage
    forms: SentenceForms
    labels: dict[str, TaskLabels]
    reference: tuple[Difference, ...] = ()
    missed: tuple[Missed, ...] = ()


def measure(run: RunData, reference: RunData | None = None) -> Quality:
    """Return the quality of a finished run. What was imported into it is not measured.

    Args:
        run: what it holds.
        reference: a run whose labels are taken for right, such as imported human ones; None takes the records that
            were imported into this run.
    """
    plan = run.manifest.settings.plan
    records = [record for record in run.records if not record.split]
    imported = [record for record in run.records if record.split]
    ids = {record.article_id for record in imported}
    articles = [article for article in run.articles if article.id not in ids]
    trusted = reference.records if reference else imported
    facts = run.manifest.counts.get("facts", {})
    tasks = _tasks(plan)
    parts = split([article.id for article in articles], plan.test, plan.sizes)
    return Quality(
        articles=len(articles),
        records=dict(Counter(record.task for record in records)),
        attrition=attrition(articles, run.rejected),
        grounding=Proportion(facts.get("grounded", 0), facts.get("stated", 0)),
        diversity=diversity(articles, records, plan.seed),
        agreement=agreement(records, tasks),
        leakage=leakage(articles, records, parts),
        forms=sentence_forms(articles, records, parts, plan.seed),
        labels=label_mix(records, tasks),
        reference=differences(records, trusted, tasks, plan.seed) if trusted else (),
        missed=missed_facts(records, trusted, plan.seed) if trusted else (),
    )


def attrition(articles: Sequence[Article], rejected: Sequence[Rejected]) -> Attrition:
    """Return counts of what was rejected. A fact dropped from an accepted record rejects no article."""
    accepted = {article.id for article in articles}
    lost = {item.article_id for item in rejected} - accepted
    return Attrition(len(accepted), len(lost), dict(sorted(reasons(rejected).items())))


def diversity(articles: Sequence[Article], records: Sequence[Record], seed: int) -> Diversity:
    """Return how varied articles and labels are; self-similarity is of a sample drawn with the seed."""
    sample = random.Random(f"quality/{seed}").sample(articles, min(SAMPLE, len(articles)))
    by_task: dict[str, list[Record]] = {}
    for record in records:
        by_task.setdefault(record.task, []).append(record)
    texts = [article.text for article in sample]
    return Diversity(
        domains=dict(Counter(article.domain for article in articles).most_common()),
        topics=len({(article.domain, article.topic) for article in articles}),
        characters=five_numbers(len(article.text) for article in articles),
        facts={task: five_numbers(len(record.facts) for record in group) for task, group in by_task.items()},
        nearest=five_numbers(item.similarity for item in nearest(texts, texts)),
        instructions={task: len({record.instruction for record in group}) for task, group in by_task.items()},
        keys={
            task: len({without_numbers(item.fact[0]) for record in group for item in record.facts})
            for task, group in by_task.items()
        },
        relations=len({item.fact[1] for record in by_task.get("kge", ()) for item in record.facts}),
        types=dict(
            Counter(item.fact[0] for record in by_task.get("ner", ()) for item in record.facts).most_common()
        ),
        unanswered=_unanswered(by_task.get("json", ())),
    )


def agreement(records: Iterable[Record], tasks: dict[str, Task]) -> Agreement:
    """Return how far triples, values and entities of the same article name the same strings."""
    values: dict[str, dict[str, set[str]]] = {}
    for record in records:
        places = tasks[record.task].grounded
        forms = {fact_form(item.fact[place]).casefold() for item in record.facts for place in places}
        values.setdefault(record.article_id, {}).setdefault(record.task, set()).update(forms)
    counts: Counter[str] = Counter()
    shares = []
    for article_id, by_task in values.items():
        entities, ends, fields = (by_task.get(task, set()) for task in ("ner", "kge", "json"))
        checked = [("ends", ends, entities)] if "ner" in by_task and "kge" in by_task else []
        checked += [("values", fields, entities | ends)] if "json" in by_task and len(by_task) > 1 else []
        agreed = total = 0
        for name, asked, known in checked:
            same, within = len(asked & known), sum(_within(value, known) for value in asked)
            counts.update({name: same, f"{name}_within": within, f"{name}_total": len(asked)})
            agreed, total = agreed + within, total + len(asked)
        if total:
            shares.append((agreed / total, article_id))
    outliers = tuple((article_id, round(share, 4)) for share, article_id in sorted(shares)[:_OUTLIERS])
    return Agreement(
        Proportion(counts["ends"], counts["ends_total"]),
        Proportion(counts["ends_within"], counts["ends_total"]),
        Proportion(counts["values"], counts["values_total"]),
        Proportion(counts["values_within"], counts["values_total"]),
        outliers,
    )


def leakage(articles: Sequence[Article], records: Sequence[Record], parts: Splits) -> Leakage:
    """Return what the test set shares with the largest training set."""
    largest = max(parts.train)
    test_ids, train_ids = set(parts.test), {*parts.train[largest], *parts.val[largest]}
    test = [article for article in articles if article.id in test_ids]
    train = [article for article in articles if article.id in train_ids]
    close = nearest([article.text for article in test], [article.text for article in train])
    pairs = sorted(
        ((item.similarity, one.id, train[item.place].id) for one, item in zip(test, close, strict=False)),
        reverse=True,
    )
    topics, domains = {(one.domain, one.topic) for one in train}, {one.domain for one in train}
    return Leakage(
        nearest=five_numbers(item.similarity for item in close),
        closest=tuple((one, other, round(share, 4)) for share, one, other in pairs[:_OUTLIERS]),
        topics=Proportion(sum((one.domain, one.topic) in topics for one in test), len(test)),
        domains=Proportion(sum(one.domain in domains for one in test), len(test)),
        seen=_seen(records, test_ids, train_ids),
    )


def _within(value: str, known: set[str]) -> bool:
    return value in known or any(value in other or other in value for other in known)


def _unanswered(records: Iterable[Record]) -> Proportion:
    hits = total = 0
    for record in records:
        label = json.loads(record.output)
        total += len(label)
        hits += sum(not values for values in label.values())
    return Proportion(hits, total)


def _seen(records: Iterable[Record], test: set[str], train: set[str]) -> dict[str, Proportion]:
    trained: dict[str, set[tuple[str, ...]]] = {}
    tested: dict[str, list[tuple[str, ...]]] = {}
    for record in records:
        facts = [tuple(map(fact_form, item.fact)) for item in record.facts]
        if record.article_id in train:
            trained.setdefault(record.task, set()).update(facts)
        elif record.article_id in test:
            tested.setdefault(record.task, []).extend(facts)
    return {
        task: Proportion(sum(fact in trained.get(task, ()) for fact in facts), len(facts))
        for task, facts in tested.items()
    }


def _tasks(plan: PlanSettings) -> dict[str, Task]:
    task_file = Path(plan.task_file) if plan.task_file else None
    return {name: find_task(name, task_file) for name in plan.tasks}
