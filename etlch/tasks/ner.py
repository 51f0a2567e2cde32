"""ner: named entities as a flat object {type: [mentions]}; types without a mention are left out.

Article: The Harbour Bridge opened on 19 March 1932. Its chief engineer was John Bradfield.
Label:   {"Person": ["John Bradfield"], "Location": ["Harbour Bridge"], "Date": ["19 March 1932"]}
Facts:   (Person, John Bradfield) (Location, Harbour Bridge) (Date, 19 March 1932)

The types are data, in prompts/ner/types.yaml.
"""

from __future__ import annotations

from collections.abc import Sequence

from etlch.core.records import Fact, Json
from etlch.tasks.base import Task, flat_facts, flat_label, flat_parse, flat_schema
from etlch.tasks.entity_notations import entity_facts, entity_text


def _answer_schema(keys: Sequence[str]) -> Json:
    """A list of {type, mention}: one strict shape for fixed types and for types of the teacher's choice."""
    kind: Json = {"type": "string", "enum": list(keys)} if keys else {"type": "string"}
    item = {
        "type": "object",
        "properties": {"type": kind, "mention": {"type": "string"}},
        "required": ["type", "mention"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"entities": {"type": "array", "items": item}},
        "required": ["entities"],
        "additionalProperties": False,
    }


def _label_schema(keys: Sequence[str]) -> Json:
    if keys:
        return flat_schema(keys, required=False)
    return {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}}


def _facts(answer: Json) -> list[Fact]:
    if "entities" in answer:
        return [(item["type"], item["mention"]) for item in answer["entities"]]
    return flat_facts(answer)


def _render(facts: Sequence[Fact], keys: Sequence[str], language: str) -> str:
    return flat_label(facts, keys, keep_empty=False)


TASK = Task(
    name="ner",
    summary="named entities: a flat object {type: [mentions]}",
    parts=("type", "mention"),
    grounded=(1,),
    json_label=True,
    answer_schema=_answer_schema,
    label_schema=_label_schema,
    facts=_facts,
    render=_render,
    parse=flat_parse,
    metrics=("mentions", "lenient", "type", "partial", "type_counts"),
    part_metrics=(("span", 1),),
    nested_labels=True,
    open_types=True,
    hub_category="token-classification",
    read_value=entity_facts,
    read_lines=entity_text,
)
