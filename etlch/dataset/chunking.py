"""Read a text, return the spans of chunks that end at sentence ends.

Sentence ends are those of Chinese (。！？… and the closing marks after them) and of English
(a full stop before a space, but not after `Dr.`, `e.g.` or an initial), and the ends of paragraphs.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import pairwise

from etlch.core.records import Span

_CLOSING = re.escape("」』”’\"')）]】》〉")
_ABBREVIATIONS = frozenset(
    (
        *("mr", "mrs", "ms", "dr", "prof", "st", "vs", "etc", "inc", "ltd", "co", "corp", "no", "fig", "vol"),
        *("e.g", "i.e", "cf", "al", "approx", "dept", "est", "gen", "gov", "sen", "rep", "rev", "jr", "sr"),
        *("jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec"),
        *("u.s", "u.k", "u.n", "a.m", "p.m"),
    )
)
_END = re.compile(
    rf"[。！？…]+[{_CLOSING}]*"
    rf"|[!?]+[{_CLOSING}]*(?=\s|\Z|[^\x00-\x7f])"
    rf"|\.+[{_CLOSING}]*(?=\s|\Z)"
    r"|\n\s*\n"
)
_WORD_BEFORE = re.compile(r"[\w.]+\Z")
_SOFT_END = re.compile(r"[，、；：,;:]|\s")


def chunk(text: str, most: int) -> list[Span]:
    """Return spans that cover the text in order, each at most `most` characters and without blank edges.

    Chunks are about equally long, so that no short rest is left. A sentence that is longer than
    `most` is cut at a comma or space, or, where there is none, at `most` characters.

    Args:
        text: any text.
        most: characters per chunk; 0 keeps the text whole.
    """
    whole = _trim(text, 0, len(text))
    if whole[0] == whole[1]:
        return []
    if not most or whole[1] - whole[0] <= most:
        return [whole]
    spans = []
    start, stop = whole
    ends = list(_ends(text, start, stop, most))
    while start < stop:
        left = stop - start
        wanted = start + left / -(-left // most)
        furthest = bisect_right(ends, start + most) - 1
        end = ends[min(bisect_left(ends, wanted), furthest)]
        spans.append(_trim(text, start, end))
        start = end
        while start < stop and text[start].isspace():
            start += 1
    return spans


def sentence_ends(text: str) -> list[int]:
    """Return the places (exclusive ends) at which sentences end, the end of the text included."""
    ends = [match.end() for match in _END.finditer(text) if not _is_abbreviation(text, match)]
    return ends if ends and ends[-1] == len(text) else [*ends, len(text)]


def _is_abbreviation(text: str, match: re.Match[str]) -> bool:
    if match.group() != ".":
        return False
    word = _WORD_BEFORE.search(text, max(0, match.start() - 12), match.start())
    if word is None:
        return False
    bare = word.group().lower()
    return bare in _ABBREVIATIONS or (len(bare) == 1 and bare.isalpha() and bare.isascii())


def _ends(text: str, start: int, stop: int, most: int) -> Iterator[int]:
    """Yield places at which the text may be cut, never further apart than `most`."""
    places = [start, *(end for end in sentence_ends(text) if start < end < stop), stop]
    for before, after in pairwise(places):
        while after - before > most:
            soft = [match.end() for match in _SOFT_END.finditer(text, before + most // 2, before + most)]
            before = soft[-1] if soft else before + most  # noqa: PLW2901
            yield before
        yield after


def _trim(text: str, start: int, end: int) -> Span:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end
