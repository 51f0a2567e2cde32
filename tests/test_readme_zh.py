"""README.zh-TW.md says what README.md says: section by section, the facts are the same and no sentence is older."""

from __future__ import annotations

import re
from hashlib import sha256
from itertools import zip_longest
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ENGLISH = (ROOT / "README.md").read_text(encoding="utf-8")
CHINESE = (ROOT / "README.zh-TW.md").read_text(encoding="utf-8")
STAMP = re.compile(r"<!-- README\.md (\w+) -->")
"""Stands in each Chinese section: the digest of the English one that it was translated from."""

GENERATED = re.compile(r"^<!-- \[\[\[cog.*?\[\[\[end\]\]\] -->$", re.DOTALL | re.MULTILINE)
BLOCK = re.compile(r"\n\s*\n|\n(?=[-|] )")
MARK = re.compile(r"\]\((?!README)([^)]+)\)|(`[^`]+`)|(\d+(?:[.,]\d+)*)")
REMARK = re.compile(r"(?:^|\s+)#\s.*|(?<=\S)\s{2,}.*")
"""In code: a comment, or what stands in a second column."""


def sections(text: str) -> list[str]:
    """Cut a page at its headings; a `#` inside code is none."""
    found = [""]
    coded = False
    for line in text.splitlines():
        coded ^= line.startswith("```")
        if line.startswith("#") and not coded:
            found.append("")
        found[-1] += line + "\n"
    return found[1:]


def facts(section: str) -> list[list[str]]:
    """List what no translation changes: the heading's level, code, and each block's links, `names` and numbers."""
    heading, _, rest = section.partition("\n")
    found = [[heading.split()[0]], GENERATED.findall(rest)]
    prose_and_code = GENERATED.sub("", STAMP.sub("", rest)).split("```")
    for number, part in enumerate(prose_and_code):
        if number % 2:
            found.append([REMARK.sub("", line) for line in part.splitlines()])
        else:
            found += [["".join(mark) for mark in MARK.findall(block)] for block in BLOCK.split(part.strip())]
    return found


def digest(section: str) -> str:
    """Return the digest of a section's words; neither line breaks nor what cog writes count."""
    return sha256(" ".join(GENERATED.sub("", section).split()).encode()).hexdigest()[:8]


@pytest.mark.parametrize(
    ("english", "chinese"),
    list(zip_longest(sections(ENGLISH), sections(CHINESE), fillvalue="(missing)\n")),
    ids=lambda section: section.partition("\n")[0].lstrip("# "),
)
def test_each_section_says_the_same(english: str, chinese: str) -> None:
    title = english.partition("\n")[0]
    assert facts(chinese) == facts(english), f"README.zh-TW.md says something else under {title!r}"
    assert STAMP.findall(chinese) == [digest(english)], (
        f"README.md has changed under {title!r}: bring the Chinese up to date, "
        f"then write into that section: <!-- README.md {digest(english)} -->"
    )


def test_each_links_to_the_other() -> None:
    assert "(README.zh-TW.md)" in sections(ENGLISH)[0] and "(README.md)" in sections(CHINESE)[0]
