"""Read entities and triples in other people's notations: equal facts, whatever they are written as.

Entities: {type: [mentions]}, a list of objects with a type-like and a text-like key, offsets into the
article, `type: mention; type: mention`, BIO lines. Triples: a list of objects with subject-, relation- and
object-like keys, a list of three texts, `(a, r, b)`, `r(a, b)`, and lines with any usual separator.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import pairwise

from etlch.core.records import Fact, Json
from etlch.tasks.base import Noted, scalar_text

_TYPE_KEYS = (
    *(
        "type",
        "label",
        "entity_type",
        "entity_group",
        "entitytype",
        "category",
        "class",
        "tag",
        "kind",
        "ner",
    ),
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
_TEXT_KEYS = (
    *("text", "mention", "entity", "name", "value", "word", "span", "entity_text", "entity_name", "surface"),
    *("entity span", "phrase", "content", "文本", "實體", "实体", "提及", "名稱", "名称", "內容", "内容"),
)
_SUBJECT_KEYS = (
    *("subject", "head", "subj", "sub", "h", "s", "arg1", "source", "from", "head_entity"),
    *("head entity span", "主詞", "主词", "主語", "主语", "頭實體", "头实体"),
)
_RELATION_KEYS = (
    *("relation", "predicate", "rel", "pred", "p", "r", "relation_type", "property", "edge", "verb"),
    *("type", "label", "關係", "关系", "謂語", "谓语", "謂詞", "谓词"),
)
_OBJECT_KEYS = (
    *("object", "tail", "obj", "o", "t", "arg2", "target", "to", "tail_entity"),
    *("tail entity span", "受詞", "受词", "賓語", "宾语", "尾實體", "尾实体"),
)
_WRAPPERS = (
    *("entities", "triples", "relations", "facts", "spans", "annotations", "ner", "kg", "knowledge_graph"),
    *("relational triplets", "triplets", "results", "output", "實體", "实体", "三元組", "三元组"),
)

_BIO_LINE = re.compile(r"(\S+)\s+(?:([BIESLU])-(\S+)|O)", re.IGNORECASE)
_PAIR = re.compile(r"\s*([^:：;；\n{}\[\]\"]{1,60}?)\s*[:：]\s*([^;；\n]+?)\s*(?:[;；\n]|\Z)")
_BULLET = re.compile(r"^\s*(?:[-*•·‣]\s+|\(?\d{1,4}[.)、](?:\s+|(?=[^\d\s]))|\d{1,4}\s*[:：]\s+)+")
_CALL = re.compile(r"^\s*([^()（）\n]{1,120}?)\s*[(（]\s*(.+?)\s*[)）]\s*[.;。；,]?\s*$")
_TUPLE = re.compile(r"^\s*[(（<＜\[]\s*(.+?)\s*[)）>＞\]]\s*[.;。；,]?\s*$")
_QUOTED_PARTS = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([^,，、;；|]+?))\s*(?:[,，、;；|]|\Z)""")
_SEPARATORS = ("－", " – ", " — ", "|", "\t", " - ", "->", "→", " -- ", "–", "—", " ; ", "-")
_HEADER = re.compile(r"^【.*】$|^#{1,6}\s|^```|^\|?[\s:|-]+\|?$")


def entity_facts(value: Json, article: str = "") -> Noted | None:
    """Return (type, mention) facts of a JSON value in any entity notation; None where it is none.

    Args:
        value: an object of lists, or a list of objects, pairs with offsets, or of triples of offsets.
        article: the text that offsets point into.
    """
    value, notation = _unwrapped(value), ""
    if isinstance(value, dict):
        return _entity_object(value)
    if not isinstance(value, list) or not value:
        return Noted((), 0, "a list") if value == [] else None
    facts: list[Fact] = []
    wrong = 0
    for item in value:
        found = _entity_item(item, article)
        if found is None:
            wrong += 1
        else:
            fact, notation = found
            if all(part.strip() for part in fact):
                facts.append(fact)
    return Noted(tuple(facts), wrong, notation) if notation and wrong <= len(value) // 2 else None


