"""Turn a model's answer into facts with spans, grounding and confidence; merge the pieces of a document."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from etlch.core.records import Fact, Json, Span
from etlch.dataset.grounding import ground
from etlch.tasks import Task


@dataclass(frozen=True, slots=True)
class Source:
    """A document to extract from.

    Attributes:
        name: stays the same between runs.
        text: all of it; spans count its characters.
        start: where reading begins, after any front matter.
        problem: why it could not be read; empty where it could.
    """

    name: str
    text: str
    start: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """What a model is asked.

    Attributes:
        text: instruction, line break, article.
        grammar: what its answer must fit; empty where it may write anything.
        schema: JSON schema of the answer, for servers that force one; None asks for plain text.
        gbnf: grammar of an answer that is not JSON, in llama.cpp's notation; empty where it may write anything.
    """

    text: str
    grammar: str = ""
    schema: Json = None
    gbnf: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model wrote for one piece of a document.

    Attributes:
        text: the answer.
        logprobs: (end, log probability) for each token: where it ends in `text`, in characters, and the
            natural logarithm of its probability; empty where the server tells none.
        cut: whether the answer reached the limit of tokens.
        tokens: how many tokens were written.
        problem: why there is no answer; empty where there is one.
    """

    text: str
    logprobs: tuple[tuple[int, float], ...] = ()
    cut: bool = False
    tokens: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ExtractedFact:
    """One fact of a document.

    Attributes:
        task: its task.
        fact: its parts as the article writes them.
        spans: where each part stands in the document, in characters; None for parts that are not looked for.
        confidence: between 0 and 1: the geometric mean of its tokens' probabilities, or, calibrated, the
            precision that validation facts of this probability had; None where no probabilities are known.
        grounded: whether every part that must stand in the article does.
    """

    task: str
    fact: Fact
    spans: tuple[Span | None, ...]
    confidence: float | None
    grounded: bool


@dataclass(frozen=True, slots=True)
class PieceFacts:
    """The facts of one piece, or why there are none.

    Attributes:
        facts: grounded and ungrounded ones, in the order of the answer.
        problem: why the answer could not be read; empty where it could.
    """

    facts: tuple[ExtractedFact, ...]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Extraction:
    """What was found in one document.

    Attributes:
        document: the source's name.
        facts: kept facts, in the order of the answers.
        below: facts under the confidence threshold.
        dropped: ungrounded facts that were dropped.
        problem: why there is nothing, or less than there should be; empty where all is well.
        pieces, tokens: pieces that the document was cut into, and tokens written for them.
        fallback: tasks whose facts are the fallback model's.
    """

    document: str
    facts: tuple[ExtractedFact, ...]
    below: tuple[ExtractedFact, ...] = ()
    dropped: tuple[ExtractedFact, ...] = ()
    problem: str = ""
    pieces: int = 0
    tokens: int = 0
    fallback: tuple[str, ...] = ()


def read_answer(
    answer: Answer, task: Task, article: str, language: str, policies: Mapping[str, Json], schema: Json = None
) -> PieceFacts:
    """Return the facts of an answer, located in the article as labels are.

    Args:
        answer: what the model wrote.
        task: parses it.
        article: the piece of the document that was asked about.
        language: of the labels.
        policies: field or type → policy, as in the run's settings.
        schema: JSON schema that the answer is checked against; None checks nothing.
    """
    if answer.problem:
        return PieceFacts((), answer.problem)
    cut = answer.cut and not task.json_label
    # The last line of a cut answer may be half a triple.
    parsed = task.parse(answer.text.rpartition("\n")[0] if cut else answer.text, language, False)
    if not parsed.how:
        return PieceFacts((), parsed.problem + (" (cut at the limit of tokens)" if answer.cut else ""))
    problem = _against_schema(answer.text, schema) if task.json_label and schema else ""
    problem = problem or ("the answer was cut at the limit of tokens" if answer.cut else "")
    confidence = _confidences(answer, parsed.facts)
    found = []
    for fact in dict.fromkeys(parsed.facts):
        made = ground([fact], task, article, policies)
        if made.located:
            place = made.located[0]
            found.append(ExtractedFact(task.name, place.fact, place.spans, confidence[fact], True))
        else:
            found.append(ExtractedFact(task.name, fact, (None,) * len(fact), confidence[fact], False))
    return PieceFacts(tuple(found), problem)


