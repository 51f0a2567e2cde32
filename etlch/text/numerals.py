"""Read numbers and dates as Chinese and English write them, and return their one form.

A folded text is lower case and half-width, with no spaces beside CJK characters
(`etlch.text.locate.folded`). Forms that mean two things (03/05/2024) are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

_DIGITS = {
    char: value
    for value, chars in enumerate(("零〇", "一壹", "二兩两貳", "三參", "四", "五", "六", "七", "八", "九"))
    for char in chars
}
_SMALL = {"十": 10, "百": 100, "千": 1000}
_BIG = {"萬": 10**4, "万": 10**4, "億": 10**8, "亿": 10**8, "兆": 10**12}
_UNITS = "".join([*_SMALL, *_BIG])
NUMERALS = "".join(_DIGITS) + _UNITS
"""The characters of Chinese numbers."""

_MEASURES = (
    "年月日號号時时分秒點点人名位個个件家座條条本部輛辆元塊块角歲岁週周天次倍成層层樓楼公里米尺噸吨克斤度"
    "篇場场所間间屆届期輪轮季代國国隻只艘架顆颗棟栋張张支口戶户席項项種种隊队組组門门股筆笔%"
)
_UNDER_TWENTY = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven"),
    *("twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_WORDS = dict(zip(_UNDER_TWENTY, range(20), strict=True)) | dict(zip(_TENS, range(20, 100, 10), strict=True))
_SCALES = {
    "thousand": 10**3,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
    "bn": 10**9,
    "mn": 10**6,
}
_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_MONTH_OF = dict(zip(_MONTHS, range(1, 13), strict=True))
_MONTH_OF |= {name[:3]: number for name, number in _MONTH_OF.items()} | {"sept": 9}

_MONTH = "(?P<month>" + "|".join(sorted(_MONTH_OF, key=len, reverse=True)) + r")(?![a-z\d])\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?(?![a-z\d])"
_YEAR = r"(?P<year>\d{4})(?![\d年])"
_HAN = "[零〇一二三四五六七八九十]"
_DATES = [
    re.compile(pattern)
    for pattern in (
        rf"(?:西元|公元|(?P<roc>民國|民国))?(?P<year>\d{{1,4}}|{_HAN}{{1,4}})年"
        rf"(?P<month>\d{{1,2}}|{_HAN}{{1,3}})月(?:(?P<day>\d{{1,2}}|{_HAN}{{1,3}})[日號号])?",
        rf"(?<![\d{NUMERALS}])(?P<month>\d{{1,2}}|{_HAN}{{1,3}})月(?P<day>\d{{1,2}}|{_HAN}{{1,3}})[日號号]",
        r"(?<![\d./-])(?P<year>\d{4})(?P<mark>[-/.])(?P<month>\d{1,2})(?P=mark)(?P<day>\d{1,2})(?![\d/-]|\.\d)",
        rf"(?<![a-z\d]){_MONTH} {_DAY}(?:,? {_YEAR})?",
        rf"(?<![a-z\d]){_DAY} (?:of )?{_MONTH}(?:,? {_YEAR})?",
        rf"(?<![a-z\d]){_MONTH},? {_YEAR}",
    )
]
_ERA_YEAR = re.compile(rf"(?:民國|民国)(\d{{1,3}}|{_HAN}{{1,4}})(?=年)")
_ARABIC = r"(?:\d{1,3}(?:,\d{3})+(?!,?\d)|\d+)(?:\.\d+)?"
_CHINESE = re.compile(
    rf"(?P<percent>百分之)?(?P<number>(?:{_ARABIC}|[{NUMERALS}])"
    rf"(?:[{_UNITS}]|(?<!\d)[{NUMERALS}]|(?<!\d){_ARABIC})*(?:[點点][{''.join(_DIGITS)}]+)?)"
)
_WORD = "|".join(sorted([*_WORDS, "hundred", *_SCALES], key=len, reverse=True))
_ENGLISH = re.compile(
    rf"(?<![a-z\d])(?:{_ARABIC}|(?:{_WORD})(?![a-z]))(?:[ -](?:and )?(?:{_WORD})(?![a-z])| ?(?:bn|mn)(?![a-z]))*"
)
_ENGLISH_PART = re.compile(rf"{_ARABIC}|{_WORD}")
_CHINESE_PART = re.compile(rf"{_ARABIC}|.")
_ANY = re.compile(rf"[\d{NUMERALS}]|(?<![a-z\d])(?:{_WORD})(?![a-z])")
"""What every number and date has."""
_PERCENT = re.compile(r" ?per ?cent(?![a-z])|%")


class Form(NamedTuple):
    """A number or a date in a text: characters from start to end mean `text` (plain digits, ISO 8601)."""

    start: int
    end: int
    text: str


def forms(text: str) -> list[Form]:
    """Return the numbers and dates of a folded text, in order, none overlapping.

    Dates are YYYY-MM-DD, YYYY-MM or --MM-DD; numbers are plain digits, with a point where needed;
    a percentage ends in %.
    """
    taken: list[Form] = []
    if not _ANY.search(text):
        return taken
    used = bytearray(len(text))
    for found in (_dates(text), _era_years(text), _numbers(text)):
        for form in found:
            if not any(used[form.start : form.end]):
                taken.append(form)
                used[form.start : form.end] = b"\x01" * (form.end - form.start)
    return sorted(taken)


def _dates(text: str) -> Iterator[Form]:
    for pattern in _DATES:
        for match in pattern.finditer(text):
            date = _iso(match.groupdict())
            if date:
                yield Form(match.start(), match.end(), date)


def _iso(found: dict[str, str | None]) -> str:
    """Return the ISO 8601 form of a date's parts, or nothing where no such date exists."""
    month = _MONTH_OF.get(found["month"] or "") or _count(found["month"])
    day = _count(found.get("day"))
    year = _count(found.get("year"))
    if not 1 <= month <= 12 or (found.get("day") and not 1 <= day <= 31):
        return ""
    if year:
        year += 1911 if found.get("roc") else 0
        return f"{year:04d}-{month:02d}" + (f"-{day:02d}" if day else "")
    return f"--{month:02d}-{day:02d}"


