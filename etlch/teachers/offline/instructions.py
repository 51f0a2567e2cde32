"""Write the json task's instruction for a document: fields for facts that it states, and some for facts that it does not."""

from __future__ import annotations

import re
from random import Random

from etlch.core.records import Json
from etlch.teachers.offline.pattern import Slot as Place
from etlch.teachers.offline.schema import Domain, World, bare
from etlch.teachers.offline.writer import Document


def write_brief(
    world: World, domain: Domain, document: Document, rng: Random, *, alone: bool
) -> dict[str, Json]:
    """Return {"instruction", "fields"} with names and wording of this draw.

    `alone` says that the document tells one story only; otherwise its subject is always named.

    A share of the fields, `absent` in brief.<language>.yaml, asks for facts of the domain
    that the document does not state; at least one field is answered.
    """
    data = world.brief
    stated = list(dict.fromkeys(item.fact[0] for item in document.values))
    unstated = [key for key, fact in domain.facts.items() if fact.fields and key not in stated]
    size = rng.randint(*data.fields)
    missing = min(sum(rng.random() < data.absent for _ in range(size)), size - 1, len(unstated))
    chosen = rng.sample(stated, min(size - missing, len(stated))) + rng.sample(unstated, missing)
    rng.shuffle(chosen)
    english = rng.random() < data.english_rate
    style = rng.choice(data.styles)
    names = [_name(rng, domain.facts[key].fields, domain.facts[key].english, english) for key in chosen]
    asks = [domain.facts[key].ask for key in chosen]
    if rng.random() < data.everything_rate:
        everything = data.everything[rng.choice(list(data.everything))]
        names.append(_name(rng, everything.fields, everything.english, english))
        asks.append(everything.ask)
    subject = domain.noun if alone and rng.random() < 0.5 else document.subject
    values = {"asks": _join(asks, data.joins), "subject": subject}
    told = "".join(
        values[piece.name] if isinstance(piece, Place) else piece
        for piece in rng.choice(data.tones).render(rng)
    )
    return {
        "instruction": told[:1].upper() + told[1:],
        "fields": [styled(name, style) for name in names],
    }


def read_fields(world: World, domain: Domain, document: Document, fields: tuple[str, ...]) -> dict[str, Json]:
    """Return the json label: field → values; a field that nothing in the document answers gets []."""
    types = {
        bare(name): type_
        for type_, names in world.brief.everything.items()
        for name in (*names.fields, *names.english)
    }
    answer: dict[str, Json] = {}
    for field in fields:
        key, type_ = domain.by_field.get(bare(field)), types.get(bare(field))
        if key is not None:
            answer[field] = [item.fact[1] for item in document.values if item.fact[0] == key]
        else:
            answer[field] = [item.fact[1] for item in document.entities if item.fact[0] == type_]
    return answer


def styled(name: str, style: str) -> str:
    """Return an English field name as plain words, snake_case or camelCase; others unchanged."""
    words = re.split(r"[ _-]+", name)
    if style == "snake":
        return "_".join(words)
    if style == "camel":
        return words[0] + "".join(word[:1].upper() + word[1:] for word in words[1:])
    return name


def _name(rng: Random, fields: tuple[str, ...], english: tuple[str, ...], use_english: bool) -> str:
    return rng.choice(english if use_english and english else fields)


def _join(asks: list[str], joins: tuple[str, str]) -> str:
    if len(asks) == 1:
        return asks[0]
    return joins[0].join(asks[:-1]) + joins[1] + asks[-1]
