"""Define what a teacher does: it writes articles, instructions and labels. Answers are checked elsewhere.

The language model behind an endpoint (`llm.py`) and the offline teacher (`offline/`) implement one
protocol; the pipeline cannot tell them apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from etlch.core.records import Json, Topic
from etlch.tasks import Task


@dataclass(frozen=True, slots=True)
class Instruction:
    """The instruction of one record as the model will read it, and the keys of its label.

    Attributes:
        text: the words.
        keys: the fields (json), the entity types (ner), or empty (kge, open types, a schema).
    """

    text: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Attempt:
    """The number of an attempt at one answer, and why the attempt before it failed.

    Attributes:
        sample: 0 for the first attempt; the only source of variety between equal requests.
        previous: the refused answer's text.
        reasons: why it was refused, in words that a teacher can act on.
    """

    sample: int = 0
    previous: str = ""
    reasons: tuple[str, ...] = ()


class Teacher(Protocol):
    """Writes the texts of a run. Every method may be called concurrently.

    Methods raise EtlchError for transport trouble that ends the run, and BadContent for an
    answer that cannot be used.
    """

    name: str

    def topics(self) -> Iterator[Topic]:
        """Yield the plan: endless, seeded, prefix-stable, positions counted from 0."""
        ...

    async def article(self, topic: Topic, attempt: Attempt) -> str:
        """Return the text of an article about the topic."""
        ...

    async def write_instruction(self, topic: Topic, article: str, task: Task, attempt: Attempt) -> Json:
        """Return {"instruction": str, "fields": [str]} for a task whose instruction varies."""
        ...

    async def label(
        self, topic: Topic, article: str, task: Task, instruction: Instruction, attempt: Attempt
    ) -> Json:
        """Return the answer under `task.answer_schema(instruction.keys)`."""
        ...


_AGAIN = " again"


def retry_purpose(purpose: str) -> str:
    """Return the purpose under which what was refused is asked again."""
    return f"{purpose}{_AGAIN}"


def first_purpose(purpose: str) -> str:
    """Return the purpose under which something was first asked; `article` for both kinds of articles."""
    first = purpose.removesuffix(_AGAIN)
    return "article" if first.startswith("article/") else first
