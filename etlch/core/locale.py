"""Say what etlch says in the reader's language: gettext catalogues of etlch/locale; English is the source.

A message stands in the code in English inside `_`; its Chinese stands in etlch/locale/*/LC_MESSAGES/etlch.po.
Babel extracts and compiles (`make locale`); at run time there is the standard library's gettext alone.
"""

from __future__ import annotations

import gettext
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

LANGUAGES = ("en", "zh-TW", "zh-CN")
"""What the commands and pages speak; the first needs no catalogue."""

VARIABLES = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")
"""Of the environment, in gettext's order: the first that is set decides."""

FOLDER = Path(__file__).parent.parent / "locale"

_TRADITIONAL = ("tw", "hk", "mo", "hant")


class _Spoken:
    """The language of this process, as the C library's locale is one a process: threads speak it too."""

    language = "en"
    catalogue: gettext.NullTranslations = gettext.NullTranslations()


def _(message: str) -> str:
    """Return a message in the reader's language; the English text where nobody translated it."""
    return _Spoken.catalogue.gettext(message) if message else ""


def ngettext(one: str, many: str, number: int) -> str:
    """Return the message for a number of things, in the reader's language."""
    return _Spoken.catalogue.ngettext(one, many, number)


def pgettext(context: str, message: str) -> str:
    """Return a short message that means one thing here and another elsewhere, in the reader's language."""
    return _Spoken.catalogue.pgettext(context, message)


def N_(message: str) -> str:
    """Mark a constant for translation; it is translated where it is shown, with `_`."""
    return message


def language() -> str:
    """Return the language that is spoken: one of LANGUAGES."""
    return _Spoken.language


def speak(wanted: str) -> None:
    """Speak one of LANGUAGES from here on."""
    _Spoken.language = wanted
    _Spoken.catalogue = (
        gettext.NullTranslations()
        if wanted == LANGUAGES[0]
        else gettext.translation("etlch", FOLDER, [wanted.replace("-", "_")])
    )


@contextmanager
def speaking(wanted: str) -> Iterator[None]:
    """Speak a language inside the block, and the former one after it."""
    before = _Spoken.language
    speak(wanted)
    try:
        yield
    finally:
        speak(before)


def of_environment(environment: Mapping[str, str]) -> str:
    """Return the language that an environment asks for; English where it asks for one that nobody translated.

    The first of VARIABLES that is set decides; LANGUAGE may be a list, of which the first known one is taken.
    """
    asked = next((environment[name] for name in VARIABLES if environment.get(name)), "")
    known = (_known(tag) for tag in asked.split(":"))
    return next((name for name in known if name), LANGUAGES[0])


def _known(tag: str) -> str:
    """Return which of LANGUAGES zh_TW.UTF-8, zh-Hant or en_GB stands for; empty for none of them."""
    parts = tag.split(".", maxsplit=1)[0].split("@", maxsplit=1)[0].lower().replace("-", "_").split("_")
    if parts[0] == "zh":
        return "zh-TW" if any(part in _TRADITIONAL for part in parts[1:]) else "zh-CN"
    return "en" if parts[0] in ("en", "c", "posix") else ""


def sentences(*parts: str) -> str:
    """Join sentences as the language does: with a space in English, without one in Chinese. Empty ones are left out."""
    text = ""
    for part in filter(None, parts):
        text = _("{sentence} {following}").format(sentence=text, following=part) if text else part
    return text


def listed(words: Sequence[str]) -> str:
    """Return `a, b and c` in the reader's language."""
    *former, last = words
    if not former:
        return last
    return _("{words} and {last}").format(words=_(", ").join(former), last=last)


def capital(text: str) -> str:
    """Return a text whose first letter is a capital, as sentences begin."""
    return f"{text[:1].upper()}{text[1:]}"
