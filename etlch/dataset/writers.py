"""Write records in the formats of annotation tools (doccano, Label Studio, BIO, brat), so that people can correct them.

What is written is read back by the readers of `etlch-data import` with the same facts and offsets. Offsets count
characters. A fact that a format cannot hold is left out and counted, and an update does not take that for a deletion.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from etlch.core.records import Fact, Json, Located, Record, Span
from etlch.tasks import Task
from etlch.text.normalize import is_cjk

END = "Entity"
"""Type of the ends of triples, which have none of their own."""


class Written(NamedTuple):
    """Files of labels.

    Attributes:
        files: path → content.
        left_out: reason → facts that the format cannot hold.
    """

    files: dict[str, str]
    left_out: Counter[str]


class _Annotation(NamedTuple):
    """What a tool shows of one record: typed spans, and links (place in spans, relation, place in spans)."""

    spans: list[tuple[str, Span]]
    links: list[tuple[int, str, int]]


def write_labels(records: Sequence[Record], task: Task, form: str, stem: str) -> Written:
    """Return the files of the records of one task.

    Args:
        records: of the task.
        task: tells spans (one grounded part) from triples (two).
        form: one of FORMATS.
        stem: of the file's name, or of the folder's.
    """
    kept, left_out = [], Counter[str]()
    for record in records:
        facts = expressible(record, task, form)
        left_out.update(_reason(item, task, form) for item in record.facts if item not in facts.values())
        kept.append((record, _annotation(list(facts.values()), task)))
    return Written(FORMATS[form](kept, stem, task), left_out)


def expressible(record: Record, task: Task, form: str) -> dict[Fact, Located]:
    """Return the facts of a record that a format can hold, by how they will be read back.

    Args:
        record: its parts may be written otherwise than they stand in the text, under policies.
        task: its task.
        form: one of FORMATS; another word stands for formats that hold every fact.
    """
    if form not in FORMATS:
        return {item.fact: item for item in record.facts}
    found: dict[Fact, Located] = {}
    taken: list[Span] = []
    for item in sorted(record.facts, key=_width):
        if _reason(item, task, form) != _OVERLAP:
            continue
        span = item.spans[task.grounded[0]]
        if form == "bio" and span is not None:
            if any(span[0] < end and start < span[1] for start, end in taken):
                continue
            taken.append(span)
        found.setdefault(_read_back(item, task, record.input), item)
    return found


_OVERLAP = "overlaps another (BIO has one type for each token)"


def _reason(item: Located, task: Task, form: str) -> str:
    """Return why a format cannot hold a fact; what nothing else keeps out overlaps another."""
    if any(item.spans[place] is None for place in task.grounded):
        return "no place in the text"
    name = item.fact[task.type_part]
    if form == "brat" and any(char.isspace() for char in name):
        return "type with a space (brat has none)"
    if form == "bio" and len(task.grounded) > 1:
        return "triple (BIO has entities only)"
    return _OVERLAP


def _width(item: Located) -> tuple[int, int]:
    """Return start and negative length: of nested spans the outer comes first."""
    spans = [span for span in item.spans if span is not None]
    return (spans[0][0], -(spans[0][1] - spans[0][0])) if spans else (0, 0)


def _read_back(item: Located, task: Task, text: str) -> Fact:
    parts = list(item.fact)
    for place in task.grounded:
        span = item.spans[place]
        parts[place] = text[slice(*span)] if span else parts[place]
    return tuple(parts)


def _annotation(facts: Sequence[Located], task: Task) -> _Annotation:
    if len(task.grounded) == 1:
        place = task.grounded[0]
        typed = [
            (item.fact[task.type_part], span) for item in facts if (span := item.spans[place]) is not None
        ]
        return _Annotation(typed, [])
    spans: dict[Span, int] = {}
    links = []
    for item in facts:
        head, tail = (item.spans[place] for place in task.grounded)
        if head is not None and tail is not None:
            first, last = (spans.setdefault(span, len(spans)) for span in (head, tail))
            links.append((first, item.fact[task.type_part], last))
    return _Annotation([(END, span) for span in spans], links)


_Kept = Sequence[tuple[Record, _Annotation]]


def _doccano(kept: _Kept, stem: str, task: Task) -> dict[str, str]:
    rows: list[Json] = []
    for record, note in kept:
        row: dict[str, Json] = {"id": record.article_id, "text": record.input}
        if len(task.grounded) == 1:
            row["label"] = [[start, end, kind] for kind, (start, end) in note.spans]
        else:
            row["entities"] = [
                {"id": place, "label": kind, "start_offset": start, "end_offset": end}
                for place, (kind, (start, end)) in enumerate(note.spans)
            ]
            row["relations"] = [
                {"id": place, "from_id": head, "to_id": tail, "type": name}
                for place, (head, name, tail) in enumerate(note.links)
            ]
        rows.append(row)
    return {f"{stem}.jsonl": "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)}


def _label_studio(kept: _Kept, stem: str, task: Task) -> dict[str, str]:
    tasks = []
    for record, note in kept:
        result: list[Json] = [
            {
                "id": f"s{place}",
                "from_name": "label",
                "to_name": "text",
                "type": "labels",
                "value": {"start": start, "end": end, "text": record.input[start:end], "labels": [kind]},
            }
            for place, (kind, (start, end)) in enumerate(note.spans)
        ]
        result += [
            {
                "type": "relation",
                "from_id": f"s{head}",
                "to_id": f"s{tail}",
                "direction": "right",
                "labels": [name],
            }
            for head, name, tail in note.links
        ]
        data = {"id": record.article_id, "text": record.input}
        tasks.append({"data": data, "annotations": [{"result": result}]})
    return {f"{stem}.json": json.dumps(tasks, ensure_ascii=False, indent=1) + "\n"}


def _bio(kept: _Kept, stem: str, task: Task) -> dict[str, str]:
    blocks = []
    for record, note in kept:
        # A line break would end the comment; a space keeps the offsets.
        text = "".join(" " if char.isspace() else char for char in record.input)
        lines = [f"# sent_id = {record.article_id}", f"# text = {text}"]
        begins = {span[0]: (kind, span[1]) for kind, span in note.spans}
        edges = {edge for _, span in note.spans for edge in span}
        kind, end = "", 0
        for start, stop in _tokens(record.input, edges):
            first = start in begins
            if first:
                kind, end = begins[start]
            tag = "O" if start >= end else f"{'B' if first else 'I'}-{kind}"
            lines.append(f"{record.input[start:stop]}\t{tag}")
        blocks.append("\n".join(lines) + "\n")
    return {f"{stem}.bio": "\n".join(blocks)}


def _tokens(text: str, edges: set[int]) -> Iterator[Span]:
    """Yield words, and other characters one by one; no token crosses an edge of a span."""
    start = 0
    for place in range(1, len(text) + 1):
        inside = place < len(text) and _is_letter(text[place]) and _is_letter(text[place - 1])
        if inside and place not in edges:
            continue
        if not text[start:place].isspace():
            yield start, place
        start = place


def _is_letter(char: str) -> bool:
    return char.isalnum() and not is_cjk(char)


def _brat(kept: _Kept, stem: str, task: Task) -> dict[str, str]:
    files = {}
    for record, note in kept:
        lines = [
            f"T{place}\t{kind} {start} {end}\t{' '.join(record.input[start:end].split())}"
            for place, (kind, (start, end)) in enumerate(note.spans, 1)
        ]
        lines += [
            f"R{place}\t{name} Arg1:T{head + 1} Arg2:T{tail + 1}"
            for place, (head, name, tail) in enumerate(note.links, 1)
        ]
        files[f"{stem}/{record.article_id}.txt"] = record.input
        files[f"{stem}/{record.article_id}.ann"] = "".join(f"{line}\n" for line in lines)
    return files


FORMATS: Mapping[str, Callable[[_Kept, str, Task], dict[str, str]]] = {
    "doccano": _doccano,
    "label-studio": _label_studio,
    "bio": _bio,
    "brat": _brat,
}
"""Name → writer."""

READ_AS = {
    "doccano": "doccano",
    "spans (doccano, spaCy)": "doccano",
    "Label Studio": "label-studio",
    "token columns (IOB2, BIO, BIOES)": "bio",
    "brat standoff": "brat",
}
"""How the readers name a format → the format as it is written."""
