"""Compile a line of phrase data into a pattern; render it as pieces of text and the slots between them.

`{slot}` stands for a value, `[a|b|]` for a choice of one (nothing, here, is the third), and
choices may hold slots and choices. A pattern is compiled once and rendered often.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

_TOKEN = re.compile(r"\{(\w+)\}|([\[\]|])|([^{}\[\]|]+)|([{}])")


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for a value."""

    name: str


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several patterns stands here."""

    options: tuple[Pattern, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Pattern:
    """Text, slots and choices, in order. Two patterns are the same only if they are one and the same line."""

    parts: tuple[str | Slot | Choice, ...]

    def render(self, rng: Random) -> Iterator[str | Slot]:
        """Yield text and slots; one option of each choice is taken."""
        for part in self.parts:
            if isinstance(part, Choice):
                yield from part.options[int(rng.random() * len(part.options))].render(rng)
            else:
                yield part

    def slots(self) -> set[str]:
        """Return the names of all slots that may occur."""
        found: set[str] = set()
        for part in self.parts:
            if isinstance(part, Slot):
                found.add(part.name)
            elif isinstance(part, Choice):
                found.update(*(option.slots() for option in part.options))
        return found

    def certain(self) -> set[str]:
        """Return the names of the slots that occur whichever options are taken."""
        found: set[str] = set()
        for part in self.parts:
            if isinstance(part, Slot):
                found.add(part.name)
            elif isinstance(part, Choice):
                found |= set.intersection(*(option.certain() for option in part.options))
        return found

    def texts(self) -> Iterator[str]:
        """Yield every stretch of fixed text."""
        for part in self.parts:
            if isinstance(part, str):
                yield part
            elif isinstance(part, Choice):
                for option in part.options:
                    yield from option.texts()


def compile_pattern(line: str) -> Pattern:
    """Return the pattern of a line.

    Raises:
        ValueError: a bracket or brace without its partner.
    """
    tokens = [match.groups() for match in _TOKEN.finditer(line)]
    pattern, end = _sequence(tokens, 0, inside=False)
    if end != len(tokens):
        raise ValueError(f"']' without '[' in {line!r}")
    return pattern


_Token = tuple[str | None, ...]


def _sequence(tokens: Sequence[_Token], at: int, *, inside: bool) -> tuple[Pattern, int]:
    parts: list[str | Slot | Choice] = []
    while at < len(tokens):
        name, mark, text, brace = tokens[at]
        if brace:
            raise ValueError(f"a lone '{brace}'; a slot is written {{name}}")
        if mark == "[":
            choice, at = _choice(tokens, at + 1)
            parts.append(choice)
            continue
        if mark == "]" or (mark == "|" and inside):
            break
        parts.append(Slot(name) if name else (text or "|"))
        at += 1
    return Pattern(tuple(parts)), at


def _choice(tokens: Sequence[_Token], at: int) -> tuple[Choice, int]:
    options: list[Pattern] = []
    while True:
        option, at = _sequence(tokens, at, inside=True)
        options.append(option)
        if at >= len(tokens):
            raise ValueError("'[' without ']'")
        if tokens[at][1] == "]":
            return Choice(tuple(options)), at + 1
        at += 1
