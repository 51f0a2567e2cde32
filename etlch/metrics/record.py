"""Measure one record: from a key and a predicted text return all its numbers but cosine."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from etlch.core.records import Json, Key
from etlch.metrics import facts
from etlch.metrics.facts import FactPair, Row
from etlch.metrics.json_form import form
from etlch.metrics.predictions import without_markers
from etlch.metrics.reading import ParseConfig, ParsedPair, read_pair
from etlch.metrics.registry import record_f1
from etlch.metrics.rouge import Gold, prepare, rouge
from etlch.text.json_text import read_json, schema_problems
from etlch.text.numerals import NUMERALS

_NUMERIC = NUMERALS + "年月日號号時时分秒點点民國国西元公百之"
_PLAIN_RUN = re.compile(rf"(?:(?![{_NUMERIC}])[\u4e00-\u9fff])+")


@dataclass(frozen=True)
class Measures:
    """The numbers of one record.

    Attributes:
        values: metric → value; one that does not apply to this record is absent.
        rows: family → counts.
        types: type → counts.
        reading: how the prediction's facts were read: strict, fenced, best effort, none, or empty (unparseable).
        gold_problem: why the gold is not what its task says; empty otherwise.
        mapped: entries of the label map that matched something in gold or prediction.
    """

    values: dict[str, float]
    rows: dict[str, Row]
    types: dict[str, Row]
    reading: str
    gold_problem: str
    mapped: frozenset[str] = frozenset()


def measure(key: Key, text: str, config: ParseConfig) -> Measures:
    """Return the numbers of one prediction."""
    gold, predicted = without_markers(key.gold, config.markers), without_markers(text, config.markers)
    values: dict[str, float] = {}
    rows: dict[str, Row] = {}
    if config.rouge:
        found = rouge(_prepared(gold, config.tokenizer), predicted)
        values |= {"rouge_l": found.longest, "rouge_1": found.one, "rouge_2": found.two}
    if config.json and config.task.json_label:
        values |= _form_values(text, key.schema)
    pair = read_pair(gold, predicted, key.language, config, key.input)
    if config.facts and not _unreadable(pair):
        rows = _fact_rows(pair, config)
        row = rows["leaf" if config.nested else "facts"]
        values["leaf_f1_macro" if config.nested else "facts_f1_macro"] = record_f1(*row)
        right = row.hits == row.predicted == row.gold and bool(pair.reading)
        values["exact"] = float(right and _same_keys(pair, config))
    if config.grounding and key.input:
        rows["grounded"] = _grounded(pair, key.input, config)
    types = facts.by_type(pair.best, 0 if config.nested else config.task.type_part) if config.facts else {}
    return Measures(values, rows, types, pair.reading, pair.gold_problem, pair.mapped)


def _same_keys(pair: ParsedPair, config: ParseConfig) -> bool:
    """Tell whether both labels have the same keys, where the task counts keys."""
    return "keys" not in config.task.metrics or set(pair.keys[0]) == set(pair.keys[1])


def _unreadable(pair: ParsedPair) -> bool:
    return bool(pair.gold_problem) and not pair.best.gold


FAMILIES: dict[str, Callable[[FactPair], Row]] = {
    "types": facts.types_only,
    "partial": facts.partial,
    "soft": facts.soft,
}
"""Family of metrics → the counts of one record. A task names those that apply to it."""


def _fact_rows(pair: ParsedPair, config: ParseConfig) -> dict[str, Row]:
    best, task = pair.best, config.task
    keys = {"keys": facts.of_keys(*pair.keys)} if "keys" in task.metrics else {}
    if config.nested:
        rows = {"leaf": facts.strict(best), "leaf_strict": facts.strict(pair.strict), "items": pair.items}
        return rows | keys
    rows = {"facts": facts.strict(best), "facts_strict": facts.strict(pair.strict)} | keys
    rows |= {name: facts.of_part(best, part) for name, part in task.part_metrics}
    return rows | {name: row(best) for name, row in FAMILIES.items() if name in task.metrics}


def _grounded(pair: ParsedPair, article: str, config: ParseConfig) -> Row:
    """Count predicted facts all of whose grounded parts stand in the article."""
    predicted = dict.fromkeys(pair.raw)
    parts = (1,) if config.nested else config.task.grounded
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
