"""Define how a run grows from one place of its plan on: what is drawn more often, as weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TypeVar

Item = TypeVar("Item")

FORBID = {"extra": "forbid"}
"""An unknown key is refused."""


@dataclass(frozen=True)
class Growth:
    """The weights of everything that is drawn from one place of the plan on; what is not named weighs 1.

    Attributes:
        position: the first place of the plan that is drawn so; the places before it stay as they are.
        domains, genres, lengths: of topics.
        facts: of what articles state: an entity type, a relation or a field.
        forms: of the offline teacher's sentences, by the names that its phrase data give them.
    """

    position: int
    domains: dict[str, float] = field(default_factory=dict)
    genres: dict[str, float] = field(default_factory=dict)
    lengths: dict[int, float] = field(default_factory=dict)
    facts: dict[str, float] = field(default_factory=dict)
    forms: dict[str, float] = field(default_factory=dict)

    __pydantic_config__ = FORBID


def growth_at(steps: Sequence[Growth], position: int) -> Growth | None:
    """Return the step that a place of the plan belongs to; None where the plan is as it always was."""
    return next((step for step in reversed(steps) if step.position <= position), None)


def weight(weights: Mapping[str, float], names: Sequence[str]) -> float:
    """Return the mean weight of those names that have one; 1 where none has."""
    known = [weights[name] for name in names if name in weights]
    return sum(known) / len(known) if known else 1.0


def shuffled(rng: Random, items: Sequence[Item], weights: Sequence[float]) -> list[Item]:
    """Return items in a random order in which heavier ones tend to come first.

    Each is drawn from those left with a chance that is its share of their weights (Efraimidis and Spirakis 2006).
    """
    keys = [rng.random() ** (1 / max(one, 1e-6)) for one in weights]
    return [items[place] for place in sorted(range(len(items)), key=lambda place: (-keys[place], place))]
