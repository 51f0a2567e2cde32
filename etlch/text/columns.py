"""Measure, cut, pad and wrap text in the columns of a terminal, where CJK characters take two."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

WIDTH = 80
"""Columns of a terminal."""


def count(text: str) -> int:
    """Return how many columns a text takes on the terminal: CJK characters take two."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def right(text: str, width: int) -> str:
    """Pad on the left to a width on the terminal."""
    return " " * (width - count(text)) + text


def left(text: str, width: int) -> str:
    """Pad on the right to a width on the terminal."""
    return text + " " * (width - count(text))


def fit(text: str, width: int) -> str:
    """Cut or pad to a width on the terminal."""
    kept = clipped(text, width - 1)
    return left(kept if kept == text else f"{kept}…", width)


def clipped(text: str, width: int) -> str:
    """Cut to a width on the terminal."""
    used = 0
    for place, char in enumerate(text):
        used += count(char)
        if used > width:
            return text[:place]
    return text


_HAN, _OPENS, _CLOSES = (
    "\u2e80-\u2fff\u3040-\ua4cf\uac00-\ud7af\uf900-\ufaff",
    "（「『【《〈",
    "，。、；：？！）」』】》〉",
)
_PIECE = re.compile(
    f" +|[{_OPENS}]*(?:[{_HAN}]|[^ {_HAN}{_OPENS}{_CLOSES}]+)[{_CLOSES}]*|[{_OPENS}]+|[{_CLOSES}]+"
)
"""Lines are broken between these: words, and Chinese characters with their punctuation."""


def wrapped(text: str, width: int = WIDTH) -> Iterator[str]:
    """Break a line at spaces and between Chinese characters, never before punctuation; indent what follows."""
    line = ""
    for piece in _PIECE.findall(text):
        if line.strip() and count(line) + count(piece) > width and not piece.isspace():
            yield line.rstrip()
            line = "  " + piece
        else:
            line += piece
    yield line.rstrip()
