"""A random Llama as a tuned model: its card, and answers that a test writes itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from etlch.extract.card import ExtractorCard, TaskPrompt, write_card
from etlch.extract.facts import Answer, Question
from etlch.tasks import find_task
from tests.tiny import tiny_llama

HEAD, TAIL = (
    "<|start_header_id|>user<|end_header_id|>\n\n",
    "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
)
TYPES = ("Person", "Place")


def card(**more: object) -> ExtractorCard:
    """Return the card of a model that knows ner and kge."""
    values: dict[str, object] = {
        "model": "tiny",
        "language": "en",
        "tasks": {
            "ner": TaskPrompt("Find the entities of the text.", TYPES, find_task("ner").label_schema(TYPES)),
            "kge": TaskPrompt("Write down the triples of the text."),
            "json": TaskPrompt(None),
        },
        "base_model": None,
        "prompt": (HEAD, TAIL),
        "max_new_tokens": 120,
    }
    return ExtractorCard(**{**values, **more})  # type: ignore[arg-type]


def tiny_model(folder: Path) -> Path:
    """Write a random model with its extractor.json."""
    tiny_llama(folder)
    write_card(folder, card())
    return folder


class Scripted:
    """Answers each question with what a function of its text and the sample number says."""

    def __init__(self, say: Callable[[str, int | None], str | Answer]) -> None:
        self.say = say
        self.asked: list[tuple[str, int | None]] = []

    def answer(self, questions: Sequence[Question], *, sample: int | None = None) -> list[Answer]:
        """Return one answer a question."""
        self.asked += [(question.text, sample) for question in questions]
        said = [self.say(question.text, sample) for question in questions]
        return [one if isinstance(one, Answer) else Answer(one, (), False, 1) for one in said]
