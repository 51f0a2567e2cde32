"""Write articles from phrase data and a seed; return them with labels that are true by construction.

It is not a language model. It draws facts first and then writes an article that states them,
so nothing has to be guessed, checked or paid. It holds no state: whatever is asked about an
article, the document is drawn again from its topic.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import count
from random import Random

from etlch.core.errors import EtlchError, nearest
from etlch.core.growth import Growth, growth_at
from etlch.core.prompts import Prompts
from etlch.core.records import Json, Topic
from etlch.tasks import Task
from etlch.teachers.base import Attempt, Instruction
from etlch.teachers.offline.held_out import is_held_out, world_of_forms
from etlch.teachers.offline.instructions import read_fields, write_brief
from etlch.teachers.offline.loader import load_world
from etlch.teachers.offline.schema import Domain, World
from etlch.teachers.offline.writer import Document, draw

SAMPLES = 64
"""How many samples of a topic are tried to find the document of a text."""


class OfflineTeacher:
    """Writes from phrase data, in one language.

    Args:
        seed: of plan, facts, wording.
        prompts: where prompts/offline/ is found.
        language: one of LANGUAGES.
        domains: draw from these only; empty: all.
        genres: draw from these only; empty: all.
        lengths: target lengths of the plan; 0 is the default of 4 to 6 sentences.
        hard_texts: take names up again by nouns and surnames, and add statements that are no facts.
        growth: from which places of the plan on topics and facts are drawn by weights.
        hold_out_forms: write every fifth place of the plan in sentences that the others never use.

    Raises (on first use):
        EtlchError: no such domain or genre, or phrase data that are wrong.
    """

    def __init__(
        self,
        seed: int,
        prompts: Prompts,
        language: str = "zh-TW",
        *,
        domains: Sequence[str] = (),
        genres: Sequence[str] = (),
        lengths: Sequence[int] = (0,),
        hold_out_forms: bool = False,
        hard_texts: bool = False,
        growth: Sequence[Growth] = (),
    ) -> None:
        self.name = "offline"
        self.seed = seed
        self.prompts = prompts
        self.language = language
        self.domains = tuple(domains)
        self.genres = tuple(genres)
        self.lengths = tuple(lengths)
        self.hold_out_forms = hold_out_forms
        self.hard_texts = hard_texts
        self.growth = tuple(growth)

    @cached_property
    def world(self) -> World:
        """The phrase data, read once."""
        return load_world(self.prompts, self.language)

    @cached_property
    def _sides(self) -> dict[bool, World]:
        """The phrase data of held-out forms, and of all others."""
        return {side: world_of_forms(self.world, self.seed, held_out=side) for side in (True, False)}

    def topics(self) -> Iterator[Topic]:
        """Yield the plan: domains in turn, each with all its genres and lengths before one repeats."""
        files = [file for file in self.world.domains if not self.domains or file.domain in self.domains]
        _known("domain", self.domains, [file.domain for file in self.world.domains])
        _known("genre", self.genres, list(self.world.genres))
        rng = Random(f"offline|{self.seed}")
        decks = {file.name: self._styles(file.genres, file.name) for file in files}
        position = count()
        while True:
            for file in rng.sample(files, len(files)):
                genre, length = next(decks[file.name])
                place = next(position)
                if step := growth_at(self.growth, place):
                    yield self._grown(step, place, files)
                else:
                    yield Topic(place, file.domain, file.subject, self.language, genre, length)

    def _grown(self, step: Growth, place: int, files: Sequence[Domain]) -> Topic:
        """Return the topic of a place that is drawn by weights; it depends on no other place."""
        rng = Random(f"offline|{self.seed}|growth|{place}")
        file = rng.choices(files, [step.domains.get(file.domain, 1.0) for file in files])[0]
        every = self._every_style(file.genres)
        weights = [step.genres.get(genre, 1.0) * step.lengths.get(length, 1.0) for genre, length in every]
        genre, length = rng.choices(every, weights)[0]
        return Topic(place, file.domain, file.subject, self.language, genre, length)

    def draw(self, topic: Topic, sample: int = 0) -> Document:
        """Return the document of a topic: its text, and the facts with their spans."""
        world = self._sides[is_held_out(topic.position)] if self.hold_out_forms else self.world
        step = growth_at(self.growth, topic.position)
        return draw(world, topic, self.seed, sample, hard=self.hard_texts, growth=step)

    def find(self, topic: Topic, article: str) -> Document:
        """Return the document whose text is the article.

        Raises:
            EtlchError: this teacher did not write it for this topic.
        """
        for sample in range(SAMPLES):
            document = self.draw(topic, sample)
            if document.text == article:
                return document
        raise EtlchError(
            "the offline teacher cannot label a text that it did not write",
            "Name a language model with --teacher for texts of your own.",
        )

    async def article(self, topic: Topic, attempt: Attempt) -> str:
        """Return the text of the topic's document."""
        return self.draw(topic, attempt.sample).text

    async def write_instruction(self, topic: Topic, article: str, task: Task, attempt: Attempt) -> Json:
        """Return {"instruction", "fields"} for the json task."""
        document = self.find(topic, article)
        domain = self.world.find(topic.domain, topic.subject)
        rng = Random(f"{self.seed}|{topic.position}|brief|{attempt.sample}")
        return write_brief(self.world, domain, document, rng, alone=topic.length == 0)

    async def label(
        self, topic: Topic, article: str, task: Task, instruction: Instruction, attempt: Attempt
    ) -> Json:
        """Return the answer under `task.answer_schema(instruction.keys)`.

        Raises:
            EtlchError: the task is not one of json, kge and ner.
        """
        document = self.find(topic, article)
        if task.name == "ner":
            return {
                "entities": [
                    {"type": item.fact[0], "mention": item.fact[1]}
                    for item in document.entities
                    if not instruction.keys or item.fact[0] in instruction.keys
                ]
            }
        if task.name == "kge":
            return {
                "triples": [
                    dict(zip(("subject", "relation", "object"), item.fact, strict=True))
                    for item in document.triples
                ]
            }
        if task.name == "json":
            domain = self.world.find(topic.domain, topic.subject)
            return read_fields(self.world, domain, document, instruction.keys)
        raise EtlchError(
            f"the offline teacher knows the tasks json, kge and ner, not '{task.name}'",
            "Name a language model with --teacher for other tasks.",
        )

    def _every_style(self, genres: Sequence[str]) -> list[tuple[str, int]]:
        chosen = [genre for genre in genres if not self.genres or genre in self.genres] or list(self.genres)
        return [(genre, length) for genre in chosen for length in self.lengths]

    def _styles(self, genres: Sequence[str], name: str) -> Iterator[tuple[str, int]]:
        every = self._every_style(genres)
        rng = Random(f"offline|{self.seed}|{name}")
        while True:
            yield from rng.sample(every, len(every))


def _known(kind: str, wanted: Sequence[str], known: list[str]) -> None:
    for name in wanted:
        if name not in known:
            raise EtlchError(
                f"the offline teacher has no {kind} '{name}'.{nearest(name, known)}",
                f"Known: {', '.join(dict.fromkeys(known))}.",
            )
