"""The offline teacher's promises, checked on what it writes: labels true, complete, varied, repeatable."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from functools import cache
from itertools import islice, pairwise

import pytest

from etlch.core.errors import EtlchError
from etlch.core.prompts import Prompts
from etlch.core.records import LANGUAGES, Topic
from etlch.tasks import find_task
from etlch.teachers.base import Attempt, Instruction
from etlch.teachers.offline.teacher import OfflineTeacher
from etlch.teachers.offline.writer import Document
from etlch.text.json_text import schema_problems
from etlch.text.normalize import fact_form

LONG = {"en": 900, "zh-TW": 1300, "zh-CN": 1300}


@cache
def teacher(language: str, length: int = 0) -> OfflineTeacher:
    return OfflineTeacher(7, Prompts(), language, lengths=(length,))


@cache
def drawn(language: str, count: int, length: int = 0) -> list[tuple[Topic, Document]]:
    writer = teacher(language, length)
    return [(topic, writer.draw(topic)) for topic in islice(writer.topics(), count)]


def corpora() -> list[tuple[str, int, int]]:
    return [
        (language, count, length)
        for language in LANGUAGES
        for count, length in ((400, 0), (42, LONG[language]))
    ]


@pytest.mark.parametrize(("language", "count", "length"), corpora())
def test_every_part_stands_where_its_span_says(language: str, count: int, length: int) -> None:
    for _, document in drawn(language, count, length):
        for item in (*document.entities, *document.mentions, *document.triples, *document.values):
            for part, span in zip(item.fact, item.spans, strict=True):
                assert span is None or document.text[slice(*span)] == part


@pytest.mark.parametrize(("language", "count", "length"), corpora())
def test_a_mention_has_one_type_and_all_its_places_are_known(language: str, count: int, length: int) -> None:
    for _, document in drawn(language, count, length):
        mentions = [item.fact[1] for item in document.entities]
        assert len(set(mentions)) == len(mentions)
        for mention in mentions:
            places = [item for item in document.mentions if item.fact[1] == mention]
            assert document.text.count(mention) == len(places)


@pytest.mark.parametrize(("language", "count", "length"), corpora())
def test_no_name_is_left_without_a_label(language: str, count: int, length: int) -> None:
    """Without entities and the ends of triples, no capital, digit or title mark is left inside a sentence."""
    capital = r"(?<=[a-z,;#] )[A-Z]\w+|(?<=\()[A-Z]" if language == "en" else r"[A-Za-z]{2,}"
    left_over = re.compile(rf"[0-9０-９《》]|{capital}")
    for topic, document in drawn(language, count, length):
        text = document.text
        spans = {span for item in (*document.mentions, *document.triples) for span in item.spans if span}
        for start, end in spans:
            text = text[:start] + "#" * (end - start) + text[end:]
        found = left_over.findall(text)
        assert not found, (topic, found, document.text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_subject_and_object_stand_in_one_sentence(language: str) -> None:
    stop = "\n" if language == "en" else "。"
    for _, document in drawn(language, 200):
        for item in document.triples:
            subject, _, object_ = item.spans
            assert subject is not None
            assert object_ is not None
            between = document.text[min(subject[1], object_[1]) : max(subject[0], object_[0])]
            assert stop not in between.replace("。」", "").replace("。”", ""), document.text


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_two_articles_are_alike(language: str) -> None:
    """DESIGN: a near copy has a Jaccard index of at least 0.8 over 5-character shingles."""
    seen: list[set[str]] = []
    for _, document in drawn(language, 400):
        text = "".join(fact_form(document.text).split())
        shingles = {text[at : at + 5] for at in range(len(text) - 4)}
        assert all(len(shingles & other) < 0.8 * len(shingles | other) for other in seen)
        seen.append(shingles)


@pytest.mark.parametrize("language", LANGUAGES)
def test_default_articles_have_four_to_six_sentences_and_long_ones_their_length(language: str) -> None:
    ends = r"[.!?](?= |$|\n)" if language == "en" else r"[。！？](?![」”])"
    for topic, document in drawn(language, 300):
        if topic.genre in ("encyclopedia entry", "百科條目", "百科条目"):
            assert 4 <= len(re.findall(ends, document.text)) <= 7, document.text
    sizes = [
        len(document.text.split()) if language == "en" else len(document.text)
        for _, document in drawn(language, 42, LONG[language])
    ]
    assert 0.8 * LONG[language] < sum(sizes) / len(sizes) < 1.2 * LONG[language]


@pytest.mark.parametrize("language", LANGUAGES)
def test_facts_come_and_go(language: str) -> None:
    """Of the facts that a domain can state, each is stated in some of its articles and absent in others."""
    world = teacher(language).world
    assert len({domain.domain for domain in world.domains}) >= 6
    for domain in world.domains:
        told = [
            {item.fact[0] for item in document.values}
            for topic, document in drawn(language, 400)
            if topic.domain == domain.domain
        ]
        for key, fact in domain.facts.items():
            if fact.fields:
                share = sum(key in keys for keys in told) / len(told)
                assert 0.02 < share < 0.9, (domain.name, key, share)


def test_same_seed_same_plan_same_articles() -> None:
    first = OfflineTeacher(3, Prompts(), "zh-TW")
    again = OfflineTeacher(3, Prompts(), "zh-TW")
    other = OfflineTeacher(4, Prompts(), "zh-TW")
    topics = list(islice(first.topics(), 20))
    assert topics == list(islice(again.topics(), 20))
    assert [first.draw(topic) for topic in topics] == [again.draw(topic) for topic in topics]
    assert all(first.draw(topic).text != other.draw(topic).text for topic in topics)
    assert all(first.draw(topic, 0).text != first.draw(topic, 1).text for topic in topics)


def test_the_plan_takes_domains_and_genres_by_turns() -> None:
    topics = list(islice(OfflineTeacher(0, Prompts(), "en").topics(), 6 * 7 * 4))
    assert [topic.position for topic in topics] == list(range(len(topics)))
    for start in range(0, len(topics), 6):
        assert len({topic.domain for topic in topics[start : start + 6]}) == 6
    pairs = [(topic.domain, topic.genre) for topic in topics]
    assert all(pairs.count(pair) == 4 for pair in set(pairs))


def test_the_plan_keeps_to_the_domains_and_genres_named() -> None:
    chosen = OfflineTeacher(0, Prompts(), "en", domains=("law",), genres=("letter", "story"))
    topics = list(islice(chosen.topics(), 10))
    assert {topic.domain for topic in topics} == {"law"}
    assert {topic.genre for topic in topics} == {"letter", "story"}
    with pytest.raises(EtlchError, match="Did you mean 'law'"):
        next(OfflineTeacher(0, Prompts(), "en", domains=("laws",)).topics())


@pytest.mark.parametrize("language", LANGUAGES)
def test_answers_have_the_shape_that_the_task_asks_for(language: str) -> None:
    writer = teacher(language)
    types = list(Prompts().data("ner/types.yaml")[language])

    async def answers(topic: Topic) -> None:
        text = await writer.article(topic, Attempt(1))
        asked = await writer.write_instruction(topic, text, find_task("json"), Attempt())
        keys = {"json": tuple(asked["fields"]), "kge": (), "ner": tuple(types)}
        document = writer.draw(topic, 1)
        for name, chosen in keys.items():
            task = find_task(name)
            answer = await writer.label(topic, text, task, Instruction("", chosen), Attempt(2))
            assert not schema_problems(answer, task.answer_schema(chosen))
            facts = task.facts(answer)
            assert facts
            assert not task.problems(facts, language)
            label = task.render(facts, chosen, language)
            assert task.parse(label, language, True).how == "strict"
            for fact in facts:
                assert all(fact[part] in document.text for part in task.grounded)

    async def every() -> None:
        for topic, _ in drawn(language, 60):
            await answers(topic)

    asyncio.run(every())


def asked_fields(
    language: str, topics: Sequence[Topic]
) -> tuple[list[list[str]], list[list[str]], list[str]]:
    """Return, per topic, its field names, the values of each field joined, and its instruction."""
    writer = teacher(language)

    async def ask(topic: Topic) -> tuple[list[str], list[str], str]:
        text = writer.draw(topic).text
        brief = await writer.write_instruction(topic, text, find_task("json"), Attempt())
        answer = await writer.label(
            topic, text, find_task("json"), Instruction("", tuple(brief["fields"])), Attempt()
        )
        return brief["fields"], ["|".join(values) for values in answer.values()], brief["instruction"]

    async def every() -> list[tuple[list[str], list[str], str]]:
        return [await ask(topic) for topic in topics]

    done = asyncio.run(every())
    return [item[0] for item in done], [item[1] for item in done], [item[2] for item in done]


@pytest.mark.parametrize("language", LANGUAGES)
def test_instructions_vary_and_a_fifth_of_the_fields_has_no_answer(language: str) -> None:
    fields, values, told = asked_fields(language, [topic for topic, _ in drawn(language, 300)])
    assert all(len(set(names)) == len(names) and len(names) >= 2 for names in fields)
    assert all(any(of_article) for of_article in values)
    flat = [value for of_article in values for value in of_article]
    assert 0.15 < flat.count("") / len(flat) < 0.27
    assert len(set(told)) > 290
    assert len({name for names in fields for name in names}) > 200
    assert all(first != second for first, second in pairwise(fields))
    if language == "en":
        names = " ".join(name for asked in fields for name in asked)
        assert re.search(r"\b[a-z]+_[a-z]+", names)
        assert re.search(r"\b[a-z]+[A-Z][a-z]+", names)


def test_a_text_of_somebody_else_is_refused() -> None:
    topic, document = drawn("en", 1)[0]
    with pytest.raises(EtlchError, match="did not write"):
        teacher("en").find(topic, document.text + " ")
    with pytest.raises(EtlchError, match="no domain 'sport'"):
        teacher("en").draw(Topic(0, "sport", "tennis", "en"))
