"""What a teacher is: it writes articles, instructions and labels. Answers are checked elsewhere.

The language model behind an endpoint (`model_teacher.py`) and the offline teacher
(`offline.py`) are two of a kind; the pipeline cannot tell them apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from etlch.core.records import Json, Topic
from etlch.tasks import Task


@dataclass(frozen=True, slots=True)
class Brief:
    """What one record asks for: the instruction as the model will read it, and the label's keys.

    `keys` are the fields (json), the entity types (ner), or empty (kge, open types).
    """

    instruction: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ask:
    """Which time something is asked for, and why again.

    Attributes:
        sample: 0 for the first ask; the only source of variety between equal requests.
        previous: the refused answer's text.
        reasons: why it was refused, in words that a teacher can act on.
    """

    sample: int = 0
    previous: str = ""
    reasons: tuple[str, ...] = ()


class Teacher(Protocol):
    """Whoever writes. Every method may be called concurrently.

    Methods raise EtlchError for transport trouble that ends the run, and BadContent for an
    answer that cannot be used.
    """

    name: str

    def topics(self) -> Iterator[Topic]:
        """Yield the plan: endless, seeded, prefix-stable, positions counted from 0."""
        ...

    async def article(self, topic: Topic, ask: Ask) -> str:
        """Return the text of an article about the topic."""
        ...

    async def brief(self, topic: Topic, article: str, task: Task, ask: Ask) -> Json:
        """Return {"instruction": str, "fields": [str]} for a task whose instruction varies."""
        ...

    async def label(self, topic: Topic, article: str, task: Task, brief: Brief, ask: Ask) -> Json:
        """Return the answer under `task.answer_schema(brief.keys)`."""
        ...


def again(purpose: str) -> str:
    """Return the purpose under which what was refused is asked again."""
    return f"{purpose} again"
