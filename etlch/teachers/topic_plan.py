"""Read a topic tree and a seed, return an endless, prefix-stable list of topics."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import count
from typing import NamedTuple

from etlch.core.errors import EtlchError, nearest
from etlch.core.growth import Growth, growth_at, shuffled
from etlch.core.prompts import Prompts
from etlch.core.records import Topic


class Tree(NamedTuple):
    """What prompts/topics/<language>.yaml holds.

    Attributes:
        domains: domain → its subjects, each as "sub-domain: subject".
        genres: kinds of text.
        lengths: target lengths in characters (Chinese) or words (English); 0 leaves it open.
    """

    domains: dict[str, tuple[str, ...]]
    genres: tuple[str, ...]
    lengths: tuple[int, ...]


def read_tree(
    prompts: Prompts,
    language: str,
    domains: Sequence[str],
    genres: Sequence[str],
    lengths: Sequence[int] = (),
) -> Tree:
    """Return the topic tree of a language, restricted to some domains and genres if any are named.

    `lengths` take the place of the tree's own.

    Raises:
        EtlchError: the file is not a tree, or a domain or genre is not in it.
    """
    name = f"topics/{language}.yaml"
    content = prompts.data(name)
    try:
        tree = Tree(
            {
                str(domain): tuple(
                    dict.fromkeys(
                        f"{part}: {subject}" for part, subjects in parts.items() for subject in subjects
                    )
                )
                for domain, parts in content["domains"].items()
            },
            tuple(str(genre) for genre in content.get("genres") or [""]),
            tuple(int(length) for length in content.get("lengths") or [0]),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise EtlchError(
            f"{prompts.path(name)} is not a topic tree ({error!r})",
            "It needs `domains: {domain: {sub-domain: [subject, …]}}`, and may have `genres` and `lengths`.",
        ) from error
    return Tree(
        {domain: tree.domains[domain] for domain in _chosen("domain", domains, list(tree.domains))},
        tuple(_chosen("genre", genres, list(tree.genres))),
        tuple(lengths) or tree.lengths,
    )


WANTED = 3
"""Kinds of facts that one article of a grown run is asked for, at most."""


def tree_topics(tree: Tree, language: str, seed: int, growth: Sequence[Growth] = ()) -> Iterator[Topic]:
    """Yield topics without end: domains by turns, subjects without repeat until a domain is used up.

    A subject comes back with another genre and length; only when all combinations are spent
    does `edition` grow, which makes teachers draw another sample for an equal request.
    From the first place of a growth on, domain, genre and length are drawn by its weights, and each article is asked
    for some of its facts.
    """
    rng = random.Random(f"topics/{seed}")
    decks = {domain: _deal(subjects, rng) for domain, subjects in tree.domains.items()}
    styles: dict[tuple[str, str], _Styles] = {}
    position = count()
    while True:
        turn = list(decks)
        rng.shuffle(turn)
        for turned in turn:
            place, domain = next(position), turned
            step = growth_at(growth, place)
            draw = random.Random(f"topics/{seed}/growth/{place}")
            wanted: tuple[str, ...] = ()
            if step:
                domain = draw.choices(list(decks), [step.domains.get(name, 1.0) for name in decks])[0]
                harder = [name for name, one in step.facts.items() if one > 1]
                wanted = tuple(shuffled(draw, harder, [step.facts[name] for name in harder])[:WANTED])
            subject = next(decks[domain])
            if (domain, subject) not in styles:
                styles[domain, subject] = _Styles(tree, random.Random(f"{seed}/{domain}/{subject}"))
            genre, length, edition = styles[domain, subject].take(step, draw)
            yield Topic(place, domain, subject, language, genre, length, edition, wanted)


def _deal(subjects: Sequence[str], rng: random.Random) -> Iterator[str]:
    while True:
        yield from rng.sample(subjects, len(subjects))


class _Styles:
    """The genres and lengths of one subject, each combination once in an edition."""

    def __init__(self, tree: Tree, rng: random.Random) -> None:
        self._every = [(genre, length) for genre in tree.genres for length in tree.lengths]
        self._rng = rng
        self._left: list[tuple[str, int]] = []
        self._edition = -1

    def take(self, step: Growth | None, draw: random.Random) -> tuple[str, int, int]:
        """Return (genre, length, edition) of those left in this edition: the next one, or one by a growth's weights."""
        if not self._left:
            self._left = self._rng.sample(self._every, len(self._every))
            self._edition += 1
        chosen = self._left[0]
        if step:
            weights = [
                step.genres.get(genre, 1.0) * step.lengths.get(length, 1.0) for genre, length in self._left
            ]
            chosen = draw.choices(self._left, weights)[0]
        self._left.remove(chosen)
        return (*chosen, self._edition)


def _chosen(kind: str, wanted: Sequence[str], known: list[str]) -> list[str]:
    for name in wanted:
        if name not in known:
            raise EtlchError(
                f"there is no {kind} '{name}' in the topics.{nearest(name, known)}",
                f"Known: {', '.join(known)}.",
            )
    return list(wanted) or known
