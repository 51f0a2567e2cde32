"""Articles whose truth is known, with planted errors.

The articles are the offline teacher's. A planted value is one that occurs in its article in none
of the forms that grounding accepts; whether it does is decided here by another route than
grounding's: by tokens (CJK characters, letter runs, digit runs), digits taken as numbers.
"""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple

from etlch.core.prompts import Prompts
from etlch.teachers.offline.teacher import OfflineTeacher
from etlch.text.normalize import hybrid

KINDS = ("wrong name", "swapped digits", "invention", "near-miss spelling", "cut short", "another true value")
"""The last is a true value of the same article in another's place: location cannot see it."""

_INVENTED = {
    "en": ("Zorbin Quale", "Vexley Dynamics", "Port Umbrell", "Orvath Prize", "€913.7 million", "3 May 1871"),
    "zh-TW": ("歐陽無忌", "玄霧科技公司", "翡翠谷市", "蒼穹獎", "七百三十一億元", "1871年5月3日"),
    "zh-CN": ("欧阳无忌", "玄雾科技公司", "翡翠谷市", "苍穹奖", "七百三十一亿元", "1871年5月3日"),
}
_OTHER_HAN = "囧砼焱淼鑫垚犇麤"


class Known(NamedTuple):
    """An article and the values that are true of it."""

    text: str
    values: tuple[str, ...]


class Planted(NamedTuple):
    """A false value, the article it is planted in, and the kind of error."""

    kind: str
    value: str
    text: str


def known_truth(language: str, count: int, seed: int = 0, length: int = 0) -> list[Known]:
    """Return so many articles with the mentions and triple ends that are true of them."""
    teacher = OfflineTeacher(seed, Prompts(), language, lengths=(length,))
    topics = teacher.topics()
    found = []
    for _ in range(count):
        document = teacher.draw(next(topics))
        facts = [item.fact for item in (*document.entities, *document.triples)]
        values = dict.fromkeys(
            value for fact in facts for value in ((fact[0], fact[2]) if len(fact) == 3 else (fact[1],))
        )
        found.append(Known(document.text, tuple(values)))
    return found


def planted(known: Sequence[Known], language: str, seed: int = 0) -> Iterator[Planted]:
    """Yield one false value of each kind for each true value, where the value allows it."""
    rng = random.Random(seed)
    for place, (text, values) in enumerate(known):
        others = [value for at, item in enumerate(known) if at != place for value in item.values]
        for value in values:
            for kind, make in _MAKERS.items():
                false = make(rng, value, language, others)
                if false is not None and not occurs(false, text):
                    yield Planted(kind, false, text)
            rest = [other for other in values if other != value]
            if rest:
                yield Planted(KINDS[-1], rng.choice(rest), text)


def occurs(value: str, text: str) -> bool:
    """Tell whether the tokens of a value stand side by side in a text, digits compared as numbers."""
    wanted, tokens = _tokens(value), _tokens(text)
    return any(
        tokens[at : at + len(wanted)] == wanted for at in range(len(tokens) - len(wanted) + 1)
    ) or "".join(wanted) in {"".join(tokens[at : at + len(wanted)]) for at in range(len(tokens))}


def other_forms(value: str) -> list[str]:
    """Return the value in other forms that must be accepted: width, case, spaces, 臺, numbers, dates."""
    forms = [
        *_dates(value),
        *_numbers(value),
        value.upper(),
        re.sub(r"[!-~]", lambda found: chr(ord(found.group()) + 0xFEE0), value),
        value.replace("台", "臺") if "台" in value else value.replace("臺", "台"),
    ]
    if not value.isascii():
        forms.append(" ".join(value) if not re.search(r"[A-Za-z0-9]", value) else value)
    return [form for form in dict.fromkeys(forms) if form != value]


