"""Check the values of a YAML file: return them as Python values, or an error that names file and place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from etlch.core.errors import EtlchError, nearest
from etlch.core.locale import _
from etlch.core.records import Json
from etlch.teachers.offline.pattern import Pattern, compile_pattern


@dataclass(frozen=True)
class Node:
    """A value of a YAML file and where it stands, for messages."""

    path: Path
    place: str
    value: Json

    def fail(self, what: str) -> NoReturn:
        """Raise an EtlchError that names file and place."""
        raise EtlchError(
            f"{self.path}: {self.place or 'the file'}: {what}", _("See docs/offline-teacher.md.")
        )

    def keys(self, required: Sequence[str], optional: Sequence[str] = ()) -> Node:
        """Return self if it is a mapping with these keys and no others."""
        if not isinstance(self.value, dict):
            self.fail("`key: value` lines belong here")
        for name in self.value:
            if name not in required and name not in optional:
                self.fail(f"unknown key '{name}'.{nearest(str(name), [*required, *optional])}")
        for name in required:
            if name not in self.value:
                self.fail(f"the key '{name}' is missing")
        return self

    def get(self, name: str, otherwise: Json = None) -> Node:
        """Return the value of a key."""
        return Node(self.path, f"{self.place}.{name}".lstrip("."), self.value.get(name, otherwise))

    def items(self) -> Iterable[tuple[str, Node]]:
        """Yield the entries of a mapping."""
        if not isinstance(self.value, dict):
            self.fail("`key: value` lines belong here")
        return [(str(name), self.get(name)) for name in self.value]

    def elements(self) -> list[Node]:
        """Return the items of a list."""
        if not isinstance(self.value, list):
            self.fail("a list belongs here")
        return [Node(self.path, f"{self.place}[{at}]", item) for at, item in enumerate(self.value)]

    def text(self) -> str:
        """Return a text; numbers become their text."""
        if not isinstance(self.value, str | int | float) or isinstance(self.value, bool):
            self.fail(f"a text belongs here, not {self.value!r}; quote it")
        return str(self.value)

    def texts(self) -> tuple[str, ...]:
        """Return a list of texts."""
        return tuple(item.text() for item in self.elements())

    def pattern(self) -> Pattern:
        """Return a compiled pattern."""
        try:
            return compile_pattern(self.text())
        except ValueError as error:
            self.fail(str(error))

    def patterns(self) -> tuple[Pattern, ...]:
        """Return a list of compiled patterns."""
        return tuple(item.pattern() for item in self.elements())

    def pair(self) -> tuple[int, int]:
        """Return two whole numbers, the first not above the second."""
        numbers = self.value
        if not (
            isinstance(numbers, list) and len(numbers) == 2 and all(type(item) is int for item in numbers)
        ):
            self.fail("two whole numbers belong here, as in [1, 3]")
        if numbers[0] > numbers[1]:
            self.fail(f"{numbers[0]} is above {numbers[1]}")
        return numbers[0], numbers[1]

    def one_of(self, known: Iterable[str], what: str) -> str:
        """Return a text that is one of the known ones."""
        name = self.text()
        if name not in (listed := list(known)):
            self.fail(f"there is no {what} '{name}'.{nearest(name, listed)}")
        return name
