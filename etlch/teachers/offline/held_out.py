"""Split the sentences of the phrase data, so that a test set is written in forms that training never shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import TypeVar

from etlch.teachers.offline.schema import Domain, Genre, World

Item = TypeVar("Item")

TEST_EVERY = 5
"""Every fifth place of the plan, the first included, is written in held-out forms."""
_SHARE = 3
"""One in so many sentences of a group is held out, and always one where the group has two."""


def is_held_out(position: int) -> bool:
    """Tell whether the place of a plan is written in held-out forms."""
    return position % TEST_EVERY == 0


def world_of_forms(world: World, seed: int, *, held_out: bool) -> World:
    """Return phrase data with the held-out sentences alone, or with all the others.

    Sentences that state the same facts are split within their group, so that both sides can state every fact;
    so are those that state none, and what frames an article. A sentence without an alternative stays on both sides.

    Args:
        world: all phrase data.
        seed: of the run; decides which sentences are held out.
        held_out: which side is wanted.
    """

    def side(items: Sequence[Item], name: str) -> tuple[Item, ...]:
        if len(items) < 2:
            return tuple(items)
        places = range(len(items))
        kept = set(Random(f"forms|{seed}|{name}").sample(places, max(1, len(items) // _SHARE)))
        return tuple(item for place, item in enumerate(items) if (place in kept) == held_out)

    def domain(whole: Domain) -> Domain:
        say = tuple(
            replace(group, patterns=side(group.patterns, f"{whole.name}|say|{place}"))
            for place, group in enumerate(whole.say)
        )
        return replace(
            whole,
            say=say,
            idle=side(whole.idle, f"{whole.name}|idle"),
            next=side(whole.next, f"{whole.name}|next"),
        )

    def genre(name: str, whole: Genre) -> Genre:
        return replace(
            whole,
            open=side(whole.open, f"{name}|open"),
            close=side(whole.close, f"{name}|close"),
            idle=side(whole.idle, f"{name}|idle"),
        )

    return replace(
        world,
        domains=tuple(domain(whole) for whole in world.domains),
        genres={name: genre(name, whole) for name, whole in world.genres.items()},
        idle=side(world.idle, "idle"),
        no_fact=side(world.no_fact, "no_fact"),
    )
