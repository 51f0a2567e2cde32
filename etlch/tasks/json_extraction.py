"""json: an instruction names fields, the label is one flat object with a list for each.

Article:     The Harbour Bridge opened on 19 March 1932. Its chief engineer was John Bradfield.
Instruction: Who led the project, and when was it finished? Answer with one flat JSON object …
Label:       {"chief_engineer": ["John Bradfield"], "opening_date": ["19 March 1932"], "cost": []}
Facts:       (chief_engineer, John Bradfield) (opening_date, 19 March 1932)
"""

from __future__ import annotations

from collections.abc import Sequence

from etlch.core.records import Fact, Json
from etlch.tasks.base import Task, flat_facts, flat_label, flat_parse, flat_schema

INSTRUCTION_SCHEMA: Json = {
    "type": "object",
    "properties": {
        "instruction": {"type": "string"},
        "fields": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["instruction", "fields"],
    "additionalProperties": False,
}
"""What a teacher answers when it is asked to write an instruction."""


def _schema(keys: Sequence[str]) -> Json:
    return flat_schema(keys, required=True)


def _render(facts: Sequence[Fact], keys: Sequence[str], language: str) -> str:
    return flat_label(facts, keys, keep_empty=True)


TASK = Task(
    name="json",
    summary="JSON by instruction: a flat object of lists, fields named in the instruction",
    parts=("field", "value"),
    grounded=(1,),
    json_label=True,
    answer_schema=_schema,
    label_schema=_schema,
    facts=flat_facts,
    render=_render,
    parse=flat_parse,
    metrics=("keys", "lenient", "empty_fields"),
    win_rate_metrics=("rouge_l", "cosine", "json_parse_ok"),
    nested_labels=True,
    asks_fields=True,
)
