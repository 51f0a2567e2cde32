"""Draw articles of a scoring for people to check, and read from their answers how wrong the gold is.

Every fact that the gold or a model states about a drawn article is a claim to be judged. From the judged claims
follow the teacher's precision and recall, and each model's F1 against the truth: prediction-powered inference
(stats/ppi.py) adds the articles that nobody checked.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from etlch.core.errors import EtlchError
from etlch.core.locale import _
from etlch.core.records import Fact, Key
from etlch.core.settings import ScoreSettings
from etlch.metrics.facts import comparable
from etlch.report.errors import find_mistakes
from etlch.scoring.summary import Sample
from etlch.stats.ppi import Corrected, checked_ratio, corrected_ratio
from etlch.stats.resampling import Floats
from etlch.tasks import all_tasks

YES, NO, SAME = "yes", "no", "same"
"""Answers to a claim: it is right, it is wrong, or it is right and repeats another claim in other words."""


@dataclass(frozen=True)
class Claim:
    """One fact to judge.

    Attributes:
        fact: as the gold writes it, else as the first model does.
        gold: whether the gold holds it.
        models: labels of the models that state it.
    """

    fact: Fact
    gold: bool
    models: tuple[str, ...]


@dataclass(frozen=True)
class Checked:
    """One record to judge: its key and its claims, those first that most models state against the gold."""

    key: Key
    claims: tuple[Claim, ...]


@dataclass(frozen=True)
class Answers:
    """What people said.

    Attributes:
        claims: (record id, fact in the form of comparison) → YES, NO or SAME.
        further: record id → facts that its article states and that no claim says.
    """

    claims: Mapping[tuple[str, Fact], str]
    further: Mapping[str, int]


@dataclass(frozen=True)
class TeacherResult:
    """How right the gold of a task is, by the checked articles."""

    task: str
    precision: Corrected
    recall: Corrected


@dataclass(frozen=True)
class ModelResult:
    """One model's F1 of facts.

    Attributes:
        model: its label.
        task: of its predictions.
        gold: against the gold, over all articles.
        human: against the truth, from the checked articles alone.
        corrected: against the truth, from all articles (PPI++).
    """

    model: str
    task: str
    gold: Corrected
    human: Corrected
    corrected: Corrected


@dataclass(frozen=True)
class Audit:
    """What an audit found. `open_records` are ids of drawn records with unanswered claims; they do not count."""

    teachers: tuple[TeacherResult, ...]
    models: tuple[ModelResult, ...]
    open_records: tuple[str, ...]


@dataclass
class _Gathered:
    """One record while its samples are read: fact in the form of comparison → (fact, gold, models)."""

    key: Key
    facts: dict[Fact, tuple[Fact, bool, list[str]]] = field(default_factory=dict)


Samples = Callable[[], Iterable[Sample]]
"""Yields all samples of a scoring, each time anew."""


def draw(samples: Samples, settings: ScoreSettings, size: int, seed: int) -> list[Checked]:
    """Return the records of some articles, drawn at random, with all their claims.

    Args:
        samples: of the scoring.
        settings: how its facts are read; `task` takes one task only.
        size: how many articles; fewer where there are fewer.
        seed: of the draw.

    Raises:
        EtlchError: there is no article to draw.
    """
    articles = sorted({sample.key.article_id for sample in _of_task(samples(), settings)})
    if not articles:
        raise EtlchError(_("no predictions to audit"), _("Score the run first: etlch-score RUN."))
    chosen = set(random.Random(f"audit/{seed}").sample(articles, min(size, len(articles))))
    drawn = (sample for sample in _of_task(samples(), settings) if sample.key.article_id in chosen)
    records = [_checked(gathered) for gathered in _gather(drawn, settings).values()]
    suspicion: dict[str, int] = defaultdict(int)
    for record in records:
        worst = max((len(claim.models) for claim in record.claims if not claim.gold), default=0)
        suspicion[record.key.article_id] = max(suspicion[record.key.article_id], worst)
    return sorted(
        records, key=lambda item: (-suspicion[item.key.article_id], item.key.article_id, item.key.id)
    )


def _of_task(samples: Iterable[Sample], settings: ScoreSettings) -> Iterator[Sample]:
    return (sample for sample in samples if settings.task in (None, sample.system.task))


def _gather(samples: Iterable[Sample], settings: ScoreSettings) -> dict[str, _Gathered]:
    tasks = all_tasks(Path(settings.task_file) if settings.task_file else None)
    found: dict[str, _Gathered] = {}
    for sample in samples:
        key = sample.key
        finding = find_mistakes(
            tasks[key.task], key, sample.predicted, settings.label_map, settings.end_markers, settings.compare
        )
        gathered = found.setdefault(key.id, _Gathered(key))
        for fact in finding.gold:
            gathered.facts.setdefault(form(fact), (fact, True, []))
        for fact in finding.predicted:
            models = gathered.facts.setdefault(form(fact), (fact, False, []))[2]
            if sample.system.label not in models:
                models.append(sample.system.label)
    return found


def _checked(gathered: _Gathered) -> Checked:
    claims = [Claim(fact, gold, tuple(models)) for fact, gold, models in gathered.facts.values()]
    return Checked(gathered.key, tuple(sorted(claims, key=lambda claim: (claim.gold, -len(claim.models)))))


def form(fact: Fact) -> Fact:
    """Return a fact in the form in which facts are compared."""
    return comparable([fact])[0]


def evaluate(samples: Samples, settings: ScoreSettings, answers: Answers) -> Audit:
    """Return the teacher's precision and recall, and every model's F1 against the truth.

    Args:
        samples: of the scoring; the same predictions as when the sheet was drawn.
        settings: how its facts are read.
        answers: of people.

    Raises:
        EtlchError: no record is answered in full, or predictions are not those of the sheet.
    """
    touched = {record for record, _ in answers.claims} | set(answers.further)
    drawn = [sample for sample in _of_task(samples(), settings) if sample.key.id in touched]
    gathered = _gather(drawn, settings)
    said: dict[str, set[Fact]] = defaultdict(set)
    for record, fact in answers.claims:
        said[record].add(fact)
    complete = {
        name for name, one in gathered.items() if name in answers.further and one.facts.keys() <= said[name]
    }
    if not complete:
        raise EtlchError(
            _("no record of the sheet is answered in full"),
            _(
                "Answer every line of a record, and write how many further facts its article states (0 for none)."
            ),
        )
    teachers = tuple(
        _teacher(
            task, [gathered[name] for name in sorted(complete) if gathered[name].key.task == task], answers
        )
        for task in dict.fromkeys(gathered[name].key.task for name in sorted(complete))
    )
    models = tuple(_models(_of_task(samples(), settings), gathered, complete, answers))
    return Audit(teachers, models, tuple(sorted(set(gathered) - complete)))


def _true_facts(gathered: _Gathered, answers: Answers) -> int:
    """Return how many facts the article states: claims that are right, each once, and those that none says."""
    name = gathered.key.id
    return sum(answers.claims[name, fact] == YES for fact in gathered.facts) + answers.further[name]


def _teacher(task: str, records: Sequence[_Gathered], answers: Answers) -> TeacherResult:
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0, 0.0])
    for record in records:
        gold = [fact for fact, (_, in_gold, _) in record.facts.items() if in_gold]
        said = [answers.claims[record.key.id, fact] for fact in gold]
        row = sums[record.key.article_id]
        row[0] += sum(word != NO for word in said)
        row[1] += len(gold)
        row[2] += sum(word == YES for word in said)
        row[3] += _true_facts(record, answers)
    table = np.array(list(sums.values()), dtype=np.float64)
    return TeacherResult(
        task, checked_ratio(table[:, 0], table[:, 1]), checked_ratio(table[:, 2], table[:, 3])
    )


def _models(
    samples: Iterable[Sample], gathered: Mapping[str, _Gathered], complete: set[str], answers: Answers
) -> Iterator[ModelResult]:
    """Yield each model's result on each task. An article counts as checked when all its answered records do."""
    rows: dict[tuple[str, str], dict[str, list[float]]] = {}
    human: dict[tuple[str, str], dict[str, list[float]]] = {}
    for sample in samples:
        if "facts" not in sample.rows:
            continue
        place, article = (sample.system.label, sample.system.task), sample.key.article_id
        tp, predicted, gold = sample.rows["facts"]
        _add(rows.setdefault(place, {}), article, 2 * tp, predicted + gold)
        if sample.key.id in complete:
            one = gathered[sample.key.id]
            right = sum(
                answers.claims[sample.key.id, fact] != NO
                for fact, (_, _, models) in one.facts.items()
                if sample.system.label in models
            )
            _add(human.setdefault(place, {}), article, 2 * right, predicted + _true_facts(one, answers))
    for (model, task), checked in human.items():
        every = rows[model, task]
        rest = [row for article, row in every.items() if article not in checked]
        truth, proxy = _columns(checked.values()), _columns(every[article] for article in checked)
        yield ModelResult(
            model,
            task,
            checked_ratio(*_columns(every.values())),
            checked_ratio(*truth),
            corrected_ratio(truth, proxy, _columns(rest)),
        )


