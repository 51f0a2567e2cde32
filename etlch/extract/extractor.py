"""Extract facts from documents with a tuned model: cut, ask, read, locate, merge."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from etlch.core.errors import EtlchError, nearest
from etlch.dataset.chunking import chunk
from etlch.extract.card import ExtractorCard, read_card
from etlch.extract.confidence import calibrated, threshold
from etlch.extract.decoding import Decoding, grammar
from etlch.extract.facts import (
    Answer,
    ExtractedFact,
    Extraction,
    PieceFacts,
    Question,
    Source,
    merge_pieces,
    read_answer,
)
from etlch.tasks import Task, find_task
from etlch.text.normalize import special_tokens

if TYPE_CHECKING:
    import pandas as pd

WINDOW = 256
"""Documents that are cut, sorted by length and asked together; what memory holds at one time."""
LONGEST = 4_000_000
"""Characters. A longer document is a row with a reason, not a day of work."""


class AnsweringModel(Protocol):
    """Whatever answers questions: a model in this process, or one behind an endpoint."""

    def answer(self, questions: Sequence[Question], *, sample: int | None = None) -> list[Answer]:
        """Return one answer for each question, in their order; greedy unless a sample is asked for."""
        ...


@dataclass(frozen=True)
class ExtractSettings:
    """How to extract.

    Attributes:
        tasks: names of tasks; empty takes all that the model was trained on and that have an instruction.
        decoding: free, schema (the label's form is forced) or copy (values are words of the article).
        ungrounded: what becomes of a fact that does not stand in its document: drop, flag or retry.
        retries: how often an unreadable answer (or, with retry, an ungrounded one) is sampled again.
        min_precision: keep only facts whose confidence threshold held this precision on validation.
    """

    tasks: tuple[str, ...] = ()
    decoding: Decoding = "free"
    ungrounded: Literal["drop", "flag", "retry"] = "drop"
    retries: int = 1
    min_precision: float | None = None


class Extractor:
    """A tuned model, ready for documents.

    Args:
        model: a model folder (adapter or export); a run's are `outputs/RUN/models/NAME`.
        settings: how to extract.
        card: how the model is asked; None reads extractor.json, or derives it from the run.
        answering: answers questions; None loads the folder with transformers.

    Raises:
        EtlchError: no such model, no such task, or no calibration for `min_precision`.
    """

    def __init__(
        self,
        model: str | Path,
        settings: ExtractSettings | None = None,
        *,
        card: ExtractorCard | None = None,
        answering: AnsweringModel | None = None,
    ) -> None:
        self.settings = settings or ExtractSettings()
        folder = Path(model)
        if card is None and not folder.is_dir():
            raise EtlchError(f"{model} is no model folder", "Name one such as outputs/RUN/models/NAME.")
        self.card = card or read_card(folder)
        self.tasks = _chosen(self.card, self.settings.tasks)
        least = self.settings.min_precision
        self._least = (
            {} if least is None else {name: threshold(self.card, name, least).raw for name in self.tasks}
        )
        if answering is None:
            from etlch.extract.local_model import LocalModel, require

            if self.settings.decoding != "free":
                require("llguidance")
            answering = LocalModel(folder, self.card)
        self._model = answering

    def extract(self, documents: Iterable[str | Source]) -> Iterator[Extraction]:
        """Yield one extraction for each document, in their order; memory holds WINDOW documents."""
        named = (
            item if isinstance(item, Source) else Source(f"text {number}", item)
            for number, item in enumerate(documents, start=1)
        )
        while window := list(islice(named, WINDOW)):
            yield from self._window(window)

    async def aextract(self, documents: Iterable[str | Source]) -> AsyncIterator[Extraction]:
        """Yield extractions without blocking the event loop: the model works in a thread."""
        import asyncio

        found = self.extract(documents)
        while (item := await asyncio.to_thread(next, found, None)) is not None:
            yield item

    def to_frame(self, documents: Iterable[str | Source]) -> pd.DataFrame:
        """Return one row a fact: document, task, the fact's parts, start, end, confidence, grounded.

        Raises:
            EtlchError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise EtlchError("pandas is not installed", "pip install 'etlch[pandas]'") from error
        from etlch.extract.output import fact_row

        return pd.DataFrame([fact_row(item, fact) for item in self.extract(documents) for fact in item.facts])

    def _window(self, window: list[Source]) -> Iterator[Extraction]:
        problems = {place: found for place, item in enumerate(window) if (found := _refused(item.text))}
        asked: list[_Asked] = []
        for place, item in enumerate(window):
            if place not in problems:
                for start, end in chunk(item.text, self.card.chunk):
                    asked += [
                        _Asked(place, start, item.text[start:end], task) for task in self.tasks.values()
                    ]
        answered = self._ask(asked)
        for place, item in enumerate(window):
            if place in problems:
                yield Extraction(item.name, (), problem=problems[place])
            else:
                mine = [
                    (one, *two) for one, two in zip(asked, answered, strict=True) if one.document == place
                ]
                yield self._merged(item, mine)

    def _ask(self, asked: list[_Asked]) -> list[tuple[PieceFacts, int]]:
        """Return the facts of every piece and the tokens that were written for it; retries are sampled."""
        found = self._read(asked, None)
        for sample in range(1, self.settings.retries + 1):
            again = [at for at, (piece, _) in enumerate(found) if self._unsatisfying(piece)]
            if not again:
                break
            for at, (piece, tokens) in zip(
                again, self._read([asked[at] for at in again], sample), strict=True
            ):
                spent = found[at][1] + tokens
                # A sampled answer takes the greedy one's place only where it is sound.
                found[at] = (found[at][0] if self._unsatisfying(piece) else piece, spent)
        return found

    def _read(self, asked: list[_Asked], sample: int | None) -> list[tuple[PieceFacts, int]]:
        card = self.card
        questions = []
        for one in asked:
            told = card.tasks[one.task.name]
            decoding = self.settings.decoding
            rules = grammar(decoding, one.task.name, told.keys, told.schema, card.language, one.text)
            schema = told.schema if decoding == "schema" else None
            questions.append(Question(f"{told.instruction}\n{one.text}", rules, schema))
        answers = self._model.answer(questions, sample=sample) if asked else []
        return [
            (
                read_answer(
                    answer, one.task, one.text, card.language, card.policies, card.tasks[one.task.name].schema
                ),
                answer.tokens,
            )
            for one, answer in zip(asked, answers, strict=True)
        ]

    def _unsatisfying(self, piece: PieceFacts) -> bool:
        loose = self.settings.ungrounded == "retry" and any(not fact.grounded for fact in piece.facts)
        return bool(piece.problem) or loose

    def _merged(self, source: Source, mine: list[tuple[_Asked, PieceFacts, int]]) -> Extraction:
        whole = merge_pieces((one.start, piece) for one, piece, _ in mine)
        kept: list[ExtractedFact] = []
        below: list[ExtractedFact] = []
        dropped: list[ExtractedFact] = []
        for fact in whole.facts:
            if not fact.grounded and self.settings.ungrounded != "flag":
                dropped.append(fact)
            elif fact.task in self._least and (fact.confidence or 0.0) < self._least[fact.task]:
                below.append(calibrated(self.card, fact))
            else:
                kept.append(calibrated(self.card, fact))
        pieces = len({one.start for one, _, _ in mine})
        tokens = sum(count for _, _, count in mine)
        return Extraction(
            source.name, tuple(kept), tuple(below), tuple(dropped), whole.problem, pieces, tokens
        )


@dataclass(frozen=True, slots=True)
class _Asked:
    """One question: a piece of a document and a task."""

    document: int
    start: int
    text: str
    task: Task


def chosen_fields(card: ExtractorCard, instruction: str | None, fields: tuple[str, ...]) -> ExtractorCard:
    """Return the card with the json task asked as the user says.

    Raises:
        EtlchError: fields without an instruction or a model that does not know the json task.
    """
    from etlch.core.prompts import Prompts
    from etlch.extract.card import with_fields

    if "json" not in card.tasks:
        raise EtlchError(
            f"{card.model} was not trained on the json task", f"It knows {', '.join(card.tasks)}."
        )
    told = instruction or ""
    rendered = Prompts().render("json/instruction", card.language, instruction=told, fields=list(fields))
    return with_fields(card, told, fields, rendered)


def _chosen(card: ExtractorCard, wanted: tuple[str, ...]) -> dict[str, Task]:
    """Return the tasks to ask.

    Raises:
        EtlchError: the model does not know one, or it needs an instruction.
    """
    for name in wanted:
        if name not in card.tasks:
            raise EtlchError(
                f"{card.model} was not trained on '{name}'.{nearest(name, list(card.tasks))}",
                f"It knows {', '.join(card.tasks)}.",
            )
    able = [name for name in (wanted or card.tasks) if card.tasks[name].instruction is not None]
    missing = [name for name in wanted if name not in able]
    if missing or not able:
        raise EtlchError(
            f"{card.model} was trained with another instruction for each article of {(missing or ['json'])[0]}",
            "Say what to extract: --instruction 'Extract …' --fields name,date.",
        )
    return {name: find_task(name) for name in able}


def _refused(text: str) -> str:
    """Return why a document cannot be asked about; empty where it can."""
    if not text.strip():
        return "the document is empty"
    if len(text) > LONGEST:
        return f"the document has {len(text):,} characters; at most {LONGEST:,} are read"
    if "\x00" in text:
        return "the document holds binary data"
    tokens = special_tokens(text)
    return f"the document contains the control text {tokens[0]}" if tokens else ""


def count_extractions(extractions: Iterable[Extraction]) -> dict[str, int]:
    """Return how many documents, facts, ungrounded ones, ones below the threshold, problems and tokens there were."""
    totals = dict.fromkeys(("documents", "facts", "ungrounded", "below", "problems", "tokens"), 0)
    for item in extractions:
        totals["documents"] += 1
        totals["facts"] += len(item.facts)
        totals["ungrounded"] += len(item.dropped) + sum(not fact.grounded for fact in item.facts)
        totals["below"] += len(item.below)
        totals["problems"] += bool(item.problem)
        totals["tokens"] += item.tokens
    return totals


def without_threshold(settings: ExtractSettings) -> ExtractSettings:
    """Return settings that keep every fact, ungrounded ones flagged: what calibration needs to see."""
    return replace(settings, min_precision=None, ungrounded="flag", retries=0)
