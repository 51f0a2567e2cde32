"""Read a topic tree and a seed, return an endless, prefix-stable list of topics."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import count
from typing import NamedTuple

from etlch.core.errors import EtlchError, nearest
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


def tree_topics(tree: Tree, language: str, seed: int) -> Iterator[Topic]:
    """Yield topics without end: domains by turns, subjects without repeat until a domain is used up.

    A subject comes back with another genre and length; only when all combinations are spent
    does `edition` grow, which makes teachers draw another sample for an equal request.
    """
    rng = random.Random(f"topics/{seed}")
    decks = {domain: _deal(subjects, rng) for domain, subjects in tree.domains.items()}
    styles: dict[tuple[str, str], Iterator[tuple[str, int, int]]] = {}
    position = count()
    while True:
        turn = list(decks)
        rng.shuffle(turn)
        for domain in turn:
            subject = next(decks[domain])
            if (domain, subject) not in styles:
                styles[domain, subject] = _styles(tree, random.Random(f"{seed}/{domain}/{subject}"))
            genre, length, edition = next(styles[domain, subject])
            yield Topic(next(position), domain, subject, language, genre, length, edition)


def _deal(subjects: Sequence[str], rng: random.Random) -> Iterator[str]:
    while True:
        yield from rng.sample(subjects, len(subjects))


def _styles(tree: Tree, rng: random.Random) -> Iterator[tuple[str, int, int]]:
    every = [(genre, length) for genre in tree.genres for length in tree.lengths]
    for edition in count():
        for genre, length in rng.sample(every, len(every)):
            yield genre, length, edition


def _chosen(kind: str, wanted: Sequence[str], known: list[str]) -> list[str]:
    for name in wanted:
        if name not in known:
            raise EtlchError(
                f"there is no {kind} '{name}' in the topics.{nearest(name, known)}",
                f"Known: {', '.join(known)}.",
            )
    return list(wanted) or known
