"""One record: a key and a predicted text walk in; all its numbers but cosine walk out."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from etlch.core.records import Fact, Json, Key
from etlch.metrics import facts
from etlch.metrics.facts import Row, Sides
from etlch.metrics.json_form import form, read_glued
from etlch.metrics.nested import leaves
from etlch.metrics.predictions import END_MARKERS, without_markers
from etlch.metrics.registry import record_f1
from etlch.metrics.rouge import Gold, prepare, rouge
from etlch.tasks.base import Parsed, Task
from etlch.text.json_text import Reading, read_json, schema_problems
from etlch.text.numerals import NUMERALS

_NUMERIC = NUMERALS + "年月日號号時时分秒點点民國国西元公百之"
_PLAIN_RUN = re.compile(rf"(?:(?![{_NUMERIC}])[\u4e00-\u9fff])+")

NONE = frozenset(
    (
        *("none", "n/a", "na", "null", "nil", "[]", "nothing", "nothing found", "no facts", "no triples"),
        *("no entities", "no entities found", "無", "无", "沒有", "没有", "無實體", "无实体", "沒有實體"),
        *("没有实体", "沒有找到任何實體", "没有找到任何实体", "未找到任何實體", "未找到任何实体"),
        *("沒有三元組", "没有三元组", "沒有找到任何三元組", "没有找到任何三元组"),
    )
)
"""Sentences that say that there is nothing to find."""


@dataclass(frozen=True)
class How:
    """How the texts of one file are read and measured.

    Attributes:
        tokenizer: a name of text.TOKENIZERS.
        nested: the labels hold objects inside lists or objects: facts are (path, leaf).
        glued: several JSON values stand after each other in one label.
        label_map: a type's name → the name it is compared under.
        markers: removed from the end of labels and predictions.
        rouge, json, facts, grounding: which groups of metrics are wanted.
    """

    task: Task
    tokenizer: str = "hybrid"
    nested: bool = False
    glued: bool = False
    label_map: Mapping[str, str] = field(default_factory=dict)
    markers: tuple[str, ...] = END_MARKERS
    rouge: bool = True
    json: bool = True
    facts: bool = True
    grounding: bool = True


@dataclass(frozen=True)
class Measures:
    """The numbers of one record.

    Attributes:
        values: metric → value; one that does not apply to this record is absent.
        rows: family → counts.
        types: type → counts.
        reading: how the prediction's facts were read: strict, fenced, none, or empty (unparseable).
        gold_problem: why the gold is not what its task says; empty otherwise.
    """

    values: dict[str, float]
    rows: dict[str, Row]
    types: dict[str, Row]
    reading: str
    gold_problem: str


@dataclass(frozen=True)
class Both:
    """Gold and prediction, read.

    `keys` are those of the two top objects (gold, predicted), where both labels are objects.
    """

    sides: Sides
    reading: str
    gold_problem: str
    raw: tuple[Fact, ...]
    keys: tuple[tuple[str, ...], tuple[str, ...]]


def measure(key: Key, text: str, how: How) -> Measures:
    """Return the numbers of one prediction."""
    gold, predicted = without_markers(key.gold, how.markers), without_markers(text, how.markers)
    values: dict[str, float] = {}
    rows: dict[str, Row] = {}
    if how.rouge:
        found = rouge(_prepared(gold, how.tokenizer), predicted)
        values |= {"rouge_l": found.longest, "rouge_1": found.one, "rouge_2": found.two}
    json_label = how.task.json_label
    if how.json and json_label:
        values |= _form_values(text, key.schema)
    both = read_both(gold, predicted, key.language, how)
    if how.facts and not _unreadable(both):
        rows = _fact_rows(both, how)
        row = rows["facts"]
        values["facts_f1_macro"] = record_f1(*row)
        values["exact"] = float(
            row.hits == row.predicted == row.gold and bool(both.reading) and _same_keys(both, how)
        )
    if how.grounding and key.input:
        rows["grounded"] = _grounded(both, key.input, how)
    types = facts.by_type(both.sides, 0 if how.nested else how.task.type_part) if how.facts else {}
    return Measures(values, rows, types, both.reading, both.gold_problem)


def read_both(gold: str, predicted: str, language: str, how: How) -> Both:
    """Read both texts, without end markers, as the task and the shape of the file say."""
    if how.nested:
        return _read_nested(gold, predicted, how)
    one, two = _parse(gold, language, True, how.task), _parse(predicted, language, False, how.task)
    problem = one.problem or (f"{one.wrong} parts are no facts" if one.wrong else "")
    reading = two.how
    if not how.task.json_label and two.wrong and not two.facts:
        reading = ""
    sides = Sides(
        facts.comparable(mapped(one.facts, how)), facts.comparable(mapped(two.facts, how)), two.wrong
    )
    keys = _keys(gold, how), _keys(predicted, how)
    return Both(sides, reading, problem, two.facts, keys if how.task.json_label else ((), ()))


def _parse(text: str, language: str, gold: bool, task: Task) -> Parsed:
    if says_none(text):
        return Parsed((), 0, "none", "")
    return task.parse(text, language, gold)


def says_none(text: str) -> bool:
    """Tell whether a text only says that there is nothing to find."""
    return len(text) < 40 and text.strip(" \t\r\n.。!！\"'「」").casefold() in NONE


def _read_nested(gold: str, predicted: str, how: How) -> Both:
    one, two = _read(gold, how.glued), _read(predicted, how.glued)
    reading = "none" if not two.how and says_none(predicted) else two.how
    problem = "" if one.how or says_none(gold) else one.problem
    found = leaves(one.value, two.value)
    sides = Sides(facts.comparable(found.gold), facts.comparable(found.predicted), 0)
    return Both(sides, reading, problem, found.predicted, (_top_keys(one.value), _top_keys(two.value)))


def _read(text: str, glued: bool) -> Reading:
    return read_glued(text) if glued else read_json(text)


def _keys(text: str, how: How) -> tuple[str, ...]:
    return tuple(how.label_map.get(key, key) for key in _top_keys(read_json(text).value))


def _top_keys(value: Json) -> tuple[str, ...]:
    return tuple(value) if isinstance(value, dict) else ()


def _same_keys(both: Both, how: How) -> bool:
    return "keys" not in how.task.metrics or set(both.keys[0]) == set(both.keys[1])


def _unreadable(both: Both) -> bool:
    return bool(both.gold_problem) and not both.sides.gold


def mapped(found: Sequence[Fact], how: How) -> tuple[Fact, ...]:
    """Return facts under the names that the label map compares them under."""
    if not how.label_map:
        return tuple(found)
    part = how.task.type_part
    return tuple(
        (*fact[:part], how.label_map.get(fact[part], fact[part]), *fact[part + 1 :]) for fact in found
    )


FAMILIES: Mapping[str, Callable[[Sides], Row]] = {
    "types": facts.types_only,
    "partial": facts.partial,
    "soft": facts.soft,
}
"""Family of metrics → the counts of one record. A task names those that apply to it."""


def _fact_rows(both: Both, how: How) -> dict[str, Row]:
    sides = both.sides
    rows = {"facts": facts.strict(sides)}
    if "keys" in how.task.metrics:
        rows["keys"] = facts.of_keys(*both.keys)
    if how.nested:
        return rows
    rows |= {name: facts.of_part(sides, part) for name, part in how.task.part_metrics}
    return rows | {name: row(sides) for name, row in FAMILIES.items() if name in how.task.metrics}


def _grounded(both: Both, article: str, how: How) -> Row:
    """Count predicted facts all of whose grounded parts stand in the article."""
    predicted = dict.fromkeys(both.raw)
    parts = (1,) if how.nested else how.task.grounded
    hits = sum(all(stands_in(fact[part], article) for part in parts) for fact in predicted)
    return Row(hits, len(predicted), 0)


def stands_in(value: str, article: str) -> bool:
    """Tell whether grounding.locate finds a value in an article.

    Ideographs that no number or date form is made of are the same in every form that locate looks
    for; where the article lacks a run of them, that is the answer without a search.
    """
    from etlch.text.locate import locate

    held = _bare(article)
    if any(run not in held for run in _PLAIN_RUN.findall(value.replace("臺", "台"))):
        return False
    return locate(value, article) is not None


@lru_cache(maxsize=4096)
def _bare(article: str) -> str:
    """The article as locate folds it, also without what it passes over between ideographs."""
    text = unicodedata.normalize("NFKC", article).replace("臺", "台")
    return "".join(
        char
        for char in text
        if not (char.isspace() or unicodedata.category(char) in ("Cf", "Mn", "Mc", "Me"))
    )


def _form_values(text: str, schema: Json) -> dict[str, float]:
    reading = read_json(text)
    found = form(text, reading)
    values = {
        "json_parse_ok": float(found.parses),
        "json_fenced_ok": float(found.fenced),
        "json_repaired_ok": float(found.repaired),
        "json_object": float(found.is_object),
        "json_flat": float(found.is_flat),
    }
    if schema is not None:
        values["schema_ok"] = float(found.parses and _satisfies(reading.value, schema))
    return values


def _satisfies(value: Json, schema: Json) -> bool:
    """Tell whether a value satisfies a schema; the validator refuses lone surrogates and great depth."""
    try:
        return not schema_problems(value, schema)
    except UnicodeEncodeError:
        held = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
        return not schema_problems(json.loads(held), schema)
    except ValueError:
        return False


@lru_cache(maxsize=4096)
def _prepared(gold: str, tokenizer: str) -> Gold:
    return prepare(gold, tokenizer)
