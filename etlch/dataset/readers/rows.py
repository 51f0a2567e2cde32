"""Read rows (JSON, CSV, Parquet …) of labelled texts, in the shapes of annotation tools and data sets.

doccano, Label Studio, spaCy, IEPile, InstructUIE, alpaca, sharegpt and OpenAI messages, events with mentions,
triples one a row, and any columns that a text and a label can be taken from.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from etlch.core.records import Fact, Json
from etlch.dataset.readers.columns import read_tagged, tagged
from etlch.dataset.readers.events import event_fields, has_events
from etlch.dataset.readers.labelled import LabelledFact, LabelledText, entity, plain_fact
from etlch.dataset.readers.standoff import relations_of
from etlch.metrics.readers.layouts import taken
from etlch.tasks import Task
from etlch.text.json_text import loads
from etlch.text.model_text import first_json

TEXT = (
    "text",
    "sent",
    "sentence",
    "content",
    "context",
    "input",
    "article",
    "document",
    "passage",
    "body",
    "query",
)
LABEL = (
    *("label", "labels", "entities", "ents", "spans", "triples", "relations", "output", "response", "answer"),
    *("target", "annotation", "facts", "completion", "gold"),
)
_TURNS = ("conversations", "messages")
_ONE_TRIPLE = (
    ("sub_label", "rel_label", "obj_label"),
    ("subject", "relation", "object"),
    ("head", "relation", "tail"),
    ("sub", "rel", "obj"),
    ("subject", "predicate", "object"),
)


@dataclass(frozen=True)
class RowOptions:
    """What the user says about rows.

    Attributes:
        columns: ours (text, label, id, document, instruction) → column or dotted path.
        drop: relations, types or fields that mean "none".
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    drop: frozenset[str] = frozenset(("unknown", "NA", "no_relation", "Other", "none"))


def read_rows(
    rows: Iterable[Mapping[str, Json]], name: str, task: Task, options: RowOptions
) -> Iterator[LabelledText]:
    """Yield the labelled texts of rows; rows of one triple each are gathered by their text.

    Args:
        rows: parsed rows of one file.
        name: of the file; rows without an id are numbered in it.
        task: whose facts the labels are.
        options: columns and words that mean "none".
    """
    gathered: dict[str, tuple[str, list[Fact]]] = {}
    for number, row in enumerate(rows, 1):
        one = _one_triple(row, options)
        if one is not None:
            text, fact = one
            gathered.setdefault(text, (str(row.get("id") or f"{name}:{number}"), []))[1].append(fact)
            continue
        yield _row(row, f"{name}:{number}", task, options)
    for text, (identity, facts) in gathered.items():
        kept = tuple(plain_fact(fact) for fact in dict.fromkeys(facts) if fact[1] not in options.drop)
        dropped = tuple(f"relation '{fact[1]}'" for fact in facts if fact[1] in options.drop)
        yield LabelledText(identity, identity, text, kept, dropped)


_KINDS: tuple[tuple[str, Callable[[Mapping[str, Json]], bool]], ...] = (
    ("Label Studio", lambda row: "data" in row and "annotations" in row),
    ("events with mentions", has_events),
    ("one triple a row", lambda row: any(all(name in row for name in names) for names in _ONE_TRIPLE)),
    ("tokens with tags", lambda row: tagged(row) is not None),
    ("chat messages", lambda row: any(isinstance(row.get(name), list) for name in _TURNS)),
    ("InstructUIE", lambda row: "Instance" in row or ("entities" in row and "sentence" in row)),
    ("IEPile", lambda row: '"schema"' in str(row.get("instruction"))),
    ("alpaca", lambda row: {"instruction", "output"} <= row.keys()),
    ("spans (doccano, spaCy)", lambda row: isinstance(row.get("entities", row.get("ents")), list)),
    ("doccano", lambda row: isinstance(row.get("label"), list)),
)


def kind_of(row: Mapping[str, Json]) -> str:
    """Return in words what wrote a row like this."""
    return next((name for name, fits in _KINDS if fits(row)), "rows with a text and a label")


def _one_triple(row: Mapping[str, Json], options: RowOptions) -> tuple[str, Fact] | None:
    """Return (text, triple) of a row that holds one triple in three columns beside its text."""
    names = next(
        (names for names in _ONE_TRIPLE if all(isinstance(row.get(name), str) for name in names)), None
    )
    text = _text(row, options)
    return None if names is None or not text else (text, tuple(str(row[name]) for name in names))


