"""Draw one value of a slot from the phrase data: a name, a date, an amount."""

from __future__ import annotations

from functools import lru_cache
from random import Random

from etlch.teachers.offline.pattern import Pattern
from etlch.teachers.offline.schema import Range, Slot, Words


def draw_value(rng: Random, slot: Slot, words: Words, style: float) -> str:
    """Return one value of a slot. `style`, from 0 to below 1, chooses among a kind's styles."""
    kind = words.kinds[slot.kind]
    if kind.faker:
        return _person(rng, kind.faker)
    patterns = kind.of[int(style * len(kind.of))]
    return _fill(rng, rng.choice(patterns), slot, words, style)


def _fill(rng: Random, pattern: Pattern, slot: Slot, words: Words, style: float) -> str:
    return "".join(
        piece if isinstance(piece, str) else _part(rng, piece.name, slot, words, style)
        for piece in pattern.render(rng)
    )


def _part(rng: Random, name: str, slot: Slot, words: Words, style: float) -> str:
    part = slot.parts.get(name) or words.parts.get(name)
    if part is None:
        return draw_value(rng, Slot(name, (1, 1), slot.parts), words, style)
    if isinstance(part, Range):
        number = rng.randrange(part.first, part.last + 1, part.step)
        return f"{number:,}" if part.commas else f"{number:0{part.width}d}"
    return _fill(rng, rng.choice(part), slot, words, style)


def _person(rng: Random, locale: str) -> str:
    last, first = _people(locale)
    surname = rng.choices(*last)[0]
    given = rng.choice(first)
    return f"{given} {surname}" if locale.startswith("en") else surname + given


@lru_cache
def _people(locale: str) -> tuple[tuple[list[str], list[float]], list[str]]:
    """Return (surnames, weights) and given names of a Faker locale: its tables, not its generator."""
    from importlib import import_module

    provider = import_module(f"faker.providers.person.{locale}").Provider
    last = provider.last_names
    if not isinstance(last, dict):
        last = dict.fromkeys(last, 1.0)
    return (list(last), list(last.values())), sorted(set(provider.first_names))