def _era_years(text: str) -> Iterator[Form]:
    for match in _ERA_YEAR.finditer(text):
        yield Form(match.start(), match.end(), str(_count(match.group(1)) + 1911))


def _numbers(text: str) -> Iterator[Form]:
    for match in _ENGLISH.finditer(text):
        value = _english(_ENGLISH_PART.findall(match.group()))
        if value is not None:
            yield _number(text, match.start(), match.end(), value)
    for match in _CHINESE.finditer(text):
        start, end = match.span("number")
        value = _chinese(match.group("number"), alone=_alone(text, start, end))
        if value is not None:
            yield _number(text, start, end, value, percent=match.group("percent") is not None)


def _number(text: str, start: int, end: int, value: Decimal, *, percent: bool = False) -> Form:
    """Return the form of a number; a percent sign or word beside it becomes part of it."""
    plain = f"{value:f}"
    plain = plain.rstrip("0").rstrip(".") if "." in plain else plain
    sign = _PERCENT.match(text, end)
    if percent:
        return Form(start - len("百分之"), end, plain + "%")
    return Form(start, sign.end(), plain + "%") if sign else Form(start, end, plain)


def _english(parts: list[str]) -> Decimal | None:
    """Return the value of `1.2 million` or `two hundred and five`; None where it is plain digits or no number."""
    if not any(part.isalpha() for part in parts) or parts[0] in ("hundred", *_SCALES) or parts == ["one"]:
        return None
    total, section = Decimal(0), Decimal(0)
    for part in parts:
        if part in _SCALES:
            total, section = total + section * _SCALES[part], Decimal(0)
        elif part == "hundred":
            section *= 100
        else:
            section += _WORDS[part] if part in _WORDS else Decimal(part.replace(",", ""))
    return total + section


def _alone(text: str, start: int, end: int) -> bool:
    """Tell whether a single numeral is a number here: all of the text, after 第, or before a measure word."""
    return (
        (start == 0 and end == len(text))
        or text[end : end + 1] in tuple(_MEASURES)
        or text[start - 1 : start] == "第"
    )


def _chinese(number: str, *, alone: bool) -> Decimal | None:
    """Return the value of `1,200`, `120萬`, `3億5千萬`, `一百二十萬`, `二〇二四` or `三點五`; None for no number."""
    whole, _, fraction = number.replace("点", "點").partition("點")
    parts = _CHINESE_PART.findall(whole)
    if parts[0] in _BIG or parts[0] in "百千" or (len(number) == 1 and parts[0] in NUMERALS and not alone):
        return None
    if len(whole) > 1 and whole[0] == "0" and whole[1] not in ".":
        return None
    if len(parts) > 1 and all(part in _DIGITS for part in parts):
        value: Decimal | None = Decimal("".join(str(_DIGITS[part]) for part in parts))
    else:
        value = _sum(parts)
    if value is not None and fraction:
        value += Decimal("0." + "".join(str(_DIGITS[char]) for char in fraction))
    return value


def _sum(parts: list[str]) -> Decimal | None:
    """Return the value of digits and units in turn; None where two digits stand side by side."""
    total, section = Decimal(0), Decimal(0)
    current: Decimal | None = None
    for part in parts:
        if part in _SMALL:
            section += (1 if current is None else current) * _SMALL[part]
            current = None
        elif part in _BIG:
            section += current or 0
            total = total * _BIG[part] if not section else total + section * _BIG[part]
            section, current = Decimal(0), None
        elif part in "零〇":
            current = Decimal(0) if current is None and not section and not total else current
        elif current:
            return None
        else:
            current = Decimal(_DIGITS[part]) if part in _DIGITS else Decimal(part.replace(",", ""))
    return total + section + (current or 0)


def _count(text: str | None) -> int:
    """Return a year, month or day written in digits or numerals; 0 where there is none."""
    if not text:
        return 0
    if text.isdigit():
        return int(text)
    value = _chinese(text, alone=True)
    return int(value) if value is not None else 0
