"""Find where a value stands in an article.

A value is looked for in three views of the article, the strictest first: as it is written; folded
(NFKC, case, width, spaces, quotes and dashes, 臺 = 台); and with numbers and dates in one form
(1.2 million = 1,200,000 = 120萬; March 5, 2024 = 2024年3月5日 = 民國113年3月5日). Whatever the
view, the place is in the article's own characters, and it never cuts a word or a number in two.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from etlch.core.records import Span
from etlch.text.normalize import is_cjk
from etlch.text.numerals import NUMERALS, Form, forms

_TWINS = str.maketrans(
    {
        "臺": "台",
        "’": "'",
        "‘": "'",
        "“": '"',
        "”": '"',
        "‐": "-",
        "‑": "-",
        "‒": "-",
        "–": "-",
        "—": "-",
        "−": "-",
    }
)
_NUMBER_RUN = re.compile(r"(?<![\d.,．])\d{1,3}(?:,\d{3})+(?!,?\d)(?:[.．]\d+)?|\d+(?:[.．]\d+)?")
_MAGNITUDE = re.compile(
    r"\s?[百千萬万億亿兆]|\s?(?:hundred|thousand|million|billion|trillion|bn|mn)(?![a-z])", re.IGNORECASE
)
_REACH = 40
"""Characters that a number is followed to either side; a longer one is no number that people write."""

_SPACES = re.compile(r"\s{2,}")
_SAME_FORM = re.compile("[\u4e00-\u9fff]+|[!-~]+")
"""Characters that fold one by one, unless a combining mark follows: ideographs, and ASCII without white space."""
_IDEOGRAPHS = re.compile("[\u4e00-\u9fff]+")
_PLAIN_RUN = re.compile(rf"(?:(?![{NUMERALS}年月日號号時时分秒點点民國国西元公百之])[\u4e00-\u9fff])+")
_NUMERAL_TAIL = re.compile(rf"[\d{NUMERALS}]+\Z")
OPEN, CLOSE = "\ue000", "\ue001"
"""Around a number or date in the third view, so that 5 is not found inside 2024-03-05."""


class Place(NamedTuple):
    """Where a value stands.

    Attributes:
        start, end: characters of the article, end exclusive.
        text: the article's own characters there.
        how: "verbatim", "folded" or "normalised": the view in which it was found.
    """

    start: int
    end: int
    text: str
    how: str


class View(NamedTuple):
    """A form of a text, and for each of its characters where it comes from in the original."""

    text: str
    starts: tuple[int, ...]
    ends: tuple[int, ...]


def locate(value: str, article: str) -> Place | None:
    """Return the first place at which the value stands in the article, or None.

    A place that cuts a word or a number is passed over: 198 does not stand in 1987, Ann not in
    Anna, 二月 not in 十二月, 1.2 not in 1.2 million.
    """
    value = value.strip()
    if not value:
        return None
    for start, end in standing(value, article):
        return Place(start, end, value, "verbatim")
    if _lacks_ideographs(article, value):
        return None
    plain, numbered = folded(value), normalised(value)
    place = _locate_in(folded(article), plain.text, article, "folded")
    if place is None and numbered.text == plain.text:
        return None  # for a value without a number or date the third view holds nothing new
    if place is None or _is_acronym_of_word(value, place.text):
        place = _locate_in(normalised(article), numbered.text, article, "normalised")
    return place if place and not _is_acronym_of_word(value, place.text) else None


def _lacks_ideographs(article: str, value: str) -> bool:
    """Tell whether a value has a run of ideographs that an article lacks, and that is part of no number or date.

    Such a run is the same in every view, so where it is missing no view need be made.
    """
    runs = _PLAIN_RUN.findall(value.replace("臺", "台"))
    if not runs:
        return False
    bare = _bare(article)
    return any(run not in bare for run in runs)


@lru_cache(maxsize=4096)
def _bare(article: str) -> str:
    """The article as it is folded, also without what folding passes over between ideographs."""
    text = unicodedata.normalize("NFKC", article).replace("臺", "台")
    for char in set(_IDEOGRAPHS.sub("", text)):
        if char.isspace() or unicodedata.category(char) in ("Cf", "Mn", "Mc", "Me"):
            text = text.replace(char, "")
    return text


def standing(value: str, article: str) -> Iterator[Span]:
    """Yield every place at which a value stands in the article as it is written, passing over as locate does."""
    for start in _find(value, article):
        if _stands_free(article, start, start + len(value)):
            yield start, start + len(value)


def normal_text(value: str) -> str:
    """Return a value with numbers in plain digits and dates as ISO 8601; other characters as they are."""
    shadow = folded(value)
    pieces, last = [], 0
    for form in forms(shadow.text):
        start, end = shadow.starts[form.start], shadow.ends[form.end - 1]
        pieces += [value[last:start], form.text]
        last = end
    return "".join([*pieces, value[last:]]).strip()


def one_line(text: str) -> str:
    """Return what stands in an article as a label writes it: a line break inside becomes a space.

    Between CJK characters it becomes nothing. Own texts are often wrapped, and a triple is one line.
    """
    parts = [part.strip() for part in text.splitlines() if part.strip()]
    joined = parts[0] if parts else ""
    for part in parts[1:]:
        joined += ("" if is_cjk(joined[-1]) and is_cjk(part[0]) else " ") + part
    return joined


@lru_cache(maxsize=512)
def folded(text: str) -> View:
    """Return the text after NFKC and case folding, twins unified, spaces beside CJK characters removed."""
    if text.isascii():
        return _folded_ascii(text)
    chars: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    place, space = 0, -1
    while place < len(text):
        end = _end_of_run(text, place)
        simple = end > place
        if not simple:
            end = place + 1
            while end < len(text) and unicodedata.combining(text[end]):
                end += 1
        if text[place].isspace():
            space = place if space < 0 else space
        elif form := text[place:end].lower().translate(_TWINS) if simple else _fold(text[place:end]):
            if space >= 0 and starts and not (_is_wide(text[place]) or _is_wide(text[ends[-1] - 1])):
                chars.append(" ")
                starts.append(space)
                ends.append(place)
            space = -1
            chars.append(form)
            starts.extend(range(place, end) if simple else [place] * len(form))
            ends.extend(range(place + 1, end + 1) if simple else [end] * len(form))
        place = end
    return View("".join(chars), tuple(starts), tuple(ends))


def _end_of_run(text: str, place: int) -> int:
    """Return where a run of characters ends that fold one by one; `place` where none begins."""
    run = _SAME_FORM.match(text, place)
    if run is None:
        return place
    end = run.end()
    return end - 1 if end < len(text) and unicodedata.combining(text[end]) else end


def _folded_ascii(text: str) -> View:
    """What `folded` makes of plain ASCII, four times as fast: small letters, single spaces."""
    first, last = len(text) - len(text.lstrip()), len(text.rstrip())
    starts, ends = list(range(last)), list(range(1, last + 1))
    for run in reversed(list(_SPACES.finditer(text, first, last))):
        del starts[run.start() + 1 : run.end()]
        del ends[run.start() : run.end() - 1]
    return View(" ".join(text.lower().split()), tuple(starts[first:]), tuple(ends[first:]))


@lru_cache(maxsize=512)
def normalised(text: str) -> View:
    """Return the folded text with every number and date in one form between OPEN and CLOSE.

    Without any it is the folded view itself.
    """
    view = folded(text)
    found = forms(view.text)
    if not found:
        return view
    chars: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    last = 0
    for form in [*found, Form(len(view.text), len(view.text), "")]:
        chars.extend(view.text[last : form.start])
        starts.extend(view.starts[last : form.start])
        ends.extend(view.ends[last : form.start])
        if form.text:
            token = OPEN + form.text + CLOSE
            chars.extend(token)
            starts.extend([view.starts[form.start]] * len(token))
            ends.extend([view.ends[form.end - 1]] * len(token))
        last = form.end
    return View("".join(chars), tuple(starts), tuple(ends))


@lru_cache(maxsize=65536)
def _fold(cluster: str) -> str:
    if unicodedata.category(cluster[0]) == "Cf":
        return ""
    return unicodedata.normalize("NFKC", cluster).casefold().translate(_TWINS).replace(" ", "")


@lru_cache(maxsize=65536)
def _is_wide(char: str) -> bool:
    """Tell whether no space belongs beside a character. Full-width ASCII is read as ASCII."""
    wide = unicodedata.east_asian_width(char) in "WF" and not unicodedata.normalize("NFKC", char).isascii()
    return is_cjk(char) or wide


def _locate_in(view: View, form: str, article: str, how: str) -> Place | None:
    if not form:
        return None
    for first in _find(form, view.text):
        after = first + len(form)
        start, end = view.starts[first], view.ends[after - 1]
        whole = (first == 0 or view.starts[first - 1] != start) and (
            after == len(view.starts) or view.ends[after] != end
        )
        if whole and _stands_free(article, start, end):
            return Place(start, end, article[start:end], how)
    return None


def _find(form: str, text: str) -> Iterator[int]:
    place = text.find(form)
    while place >= 0:
        yield place
        place = text.find(form, place + 1)


def _is_acronym_of_word(value: str, found: str) -> bool:
    """US is not `us`, and WHO is not `who`."""
    return len(value) <= 5 and value.isupper() and found.islower()


def _stands_free(article: str, start: int, end: int) -> bool:
    """Tell whether the characters from start to end cut no word and no number of the article."""
    first, last = article[start], article[end - 1]
    before = article[start - 1] if start else ""
    after = article[end : end + 1]
    if _joined(before, first) or _joined(last, after):
        return False
    if first in NUMERALS and before and before in NUMERALS:
        return False
    if (first.isdigit() or last.isdigit()) and _cuts_number(article, start, end):
        return False
    if last in NUMERALS and after and after in NUMERALS:
        tail = _NUMERAL_TAIL.search(article, start, end)
        if tail and (tail.start() == start or tail.end() - tail.start() > 1):
            return False
    return not (last.isdigit() and _MAGNITUDE.match(article, end))


def _joined(left: str, right: str) -> bool:
    """Tell whether two neighbours belong to one word: letter-letter, digit-digit, letter-digit.

    A unit may follow a digit: 5 stands in 5kg, and kg as well.
    """
    if not (left and right and left.isalnum() and right.isalnum()) or is_cjk(left) or is_cjk(right):
        return False
    return not (left.isdigit() and not right.isdigit())


def _cuts_number(article: str, start: int, end: int) -> bool:
    """Tell whether an edge lies inside 1,200 or 3.5, or a minus sign stands before the first digit."""
    low, high = start, end
    while low > start - _REACH and low and (article[low - 1].isdigit() or article[low - 1] in ".,．"):
        low -= 1
    while high < min(len(article), end + _REACH) and (article[high].isdigit() or article[high] in ".,．"):
        high += 1
    for number in _NUMBER_RUN.finditer(article, low, high):
        if number.start() < start < number.end() or number.start() < end < number.end():
            return True
    minus = start > 0 and article[start - 1] in "-−" and article[start].isdigit()
    return minus and (start == 1 or article[start - 2] in " \n\t(（")
