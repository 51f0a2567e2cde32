"""Read all samples once, return counts of errors and the samples that the page shows.

Counts cover every sample. The page shows all of them, or, above MOST_SHOWN or MOST_BYTES, those of
articles that a hash of their ids picks, the same records for every model.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import NamedTuple

from etlch.core.files import digest
from etlch.core.locale import _
from etlch.core.records import Fact, Key, Span, task_of
from etlch.core.settings import ScoreSettings
from etlch.render import html
from etlch.report.errors import KINDS, Finding, confusions, find_mistakes
from etlch.scoring.summary import Sample, System
from etlch.tasks import Task, all_tasks
from etlch.text.locate import locate

MOST_SHOWN = 10_000
"""Predictions. A page with more is slow to open and too large to send on."""

MOST_BYTES = 20_000_000
"""Of what the browser holds, roughly: keeps the page under 25 MB, however long its texts."""

DEFAULT = ScoreSettings()


class Example(NamedTuple):
    """A sample worth looking at: its id on the page, and the model that answered."""

    id: str
    model: str


class Pointed(NamedTuple):
    """The worst and the most typical sample of one kind of error in one task."""

    task: str
    kind: str
    worst: Example
    typical: Example


@dataclass(frozen=True)
class Analysis:
    """What the report says about single samples.

    Attributes:
        readings: system → how its predictions were read → count.
        errors: system → kind of error → count.
        affected: system → kind of error → predictions that have it.
        confusions: system → (gold type, predicted type) → count, for tasks with types.
        samples: what the page's browser holds.
        examples: per task and kind, in the order of KINDS.
        total: predictions analysed; `shown` of them are in `samples`.
        shown: predictions in the browser.
    """

    readings: Mapping[System, Counter[str]]
    errors: Mapping[System, Counter[str]]
    affected: Mapping[System, Counter[str]]
    confusions: Mapping[System, Counter[tuple[str, str]]]
    samples: tuple[html.Sample, ...]
    examples: tuple[Pointed, ...]
    total: int
    shown: int


class _Shelf:
    """The samples that the page will hold: of articles whose hash is below a share that falls as weight grows.

    Which articles stay depends on their ids and on what was seen alone, so they are the same for all models.
    """

    def __init__(self, share: float) -> None:
        self.keys: dict[tuple[str, str], Key] = {}
        self.answers: dict[tuple[str, str], list[tuple[Sample, Finding]]] = defaultdict(list)
        self._share = share
        self._weight = 0

    def takes(self, key: Key) -> bool:
        return self._share >= 1 or _hashed(key) < self._share

    def add(self, sample: Sample, finding: Finding) -> None:
        place = (sample.system.task, sample.key.id)
        self.keys[place] = sample.key
        self.answers[place].append((sample, finding))
        self._weight += _bytes_of(sample)
        while self._weight > MOST_BYTES and len(self.keys) > 1:
            self._share /= 2
            for place in [place for place, key in self.keys.items() if not self.takes(key)]:
                self._weight -= sum(_bytes_of(sample) for sample, _ in self.answers.pop(place))
                del self.keys[place]


def _hashed(key: Key) -> float:
    return int(digest(key.article_id or key.id)[:8], 16) / 16**8


def _bytes_of(sample: Sample) -> int:
    """About what an answer adds to the page: its text, and its facts with their places and notes."""
    return 12 * len(sample.predicted) + len(sample.key.input)


def analyse(
    samples: Iterable[Sample],
    total: int,
    settings: ScoreSettings = DEFAULT,
    *,
    most: int = MOST_SHOWN,
) -> Analysis:
    """Return the analysis of all samples, read once and one at a time.

    Args:
        samples: every sample, in any order.
        total: how many there are, at least roughly: it decides which share is shown.
        settings: their label map, end markers, and the file of a task of the user's own.
        most: predictions that the page may hold.
    """
    tasks = all_tasks(Path(settings.task_file) if settings.task_file else None)
    readings: dict[System, Counter[str]] = defaultdict(Counter)
    errors: dict[System, Counter[str]] = defaultdict(Counter)
    affected: dict[System, Counter[str]] = defaultdict(Counter)
    mixed: dict[System, Counter[tuple[str, str]]] = defaultdict(Counter)
    shelf = _Shelf(1.0 if total <= most else most / total)
    count = 0
    for sample in samples:
        count += 1
        system, key = sample.system, sample.key
        readings[system][sample.reading or "unparseable"] += 1
        task = tasks.get(task_of(system.task))
        if task is None:
            continue
        typed, shown_too = task.parts[0] == "type", shelf.takes(key)
        finding = find_mistakes(
            task, key, sample.predicted, settings.label_map, settings.end_markers, settings.compare,
            nested=sample.nested, written=typed or shown_too,
        )  # fmt: skip
        errors[system].update(finding.kinds)
        affected[system].update(finding.kinds.keys())
        if typed:
            mixed[system].update(confusions(finding))
        if shown_too:
            shelf.add(sample, finding)
    keys, answers = shelf.keys, shelf.answers
    ids = _page_ids(keys)
    shown = tuple(
        _shown(ids[place], place[0], tasks[task_of(place[0])], key, answers[place])
        for place, key in sorted_by_task(keys)
    )
    answer_count = sum(len(sample.answers) for sample in shown)
    return Analysis(readings, errors, affected, mixed, shown, tuple(_examples(shown)), count, answer_count)


def sorted_by_task(keys: Mapping[tuple[str, str], Key]) -> list[tuple[tuple[str, str], Key]]:
    """Return keys task by task, in their order within the task."""
    tasks = list(dict.fromkeys(task for task, _ in keys))
    return sorted(keys.items(), key=lambda item: tasks.index(item[0][0]))


def _page_ids(places: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Return an id on the page for each record: its own, with its task where two tasks share it."""
    listed = list(places)
    times = Counter(name for _, name in listed)
    return {(task, name): name if times[name] == 1 else f"{name}-{task}" for task, name in listed}


