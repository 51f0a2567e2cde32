"""Extract facts from documents with a tuned model: cut, ask, read, locate, merge."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from etlch.core.errors import EtlchError, nearest, warn_user
from etlch.core.extract_settings import ExtractSettings
from etlch.core.extras import need
from etlch.core.locale import _
from etlch.dataset.chunking import chunk
from etlch.extract.card import ExtractorCard, TaskPrompt, read_card
from etlch.extract.confidence import calibrated, threshold
from etlch.extract.decoding import gbnf_triples, grammar
from etlch.extract.facts import (
    ExtractedFact,
    Extraction,
    PieceFacts,
    Question,
    Source,
    merge_pieces,
    read_answer,
)
from etlch.extract.models import AnsweringModel, open_fallback, open_model
from etlch.extract.on_ray import extract_on_ray, require_ray
from etlch.tasks import Task, find_task
from etlch.text.normalize import special_tokens

if TYPE_CHECKING:
    import pandas as pd

WINDOW = 64
"""Documents that are cut, sorted by length and asked together: what memory holds, and what a kill loses at most."""
LONGEST = 4_000_000
"""Characters. A longer document is a row with a reason, not a day of work."""


class Extractor:
    """A tuned model, ready for documents.

    Args:
        model: a model folder (adapter or export); a run's are `outputs/RUN/models/NAME`; or a GGUF file.
        settings: how to extract.
        card: how the model is asked; None reads extractor.json, or derives it from the run.
        replies: folder in which the answers of endpoints are kept, so that none is asked or paid for twice.
        answering: answers questions; None takes what the settings name: an endpoint, or transformers in this process.
        fallback: answers where the model is unsure; None takes what the settings name.

    Raises:
        EtlchError: no such model, no such task, or no calibration for `min_precision`.
    """

    def __init__(
        self,
        model: str | Path,
        settings: ExtractSettings | None = None,
        *,
        card: ExtractorCard | None = None,
        replies: Path = Path("extract.replies"),
        answering: AnsweringModel | None = None,
        fallback: AnsweringModel | None = None,
    ) -> None:
        self.settings = settings or ExtractSettings()
        folder = Path(model)
        self.card = card or read_card(folder)
        self.tasks = _chosen(self.card, self.settings.tasks)
        least = self.settings.min_precision
        self._least = (
            {} if least is None else {name: threshold(self.card, name, least).raw for name in self.tasks}
        )
        self._folder = folder
        if self.settings.ray_workers:
            require_ray(self.settings)
        else:
            self._model = answering or open_model(folder, self.card, self.settings, self.tasks, replies)
        self.fallback = fallback or open_fallback(self.settings, replies)

    def extract(self, documents: Iterable[str | Source]) -> Iterator[Extraction]:
        """Yield one extraction for each document, in their order; memory holds WINDOW documents."""
        named = (
            item if isinstance(item, Source) else Source(f"text {number}", item)
            for number, item in enumerate(documents, start=1)
        )
        windows = iter(lambda: list(islice(named, WINDOW)), [])
        if self.settings.ray_workers:
            alone = replace(self.settings, ray_workers=0)
            make = partial(Extractor, self._folder.resolve(), alone, card=self.card)
            yield from extract_on_ray(make, windows, self.settings.ray_workers)
            return
        for window in windows:
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
        need("pandas", "a DataFrame", "pandas")
        import pandas as pd

        from etlch.extract.output import fact_row

        return pd.DataFrame([fact_row(item, fact) for item in self.extract(documents) for fact in item.facts])

    def _window(self, window: list[Source]) -> Iterator[Extraction]:
        problems = {
            place: why
            for place, item in enumerate(window)
            if (why := item.problem or _refused(item.text[item.start :]))
        }
        asked: list[_Asked] = []
        for place, item in enumerate(window):
            if place not in problems:
                for start, end in chunk(item.text[item.start :], self.card.chunk):
                    low, high = item.start + start, item.start + end
                    asked += [_Asked(place, low, item.text[low:high], task) for task in self.tasks.values()]
        by_document: dict[int, list[_Read]] = {place: [] for place in range(len(window))}
        for read in self._ask(asked):
            by_document[read.asked.document].append(read)
        found = {
            place: Extraction(item.name, (), problem=problems[place])
            if place in problems
            else self._merged(item, by_document[place])
            for place, item in enumerate(window)
        }
        if self.fallback is not None:
            for place, (reads, names) in self._second_opinion(self.fallback, found, by_document).items():
                found[place] = self._merged(window[place], reads, names)
        yield from found.values()

    def _ask(self, asked: list[_Asked]) -> list[_Read]:
        """Return what was read for every piece; retries are sampled."""
        found = self._read(self._model, asked, None)
        for sample in range(1, self.settings.retries + 1):
            again = [at for at, read in enumerate(found) if self._unsatisfying(read.piece)]
            if not again:
                break
            for at, read in zip(
                again, self._read(self._model, [asked[at] for at in again], sample), strict=True
            ):
                # A sampled answer takes the greedy one's place only where it is sound.
                kept = found[at].piece if self._unsatisfying(read.piece) else read.piece
                found[at] = _Read(asked[at], kept, found[at].tokens + read.tokens)
        return found

    def _read(self, model: AnsweringModel, asked: list[_Asked], sample: int | None) -> list[_Read]:
        card = self.card
        questions = []
        for one in asked:
            told = card.tasks[one.task.name]
            # The fallback model was not tuned on the form, and has no weights here to force.
            decoding = self.settings.decoding if model is self._model else "schema"
            rules = grammar(decoding, one.task.name, told.keys, told.schema, card.language, one.text)
            schema = told.schema if decoding == "schema" else None
            gbnf = gbnf_triples(card.language) if decoding == "schema" and one.task.name == "kge" else ""
            questions.append(Question(f"{told.instruction}\n{one.text}", rules, schema, gbnf))
        answers = model.answer(questions, sample=sample) if asked else []
        return [
            _Read(
                one,
                read_answer(
                    answer, one.task, one.text, card.language, card.policies, card.tasks[one.task.name].schema
                ),
                answer.tokens,
            )
            for one, answer in zip(asked, answers, strict=True)
        ]

    def _second_opinion(
        self,
        fallback: AnsweringModel,
        found: dict[int, Extraction],
        by_document: dict[int, list[_Read]],
    ) -> dict[int, tuple[list[_Read], tuple[str, ...]]]:
        """Ask the fallback model what the model is unsure of: all facts of a task in a document.

        Returns:
            For each document that changes: what was read, and the tasks that the fallback model answered.
            An answer of it that cannot be read changes nothing.
        """
        unsure = {
            (place, read.asked.task.name)
            for place, reads in by_document.items()
            for read in reads
            if read.piece.problem or read.asked.task.name in {fact.task for fact in found[place].below}
        }
        asked = [
            read.asked
            for place, reads in by_document.items()
            for read in reads
            if (place, read.asked.task.name) in unsure
        ]
        told = self._read(fallback, asked, None)
        unsure -= {(read.asked.document, read.asked.task.name) for read in told if read.piece.problem}
        answered: dict[int, tuple[list[_Read], tuple[str, ...]]] = {}
        for place in sorted({place for place, _name in unsure}):
            tasks = tuple(name for name in self.tasks if (place, name) in unsure)
            own = [read for read in by_document[place] if read.asked.task.name not in tasks]
            others = [read for read in told if read.asked.document == place and read.asked.task.name in tasks]
            answered[place] = (own + others, tasks)
        return answered

    def _unsatisfying(self, piece: PieceFacts) -> bool:
        loose = self.settings.ungrounded == "retry" and any(not fact.grounded for fact in piece.facts)
        return bool(piece.problem) or loose

    def _merged(self, source: Source, mine: list[_Read], fallback: Collection[str] = ()) -> Extraction:
        """Return the facts of a document; `fallback` names tasks that have no threshold: another model answered."""
        whole = merge_pieces((read.asked.start, read.piece) for read in mine)
        kept: list[ExtractedFact] = []
        below: list[ExtractedFact] = []
        dropped: list[ExtractedFact] = []
        for fact in whole.facts:
            if not fact.grounded and self.settings.ungrounded != "flag":
                dropped.append(fact)
            elif (
                fact.task in self._least
                and fact.task not in fallback
                and (fact.confidence or 0.0) < self._least[fact.task]
            ):
                below.append(calibrated(self.card, fact))
            else:
                kept.append(calibrated(self.card, fact))
        return Extraction(
            source.name,
            tuple(kept),
            tuple(below),
            tuple(dropped),
            whole.problem,
            len({read.asked.start for read in mine}),
            sum(read.tokens for read in mine),
            tuple(fallback),
        )


@dataclass(frozen=True, slots=True)
class _Asked:
    """One question: a piece of a document and a task."""

    document: int
    start: int
    text: str
    task: Task


class _Read(NamedTuple):
    """A question, the facts of its answer, and the tokens that were written for it."""

    asked: _Asked
    piece: PieceFacts
    tokens: int


def chosen_fields(card: ExtractorCard, instruction: str | None, fields: tuple[str, ...]) -> ExtractorCard:
    """Return the card with the json task asked as the user says.

    Raises:
        EtlchError: fields without an instruction or a model that does not know the json task.
    """
    from etlch.core.prompts import Prompts
    from etlch.extract.card import with_fields

    if "json" not in card.tasks:
        raise EtlchError(
            _("{model} was not trained on the json task").format(model=card.model),
            _("It knows {tasks}.").format(tasks=", ".join(card.tasks)),
        )
    told = instruction or ""
    rendered = Prompts().render("json/instruction", card.language, instruction=told, fields=list(fields))
    return with_fields(card, told, fields, rendered)


def under_schema(card: ExtractorCard, schema: str) -> ExtractorCard:
    """Return the card with the task schema asked under a schema of the user's own.

    The prompt states the JSON Schema itself where the model was trained on prompts that do. What was calibrated on
    another schema is left out.

    Args:
        card: of any model; one that was not trained on the task is warned of.
        schema: a JSON Schema file, or module:PydanticModel.

    Raises:
        EtlchError: the schema cannot be read.
    """
    from etlch.core.prompts import Prompts
    from etlch.tasks.own_schema import schema_task
    from etlch.tasks.schema_file import read_schema

    own, trained = read_schema(schema), card.tasks.get("schema")
    if trained is None:
        warn_user(f"{card.model} was not trained on labels under a schema (it knows {', '.join(card.tasks)})")
    stated = trained is not None and '"properties"' in (trained.instruction or "")
    values = schema_task(own, in_prompt=stated).prompt_values
    rendered = Prompts().render("schema/instruction", card.language, **values)
    asked = TaskPrompt(rendered, tuple(own.label["properties"]), own.label)
    return replace(
        card,
        tasks={**card.tasks, "schema": asked},
        policies={**card.policies, **own.policies},
        calibration={name: fitted for name, fitted in card.calibration.items() if name != "schema"},
    )


def _chosen(card: ExtractorCard, wanted: tuple[str, ...]) -> dict[str, Task]:
    """Return the tasks to ask.

    Raises:
        EtlchError: the model does not know one, or it needs an instruction.
    """
    for name in wanted:
        if name not in card.tasks:
            raise EtlchError(
                _("{model} was not trained on '{name}'.{nearest}").format(
                    model=card.model, name=name, nearest=nearest(name, list(card.tasks))
                ),
                _("It knows {tasks}.").format(tasks=", ".join(card.tasks)),
            )
    able = [name for name in (wanted or card.tasks) if card.tasks[name].instruction is not None]
    missing = [name for name in wanted if name not in able]
    if missing or not able:
        raise EtlchError(
            _("{model} was trained with another instruction for each article of {value}").format(
                model=card.model, value=(missing or ["json"])[0]
            ),
            _("Say what to extract: --instruction 'Extract …' --fields name,date."),
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
    """Return how many documents, facts, ungrounded ones, ones below the threshold, problems and tokens there were.

    `fallback` counts documents that the fallback model answered about, `pieces` those of all documents.
    """
    names = ("documents", "facts", "ungrounded", "below", "problems", "tokens", "pieces", "fallback")
    totals = dict.fromkeys(names, 0)
    for item in extractions:
        totals["documents"] += 1
        totals["facts"] += len(item.facts)
        totals["ungrounded"] += len(item.dropped) + sum(not fact.grounded for fact in item.facts)
        totals["below"] += len(item.below)
        totals["problems"] += bool(item.problem)
        totals["tokens"] += item.tokens
        totals["pieces"] += item.pieces
        totals["fallback"] += bool(item.fallback)
    return totals


def without_threshold(settings: ExtractSettings) -> ExtractSettings:
    """Return settings that keep every fact, ungrounded ones flagged: what calibration needs to see."""
    return replace(settings, min_precision=None, ungrounded="flag", retries=0, fallback=None)