def merge_pieces(pieces: Iterable[tuple[int, PieceFacts]]) -> PieceFacts:
    """Return the facts of a document from those of its pieces.

    Spans are moved by the piece's offset. A fact that several pieces state is kept once, with the first
    span and the highest confidence; a grounded one wins over an ungrounded one.

    Args:
        pieces: (offset in the document in characters, facts of the piece), in order.
    """
    merged: dict[tuple[str, Fact], ExtractedFact] = {}
    problems = []
    for offset, piece in pieces:
        if piece.problem:
            problems.append(piece.problem)
        for item in piece.facts:
            spans = tuple(
                None if span is None else (span[0] + offset, span[1] + offset) for span in item.spans
            )
            moved = ExtractedFact(item.task, item.fact, spans, item.confidence, item.grounded)
            earlier = merged.get((item.task, item.fact))
            merged[item.task, item.fact] = moved if earlier is None else _better(earlier, moved)
    return PieceFacts(tuple(merged.values()), "; ".join(dict.fromkeys(problems)))


def _better(earlier: ExtractedFact, later: ExtractedFact) -> ExtractedFact:
    if earlier.grounded != later.grounded:
        return later if later.grounded else earlier
    known = [value for value in (earlier.confidence, later.confidence) if value is not None]
    return ExtractedFact(
        earlier.task, earlier.fact, earlier.spans, max(known) if known else None, earlier.grounded
    )


def _against_schema(text: str, schema: Json) -> str:
    """Return the first way in which an answer breaks its schema, or an empty text."""
    import jsonschema_rs

    from etlch.text.json_text import read_json

    reading = read_json(text)
    try:
        error = next(iter(jsonschema_rs.validator_for(schema).iter_errors(reading.value)), None)
    except jsonschema_rs.ValidationError as wrong:
        return f"the schema itself is not valid: {wrong.message}"
    return "" if error is None else f"against the schema: {error.message}"


def _confidences(answer: Answer, facts: Sequence[Fact]) -> dict[Fact, float | None]:
    """Return the geometric mean of the probabilities of the tokens that write each fact.

    The parts of a fact are looked for in the answer from left to right, after the fact before; a key is
    written once for several values, so only the last part (the value) is asked for where it is JSON.
    """
    if not answer.logprobs:
        return dict.fromkeys(facts, None)
    found: dict[Fact, float | None] = {}
    cursor = 0
    for fact in facts:
        place = _place(answer.text, fact, cursor)
        if place is None:
            found.setdefault(fact, None)
            continue
        start, end = place
        cursor = end
        inside = _inside(answer.logprobs, start, end)
        found.setdefault(fact, math.exp(sum(inside) / len(inside)) if inside else None)
    return found


def _place(text: str, fact: Fact, cursor: int) -> Span | None:
    """Return where a fact is written in an answer: the whole line of a triple, else its value."""
    forms = [fact[-1], json.dumps(fact[-1], ensure_ascii=False)[1:-1]]
    first = fact[0] if len(fact) == 3 else ""
    start = text.find(first, cursor) if first else cursor
    if start < 0:
        return None
    for form in forms:
        at = text.find(form, start + len(first))
        if at >= 0:
            return (start if first else at), at + len(form)
    return None


def _inside(logprobs: Sequence[tuple[int, float]], start: int, end: int) -> list[float]:
    """Return the log probabilities of the tokens that overlap [start, end)."""
    values, before = [], 0
    for stop, value in logprobs:
        if stop > start and before < end and stop > before:
            values.append(value)
        before = stop
    return values