def _add(sums: dict[str, list[float]], article: str, above: float, below: float) -> None:
    row = sums.setdefault(article, [0.0, 0.0])
    row[0] += above
    row[1] += below


def _columns(rows: Iterable[Sequence[float]]) -> tuple[Floats, Floats]:
    table = np.array(list(rows), dtype=np.float64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def in_words(audit: Audit) -> str:
    """Return the audit as tables for a terminal, each number with its 95 % interval."""
    lines = [f"{'gold of task':<24}{'precision':<26}recall"]
    for teacher in audit.teachers:
        lines.append(f"{teacher.task:<24}{_said(teacher.precision):<26}{_said(teacher.recall)}")
    lines += [
        "",
        f"{'F1 of facts':<24}{'against the gold':<26}{'checked articles alone':<26}corrected (PPI++)",
    ]
    for item in audit.models:
        cells = [_said(one) for one in (item.gold, item.human, item.corrected)]
        lines.append(f"{item.model + ' ' + item.task:<24}{cells[0]:<26}{cells[1]:<26}{cells[2]}")
    if audit.models:
        first = audit.models[0].corrected
        lines += [
            "",
            f"{first.checked} articles checked, {first.unchecked} not; 95 % intervals over articles",
        ]
    if audit.open_records:
        lines.append(f"left out, not answered in full: {', '.join(audit.open_records)}")
    return "\n".join(lines)


def _said(found: Corrected) -> str:
    if found.value is None:
        return f"– ({found.interval.reason})"
    return f"{found.value:.3f} [{found.interval.low:.3f}, {found.interval.high:.3f}]"
