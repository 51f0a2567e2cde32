"""Bring texts into the form in which they are compared, and cut them into tokens."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import cache, lru_cache

from etlch.core.extras import need
from etlch.core.records import Span

_CJK = (
    "\u2e80-\u2eff\u3005\u3007\u3021-\u3029\u3038-\u303b\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
_KANA_HANGUL = "\u3040-\u30ff\u31f0-\u31ff\u1100-\u11ff\uac00-\ud7af"
_CJK_CHAR = re.compile(f"[{_CJK}{_KANA_HANGUL}]")
_SPACE_BETWEEN_CJK = re.compile(f"(?<=[{_CJK}{_KANA_HANGUL}])\\s+(?=[{_CJK}{_KANA_HANGUL}])")
_WHITE = re.compile(r"\s+")
# One CJK character, or one run of letters (with their combining marks), or of digits, or any one symbol.
_HYBRID = re.compile(
    f"[{_CJK}{_KANA_HANGUL}]|\\d+|(?:[^\\W\\d_{_CJK}{_KANA_HANGUL}][\u0300-\u036f]*)+|[^\\s]"
)

_LETTER = f"[^\\W\\d_{_CJK}{_KANA_HANGUL}]"
_MARK = "[\u0300-\u036f]"
# Of the tokens above, those of more than one character; the private planes, whose characters
# stand for them in `hybrid_characters`; and white space.
_HYBRID_RUNS = re.compile(
    f"\\s+|\\d{{2,}}|(?:{_LETTER}{_MARK}*){{2,}}|{_LETTER}{_MARK}+|[\U000f0000-\U0010ffff]"
)
# Stretches in which such a token can stand; one class is skipped through much faster than alternatives.
_MIXED = re.compile(f"[^{_CJK}{_KANA_HANGUL}\u3001-\u3004\u3008-\u3020\uff01-\uff0f\uff1a-\uff20]+")


@lru_cache(maxsize=65536)
def is_cjk(char: str) -> bool:
    """Tell whether a character is written without spaces around words (Han, kana, hangul)."""
    return _CJK_CHAR.match(char) is not None


def squash(text: str) -> str:
    """Return the form in which prompts, inputs, labels and gold are compared for alignment.

    NFC, all white space removed, and the U+FFFD that a tokenizer leaves where it cut a
    character in two removed at the end.
    """
    return _WHITE.sub("", unicodedata.normalize("NFC", text)).rstrip("\ufffd")


def fact_form(value: str) -> str:
    """Return the form in which the parts of facts are compared.

    NFKC (full-width digits and letters become half-width), trimmed, spaces between CJK
    characters removed, 臺 written as 台. Case is kept.
    """
    if value.isascii():
        return value.strip()
    folded = unicodedata.normalize("NFKC", value).strip()
    if not folded.isalnum():  # no spaces in it otherwise
        folded = _SPACE_BETWEEN_CJK.sub("", folded)
    return folded.replace("臺", "台")


def hybrid(text: str) -> list[str]:
    """Split into CJK characters, letter runs, digit runs and single symbols; white space is dropped."""
    return _HYBRID.findall(text)


def hybrid_spans(text: str) -> list[Span]:
    """Return where the tokens of `hybrid` stand in the text."""
    return [found.span() for found in _HYBRID.finditer(text)]


def hybrid_characters(text: str, character: Callable[[str], str]) -> str:
    """Return the tokens of `hybrid` as a string of one character each, four times as fast.

    Args:
        text: the text.
        character: a token of several characters (or one of the private planes) → its character.
    """

    def one(found: re.Match[str]) -> str:
        return "" if found[0].isspace() else character(found[0])

    @cache  # the same few quotes and commas stand between all values of a label
    def short(stretch: str) -> str:
        return _HYBRID_RUNS.sub(one, stretch)

    return _MIXED.sub(lambda stretch: short(stretch[0]), text)


def characters(text: str) -> list[str]:
    """Split into all characters that are not white space."""
    return list(_WHITE.sub("", text))


def jieba_words(text: str) -> list[str]:
    """Split as LlamaFactory's own metric does: jieba.cut joined by spaces, then split at white space.

    Raises:
        ImportError: the extra `jieba` is not installed.
    """
    import logging

    import jieba

    jieba.setLogLevel(logging.WARNING)
    return " ".join(jieba.cut(text)).split()


def rouge_score_words(text: str) -> list[str]:
    """Split as the package rouge-score does by default: lower-cased runs of a-z and 0-9, no stemmer.

    Chinese text yields no tokens at all; this tokenizer exists for parity with published numbers.

    Raises:
        ImportError: the extra `rouge` is not installed.
    """
    from rouge_score.tokenize import tokenize

    return list(tokenize(text, None))


TOKENIZERS: dict[str, Callable[[str], list[str]]] = {
    "hybrid": hybrid,
    "char": characters,
    "jieba": jieba_words,
    "rouge-score": rouge_score_words,
}
TOKENIZER_EXTRAS = {"jieba": ("jieba", "jieba"), "rouge-score": ("rouge", "rouge_score")}
"""Tokenizer → the extra that brings it, and its module."""


def need_tokenizer(name: str) -> None:
    """Stop where a tokenizer's extra is missing.

    Raises:
        EtlchError: names the extra.
    """
    if name in TOKENIZER_EXTRAS:
        extra, module = TOKENIZER_EXTRAS[name]
        need(extra, f"--tokenizer {name}", module)


_SPECIAL = re.compile(
    r"<\|[^<>|\s]{1,40}\|>|</?s>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>|<(?:bos|eos|pad|unk)>"
)


def special_tokens(text: str) -> list[str]:
    """Return the chat templates' special tokens that a text contains.

    LlamaFactory encodes them as the real tokens (`split_special_tokens` is false by default),
    so that an article could end a turn.
    """
    return _SPECIAL.findall(text)
