"""Measure one record: from a key and a predicted text return all its numbers but cosine."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from etlch.core.records import Fact, Json, Key
from etlch.metrics import facts, spans
from etlch.metrics.facts import FactPair, Row
from etlch.metrics.json_form import form
from etlch.metrics.predictions import without_markers
from etlch.metrics.reading import ParseConfig, ParsedPair, mapped, read_pair
from etlch.metrics.registry import record_f1
from etlch.metrics.rouge import Gold, prepare, rouge
from etlch.metrics.spans import Placed
from etlch.tasks.base import policy_names
from etlch.tasks.schema_file import leaf_policies
from etlch.text.json_text import read_json, schema_problems
from etlch.text.normalize import fact_form


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
        rows = _fact_rows(pair, key, config)
        row = rows["leaf" if config.nested else "facts"]
        values["leaf_f1_macro" if config.nested else "facts_f1_macro"] = record_f1(*row)
        right = row.hits == row.predicted == row.gold and bool(pair.reading)
        values["exact"] = float(right and _same_keys(pair, config))
    if config.grounding and key.input:
        rows |= _grounded(pair, key.input, _with_leaf_policies(config, key.schema))
    types = facts.by_type(pair.best, 0 if config.nested else config.task.type_part) if config.facts else {}
    return Measures(values, rows, types, pair.reading, pair.gold_problem, pair.mapped)


def _same_keys(pair: ParsedPair, config: ParseConfig) -> bool:
    """Tell whether both labels have the same keys, where the task counts keys."""
    return "keys" not in config.task.metrics or set(pair.keys[0]) == set(pair.keys[1])


def _unreadable(pair: ParsedPair) -> bool:
    return bool(pair.gold_problem) and not pair.best.gold


FAMILIES: dict[str, Callable[[FactPair], Row]] = {"type_counts": facts.types_only, "soft": facts.soft}
"""Family of metrics → the counts of one record. A task names those that apply to it."""

BY_PLACE: dict[str, Callable[[Sequence[Placed], Sequence[Placed], int], Row]] = {
    "mentions": spans.mentions,
    "lenient": spans.lenient,
    "type": spans.types,
    "partial": spans.partial,
}
"""Such families that look at where facts stand in the article."""


def _fact_rows(pair: ParsedPair, key: Key, config: ParseConfig) -> dict[str, Row]:
    best, task = pair.best, config.task
    keys = {"keys": facts.of_keys(*pair.keys)} if "keys" in task.metrics else {}
    if config.nested:
        rows = {"leaf": facts.strict(best), "leaf_strict": facts.strict(pair.strict), "items": pair.items}
        return rows | keys
    rows = {"facts": facts.strict(best), "facts_strict": facts.strict(pair.strict)} | keys
    rows |= {name: facts.of_part(best, part) for name, part in task.part_metrics}
    rows |= {name: row(best) for name, row in FAMILIES.items() if name in task.metrics}
    if "empty_fields" in task.metrics and (empty := _empty_fields(pair, key.schema, config)) is not None:
        rows["empty_fields"] = empty
    wanted = [name for name in BY_PLACE if name in task.metrics]
    if not wanted:
        return rows
    written = [mapped(side, config) for side in pair.raw]
    if sorted(written[0]) == sorted(written[1]):
        count = len(written[0])  # the same facts: every one of these families counts all of them
        return rows | dict.fromkeys(wanted, Row(count, count + best.wrong, count))
    gold, predicted = (spans.place(side, task.grounded, key.input) for side in written)
    return rows | {name: BY_PLACE[name](gold, predicted, best.wrong) for name in wanted}


def _empty_fields(pair: ParsedPair, schema: Json, config: ParseConfig) -> Row | None:
    """Count the fields that are asked for and that the gold leaves empty; hits are those left empty too."""
    asked = schema.get("properties") if isinstance(schema, dict) else None
    if not asked:
        return None
    filled, said = ({fact[0] for fact in mapped(side, config)} for side in pair.raw)
    empty = [name for name in asked if name not in filled]
    # What cannot be read leaves nothing empty on purpose.
    return Row(sum(name not in said for name in empty) if pair.reading else 0, len(empty), 0)


def _grounded(pair: ParsedPair, article: str, config: ParseConfig) -> dict[str, Row]:
    """Count predicted facts that stand in the article, and those that are invented.

    `spurious` ones stand in the article and not in the gold, `hallucinated` ones in neither. Both are judged by the
    facts as they are compared, so that a value which a rule of `compare` lets pass is neither.
    """
    counts = {"attribution": 0, "spurious": 0, "hallucinated": 0}
    raw = dict.fromkeys(pair.raw[1])
    wrong = set(pair.best.spurious)
    for fact in raw:
        here = _stands(fact, article, config)
        counts["attribution"] += here
        if facts.comparable_fact(fact if config.nested else mapped([fact], config)[0]) in wrong:
            counts["spurious" if here else "hallucinated"] += 1
    return {name: Row(count, len(raw), 0) for name, count in counts.items()}


def _with_leaf_policies(config: ParseConfig, schema: Json) -> ParseConfig:
    """Return what is asked of values with the policies that a label's own schema implies; those named come first."""
    if not config.task.leaf_facts or not isinstance(schema, dict):
        return config
    return replace(config, policies={**leaf_policies(schema), **config.policies})


def _stands(fact: Fact, article: str, config: ParseConfig) -> bool:
    """Tell whether all grounded parts of a fact stand in the article, as far as their policies ask for it."""
    task, nested = config.task, config.nested
    for part in (1,) if nested else task.grounded:
        policy: str | Sequence[str] = "verbatim"
        if config.policies:
            names = (
                [fact[0].rpartition("/")[2]]
                if nested and not task.leaf_facts
                else policy_names(fact, part, task)
            )
            policy = next((config.policies[name] for name in names if name in config.policies), policy)
        if policy == "derived":
            continue
        if isinstance(policy, str):
            if not spans.places(fact[part], article):
                return False
        elif fact_form(fact[part]).casefold() not in {fact_form(item).casefold() for item in policy}:
            return False
    return True


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
        encoded = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
        return not schema_problems(json.loads(encoded), schema)
    except ValueError:
        return False


@lru_cache(maxsize=4096)
def _prepared(gold: str, tokenizer: str) -> Gold:
    return prepare(gold, tokenizer)
