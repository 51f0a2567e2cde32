"""Exactly N, in plan order, whatever the concurrency. The offline teacher writes; some of its answers are spoilt."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from random import Random

import pytest

from etlch.core.config import make_settings
from etlch.core.errors import EtlchError
from etlch.core.prompts import Prompts
from etlch.core.records import Json, Topic
from etlch.dataset.build_record import RecordBuilder
from etlch.dataset.collect import AcceptedData, collect
from etlch.pipeline.setup import chosen_tasks, planned
from etlch.tasks import Task
from etlch.teachers.base import Attempt, Instruction, Teacher
from etlch.teachers.offline.teacher import OfflineTeacher


@dataclass
class Spoiling:
    """The offline teacher, with faults at some positions of the plan and delays that mix up completion."""

    inner: OfflineTeacher
    empty: frozenset[int] = frozenset()
    invented: frozenset[int] = frozenset()
    copied: frozenset[int] = frozenset()
    stubborn: bool = True
    name: str = "spoiling"
    asked: list[tuple[str, int, int]] = field(default_factory=list)

    def topics(self) -> Iterator[Topic]:
        return self.inner.topics()

    async def article(self, topic: Topic, attempt: Attempt) -> str:
        self.asked.append(("article", topic.position, attempt.sample))
        await asyncio.sleep(Random(topic.position).random() / 100)
        if topic.position in self.empty:
            return " "
        return await self.inner.article(topic, attempt)

    async def write_instruction(self, topic: Topic, article: str, task: Task, attempt: Attempt) -> Json:
        return await self.inner.write_instruction(topic, article, task, attempt)

    async def label(
        self, topic: Topic, article: str, task: Task, instruction: Instruction, attempt: Attempt
    ) -> Json:
        self.asked.append((task.name, topic.position, attempt.sample))
        answer = await self.inner.label(topic, article, task, instruction, attempt)
        if task.name == "ner" and topic.position in self.invented and (self.stubborn or attempt.sample == 0):
            return {"entities": [{"type": "Person", "mention": "Zaphod Beeblebrox"}]}
        return answer


class Quiet:
    def note(self, stage: str, event: str) -> None: ...

    def rejected(self, why: Mapping[str, int]) -> None: ...

    def settled(self, accepted: int, rejected: int) -> None: ...


def run(teacher: Teacher, needed: int, concurrency: int, **more: Json) -> AcceptedData:
    settings = make_settings(teacher="offline", language="en", concurrency=concurrency, **more)
    watcher = Quiet()
    builder = RecordBuilder(
        teacher,
        Prompts(),
        chosen_tasks(settings.plan),
        settings.check,
        settings.plan.ner_types,
        watcher.note,
        lambda *verdict: None,
    )
    work = collect(builder, settings.plan, concurrency, planned(teacher), needed, watcher)
    return asyncio.run(work)


def offline() -> OfflineTeacher:
    return OfflineTeacher(3, Prompts(), "en")


def test_refused_articles_are_replaced_by_the_next_in_plan_order() -> None:
    teacher = Spoiling(offline(), empty=frozenset({1, 4}), invented=frozenset({2}))
    got = run(teacher, 6, 32)
    assert [article.id for article in got.articles] == [
        "a00000",
        "a00003",
        "a00005",
        "a00006",
        "a00007",
        "a00008",
    ]
    assert [(item.article_id, item.task, item.stage) for item in got.rejected] == [
        ("a00001", "", "article"),
        ("a00002", "ner", "label"),
        ("a00004", "", "article"),
    ]
    assert [record.id for record in got.records[:3]] == ["a00000-json", "a00000-kge", "a00000-ner"]
    assert len(got.records) == 18


def test_order_and_content_do_not_depend_on_the_concurrency() -> None:
    def fresh() -> Spoiling:
        return Spoiling(offline(), empty=frozenset({0, 7}), invented=frozenset({3}))

    assert run(fresh(), 12, 1) == run(fresh(), 12, 5) == run(fresh(), 12, 64)


def test_nothing_is_asked_that_cannot_be_needed() -> None:
    teacher = Spoiling(offline(), empty=frozenset({2}))
    run(teacher, 5, 64)
    assert {position for _, position, _ in teacher.asked} == {0, 1, 2, 3, 4, 5}


def test_growing_keeps_what_was_accepted() -> None:
    small = run(Spoiling(offline(), empty=frozenset({1})), 4, 8)
    large = run(Spoiling(offline(), empty=frozenset({1})), 9, 8)
    assert large.articles[:4] == small.articles and large.records[:12] == small.records


def test_an_invented_mention_is_asked_again_with_the_reason_and_then_fixed() -> None:
    teacher = Spoiling(offline(), invented=frozenset({1}), stubborn=False)
    got = run(teacher, 3, 4)
    assert [article.id for article in got.articles] == ["a00000", "a00001", "a00002"]
    assert [sample for task, position, sample in teacher.asked if (task, position) == ("ner", 1)] == [0, 1]


def test_when_candidates_run_out_the_reasons_are_told() -> None:
    teacher = Spoiling(offline(), empty=frozenset(range(1, 1000)))
    with pytest.raises(
        EtlchError, match=r"only 1 of 2 articles .* 26 candidates .*article: the article is empty"
    ) as failure:
        run(teacher, 2, 8)
    assert failure.value.code == 1


def test_every_fact_of_a_record_stands_where_its_span_says() -> None:
    got = run(offline(), 20, 8)
    texts = {article.id: article.text for article in got.articles}
    checked = 0
    for record in got.records:
        for located in record.facts:
            for part, span in zip(located.fact, located.spans, strict=True):
                if span is not None:
                    assert texts[record.article_id][span[0] : span[1]] == part
                    checked += 1
    assert checked > 200


def test_an_ungrounded_fact_is_dropped_only_after_every_attempt_asked_again() -> None:
    """One right and one invented mention: what stands in the article is kept, and the rest asked for until the last."""

    @dataclass
    class Adding(Spoiling):
        async def label(
            self, topic: Topic, article: str, task: Task, instruction: Instruction, attempt: Attempt
        ) -> Json:
            self.asked.append((task.name, topic.position, attempt.sample))
            answer = await self.inner.label(topic, article, task, instruction, attempt)
            if task.name == "ner" and topic.position == 1:
                return {"entities": [*answer["entities"], {"type": "Person", "mention": "Zaphod Beeblebrox"}]}
            return answer

    teacher = Adding(offline())
    got = run(teacher, 3, 4)
    samples = [sample for task, position, sample in teacher.asked if (task, position) == ("ner", 1)]
    assert samples == [0, 1, 2]  # max_attempts is 3
    assert len(got.articles) == 3
    (lost,) = [item for item in got.rejected if item.article_id == "a00001"]
    assert lost.stage == "grounding" and "Zaphod" in lost.reasons[0]
