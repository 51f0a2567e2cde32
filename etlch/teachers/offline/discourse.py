"""Take names up again by a noun or a surname, and write statements that are no facts."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from random import Random

from etlch.teachers.offline.pattern import Pattern
from etlch.teachers.offline.pattern import Slot as Place
from etlch.teachers.offline.schema import Domain, Kind, Slot

RATE = 0.5
"""Share of later mentions that are not written with the full name."""
_ENDS = (".", "!", "?", ":", "”", '"', "\n")


@dataclass(frozen=True)
class Discourse:
    """What hard texts of one domain are made with.

    Attributes:
        main: the slot that a noun can stand for.
        noun: that noun, with its article.
        no_fact: statements that are negated or hypothetical, with the slots {ask} and {value}.
    """

    main: str
    noun: str
    no_fact: tuple[Pattern, ...]

    def short_form(
        self, rng: Random, text: str, slot: str, kind: Kind, value: str, taken: Collection[str]
    ) -> str:
        """Return what may stand for a value that was named before; empty where its name is to be repeated.

        Args:
            rng: decides.
            text: the article so far.
            slot: of the value.
            kind: of the value; English people have a surname.
            value: the full name.
            taken: all values drawn so far; a surname that one of the others holds would be ambiguous.
        """
        if rng.random() >= RATE:
            return ""
        if slot == self.main:
            if text.split()[-1:] == self.noun.split()[-1:]:
                return ""  # "the scientist the scientist"
            start = not text or text.rstrip(" ").endswith(_ENDS)
            return self.noun[:1].upper() + self.noun[1:] if start else self.noun
        surname = value.rsplit(maxsplit=1)[-1]
        if not kind.faker.startswith("en") or any(surname in other for other in taken if other != value):
            return ""
        return surname


def no_fact(rng: Random, discourse: Discourse, domain: Domain) -> tuple[Pattern, str, Slot]:
    """Return a statement that some fact does not, or would, have a value; with the slot of that value.

    What is said to be wrong is of the fact's own kind, so that only the sentence tells that it is none.
    """
    fact = rng.choice([told for told in domain.facts.values() if told.ask])
    name = f"no {fact.object}"
    parts = [
        piece if isinstance(piece, str) else Place(name) if piece.name == "value" else fact.ask
        for piece in rng.choice(discourse.no_fact).render(rng)
    ]
    if isinstance(parts[0], str):
        parts[0] = parts[0][:1].upper() + parts[0][1:]
    slot = domain.slots[fact.object]
    return Pattern(tuple(parts)), name, Slot(slot.kind, (1, 1), slot.parts)