def _row(row: Mapping[str, Json], place: str, task: Task, options: RowOptions) -> LabelledText:
    if "data" in row and isinstance(row.get("annotations"), list):
        return _label_studio(row, place, task)
    if isinstance(row.get("Instance"), dict):
        row = {**row["Instance"], **{key: value for key, value in row.items() if key != "Instance"}}
    identity = str(_said(row, options, "id", ("id", "custom_id", "uid", "pmid", "doc_id")) or place)
    document = str(_said(row, options, "document", ("document_id", "article_id", "doc_key")) or identity)
    if len(task.grounded) == 1 and (pair := tagged(row)) is not None:
        return read_tagged(*pair, identity, document)
    if has_events(row) or (task.name == "json" and row.get("events") == []):
        text = _text(row, options)
        facts, fields = event_fields(row)
        return LabelledText(identity, document, text, tuple(facts), fields=fields)
    asked = _asked(row, options)
    text, instruction, label = asked
    facts, dropped = _facts(label, text, row, task)
    kept = tuple(fact for fact in facts if not options.drop & {fact.fact[task.type_part]})
    dropped += [
        f"'{fact.fact[task.type_part]}'" for fact in facts if fact.fact[task.type_part] in options.drop
    ]
    fields = tuple(label) if task.name == "json" and isinstance(label, dict) else ()
    return LabelledText(identity, document, text, kept, tuple(dropped), instruction, fields, _target(row))


def _target(row: Mapping[str, Json]) -> str | None:
    """Return what a model is trained to answer, as the row holds it; None for rows of other kinds."""
    kind = kind_of(row)
    if kind == "chat messages":
        return _answer(_turns(row))
    return row["output"] if kind == "alpaca" and isinstance(row["output"], str) else None


def _turns(row: Mapping[str, Json]) -> list[tuple[str, Json]]:
    """Return (who, text) of each turn of a conversation; empty for rows without turns."""
    turns: list[Json] = next((row[name] for name in _TURNS if isinstance(row.get(name), list)), [])
    return [
        (str(turn.get("from") or turn.get("role")), turn.get("value", turn.get("content")))
        for turn in turns
        if isinstance(turn, dict)
    ]


def _answer(turns: list[tuple[str, Json]]) -> str | None:
    said = (text for who, text in reversed(turns) if who in ("gpt", "assistant", "model"))
    return next((text for text in said if isinstance(text, str)), None)


def _asked(row: Mapping[str, Json], options: RowOptions) -> tuple[str, str, Json]:
    """Return (text, instruction, label) of a row: its turns, an IEPile instruction, or its columns."""
    turns = _turns(row)
    if turns:
        asked = next((text for who, text in turns if who in ("human", "user")), "")
        return str(asked or ""), "", _parsed(_answer(turns))
    told = row.get("instruction")
    if isinstance(told, str) and '"input"' in told:
        value, problem = loads(told)
        if not problem and isinstance(value, dict) and "input" in value:
            return str(value["input"]), str(value.get("instruction") or ""), _parsed(row.get("output"))
    label = _said(row, options, "label", LABEL)
    instruction = _said(row, options, "instruction", ("instruction",))
    text = _text(row, options)
    if not text and isinstance(instruction, str):
        text, instruction = instruction, ""
    return text, str(instruction or ""), _parsed(label)


def _facts(
    label: Json, text: str, row: Mapping[str, Json], task: Task
) -> tuple[list[LabelledFact], list[str]]:
    """Return the facts of a label in any notation, with offsets where it has some."""
    if label is None or label == []:
        return [], ["no label"] if label is None else []
    if isinstance(label, list) and len(task.grounded) == 1:
        placed, dropped = _placed_entities(label, text)
        if placed or dropped:
            return placed, dropped
    if (
        len(task.grounded) == 2
        and isinstance(row.get("entities"), list)
        and isinstance(row.get("relations"), list)
    ):
        linked = _linked(row["entities"], row["relations"], text)
        if linked is not None:
            return linked
    noted = task.read_value(label, text) if task.read_value and isinstance(label, dict | list) else None
    if noted is None and isinstance(label, str):
        noted = task.read_lines(label, "zh-TW") if task.read_lines else None
    if noted is not None:
        return [plain_fact(fact) for fact in noted.facts], ["a part that is no fact"] * noted.wrong
    source = label if isinstance(label, str) else json.dumps(label, ensure_ascii=False)
    parsed = task.parse(source, "en", True)
    if not parsed.how:
        return [], [f"label that cannot be read: {parsed.problem}"]
    return [plain_fact(fact) for fact in parsed.facts], ["a part that is no fact"] * parsed.wrong


