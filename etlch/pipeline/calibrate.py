"""Label articles whose facts are known with a teacher, return its precision and recall by task.

The articles are the offline teacher's, true by construction. The teacher is asked once for each
label, without the further attempts that a run's checks allow; its answer is grounded and rendered as a run would.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from etlch.core.errors import EtlchError
from etlch.core.locale import _
from etlch.core.prompts import Prompts
from etlch.core.records import TASKS, Fact, Json, Topic
from etlch.core.run_folder import Run
from etlch.core.settings import CheckSettings, PlanSettings, Settings
from etlch.dataset.build_record import Candidate, CandidateResult, RecordBuilder
from etlch.dataset.grounding import Policy, ground
from etlch.metrics.facts import FactPair, Row, comparable, strict
from etlch.metrics.registry import f1, precision, recall
from etlch.pipeline.session import open_teacher
from etlch.pipeline.setup import chosen_prompts, chosen_tasks
from etlch.quality.numbers import Proportion
from etlch.stats.analysis import Estimate, analyse, measured
from etlch.stats.intervals import Interval, wilson
from etlch.tasks import Task
from etlch.teachers.base import Attempt, Instruction, Teacher
from etlch.teachers.offline.teacher import OfflineTeacher


@dataclass(frozen=True)
class Rate:
    """A share with its 95 % interval (Wilson)."""

    share: Proportion
    interval: Interval


@dataclass(frozen=True)
class Result:
    """How a teacher does one task.

    Attributes:
        task: its name; `<name> ends` where only its loose parts were compared.
        precision, recall, f1: micro over the articles, 95 % bootstrap intervals over articles.
        grounding: facts answered that stand in the article.
        form: labels that could be used: JSON, of the schema, with at least one fact that stands.
    """

    task: str
    precision: Estimate
    recall: Estimate
    f1: Estimate
    grounding: Rate
    form: Rate


@dataclass(frozen=True)
class Calibration:
    """What calibrate found, and what it cost (see the bill's `cost`)."""

    results: tuple[Result, ...]
    articles: int
    cost: dict[str, Json]


Truth = Callable[[Task, CandidateResult], Awaitable[list[Fact]]]
"""Returns the true facts of one article for a task."""


@dataclass
class _Examinee:
    """The teacher under examination: its labels, on the known teacher's articles and instructions, if there is one.

    `stated` keeps what it answered, by plan position and task.
    """

    name: str
    known: Teacher
    teacher: Teacher
    stated: dict[tuple[int, str], list[Fact]] = field(default_factory=dict)

    def topics(self) -> Iterator[Topic]:
        return self.known.topics()

    async def article(self, topic: Topic, attempt: Attempt) -> str:
        return await self.known.article(topic, attempt)

    async def write_instruction(self, topic: Topic, article: str, task: Task, attempt: Attempt) -> Json:
        return await self.known.write_instruction(topic, article, task, attempt)

    async def label(
        self, topic: Topic, article: str, task: Task, instruction: Instruction, attempt: Attempt
    ) -> Json:
        answer = await self.teacher.label(topic, article, task, instruction, attempt)
        self.stated[topic.position, task.name] = task.facts(answer)
        return answer


async def calibrate(settings: Settings, run: Run, articles: int, say: Callable[[str], None]) -> Calibration:
    """Let the settings' teacher label so many known articles and compare.

    Args:
        settings: teacher, endpoint, tasks, language, seed, budget, policies.
        run: where replies are kept, so that asking again costs nothing.
        articles: how many; three labels each by default.
        say: takes the lines that come before the work.

    Raises:
        EtlchError: a task whose truth is not known, or transport trouble.
    """
    plan, check = settings.plan, settings.check
    _refuse_unknown(plan)
    check = dataclasses.replace(check, max_attempts=1, ungrounded="drop", min_chars=0, max_chars=0)
    prompts, tasks = chosen_prompts(plan), chosen_tasks(plan)
    shipped = {name: task for name, task in tasks.items() if name in TASKS}
    async with open_teacher(settings, prompts, run) as (teacher, bill):
        if settings.teacher.name != "offline":
            say(f"{articles} articles of known truth, {articles * len(tasks)} labels of {teacher.name}")
        results: list[Result] = []
        if shipped:
            known = OfflineTeacher(plan.seed, prompts, plan.language)
            candidates = [
                Candidate(f"k{topic.position:05d}", topic, "known", known.draw(topic).text)
                for topic in islice(known.topics(), articles)
            ]
            examinee = _Examinee(teacher.name, known, teacher)

            async def drawn(task: Task, outcome: CandidateResult) -> list[Fact]:
                return await _truth(task, outcome, known, check.policies)

            results += await _examine(examinee, shipped, candidates, prompts, plan, check, drawn)
        for task in (task for name, task in tasks.items() if name not in TASKS):
            candidates = list(_examples(task, plan.language, articles))
            examinee = _Examinee(teacher.name, teacher, teacher)

            async def given(task: Task, outcome: CandidateResult) -> list[Fact]:
                return _given(task, outcome, check.policies)

            results += await _examine(examinee, {task.name: task}, candidates, prompts, plan, check, given)
        cost = bill.cost()
    return Calibration(tuple(results), articles, cost)


def _refuse_unknown(plan: PlanSettings) -> None:
    """Stop where a task has no article in the language whose truth is known.

    Raises:
        EtlchError: names the task.
    """
    for name, task in chosen_tasks(plan).items():
        if name not in TASKS and not any(language == plan.language for language, _, _ in task.examples):
            raise EtlchError(
                _("no articles with known truth for the task '{name}' in {language}").format(
                    name=name, language=plan.language
                ),
                _("Known are {tasks}, and tasks of your own that have `examples` (docs/own-task.md).").format(
                    tasks=", ".join(TASKS)
                ),
            )


def _examples(task: Task, language: str, most: int) -> Iterator[Candidate]:
    """Yield the examples of a task of the user's own as candidates."""
    texts = [text for of, text, _ in task.examples if of == language]
    for place, text in enumerate(texts[:most]):
        yield Candidate(f"{task.name}{place:05d}", Topic(place, "", "", language), "known", text)


def _given(task: Task, outcome: CandidateResult, policies: Mapping[str, Policy]) -> list[Fact]:
    """Return the facts of an example's label, grounded as the record's are."""
    text, language = outcome.candidate.text or "", outcome.candidate.topic.language
    label = next(label for of, article, label in task.examples if (of, article) == (language, text))
    return [
        item.fact for item in ground(task.parse(label, language, True).facts, task, text, policies).located
    ]


async def _examine(
    examinee: _Examinee,
    tasks: Mapping[str, Task],
    candidates: Sequence[Candidate],
    prompts: Prompts,
    plan: PlanSettings,
    check: CheckSettings,
    truth: Truth,
) -> list[Result]:
    """Have the examinee label the candidates and compare its facts with the truth, task by task."""
    builder = RecordBuilder(
        examinee,
        prompts,
        tasks,
        check,
        plan.ner_types,
        lambda stage, event: None,
        lambda key, ok, why: None,
    )
    outcomes = await asyncio.gather(*(builder.build(candidate) for candidate in candidates))
    results: list[Result] = []
    for task in tasks.values():
        results += await _results(task, outcomes, examinee, truth, check.policies, plan.seed)
    return results


async def _results(
    task: Task,
    outcomes: list[CandidateResult],
    examinee: _Examinee,
    truth: Truth,
    policies: Mapping[str, Policy],
    seed: int,
) -> list[Result]:
    rows: list[Row] = []
    ends: list[Row] = []
    grounded = stated = formed = 0
    for outcome in outcomes:
        topic, text = outcome.candidate.topic, outcome.candidate.text or ""
        record = next((made for made in outcome.records if made.task == task.name), None)
        predicted = [] if record is None else [item.fact for item in record.facts]
        gold = await truth(task, outcome)
        rows.append(strict(FactPair(comparable(gold), comparable(predicted), 0)))
        ends.append(strict(FactPair(comparable(_loose(gold, task)), comparable(_loose(predicted, task)), 0)))
        facts = examinee.stated.get((topic.position, task.name), [])
        found = ground(facts, task, text, policies)
        grounded += len(found.located)
        stated += len(found.located) + len(found.ungrounded)
        formed += record is not None
    rates = (_rate(grounded, stated), _rate(formed, len(outcomes)))
    results = [_result(task.name, rows, seed, *rates)]
    return [*results, _result(f"{task.name} ends", ends, seed, *rates)] if task.loose_parts else results


async def _truth(
    task: Task, outcome: CandidateResult, known: OfflineTeacher, policies: Mapping[str, Policy]
) -> list[Fact]:
    """Return the true facts for the keys of this record, grounded as the record's are."""
    topic, text = outcome.candidate.topic, outcome.candidate.text or ""
    keys: tuple[str, ...] = ()
    if task.asks_fields:
        keys = tuple((await known.write_instruction(topic, text, task, Attempt()))["fields"])
    answer = await known.label(topic, text, task, Instruction("", keys), Attempt())
    return [item.fact for item in ground(task.facts(answer), task, text, policies).located]


def _result(task: str, rows: list[Row], seed: int, grounding: Rate, form: Rate) -> Result:
    table = np.array(rows, dtype=np.float64).reshape(len(rows), 3)
    each = np.arange(len(rows))
    found = analyse(
        [measured(table, each, len(rows), score) for score in (precision, recall, f1)], pairs=[], seed=seed
    )
    right, complete, both = found.estimates
    return Result(task, right, complete, both, grounding, form)


def _loose(facts: Iterable[Fact], task: Task) -> Iterator[Fact]:
    """Yield what is left of facts where a teacher may word the other parts as it likes."""
    return (tuple(fact[part] for part in task.loose_parts) for fact in facts)


def _rate(hits: int, total: int) -> Rate:
    return Rate(Proportion(hits, total), wilson(hits, total))


def in_words(found: Calibration) -> str:
    """Return the table for a terminal, each number with its 95 % interval, and the price."""
    names = ("precision", "recall", "F1", "grounding", "form")
    lines = [f"{'task':<10}" + "".join(f"{name:<22}" for name in names).rstrip()]
    for result in found.results:
        scores = (result.precision, result.recall, result.f1)
        cells = [_number(one.value, one.interval) for one in scores]
        cells += [_number(one.share.rate, one.interval) for one in (result.grounding, result.form)]
        lines.append(f"{result.task:<10}" + "".join(f"{cell:<22}" for cell in cells).rstrip())
    cost = found.cost
    if cost.get("requests"):
        usd = cost.get("usd")
        price = (
            "its price is not known" if usd is None else f"${usd:.4f}, ${usd / found.articles:.5f} an article"
        )
        lines.append(
            f"{cost['requests']:,} requests, {cost['input_tokens'] + cost['output_tokens']:,} tokens: {price}"
        )
    return "\n".join(lines)


def _number(value: float | None, interval: Interval) -> str:
    if value is None:
        return "-"
    if interval.low is None or interval.high is None:
        return f"{value:.3f}"
    return f"{value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"