def triple_facts(value: Json, article: str = "") -> Noted | None:
    """Return (subject, relation, object) facts of a JSON value in any triple notation; None where it is none."""
    value = _unwrapped(value)
    if value in ([], {}):
        return Noted((), 0, "a list")
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list):
        return None
    if len(value) == 3 and all(isinstance(item, str) for item in value):
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


def entity_text(text: str, language: str = "") -> Noted | None:
    """Return (type, mention) facts of `type: mention; …` or of BIO lines; None where it is neither."""
    lines = [line for line in text.strip().splitlines() if line.strip()]
    tags = [_BIO_LINE.fullmatch(line.strip()) for line in lines]
    if lines and sum(tag is not None for tag in tags) > len(lines) * 0.8:
        return Noted(_from_tags([tag for tag in tags if tag]), 0, "BIO lines")
    facts: list[Fact] = []
    place = 0
    bare = text.strip()
    while place < len(bare):
        match = _PAIR.match(bare, place)
        if not match:
            return None
        kind, mentions = _BULLET.sub("", match.group(1)), match.group(2)
        facts += [(kind, part.strip()) for part in re.split(r"[,，、]\s+|、", mentions) if part.strip()]
        place = match.end()
    return Noted(tuple(facts), 0, "`type: mention` pairs") if facts else None


def triple_lines(text: str, separator: str) -> Noted | None:
    """Return (subject, relation, object) facts of lines; None where no line is a triple.

    Bullets and numbers before a triple are removed; lines before the first and after the last triple that
    hold no separator are prose. A line among them, or one with a separator, that is no triple is wrong.

    Args:
        text: the text.
        separator: the language's own, tried first.
    """
    rows: list[Fact | None] = []
    notations = []
    for raw in text.splitlines():
        line = raw.strip().strip("`").strip()
        if not line or _HEADER.match(line):
            continue
        found = _line(line, separator)
        if found is not None:
            rows.append(found[0])
            notations.append(found[1])
        elif _has_separator(line, separator):
            rows.append(())  # meant as a triple, and none
        else:
            rows.append(None)
    if not notations:
        return None
    first = next(at for at, row in enumerate(rows) if row is not None)
    last = max(at for at, row in enumerate(rows) if row is not None)
    inner = rows[first : last + 1]
    facts = tuple(row for row in inner if row)
    other = next((name for name in notations if name), "")
    return Noted(facts, sum(not row for row in inner), other)


def _entity_object(value: dict[str, Json]) -> Noted | None:
    """An object of lists under type names, or one entity by itself."""
    alone = _entity_item(value, "")
    if alone is not None and not any(isinstance(item, list | dict) for item in value.values()):
        return Noted((alone[0],), 0, alone[1])
    facts: list[Fact] = []
    wrong = 0
    for kind, mentions in value.items():
        for item in mentions if isinstance(mentions, list) else [mentions]:
            text = _mention(item)
            if text is None:
                wrong += isinstance(item, dict | list)
            elif text.strip():
                facts.append((kind, text))
    return None if wrong and not facts else Noted(tuple(facts), wrong, "")


def _mention(item: Json) -> str | None:
    """Return a mention: a text, or an object whose text-like key says it."""
    if isinstance(item, dict):
        return next((scalar_text(inner) for key, inner in item.items() if _fold(key) in _TEXT_KEYS), None)
    return scalar_text(item)


def _entity_item(item: Json, article: str) -> tuple[Fact, str] | None:
    if isinstance(item, dict):
        kind = _key(item, _TYPE_KEYS)
        text = _key(item, tuple(key for key in _TEXT_KEYS if key != kind))
        if kind is None and "entity" in map(_fold, item) and _fold(text or "") not in ("", "entity"):
            kind = _key(item, ("entity",))  # {"entity": "B-PER", "word": …}, as token classifiers write it
        if kind is not None and text is not None:
            one, two = _first_text(item[kind]), _first_text(item[text])
            if one is not None and two is not None:
                return (one, two), f"a list of objects ({text}, {kind})"
            return None
        start, end = _key(item, ("start", "start_offset")), _key(item, ("end", "end_offset"))
        if kind is not None and start is not None and end is not None and article:
            return _at_offsets(item[start], item[end], _first_text(item[kind]), article)
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


