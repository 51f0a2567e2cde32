"""Find out the encoding of a file's bytes, return its text and the encoding's name."""

from __future__ import annotations

import codecs
from typing import NamedTuple

from etlch.core.errors import EtlchError
from etlch.core.extras import need
from etlch.core.locale import _

UTF8 = "UTF-8"
_MARKED = (
    (codecs.BOM_UTF8, "utf-8-sig", UTF8),
    (codecs.BOM_UTF32_LE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16"),
)
_GUESSED = {
    "big5": "Big5",
    "big5hkscs": "Big5-HKSCS",
    "gb18030": "GB18030",
    "utf_16_le": "UTF-16",
    "utf_16_be": "UTF-16",
    "cp1252": "Windows-1252",
}
"""What bytes that are not UTF-8 may be: the encodings of Chinese and of Western European texts."""


class Decoded(NamedTuple):
    """The text of a file, and in words the encoding that it was taken to be in."""

    text: str
    encoding: str


def decode(content: bytes, name: str) -> Decoded:
    """Return the text of a file's bytes.

    A byte order mark decides; else what is valid UTF-8 is UTF-8; else charset-normalizer guesses among Big5, GB18030,
    UTF-16 and Windows-1252.

    Args:
        content: the whole file.
        name: how a message calls it.

    Raises:
        EtlchError: it is none of them, or broken.
    """
    for mark, codec, shown in _MARKED:
        if content.startswith(mark):
            try:
                return Decoded(content.decode(codec), shown)
            except UnicodeDecodeError as error:
                raise _unreadable(name, f"begins as {shown} and is not: {error.reason}") from error
    try:
        text = content.decode("utf-8")
        if "\0" not in text:
            return Decoded(text, UTF8)
        why = "it holds zero bytes"
    except UnicodeDecodeError as error:
        why = f"byte {error.start}: {error.reason}"
        if _is_damaged_utf8(content):
            raise _unreadable(name, f"is not whole UTF-8 ({why})") from error
    need("docs", f"{name} is not UTF-8; to find its encoding", "charset_normalizer")
    from charset_normalizer import from_bytes

    best = from_bytes(content, cp_isolation=list(_GUESSED)).best()
    if best is None or "\0" in str(best):
        shown = ", ".join(dict.fromkeys(_GUESSED.values()))
        raise _unreadable(name, f"is neither UTF-8 ({why}) nor {shown}")
    return Decoded(str(best), _GUESSED[best.encoding])


def is_damaged_ascii(content: bytes) -> bool:
    """Tell whether a file's only byte beyond ASCII is damage rather than a character of Windows-1252.

    In Windows-1252 a letter stands beside a letter, and a capital does not follow a small one: what is left of a cut
    UTF-8 character reads as just that (é cut in half is Ã). Its punctuation and signs may stand anywhere.
    """
    beyond = [place for place, byte in enumerate(content) if byte > 127]
    if len(beyond) != 1:
        return False
    place = beyond[0]
    byte = content[place : place + 1]
    if byte in (b"\xfe", b"\xff"):
        return True
    try:
        char = byte.decode("cp1252")
    except UnicodeDecodeError:
        return True
    before, after = content[max(place - 1, 0) : place], content[place + 1 : place + 2]
    if not char.isalpha():
        return False
    return not (before.isalpha() or after.isalpha()) or (char.isupper() and before.islower())


def _is_damaged_utf8(content: bytes) -> bool:
    """Tell whether far more characters beyond ASCII are whole UTF-8 than broken; of other encodings hardly any are."""
    text = content.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    return sum(not char.isascii() for char in text) > 10 * broken


def _unreadable(name: str, why: str) -> EtlchError:
    return EtlchError(f"{name} {why}", _("Save it as UTF-8, or leave it out."))
