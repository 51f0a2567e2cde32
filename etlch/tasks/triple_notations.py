"""Read triples in other people's notations: equal facts, whatever they are written as.

A list of objects with subject-, relation- and object-like keys, a list of three texts, {relation: [[a, b]]},
`(a, r, b)`, `r(a, b)`, `(a)-[r]->(b)`, `Subject: a, Relation: r, Object: b`, and lines with any usual separator.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from etlch.core.records import Fact, Json
from etlch.tasks.base import Noted
from etlch.tasks.notations import BULLET, first_text, folded_key, key_of, names, plain, unwrapped

_SUBJECT_KEYS = names(
    *("subject", "head", "subj", "sub", "h", "s", "arg1", "entity1", "e1", "node1", "source", "from"),
    *("head entity span", "主詞", "主词", "主語", "主语", "頭實體", "头实体"),
)
_RELATION_KEYS = names(
    *("relation", "predicate", "rel", "pred", "p", "r", "relation_type", "relationship", "property", "edge"),
    *("verb", "type", "label", "attribute", "關係", "关系", "謂語", "谓语", "謂詞", "谓词"),
)
_OBJECT_KEYS = names(
    *("object", "tail", "obj", "o", "t", "arg2", "entity2", "e2", "node2", "target", "to"),
    *("tail entity span", "受詞", "受词", "賓語", "宾语", "尾實體", "尾实体"),
)
_AFFIX = re.compile(r"(?:entity|node|span|text|name|mention)\Z")

_CALL = re.compile(r"^\s*([^()（）\n]{1,120}?)\s*[(（]\s*(.+?)\s*[)）]\s*[.;。；,]?\s*$")
_TUPLE = re.compile(r"^\s*[(（<＜\[]\s*(.+?)\s*[)）>＞\]]\s*[.;。；,]?\s*$")
_ARROW = re.compile(r"^\(?([^\[\]]+?)\)?\s*-+\s*\[:?([^\[\]]+)\]\s*-+>?\s*\(?([^\[\]]+?)\)?$")
_QUOTED_PARTS = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([^,，、;；|]+?))\s*(?:[,，、;；|]|\Z)""")
_SEPARATORS = ("－", " – ", " — ", "|", "\t", " - ", "->", "→", " -- ", "–", "—", " ; ", "-")
_HEADER = re.compile(r"^【.*】$|^#{1,6}\s|^```|^\|?[\s:|-]+\|?$")
_TUPLES = re.compile(r"[\[{]?\s*(?:[(（<][^()（）<>]+[)）>]\s*[,;，；、]?\s*){2,}[\]}]?\s*[.。]?")
_CALLS = re.compile(r"(?:[^()（）,;，；]+[(（][^()（）]+[)）]\s*[,;，；、]?\s*){2,}[.。]?")
_ONE_TUPLE = re.compile(r"[(（<][^()（）<>]+[)）>]")
_ONE_CALL = re.compile(r"[^()（）,;，；]+[(（][^()（）]+[)）]")
_NAMED = re.compile(
    r"\b(?:subject|head)\s*[:：]\s*(.+?)\s*[,;，；\n]\s*[-*]?\s*(?:relation|predicate|relationship)\s*[:：]\s*(.+?)\s*"
    r"[,;，；\n]\s*[-*]?\s*(?:object|tail)\s*[:：]\s*(.+?)\s*(?=[;；)\n]|\Z)",
    re.IGNORECASE,
)
_NAMED_CHINESE = re.compile(
    r"(?:主詞|主词|主語|主语|頭實體|头实体)\s*[:：]\s*(.+?)\s*[,;，；\n]\s*(?:關係|关系|謂語|谓语)\s*[:：]\s*(.+?)\s*"
    r"[,;，；\n]\s*(?:受詞|受词|賓語|宾语|尾實體|尾实体)\s*[:：]\s*(.+?)\s*(?=[;；)\n]|\Z)"
)
_REBEL = re.compile(r"<triplet>\s*(.+?)\s*<subj>\s*(.+?)\s*<obj>\s*(.+?)\s*(?=<|\Z)")
_NUMBER = re.compile(r"\s*\(?(\d{1,4})[.)、:：]")


def triple_facts(value: Json, article: str = "") -> Noted | None:
    """Return (subject, relation, object) facts of a JSON value in any triple notation; None where it is none."""
    value = unwrapped(value)
    if value in ([], {}):
        return Noted((), 0, "a list")
    if isinstance(value, dict):
        return _of_object(value)
    if not isinstance(value, list):
        return None
    if len(value) == 3 and all(isinstance(item, str) and _line(item, " – ") is None for item in value):
        value = [value]
    facts: list[Fact] = []
    wrong, notation = 0, ""
    for item in value:
        found = _triple_item(item)
        if found is None:
            wrong += 1
        else:
            fact, notation = found
            facts.append(fact)
    return Noted(tuple(facts), wrong, notation) if notation and wrong <= len(value) // 2 else None


