"""Draw facts, ask a model for an article around them, return the drawn facts as its labels.

This is the idea of SynthIE (arXiv 2303.04132): a text for given facts is easier to write truly
than facts are to find in a given text. Code verifies that every drawn value stands in the
article and that no other number or date does; what fails is asked for again with the list.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from etlch.core.prompts import Prompts
from etlch.core.records import Fact, Json, Topic
from etlch.llm.errors import BadContent
from etlch.tasks import Task
from etlch.teachers.base import Attempt, Instruction
from etlch.teachers.llm import ModelTeacher
from etlch.teachers.offline.teacher import OfflineTeacher
from etlch.teachers.offline.writer import Document
from etlch.text.locate import folded, locate
from etlch.text.numerals import forms


@dataclass
class LabelFirst:
    """A teacher that writes around facts.

    Attributes:
        name: of the model.
        model: writes the articles.
        known: draws the facts, the instructions and the plan.
        prompts: where article/around stands.
    """

    name: str
    model: ModelTeacher
    known: OfflineTeacher
    prompts: Prompts

    def topics(self) -> Iterator[Topic]:
        """Yield the plan of the teacher that draws the facts."""
        return self.known.topics()

    async def article(self, topic: Topic, attempt: Attempt) -> str:
        """Return an article that states the topic's facts.

        Raises:
            BadContent: it is unusable, lacks a value, or holds a number that is not among the facts.
            EtlchError: the run cannot go on.
        """
        document = self.known.draw(topic)
        triples = [item.fact for item in document.triples]
        ends = {part for fact in triples for part in (fact[0], fact[2])}
        prompt = self.prompts.render(
            "article/around",
            topic.language,
            subject=topic.subject,
            domain=topic.domain,
            genre=topic.genre,
            length=topic.length,
            facts=triples,
            names=[item.fact for item in document.entities if item.fact[1] not in ends],
        )
        text = str(await self.model.answer("article/around", topic, prompt, None, attempt))
        problems = article_problems(text, values(document))
        if problems:
            raise BadContent(tuple(problems), text)
        return text

    async def write_instruction(self, topic: Topic, article: str, task: Task, attempt: Attempt) -> Json:
        """Return an instruction whose fields the drawn facts answer, or leave open."""
        return await self.known.write_instruction(topic, self.known.draw(topic).text, task, attempt)

    async def label(
        self, topic: Topic, article: str, task: Task, instruction: Instruction, attempt: Attempt
    ) -> Json:
        """Return the drawn facts under `task.answer_schema(instruction.keys)`."""
        return await self.known.label(topic, self.known.draw(topic).text, task, instruction, attempt)


def values(document: Document) -> list[str]:
    """Return every value that the article must hold, each once."""
    facts: list[Fact] = [item.fact for item in document.triples]
    found = [part for fact in facts for part in (fact[0], fact[2])]
    found += [item.fact[1] for item in (*document.entities, *document.values)]
    return list(dict.fromkeys(found))


def article_problems(article: str, wanted: Sequence[str]) -> list[str]:
    """Return what an article lacks of the wanted values, and which numbers it adds to them."""
    problems = [
        f"'{value}' does not stand in the article" for value in wanted if locate(value, article) is None
    ]
    allowed = {form.text for value in wanted for form in forms(folded(value).text)}
    view = folded(article)
    for form in forms(view.text):
        if form.text not in allowed and any(char.isdigit() for char in view.text[form.start : form.end]):
            found = article[view.starts[form.start] : view.ends[form.end - 1]]
            problems.append(f"'{found}' is not among the facts; state no other number or date")
    return list(dict.fromkeys(problems))
