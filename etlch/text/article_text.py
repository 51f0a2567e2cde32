"""Read a text that a model wrote as an article; return what in it is no article: preambles, headings, another script."""

from __future__ import annotations

import re

from etlch.text.normalize import is_cjk

MOST_FOREIGN = 0.05
"""Share of characters in another script from which on a text is not written in its language: names and quotations
in the other script stay well below it, a whole text in it lies above 0.2."""
_CHARACTER_SETS = {"zh-TW": ("big5", "gb2312"), "zh-CN": ("gb2312", "big5")}
"""The character set of each script and that of the other one."""
_PREAMBLE = re.compile(
    r"\A\s*(?:sure|certainly|of course|absolutely|okay|ok|here(?:'s| is| are|’s))\b[^\n]{0,160}"
    r"(?:[:!]\s*\n|\b(?:article|text)\b[^\n.]{0,80}:)"
    r"|\A\s*(?:當然|好的|沒問題|以下是|以下為|当然|没问题|以下为)[^\n。]{0,60}[：:！!]",
    re.IGNORECASE,
)
_HEADING = re.compile(r"\A\s*(?:#{1,6}\s|\*\*[^*\n]+\*\*\s*\n|(?:title|標題|标题)\s*[:：])", re.IGNORECASE)
_CLOSING = re.compile(
    r"(?:\n|\A)[\s*_(（\[]*(?:word count|character count|total words|字數|字数|全文共|共計?)\s*[:：]?\s*(?:約|约)?\s*\d+[^\n]{0,12}\s*\Z"
    r"|[(（]\s*(?:approx\w*\.? |約|约)?\d+\s*(?:words|characters|字)\s*[)）]\s*\Z"
    r"|\n\s*(?:i hope this helps|let me know if|希望這|希望这)[^\n]*\Z",
    re.IGNORECASE,
)


def written_problems(text: str, language: str) -> list[str]:
    """Return why a model's text cannot stand as an article, in words that can be sent back to it; empty if it can.

    Args:
        text: as the model wrote it, without thoughts.
        language: one of LANGUAGES.
    """
    problems = []
    if _PREAMBLE.search(text):
        problems.append("the text begins with words to the reader; write the article and nothing else")
    if _HEADING.search(text):
        problems.append("the text begins with a heading; write the article without title and markup")
    if _CLOSING.search(text):
        problems.append(
            "the text ends with a remark such as a word count; write the article and nothing else"
        )
    if not is_mostly_in(text, language):
        problems.append(f"the text is not written in {language}")
    return problems


def is_mostly_in(text: str, language: str) -> bool:
    """Tell whether a text is in a language, by its script.

    English has few Chinese characters. Chinese has mostly Chinese ones, of which few stand in the character set of
    the other script alone (Big5 for zh-TW, GB 2312 for zh-CN).
    """
    chinese = [char for char in text if is_cjk(char)]
    letters = sum(char.isalpha() for char in text)
    if not letters:
        return True
    if language == "en":
        return len(chinese) <= 4 * MOST_FOREIGN * letters
    own, other = _CHARACTER_SETS[language]
    foreign = sum(can_be(char, other) and not can_be(char, own) for char in chinese)
    return 2 * len(chinese) >= letters and foreign <= MOST_FOREIGN * len(chinese)


def can_be(char: str, encoding: str) -> bool:
    """Tell whether a character set holds a character."""
    try:
        char.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