def _of_object(value: dict[str, Json]) -> Noted | None:
    """Read one triple, an object that holds a list of triples, or {relation: [[subject, object]]}."""
    alone = _triple_item(value)
    if alone is not None:
        return Noted((alone[0],), 0, alone[1])
    lists = [content for content in value.values() if isinstance(content, list) and content]
    read = [
        found for content in lists if not _are_texts(content) and (found := triple_facts(content)) is not None
    ]
    if len(read) == 1:
        return read[0]
    facts: list[Fact] = []
    for relation, content in value.items():
        for item in content if isinstance(content, list) else [None]:
            ends = _ends(item)
            if ends is None:
                return None
            facts.append((ends[0], relation, ends[1]))
    return Noted(tuple(facts), 0, "an object {relation: [[subject, object]]}") if facts else None


def _are_texts(content: list[Json]) -> bool:
    return all(isinstance(item, str) for item in content)


def _ends(item: Json) -> tuple[str, str] | None:
    """Return subject and object of a pair, or of an object that names both and no relation."""
    parts: list[str | None] = []
    if isinstance(item, list) and len(item) == 2:
        parts = [first_text(part) for part in item]
    elif isinstance(item, dict):
        found = [key_of(item, keys, _AFFIX) for keys in (_SUBJECT_KEYS, _OBJECT_KEYS)]
        parts = [first_text(item[key]) for key in found if key is not None] if len(set(found)) == 2 else []
    if len(parts) != 2 or not (parts[0] and parts[1]):
        return None
    return parts[0].strip(), parts[1].strip()


def triple_lines(text: str, separator: str) -> Noted | None:
    """Return (subject, relation, object) facts of lines; None where no line is a triple.

    Bullets and numbers before a triple are removed; lines before the first and after the last triple that
    hold no separator are prose. A line among them, or one with a separator, that is no triple is wrong.

    Args:
        text: the text.
        separator: the language's own, tried first.
    """
    for pattern, order in ((_NAMED, (0, 1, 2)), (_NAMED_CHINESE, (0, 1, 2)), (_REBEL, (0, 2, 1))):
        named = [tuple(plain(found[part]) for part in order) for found in pattern.findall(plain(text))]
        if named:
            return Noted(tuple(named), 0, "named parts (subject, relation, object)")
    lines = [piece for raw in text.splitlines() for piece in _pieces(_without_code(raw.strip()), separator)]
    rows: list[Fact | None] = []
    notations = []
    for line in lines:
        found = _line(line, separator)
        if found is not None:
            if not _is_heading(found[0]):
                rows.append(found[0])
                notations.append(found[1])
        elif _has_separator(line, separator):
            rows.append(())  # meant as a triple, and none
        else:
            rows.append(None)
    if not notations:
        return _loose_lines(lines)
    first = next(at for at, row in enumerate(rows) if row is not None)
    last = max(at for at, row in enumerate(rows) if row is not None)
    inner = rows[first : last + 1]
    facts = tuple(row for row in inner if row)
    other = next((name for name in notations if name), "") or ("a list of lines" if _numbered(lines) else "")
    return Noted(facts, sum(not row for row in inner), other)


def _without_code(line: str) -> str:
    """Return a line without the marks of code around all of it; those of single parts stay."""
    bare = line.strip("`").strip()
    return line if "`" in bare else bare


def _pieces(line: str, own: str) -> Iterator[str]:
    """Yield the triples of a line of several tuples or calls, else the line; headers and empty lines are left out."""
    if not line or _HEADER.match(line):
        return
    bare = BULLET.sub("", line)
    if any(len(line.strip("|").split(mark)) == 3 for mark in (own, "－", " – ", " — ", " - ", "|", "\t")):
        yield line
    elif _TUPLES.fullmatch(bare):
        yield from _ONE_TUPLE.findall(bare)
    elif _CALLS.fullmatch(bare):
        yield from (piece.strip() for piece in _ONE_CALL.findall(bare))
    else:
        yield line


def _numbered(lines: list[str]) -> bool:
    """Tell whether all lines have bullets, or numbers from 1 on, which are no part of their triples."""
    numbers = [int(found.group(1)) for line in lines if (found := _NUMBER.match(line))]
    if numbers:
        return numbers == list(range(1, len(lines) + 1))
    return bool(lines) and all(BULLET.match(line) for line in lines)


