"""kge: knowledge-graph triples, a header line and then one triple a line.

Article: 冥想能夠幫助減少壓力，親近自然能夠提升生活品質。
Label:   【一、三元組格式（主詞－關係－受詞）】
         冥想－能夠幫助－減少壓力
         親近自然－能夠提升－生活品質
Facts:   (冥想, 能夠幫助, 減少壓力) (親近自然, 能夠提升, 生活品質)
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from etlch.core.records import Fact, Json
from etlch.tasks.base import Noted, Parsed, Task
from etlch.tasks.triple_notations import triple_facts, triple_lines

HEADERS = {
    "zh-TW": "【一、三元組格式（主詞－關係－受詞）】",
    "zh-CN": "【一、三元组格式（主词－关系－受词）】",
    "en": "【1. Triple format (Subject–Relation–Object)】",
}
SEPARATORS = {"zh-TW": "－", "zh-CN": "－", "en": " – "}
_OTHER_DASHES = "－–—|-"
_FENCE_LINE = re.compile(r"^\s*```[\w+-]*\s*$")
_TRIPLE_SCHEMA: Json = {
    "type": "object",
    "properties": {
        "triples": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {part: {"type": "string"} for part in ("subject", "relation", "object")},
                "required": ["subject", "relation", "object"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["triples"],
    "additionalProperties": False,
}


def _facts(answer: Json) -> list[Fact]:
    return [(item["subject"], item["relation"], item["object"]) for item in answer["triples"]]


def _problems(facts: Sequence[Fact], language: str) -> list[str]:
    separator = SEPARATORS[language]
    found = []
    for fact in facts:
        for part in fact:
            if separator in part or "\n" in part:
                found.append(f"'{part}' contains the separator '{separator.strip()}' or a line break")
            elif not part.strip():
                found.append(f"an empty part in {fact}")
    return found


def _render(facts: Sequence[Fact], keys: Sequence[str], language: str) -> str:
    return "\n".join([HEADERS[language], *(SEPARATORS[language].join(fact) for fact in facts)])


def _parse(text: str, language: str, gold: bool) -> Parsed:
    facts: list[Fact] = []
    wrong, prose = 0, True
    for raw in text.splitlines():
        line = raw.strip()
        if not line or _FENCE_LINE.match(line) or _is_header(line):
            continue
        parts = _split(line, SEPARATORS.get(language, "－"), gold)
        if parts is None:
            wrong += 1
            prose = prose and not any(dash in line for dash in _OTHER_DASHES)
        else:
            facts.append(parts)
    if wrong and prose and not facts and not gold:
        return Parsed((), 0, "", "no line of it is a triple")
    return Parsed(tuple(facts), wrong, "strict", "")


def _is_header(line: str) -> bool:
    return line.startswith("【") and line.endswith("】")


def _split(line: str, separator: str, gold: bool) -> Fact | None:
    """Split at the language's separator; a prediction also at one other dash, spaced first, then bare."""
    exact = _three(line.split(separator))
    if exact or gold:
        return exact
    for spaced in (True, False):
        for dash in _OTHER_DASHES:
            parts = _three(line.split(f" {dash} " if spaced else dash))
            if parts:
                return parts
    return None


def _three(parts: list[str]) -> Fact | None:
    trimmed = tuple(part.strip() for part in parts)
    return trimmed if len(trimmed) == 3 and all(trimmed) else None


def _lines(text: str, language: str) -> Noted | None:
    return triple_lines(text, SEPARATORS.get(language, "－"))


TASK = Task(
    name="kge",
    summary="knowledge-graph triples: a header, then subject－relation－object, one a line",
    parts=("subject", "relation", "object"),
    grounded=(0, 2),
    json_label=False,
    answer_schema=lambda keys: _TRIPLE_SCHEMA,
    label_schema=lambda keys: None,
    facts=_facts,
    render=_render,
    parse=_parse,
    problems=_problems,
    type_part=1,
    metrics=("lenient", "soft"),
    part_metrics=(("subject", 0), ("relation", 1), ("object", 2)),
    loose_parts=(0, 2),
    read_value=triple_facts,
    read_lines=_lines,
)