def _triple_item(item: Json) -> tuple[Fact, str] | None:
    if isinstance(item, list | tuple) and len(item) == 3:
        parts = tuple(_first_text(part) for part in item)
        if all(part is not None and part.strip() for part in parts):
            return tuple(str(part).strip() for part in parts), "a list of three texts"
        return None
    if not isinstance(item, dict):
        return None
    names = [_key(item, keys) for keys in (_SUBJECT_KEYS, _RELATION_KEYS, _OBJECT_KEYS)]
    if None in names or len(set(names)) < 3:
        return None
    parts = tuple(_first_text(item[str(name)]) for name in names)
    if not all(part is not None and part.strip() for part in parts):
        return None
    return tuple(str(part).strip() for part in parts), f"objects ({', '.join(map(str, names))})"


def _key(item: dict[str, Json], names: Sequence[str]) -> str | None:
    """Return the item's key that stands earliest among the names."""
    folded = {_fold(key): key for key in item}
    return next((folded[name] for name in names if name in folded), None)


def _fold(key: str) -> str:
    return str(key).strip().casefold()


def _first_text(value: Json) -> str | None:
    """Return a scalar's text; of an object that names something, its name."""
    if isinstance(value, dict):
        return next((scalar_text(inner) for key, inner in value.items() if _fold(key) in _TEXT_KEYS), None)
    if isinstance(value, list):
        return scalar_text(value[0]) if len(value) == 1 else None
    return scalar_text(value)


def _unwrapped(value: Json) -> Json:
    """Take a list out of the object that does nothing but hold it: {"entities": […]}."""
    if isinstance(value, dict):
        lists = [inner for key, inner in value.items() if isinstance(inner, list) and _fold(key) in _WRAPPERS]
        objects = [
            inner for inner in lists if any(isinstance(item, dict | list) for item in inner) or not inner
        ]
        if len(objects) == 1 and sum(isinstance(inner, list) for inner in value.values()) == 1:
            return objects[0]
    return value


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


def _line(line: str, separator: str) -> tuple[Fact, str] | None:
    """Read one line as a triple, as it is and without its bullet or number."""
    for text in dict.fromkeys((line, _BULLET.sub("", line))):
        for read in (_by_separator(separator), _as_tuple, _as_call):
            found = read(text)
            if found is not None and not _BULLET.match(found[0][0] + " "):
                return found
    return None


def _by_separator(own: str) -> Callable[[str], tuple[Fact, str] | None]:
    def read(line: str) -> tuple[Fact, str] | None:
        for mark in (own, *_SEPARATORS):
            parts = [part.strip() for part in line.strip("|").split(mark)] if mark in line else []
            if len(parts) == 3 and all(parts):
                return tuple(
                    map(_unquoted, parts)
                ), "" if mark.strip() == own.strip() else f"lines with '{mark.strip() or 'tab'}'"
        return None

    return read


def _as_tuple(line: str) -> tuple[Fact, str] | None:
    match = _TUPLE.match(line)
    parts = _parts(match.group(1)) if match else []
    return (tuple(parts), "(subject, relation, object)") if len(parts) == 3 else None


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
    return part[1:-1].strip() if len(part) > 2 and part[0] == part[-1] and part[0] in "\"'" else part


def _has_separator(line: str, own: str) -> bool:
    """Tell whether a line was meant as a triple: it holds a separator, or has the form of a call or tuple."""
    marks = (own, "－", " – ", " — ", "|", "\t", " - ", "->", "→")
    return any(mark in line for mark in marks) or bool(_TUPLE.match(line) or _CALL.match(line))