def _loose_lines(lines: list[str]) -> Noted | None:
    """Read lines all of which have three parts between semicolons or commas, or pairs `relation: subject, object`."""
    bare = [plain(BULLET.sub("", line)).strip("[]") for line in lines]
    sentence = any(re.search(r"[:：]|[.!?。！？]\Z", line) for line in bare)
    for mark, name in ((";", "lines with semicolons"), (",", "lines with commas")):
        split = [[part.strip() for part in line.split(mark)] for line in bare]
        three = all(len(parts) == 3 and all(0 < len(part) <= 80 for part in parts) for parts in split)
        if split and three and not sentence:
            return Noted(tuple(map(tuple, split)), 0, name)
    pairs = [piece for line in bare for piece in re.split(r"[;；]", line) if piece.strip()]
    facts = []
    for pair in pairs:
        relation, colon, ends = pair.replace("：", ":").partition(":")
        parts = [part.strip() for part in re.split(r"[,，]", ends)]
        whole = colon and relation.strip() and len(parts) == 2 and all(parts)
        if not whole or re.search(r'[{}\[\]"]', pair):
            return None
        facts.append((parts[0], relation.strip(), parts[1]))
    return Noted(tuple(facts), 0, "`relation: subject, object` pairs") if facts else None


def _is_heading(fact: Fact) -> bool:
    """Tell whether a line names the columns of a table."""
    known = (_SUBJECT_KEYS, _RELATION_KEYS, _OBJECT_KEYS)
    return all(folded_key(part) in keys for part, keys in zip(fact, known, strict=True))


def _triple_item(item: Json) -> tuple[Fact, str] | None:
    if isinstance(item, str):
        return _line(item, " – ")
    if isinstance(item, dict):
        if len(item) == 1 and isinstance(inner := next(iter(item.values())), list | dict) and len(inner) == 3:
            return _triple_item(inner)  # {"triple": [a, r, b]}
        found = [key_of(item, keys, _AFFIX) for keys in (_SUBJECT_KEYS, _RELATION_KEYS, _OBJECT_KEYS)]
        keys = [key for key in found if key is not None]
        content, notation = [item[key] for key in dict.fromkeys(keys)], f"objects ({', '.join(keys)})"
    else:
        content, notation = list(item) if isinstance(item, list | tuple) else [], "a list of three texts"
    parts = tuple(text.strip() for part in content if (text := first_text(part)) is not None)
    return (parts, notation) if len(content) == len(parts) == 3 and all(parts) else None


def _line(line: str, separator: str) -> tuple[Fact, str] | None:
    """Read one line as a triple, as it is and without its bullet or number."""
    for text in dict.fromkeys((line, BULLET.sub("", line))):
        for found in (
            _as_tuple(text, separator),
            _as_arrow(text),
            _by_separator(text, separator),
            _as_call(text),
        ):
            if found is not None and not BULLET.match(found[0][0] + " "):
                return tuple(map(_unquoted, found[0])), found[1]
    return None


def _by_separator(line: str, own: str) -> tuple[Fact, str] | None:
    for mark in (own, *_SEPARATORS):
        parts = [part.strip() for part in line.strip("|").split(mark)] if mark in line else []
        if len(parts) == 3 and all(parts):
            other = "" if mark.strip() == own.strip() else f"lines with '{mark.strip() or 'tab'}'"
            return tuple(parts), other
    return None


def _as_tuple(line: str, own: str) -> tuple[Fact, str] | None:
    match = _TUPLE.match(line)
    if match is None or not _balanced(match.group(1)):
        return None
    if _ONE_TUPLE.fullmatch(match.group(1)):
        return _as_tuple(match.group(1), own)  # [(a, r, b)]
    parts = _parts(match.group(1))
    if len(parts) == 3:
        return tuple(parts), "(subject, relation, object)"
    found = _by_separator(match.group(1), own)
    return None if found is None else (found[0], "(subject, relation, object)")


def _balanced(text: str) -> bool:
    """Tell whether no bracket is closed before it is opened: (a) – r – (b) is no tuple."""
    depth = 0
    for char in text.replace("->", "").replace("→", ""):
        depth += (char in "(（<[") - (char in ")）>]")
        if depth < 0:
            return False
    return depth == 0


def _as_arrow(line: str) -> tuple[Fact, str] | None:
    match = _ARROW.match(line)
    return (tuple(part.strip() for part in match.groups()), "(a)-[r]->(b)") if match else None


def _as_call(line: str) -> tuple[Fact, str] | None:
    match = _CALL.match(line)
    parts = _parts(match.group(2)) if match else []
    if match is None or len(parts) != 2:
        return None
    return (parts[0], match.group(1).strip(), parts[1]), "relation(subject, object)"


def _parts(text: str) -> list[str]:
    parts, place = [], 0
    while place < len(text):
        match = _QUOTED_PARTS.match(text, place)
        if not match or match.end() == place:
            return []
        parts.append(next(group for group in match.groups() if group is not None).strip())
        place = match.end()
    return parts if all(parts) else []


def _unquoted(part: str) -> str:
    bare = plain(part)
    return bare[1:-1].strip() if len(bare) > 2 and bare[0] == bare[-1] and bare[0] in "\"'" else bare


def _has_separator(line: str, own: str) -> bool:
    """Tell whether a line was meant as a triple: it holds a separator, or has the form of a call or tuple."""
    marks = (own, "－", " – ", " — ", "|", "\t", " - ", "->", "→")
    return any(mark in line for mark in marks) or bool(_TUPLE.match(line) or _CALL.match(line))
