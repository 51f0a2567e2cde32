"""Read entities in other people's notations: equal facts, whatever they are written as.

{type: [mentions]}, a list of objects with a type-like and a text-like key, pairs, offsets into the article,
`type: mention; type: mention`, a type with its mentions below, tables, inline tags, BIO lines and tokens.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from etlch.core.records import Fact, Json
from etlch.tasks.base import Noted, scalar_text
from etlch.tasks.notations import BULLET, TEXT_KEYS, first_text, folded_key, key_of, names, plain, unwrapped

_TYPE_KEYS = names(
    *("type", "label", "entity_type", "entity_group", "category", "class", "tag", "kind", "ner"),
    *(
        "entity_label",
        "entity category",
        "類型",
        "类型",
        "類別",
        "类别",
        "實體類型",
        "实体类型",
        "標籤",
        "标签",
    ),
)
_AFFIX = re.compile(r"\A(?:named)?(?:entity|ner|span|mention|實體|实体)(?=.)")
_TYPES = frozenset(
    names(
        *("person", "per", "people", "name", "organization", "organisation", "org", "company", "institution"),
        *("location", "loc", "place", "gpe", "city", "country", "date", "time", "event", "product", "work"),
        *("misc", "miscellaneous", "quantity", "money", "percent", "number", "title", "law", "language"),
        *("norp", "fac", "facility", "work_of_art", "cardinal", "ordinal", "disease", "drug", "chemical"),
        *("gene", "protein", "symptom", "treatment", "species", "material", "method", "task", "metric"),
        *(
            "人物",
            "人名",
            "人",
            "地點",
            "地点",
            "地名",
            "組織",
            "组织",
            "機構",
            "机构",
            "公司",
            "日期",
            "時間",
        ),
        *(
            "时间",
            "事件",
            "產品",
            "产品",
            "作品",
            "數量",
            "数量",
            "金額",
            "金额",
            "疾病",
            "藥物",
            "药物",
            "職位",
        ),
    )
)
"""Names of types that people use; they tell in a pair which of the two is the type."""

_TAG = r"(?:([BIESLU])-([^\s/|_]\S*)|O)"
_BIO_LINE = re.compile(rf"(\S+)(?:\s+\S+)*?\s+{_TAG}", re.IGNORECASE)
_BIO_TOKEN = re.compile(rf"(\S+?)[/|_]{_TAG}")
_INLINE = re.compile(r"<([^\W\d][\w -]{0,40})>\s*([^<>]+?)\s*</\1>")
_PAIR = re.compile(r"([^:：{}\[\]\"]{1,60}?)\s*[:：]\s*(.*)", re.DOTALL)
_IN_BRACKETS = re.compile(r"(.+?)\s*[(（]([^()（）]+)[)）]")
_AFTER_BRACKETS = re.compile(r"[\[【]([^\[\]【】]+)[\]】]\s*(.+)")
_TUPLE = re.compile(r"[(（]\s*([^()（）,，]+?)\s*[,，]\s*([^()（）]+?)\s*[)）]")
_MANY = re.compile(r"[,，、]\s+|、")


def entity_facts(value: Json, article: str = "") -> Noted | None:
    """Return (type, mention) facts of a JSON value in any entity notation; None where it is none.

    Args:
        value: an object of lists, or a list of objects, of pairs, or of triples of offsets.
        article: the text that offsets point into; it also tells in pairs which of the two is the mention.
    """
    value, notation = unwrapped(value), ""
    if isinstance(value, dict):
        return _entity_object(value)
    if not isinstance(value, list) or not value:
        return Noted((), 0, "a list") if value == [] else None
    pairs = [tuple(item) for item in value if isinstance(item, list) and len(item) == 2]
    if len(pairs) == len(value) and all(isinstance(part, str) for pair in pairs for part in pair):
        return _of_pairs(pairs, "a list of pairs", article)
    facts: list[Fact] = []
    wrong = 0
    for item in value:
        found = _items(item, article)
        if found is None:
            wrong += 1
        else:
            notation = found[1]
            facts += [fact for fact in found[0] if all(part.strip() for part in fact)]
    return Noted(tuple(facts), wrong, notation) if notation and wrong <= len(value) // 2 else None


def _items(item: Json, article: str) -> tuple[list[Fact], str] | None:
    """Return the facts of one item of a list: one entity, or an object {type: [mentions]}."""
    found = _entity_item(item, article)
    if found is not None:
        return [found[0]], found[1]
    if isinstance(item, dict) and item and all(isinstance(content, list) for content in item.values()):
        read = _entity_object(item)
        if read is not None and not read.wrong:
            return list(read.facts), "a list of objects {type: [mentions]}"
    return None


def entity_text(text: str, language: str = "") -> Noted | None:
    """Return (type, mention) facts of text that is no JSON; None where it is no notation of entities.

    Lines before the first and after the last entity are prose; a line between that is none is wrong.
    """
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    for pattern, parts in ((_BIO_LINE, lines), (_BIO_TOKEN, text.split())):
        tags = [pattern.fullmatch(part) for part in parts]
        if parts and sum(tag is not None for tag in tags) > len(parts) * 0.8:
            return Noted(_from_tags([tag for tag in tags if tag]), 0, "BIO lines")
    inline = _INLINE.findall(text)
    if inline:
        return Noted(tuple((kind.strip(), mention) for kind, mention in inline), 0, "inline tags")
    return _of_lines(lines) or _of_small_lines(lines)


def _of_lines(lines: Sequence[str]) -> Noted | None:
    """Read `type: mention, mention; type: mention`, or lines `type:` with their mentions below them."""
    pieces = [piece.strip() for line in lines for piece in re.split(r"[;；]", line) if piece.strip()]
    rows: list[list[Fact] | None] = []
    kind, below = "", 0
    for piece in pieces:
        bare = plain(BULLET.sub("", piece))
        match = _PAIR.fullmatch(bare)
        if match and match.group(2).strip():
            kind = ""
            named = plain(match.group(1).strip("* "))
            mentions = match.group(2).strip("* ")
            rows.append([(named, part.strip()) for part in _MANY.split(mentions) if part.strip()])
        elif match:
            kind, below = plain(match.group(1).strip("* ")), len(pieces)
        elif kind and (BULLET.match(piece) or below == len(pieces)):
            rows.append([(kind, bare)])
            below = -1 if not BULLET.match(piece) else below
        else:
            rows.append(None)
    return _between(rows, "`type: mention` pairs")


def _of_small_lines(lines: Sequence[str]) -> Noted | None:
    """Read tuples (mention, type), table rows, `mention -> type`, `mention (type)` and `[type] mention`."""
    bare = [plain(BULLET.sub("", line)) for line in lines]
    joined = " ".join(bare).strip("[]")
    tuples = _TUPLE.findall(joined)
    if tuples and not re.sub(r"[\s,;，；、.。]", "", _TUPLE.sub("", joined)):
        return _of_pairs([tuple(part.strip("\"'") for part in pair) for pair in tuples], "tuples")
    cells = [
        [cell.strip() for cell in re.split(r"\s*(?:\||->|→|\t)\s*", line.strip("|"))]
        for line in bare
        if not re.fullmatch(r"[\s:|-]+", line)
    ]
    table = [tuple(row) for row in cells if len(row) == 2 and all(row)]
    if table and len(table) == len(cells):
        if {folded_key(cell) for cell in table[0]} & {*_TYPE_KEYS}:
            table = table[1:]
        return _of_pairs(table, "lines of mention and type")
    rows: list[list[Fact] | None] = []
    for line in bare:
        last, first = _IN_BRACKETS.fullmatch(line), _AFTER_BRACKETS.fullmatch(line)
        if last and folded_key(last.group(2)) in _TYPES:
            rows.append([(last.group(2).strip(), last.group(1).strip())])
        elif first and folded_key(first.group(1)) in _TYPES:
            rows.append([(first.group(1).strip(), first.group(2).strip())])
        else:
            rows.append(None)
    return _between(rows, "lines of mention and type")


def _between(rows: list[list[Fact] | None], notation: str) -> Noted | None:
    content = [place for place, row in enumerate(rows) if row]
    if not content:
        return None
    inner = rows[content[0] : content[-1] + 1]
    return Noted(tuple(fact for row in inner for fact in row or ()), sum(not row for row in inner), notation)


def _of_pairs(pairs: Sequence[tuple[str, ...]], notation: str, article: str = "") -> Noted | None:
    """Return facts of pairs whose order is not known: types have usual names, mentions stand in the article."""
    sides = [[pair[side].strip() for pair in pairs] for side in (0, 1)]
    usual = [sum(folded_key(part) in _TYPES for part in side) for side in sides]
    there = [sum(part in article for part in side) if article else 0 for side in sides]
    first_is_type = (usual[0], there[1]) > (usual[1], there[0])
    if not pairs or (usual[0], there[1]) == (usual[1], there[0]):
        return None
    kinds, mentions = (sides[0], sides[1]) if first_is_type else (sides[1], sides[0])
    facts = tuple((kind, mention) for kind, mention in zip(kinds, mentions, strict=True) if kind and mention)
    return Noted(facts, 0, notation)


def _entity_object(value: dict[str, Json]) -> Noted | None:
    """An object of lists under type names, of types under mentions, or one entity by itself."""
    alone = _entity_item(value, "")
    if alone is not None and not any(isinstance(item, list | dict) for item in value.values()):
        return Noted((alone[0],), 0, alone[1])
    kinds = [
        content for content in value.values() if isinstance(content, str) and folded_key(content) in _TYPES
    ]
    if value and len(kinds) == len(value) and not any(folded_key(key) in _TYPES for key in value):
        facts = [(str(kind), key) for key, kind in value.items()]
        return Noted(tuple(facts), 0, "an object {mention: type}")
    facts = []
    wrong = 0
    for kind, content in value.items():
        for item in content if isinstance(content, list) else [content]:
            text = _mention(item)
            if text is None:
                wrong += isinstance(item, dict | list)
            elif text.strip():
                facts.append((kind, text))
    return None if wrong and not facts else Noted(tuple(facts), wrong, "")


def _mention(item: Json) -> str | None:
    """Return a mention: a text, or an object whose text-like key says it."""
    if isinstance(item, dict):
        return next(
            (scalar_text(content) for key, content in item.items() if folded_key(key) in TEXT_KEYS), None
        )
    return scalar_text(item)


def _entity_item(item: Json, article: str) -> tuple[Fact, str] | None:
    if isinstance(item, dict):
        kind = key_of(item, _TYPE_KEYS, _AFFIX)
        rest = {key: content for key, content in item.items() if key != kind}
        text = key_of(rest, TEXT_KEYS, _AFFIX)
        if kind is None and text is not None and "entity" in map(folded_key, item):
            kind = key_of(item, ("entity",))  # {"entity": "B-PER", "word": …}, as token classifiers write it
            text = key_of({key: content for key, content in item.items() if key != kind}, TEXT_KEYS)
        if kind is not None and text is not None:
            one, two = first_text(item[kind]), first_text(item[text])
            if one is not None and two is not None:
                return (one, two), f"a list of objects ({text}, {kind})"
            return None
        start, end = key_of(item, ("start", "startoffset")), key_of(item, ("end", "endoffset"))
        if kind is not None and start is not None and end is not None and article:
            return _at_offsets(item[start], item[end], first_text(item[kind]), article)
        return None
    if isinstance(item, list | tuple) and len(item) == 3 and article:
        numbers = [part for part in item if isinstance(part, int)]
        kinds = [part for part in item if isinstance(part, str)]
        if len(numbers) == 2 and len(kinds) == 1:
            return _at_offsets(numbers[0], numbers[1], kinds[0], article)
    return None


def _at_offsets(start: Json, end: Json, kind: str | None, article: str) -> tuple[Fact, str] | None:
    whole = isinstance(start, int) and isinstance(end, int) and 0 <= start < end <= len(article)
    return ((kind, article[start:end]), "offsets into the article") if whole and kind else None


def _from_tags(tags: Sequence[re.Match[str]]) -> tuple[Fact, ...]:
    """Return the entities of BIO, BIOES or BILOU tags; an I without a beginning begins one (conlleval)."""
    found: list[tuple[str, list[str]]] = []
    open_type = ""
    for match in tags:
        token, mark, kind = match.group(1), (match.group(2) or "O").upper(), match.group(3) or ""
        if mark == "O":
            open_type = ""
        elif mark in "BSU" or open_type != kind:
            found.append((kind, [token]))
            open_type = "" if mark in "SU" else kind
        else:
            found[-1][1].append(token)
            open_type = "" if mark in "EL" else kind
    return tuple((kind, _joined(tokens)) for kind, tokens in found)


def _joined(tokens: list[str]) -> str:
    """Join tokens with spaces, but not beside a CJK character."""
    text = tokens[0]
    for before, token in pairwise(tokens):
        wide = ord(before[-1]) > 0x2E7F and ord(token[0]) > 0x2E7F
        text += token if wide else f" {token}"
    return text
