"""Read standoff annotations: brat's .txt and .ann, and PubTator."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from etlch.dataset.readers.labelled import LabelledFact, LabelledText, entity

_ENTITY = re.compile(r"(T\S+)\t(\S+) ((?:\d+ \d+;?)+)\t")
_RELATION = re.compile(r"(R\S+)\t(\S+) \w+:(\S+) \w+:(\S+)")
_PUBTATOR_TEXT = re.compile(r"([^|\s]+)\|([ta])\|(.*)")
_PUBTATOR_ENTITY = re.compile(r"([^\t]+)\t(\d+)\t(\d+)\t([^\t]*)\t([^\t]+)(?:\t|\Z)")


def read_brat(text: str, notes: Sequence[str], name: str, *, spans: bool) -> LabelledText:
    """Return one document of brat.

    Args:
        text: of the .txt file.
        notes: lines of the .ann file.
        name: of both, without ending.
        spans: whether entities are wanted; else relations between them.
    """
    entities: dict[str, LabelledFact] = {}
    dropped: list[str] = []
    for line in notes:
        match = _ENTITY.match(line)
        if match and ";" in match.group(3):
            dropped.append("discontinuous span")
        elif match:
            start, end = map(int, match.group(3).split())
            entities[match.group(1)] = entity(match.group(2), start, end, text)
        elif line[:1] in "EAMN#*" and line.strip() and spans:
            dropped.append(
                {"E": "event", "A": "attribute", "M": "attribute"}.get(line[0], "note or equivalence")
            )
    if spans:
        return LabelledText(name, name, text, tuple(entities.values()), tuple(dropped))
    facts = []
    for line in notes:
        match = _RELATION.match(line)
        if match is None:
            continue
        ends = [entities.get(match.group(place)) for place in (3, 4)]
        if ends[0] is None or ends[1] is None:
            dropped.append("relation with an end that was dropped")
            continue
        facts.append(triple(ends[0], match.group(2), ends[1]))
    return LabelledText(name, name, text, tuple(facts), tuple(dropped))


def triple(head: LabelledFact, relation: str, tail: LabelledFact) -> LabelledFact:
    """Return a (subject, relation, object) fact between two entities."""
    return LabelledFact((head.fact[1], relation, tail.fact[1]), (head.spans[1], None, tail.spans[1]))


def is_pubtator(lines: Sequence[str]) -> bool:
    """Tell whether the first lines of a file are PubTator's `id|t|title`."""
    first = next((line for line in lines if line.strip()), "")
    return bool(_PUBTATOR_TEXT.match(first))


def read_pubtator(lines: Sequence[str], name: str) -> Iterator[LabelledText]:
    """Yield the documents of a PubTator file: title and abstract joined by one space, as its offsets count."""
    parts: dict[str, dict[str, str]] = {}
    notes: dict[str, list[str]] = {}
    for line in lines:
        if match := _PUBTATOR_TEXT.match(line):
            parts.setdefault(match.group(1), {})[match.group(2)] = match.group(3)
        elif line.strip():
            notes.setdefault(line.split("\t", 1)[0], []).append(line)
    for identity, part_of in parts.items():
        text = " ".join(part_of[part] for part in ("t", "a") if part in part_of)
        yield _pubtator_text(identity, text, notes.get(identity, []))


def _pubtator_text(identity: str, text: str, notes: Sequence[str]) -> LabelledText:
    facts, dropped = [], []
    for line in notes:
        match = _PUBTATOR_ENTITY.match(line)
        if match is None:
            dropped.append("relation or other line")
        elif text[int(match.group(2)) : int(match.group(3))] != match.group(4):
            dropped.append("offsets that do not hold their mention")
        else:
            facts.append(entity(match.group(5), int(match.group(2)), int(match.group(3)), text))
    return LabelledText(identity, identity, text, tuple(facts), tuple(dropped))


def relations_of(
    entities: Mapping[str, LabelledFact], links: Sequence[tuple[str, str, str]]
) -> tuple[list[LabelledFact], list[str]]:
    """Return triples from (id, relation, id) links, and why some are none."""
    facts, dropped = [], []
    for head, relation, tail in links:
        if head in entities and tail in entities:
            facts.append(triple(entities[head], relation, entities[tail]))
        else:
            dropped.append("relation with an end that is no entity")
    return facts, dropped