def _placed_entities(label: list[Json], text: str) -> tuple[list[LabelledFact], list[str]]:
    """Return entities with offsets: [start, end, type], or objects with start and end (or a `pos` pair)."""
    facts, dropped = [], []
    for item in label:
        place = _offsets(item)
        if place is None:
            return [], []
        start, end, kind, mention = place
        if not 0 <= start < end <= len(text):
            dropped.append("offsets outside the text")
        elif mention and text[start:end] != mention:
            dropped.append("offsets that do not hold their mention")
        else:
            facts.append(entity(kind, start, end, text))
    return facts, dropped


def _offsets(item: Json) -> tuple[int, int, str, str] | None:
    if isinstance(item, list) and len(item) == 3:
        numbers = [part for part in item if isinstance(part, int) and not isinstance(part, bool)]
        kinds = [part for part in item if isinstance(part, str)]
        return (numbers[0], numbers[1], kinds[0], "") if len(numbers) == 2 and len(kinds) == 1 else None
    if not isinstance(item, dict):
        return None
    kind = next((item[name] for name in ("label", "type", "entity_type", "labels") if item.get(name)), None)
    kind = kind[0] if isinstance(kind, list) and kind else kind
    pos = item.get("pos")
    start = item.get(
        "start", item.get("start_offset", pos[0] if isinstance(pos, list) and len(pos) == 2 else None)
    )
    end = item.get("end", item.get("end_offset", pos[1] if isinstance(pos, list) and len(pos) == 2 else None))
    if not isinstance(kind, str) or not isinstance(start, int) or not isinstance(end, int):
        return None
    mention = item.get("text") or item.get("name") or ""
    return start, end, kind, mention if isinstance(mention, str) else ""


def _linked(
    entities: list[Json], relations: list[Json], text: str
) -> tuple[list[LabelledFact], list[str]] | None:
    """Return triples of entities that relations name by their ids (doccano)."""
    known: dict[str, LabelledFact] = {}
    for item in entities:
        place = _offsets(item)
        if not isinstance(item, dict) or "id" not in item or place is None:
            return None
        known[str(item["id"])] = entity(place[2], place[0], place[1], text)
    links = [
        (str(item.get("from_id")), str(item.get("type") or item.get("label")), str(item.get("to_id")))
        for item in relations
        if isinstance(item, dict) and "from_id" in item
    ]
    return relations_of(known, links) if links or not relations else None


def _label_studio(row: Mapping[str, Json], place: str, task: Task) -> LabelledText:
    data = row["data"] if isinstance(row["data"], dict) else {}
    text = str(next((data[name] for name in TEXT if isinstance(data.get(name), str)), ""))
    done = [item for item in row["annotations"] if isinstance(item, dict) and not item.get("was_cancelled")]
    result = done[0].get("result", []) if done else []
    entities: dict[str, LabelledFact] = {}
    links: list[tuple[str, str, str]] = []
    dropped = [] if done else ["no annotation"]
    for item in result:
        value = item.get("value") or {}
        if item.get("type") == "relation":
            labels = item.get("labels") or ["related"]
            links.append((str(item.get("from_id")), str(labels[0]), str(item.get("to_id"))))
        elif (
            isinstance(value.get("start"), int) and isinstance(value.get("labels"), list) and value["labels"]
        ):
            entities[str(item.get("id"))] = entity(value["labels"][0], value["start"], value["end"], text)
        else:
            dropped.append(f"region of type '{item.get('type')}'")
    facts, lost = relations_of(entities, links) if len(task.grounded) == 2 else (list(entities.values()), [])
    identity = str(row.get("id") or data.get("id") or place)
    return LabelledText(identity, identity, text, tuple(facts), (*dropped, *lost))


def _text(row: Mapping[str, Json], options: RowOptions) -> str:
    found = _said(row, options, "text", TEXT)
    return found if isinstance(found, str) else ""


def _said(row: Mapping[str, Json], options: RowOptions, name: str, known: tuple[str, ...]) -> Json:
    if name in options.columns:
        return taken(row, options.columns[name])
    return next((row[column] for column in known if row.get(column) is not None), None)


def _parsed(label: Json) -> Json:
    """Return a label's JSON value where its text is JSON, else the text."""
    if isinstance(label, str) and label.lstrip()[:1] in ("{", "["):
        found = first_json(label)
        return found.value if not found.problem else label
    return label
