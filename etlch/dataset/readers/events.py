"""Read events as flat JSON: the event's types, and each role with its mentions.

Two shapes are known: a list of {type, mentions: [{word, span, role}]}, and objects of roles whose values are
{text: [[…]], start: [[…]]}, sub-roles inside (`Subject.Age`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from etlch.core.records import Json
from etlch.dataset.readers.labelled import LabelledFact, plain_fact

EVENT = "event_type"
"""The field of the events' types; it is a judgement and does not stand in the text."""


def has_events(row: Mapping[str, Json]) -> bool:
    """Tell whether a row holds events in one of the two shapes."""
    return bool(_listed(row)) or any(True for _ in _annotated(row))


def event_fields(row: Mapping[str, Json]) -> tuple[list[LabelledFact], tuple[str, ...]]:
    """Return (field, mention) facts of a row's events, and the fields that occur."""
    facts = list(_of_mentions(row)) or list(_of_roles(row))
    return facts, tuple(dict.fromkeys(fact.fact[0] for fact in facts))


def _listed(row: Mapping[str, Json]) -> list[Json]:
    events = row.get("events")
    if not isinstance(events, list):
        return []
    return [event for event in events if isinstance(event, dict) and isinstance(event.get("mentions"), list)]


def _of_mentions(row: Mapping[str, Json]) -> Iterator[LabelledFact]:
    for event in _listed(row):
        yield plain_fact((EVENT, str(event.get("type"))))
        for mention in event["mentions"]:
            span = mention.get("span")
            place = (span[0], span[1]) if isinstance(span, list) and len(span) == 2 else None
            yield LabelledFact((str(mention.get("role")), str(mention.get("word"))), (None, place))


def _annotated(row: Mapping[str, Json]) -> Iterator[Mapping[str, Json]]:
    annotations = row.get("annotations")
    for annotation in annotations if isinstance(annotations, list) else ():
        for event in annotation.get("events") or () if isinstance(annotation, dict) else ():
            if isinstance(event, dict) and "event_type" in event:
                yield event


def _of_roles(row: Mapping[str, Json]) -> Iterator[LabelledFact]:
    for event in _annotated(row):
        yield plain_fact((EVENT, str(event["event_type"])))
        for role, value in event.items():
            yield from _role(role, value)


def _role(path: str, value: Json) -> Iterator[LabelledFact]:
    """Yield the mentions of a role and of its sub-roles."""
    if not isinstance(value, dict):
        return
    texts, starts = value.get("text"), value.get("start")
    if isinstance(texts, list) and isinstance(starts, list):
        for group, places in zip(texts, starts, strict=False):
            for mention, start in zip(group, places, strict=False):
                yield LabelledFact((path, mention), (None, (start, start + len(mention))))
    for role, inner in value.items():
        if isinstance(inner, dict):
            yield from _role(f"{path}.{role}", inner)