# ---------------------------------------------------------------- what the browser shows


def _shown(
    anchor: str, name: str, task: Task, key: Key, answers: Sequence[tuple[Sample, Finding]]
) -> html.Sample:
    gold = answers[0][1].gold
    facts = tuple(html.ShownFact(fact, _spans(task, fact, key.input)) for fact in gold)
    return html.Sample(
        id=anchor,
        task=name,
        language=key.language,
        instruction=key.instruction,
        article=key.input,
        gold=key.gold,
        facts=facts,
        answers=tuple(_answer(task, key, sample, finding, facts) for sample, finding in answers),
    )


def _answer(
    task: Task, key: Key, sample: Sample, finding: Finding, facts: Sequence[html.ShownFact]
) -> html.Answer:
    gold, predicted = [html.ShownFact(())] * len(facts), [html.ShownFact(())] * len(finding.predicted)
    for pair in finding.pairs:
        one = None if pair.gold is None else finding.gold[pair.gold]
        two = None if pair.predicted is None else finding.predicted[pair.predicted]
        if pair.gold is not None:
            fact = facts[pair.gold]
            kind = html.MISSING if pair.kind else html.MATCHED
            gold[pair.gold] = html.ShownFact(
                fact.parts, fact.spans, kind, _note(pair.kind, _("{kind}; predicted: {fact}"), two)
            )
        if pair.predicted is not None and two is not None:
            kind = html.SPURIOUS if pair.kind else html.MATCHED
            spans = (
                facts[pair.gold].spans
                if not pair.kind and pair.gold is not None
                else _spans(task, two, key.input)
            )
            predicted[pair.predicted] = html.ShownFact(
                two, spans, kind, _note(pair.kind, _("{kind}; label: {fact}"), one)
            )
    return html.Answer(
        model=sample.system.label,
        text=sample.predicted,
        score=sample.values.get("leaf_f1_macro" if sample.nested else "facts_f1_macro", finding.f1),
        outcome=finding.outcome,
        errors=tuple(kind for kind in KINDS if finding.kinds[kind]),
        gold=tuple(gold),
        facts=tuple(predicted),
    )


def _note(kind: str, text: str, counterpart: Fact | None) -> str:
    if not kind or counterpart is None:
        return "" if kind in ("", "missing", "spurious") else _(kind)
    return text.format(kind=_(kind), fact=" – ".join(counterpart))


def _spans(task: Task, fact: Fact, article: str) -> tuple[Span, ...]:
    """Return where the parts that should stand in the article do so."""
    places = (locate(fact[part], article) for part in task.grounded if part < len(fact))
    return tuple((place.start, place.end) for place in places if place is not None)


# ---------------------------------------------------------------- examples


def _examples(samples: Sequence[html.Sample]) -> Iterator[Pointed]:
    """Yield per task and kind the answer with the lowest score, and the one nearest the median score."""
    by_kind: dict[tuple[str, str], list[tuple[float, str, str]]] = defaultdict(list)
    for sample in samples:
        for answer in sample.answers:
            for kind in answer.errors:
                by_kind[sample.task, kind].append((answer.score, sample.id, answer.model))
    for task in dict.fromkeys(sample.task for sample in samples):
        for kind in KINDS:
            if found := by_kind.get((task, kind)):
                middle = median(score for score, _, _ in found)
                worst = min(found)
                typical = min(found, key=lambda item: (abs(item[0] - middle), item[1:]))
                yield Pointed(task, kind, Example(*worst[1:]), Example(*typical[1:]))