def _dates(value: str) -> list[str]:
    """Return other ways to write a whole date."""
    english = re.fullmatch(r"([A-Z][a-z]+) (\d{1,2}), (\d{4})|(\d{1,2}) ([A-Z][a-z]+) (\d{4})", value)
    chinese = re.fullmatch(r"(\d{4})年(\d{1,2})月(\d{1,2})日", value)
    if english:
        month, day, year = (
            (english[1], english[2], english[3]) if english[1] else (english[5], english[4], english[6])
        )
        number = datetime.strptime(month, "%B").month
    elif chinese:
        year, number, day = chinese[1], int(chinese[2]), chinese[3]
        month = f"{date(2000, number, 1):%B}"
    else:
        return []
    return [
        f"{year}-{number:02d}-{int(day):02d}",
        f"{year}/{number}/{int(day)}",
        f"{month} {int(day)}, {year}",
        f"{int(day)} {month[:3]} {year}",
        f"{year}年{number}月{int(day)}日",
        *([f"民國{int(year) - 1911}年{number}月{int(day)}日"] if int(year) > 1911 else []),
    ]


def _numbers(value: str) -> list[str]:
    """Return other ways to write the number of a value that has one."""
    found = re.search(r"(\d[\d,]*(?:\.\d+)?)( million|萬|万|億|亿)?", value)
    if found is None or len(re.findall(r"\d[\d,.]*", value)) > 1 or found[1].startswith("0"):
        return []
    scales = {" million": 10**6, "萬": 10**4, "万": 10**4, "億": 10**8, "亿": 10**8}
    amount = Decimal(found[1].replace(",", "")) * scales.get(found[2] or "", 1)
    plain = [f"{amount:f}", f"{amount:,f}"] if amount == int(amount) else [f"{amount:f}"]
    plain = [text.rstrip("0").rstrip(".") if "." in text else text for text in plain]
    return [value[: found.start()] + text + value[found.end() :] for text in plain]


def _tokens(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKC", text).casefold().replace("臺", "台").replace(",", "")
    return [token for token in hybrid(plain) if token.isalnum()]


def _wrong_name(rng: random.Random, value: str, language: str, others: Sequence[str]) -> str | None:
    return rng.choice(others)


def _swapped_digits(rng: random.Random, value: str, language: str, others: Sequence[str]) -> str | None:
    pairs = [
        at for at in range(len(value) - 1) if value[at : at + 2].isdigit() and value[at] != value[at + 1]
    ]
    if not pairs:
        return None
    at = rng.choice(pairs)
    return value[:at] + value[at + 1] + value[at] + value[at + 2 :]


def _invention(rng: random.Random, value: str, language: str, others: Sequence[str]) -> str | None:
    return rng.choice(_INVENTED[language])


def _near_miss(rng: random.Random, value: str, language: str, others: Sequence[str]) -> str | None:
    letters = [at for at, char in enumerate(value) if char.isalpha()]
    if not letters:
        return None
    at = rng.choice(letters)
    if not value[at].isascii():
        return value[:at] + rng.choice(_OTHER_HAN) + value[at + 1 :]
    change = rng.choice(("double", "drop", "change"))
    if change == "change" or len(letters) == 1:
        new = rng.choice([char for char in "aeiourtnls" if char != value[at].lower()])
        return value[:at] + (new.upper() if value[at].isupper() else new) + value[at + 1 :]
    return value[:at] + (value[at] * 2 if change == "double" else "") + value[at + 1 :]


def _cut_short(rng: random.Random, value: str, language: str, others: Sequence[str]) -> str | None:
    """Cut the last digit or letter off: 198 of 1987, Ann of Anna. Chinese words have no such edge."""
    return value[:-1].strip() if value[-1].isascii() and value[-1].isalnum() and len(value) > 2 else None


_MAKERS: dict[str, Callable[[random.Random, str, str, Sequence[str]], str | None]] = {
    "wrong name": _wrong_name,
    "swapped digits": _swapped_digits,
    "invention": _invention,
    "near-miss spelling": _near_miss,
    "cut short": _cut_short,
}
