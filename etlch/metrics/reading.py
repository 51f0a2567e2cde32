"""Read a label and a prediction twice: strictly, as the task writes labels, and at best effort.

The best-effort reading is about content: thoughts are cut, the first whole JSON value counts wherever it
stands, other notations of entities and triples are read. It is the same for every model and repairs nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from etlch.core.records import Fact, Json
from etlch.core.settings import ScoreSettings
from etlch.metrics import facts
from etlch.metrics.comparators import Rule, align
from etlch.metrics.facts import FactPair, Row
from etlch.metrics.nested import items, leaves, renamed
from etlch.tasks.base import Parsed, Task
from etlch.text.json_text import loads, read_json
from etlch.text.model_text import first_json, without_thoughts

NONE = frozenset(
    (
        *("none", "n/a", "na", "null", "nil", "[]", "nothing", "nothing found", "no facts", "no triples"),
        *("no entities", "no entities found", "無", "无", "沒有", "没有", "無實體", "无实体", "沒有實體"),
        *("没有实体", "沒有找到任何實體", "没有找到任何实体", "未找到任何實體", "未找到任何实体"),
        *("沒有三元組", "没有三元组", "沒有找到任何三元組", "没有找到任何三元组"),
    )
)
"""Sentences that say that there is nothing to find."""

STRICT, BEST, NOTHING, UNREADABLE = "strict", "best effort", "none", ""
"""How a text was read: as it is, by the rules of best effort, as saying that there is nothing, not at all."""


@dataclass(frozen=True)
class ParseConfig:
    """How the texts of one file are read and measured.

    Attributes:
        tokenizer: a name of text.TOKENIZERS.
        nested: the labels hold objects inside lists or objects: facts are (path, leaf).
        label_map: a type's or key's name → the name it is compared under.
        markers: removed from the end of labels and predictions.
        empty_values: values that say that there is none; a fact with one of them is no fact.
        compare: field, type, relation or part name → how its values are compared; others must be equal.
        policies: how a part must stand in its article, by the same names; see `etlch-data`.
        rouge, json, facts, grounding: which groups of metrics are wanted.
    """

    task: Task
    tokenizer: str = "hybrid"
    nested: bool = False
    label_map: Mapping[str, str] = field(default_factory=dict)
    markers: tuple[str, ...] = ScoreSettings.end_markers
    empty_values: frozenset[str] = frozenset(ScoreSettings.empty_values)
    compare: Mapping[str, Rule] = field(default_factory=dict)
    policies: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    rouge: bool = True
    json: bool = True
    facts: bool = True
    grounding: bool = True


class ReadText(NamedTuple):
    """One text, read one way.

    Attributes:
        facts: in the order of the text; for nested labels empty.
        wrong: items that are no fact.
        how: STRICT, "fenced" (strict after one code fence), BEST, NOTHING or UNREADABLE.
        problem: why nothing could be read; empty otherwise.
        value: the JSON value, where there is one.
        notation: the name of a notation that is not the task's own; empty otherwise.
    """

    facts: tuple[Fact, ...]
    wrong: int
    how: str
    problem: str
    value: Json = None
    notation: str = ""


@dataclass(frozen=True)
class ParsedPair:
    """Gold and prediction, read.

    Attributes:
        best, strict: facts of both sides by either reading of the prediction, in the form of comparison.
        items: whole objects of nested labels by the best-effort reading; zeros for other labels.
        reading: how the best-effort reading got at the prediction.
        gold_problem: why the gold is not what its task says; empty otherwise.
        raw: facts of (gold, prediction) as written, repeats kept.
        keys: of the two top objects (gold, predicted), where both are objects.
        mapped: entries of the label map that matched something.
    """

    best: FactPair
    strict: FactPair
    items: Row
    reading: str
    gold_problem: str
    raw: tuple[tuple[Fact, ...], tuple[Fact, ...]]
    keys: tuple[tuple[str, ...], tuple[str, ...]]
    mapped: frozenset[str] = frozenset()


def says_none(text: str) -> bool:
    """Tell whether a text only says that there is nothing to find."""
    return len(text) < 40 and text.strip(" \t\r\n.。!！\"'「」").casefold() in NONE


def read_pair(gold: str, predicted: str, language: str, config: ParseConfig, article: str = "") -> ParsedPair:
    """Read both texts, without end markers, as the task and the shape of the file say.

    Args:
        gold: the label's text.
        predicted: the prediction's text.
        language: of both.
        config: the task, whether labels are nested, the label map.
        article: the record's text, which labels made of offsets point into.
    """
    if config.nested:
        return _read_nested(gold, predicted, config)
    task = config.task
    one = read_gold(gold, language, task, article)
    strict = _read_strictly(predicted, language, task, gold=False)
    best = _read_best(predicted, language, task, strict, article)
    problem = one.problem or (f"{one.wrong} parts are no facts" if one.wrong else "")
    raw = _kept(one.facts, config), _kept(best.facts, config)
    pair = _pair(*raw, best.wrong, config)
    rigid = pair if best is strict else _pair(raw[0], _kept(strict.facts, config), strict.wrong, config)
    keys = (_top_keys(one.value, config), _top_keys(best.value, config)) if task.json_label else ((), ())
    names = (
        {fact[task.type_part] for side in (one.facts, best.facts) for fact in side}
        if config.label_map
        else set()
    )
    used = frozenset(names.union(*(value or () for value in keys)) & config.label_map.keys())
    reading = UNREADABLE if not task.json_label and best.wrong and not best.facts else best.how
    return ParsedPair(pair, rigid, Row(0, 0, 0), reading, problem, raw, keys, used)


def _pair(gold: Sequence[Fact], predicted: Sequence[Fact], wrong: int, config: ParseConfig) -> FactPair:
    one, two = (facts.comparable(mapped(side, config)) for side in (gold, predicted))
    return align(FactPair(one, two, wrong), config.task, config.compare)


def read_gold(text: str, language: str, task: Task, article: str = "") -> ReadText:
    """Read a label: as the task writes it, else in another notation."""
    strict = _read_strictly(text, language, task, gold=True)
    best = _read_best(text, language, task, strict, article)
    return best if best.how and (not strict.how or best.wrong < strict.wrong or best.notation) else strict


def _read_strictly(text: str, language: str, task: Task, *, gold: bool) -> ReadText:
    """Read a text as labels are written; one code fence or leading prose around JSON is forgiven."""
    if says_none(text):
        return ReadText((), 0, NOTHING, "")
    parsed = task.parse(text, language, gold)
    value = read_json(text).value if task.json_label and parsed.how else None
    return ReadText(parsed.facts, parsed.wrong, parsed.how, parsed.problem, value)


def _read_best(text: str, language: str, task: Task, strict: ReadText, article: str) -> ReadText:
    """Read a text at best effort; returns `strict` itself where there is nothing to gain."""
    if strict.how == NOTHING:
        return strict
    bare = without_thoughts(text)
    changed = bare is not text and bare != text
    fenced = (
        strict.how == "fenced" and text.count("```") <= 2
    )  # the strict reading takes the first fence only
    whole = (strict.how == STRICT or fenced) and not strict.wrong and not changed
    if whole and task.json_label and not _other_notation(task, strict, article):
        return strict  # the common case, without a second parse
    if changed and (says_none(bare) or not bare.strip()):
        how = NOTHING if bare.strip() else UNREADABLE
        return ReadText((), 0, how, "" if how else "nothing is left after the thoughts")
    by_json, by_text = _from_json(bare, language, task, article), _from_text(bare, language, task)
    first, second = (
        (by_json, by_text) if bare.lstrip()[:1] in "[{`" or task.json_label else (by_text, by_json)
    )
    found = first or second
    if found is not None:
        same = (found.facts, found.wrong) == (strict.facts, strict.wrong) and strict.how
        return strict if same and not changed else found
    if not changed:
        return strict
    parsed = task.parse(bare, language, False)
    return ReadText(parsed.facts, parsed.wrong, BEST if parsed.how else "", parsed.problem)


def _other_notation(task: Task, strict: ReadText, article: str) -> bool:
    """Tell whether a value that reads strictly is another notation: one entity object by itself."""
    if task.read_value is None or not isinstance(strict.value, dict):
        return False
    noted = task.read_value(strict.value, article)
    return noted is not None and bool(noted.notation)


def _from_json(text: str, language: str, task: Task, article: str) -> ReadText | None:
    """Return the facts of the first whole JSON value, in whatever notation the task knows."""
    if not (task.json_label or task.read_value) or ("{" not in text and "[" not in text):
        return None
    found = first_json(text)
    if found.problem:
        return None
    noted = task.read_value(found.value, article) if task.read_value else None
    if noted is not None:
        return ReadText(noted.facts, noted.wrong, BEST, "", found.value, noted.notation)
    if not task.json_label:
        return None
    parsed: Parsed = task.parse(json.dumps(found.value, ensure_ascii=False), language, False)
    return ReadText(parsed.facts, parsed.wrong, BEST if parsed.how else "", parsed.problem, found.value)


def _from_text(text: str, language: str, task: Task) -> ReadText | None:
    noted = task.read_lines(text, language) if task.read_lines else None
    return None if noted is None else ReadText(noted.facts, noted.wrong, BEST, "", None, noted.notation)


def _read_nested(gold: str, predicted: str, config: ParseConfig) -> ParsedPair:
    one = _nested_value(gold)
    value, problem = loads(predicted.strip())
    rigid = None if problem else value
    two = ReadText((), 0, STRICT, "", rigid) if not problem else _nested_value(without_thoughts(predicted))
    if not two.how and says_none(predicted):
        two = ReadText((), 0, NOTHING, "")
    gold_value, best_value = renamed(one.value, config.label_map), renamed(two.value, config.label_map)
    used = frozenset(gold_value.used | best_value.used)
    best = _leaf_pair(gold_value.value, best_value.value, config)
    strict = best if rigid is not None else _leaf_pair(gold_value.value, None, config)
    return ParsedPair(
        best.pair,
        strict.pair,
        items(gold_value.value, best_value.value, config.empty_values),
        two.how,
        "" if one.how or says_none(gold) else one.problem,
        best.raw,
        (_top_keys(one.value, config), _top_keys(two.value, config)),
        used,
    )


def _nested_value(text: str) -> ReadText:
    found = first_json(text)
    if found.problem:
        return ReadText((), 0, UNREADABLE, found.problem)
    strict = not loads(text.strip())[1]
    return ReadText((), 0, STRICT if strict else BEST, "", found.value)


class _LeafPair(NamedTuple):
    pair: FactPair
    raw: tuple[tuple[Fact, ...], tuple[Fact, ...]]


def _leaf_pair(gold: Json, predicted: Json, config: ParseConfig) -> _LeafPair:
    found = leaves(gold, predicted)
    kept = _kept(found.gold, config), _kept(found.predicted, config)
    pair = FactPair(facts.comparable(kept[0]), facts.comparable(kept[1]), 0)
    return _LeafPair(align(pair, config.task, config.compare, nested=True), kept)


def _kept(found: Sequence[Fact], config: ParseConfig) -> tuple[Fact, ...]:
    """Return facts without those that say that there is no value."""
    return tuple([fact for fact in found if fact[-1] not in config.empty_values])


def mapped(found: Sequence[Fact], config: ParseConfig) -> tuple[Fact, ...]:
    """Return facts under the names that the label map compares them under."""
    if not config.label_map:
        return tuple(found)
    part = config.task.type_part
    return tuple(
        (*fact[:part], config.label_map.get(fact[part], fact[part]), *fact[part + 1 :]) for fact in found
    )


def _top_keys(value: Json, config: ParseConfig) -> tuple[str, ...]:
    return tuple(config.label_map.get(key, key) for key in value) if isinstance(value, dict) else ()
