"""More files of the kinds that the cases are of: other thought tags, notations, columns and programs.

All answers say the same: of four entities (or triples) of two records three are right and one is spurious, so hits,
predicted and gold are known by hand. Texts are read as scoring reads them, without writing a file for each.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from etlch.core.errors import EtlchError
from etlch.core.records import Fact, Json
from etlch.metrics.facts import Row, strict
from etlch.metrics.readers.layouts import Layout, find_layout, taken
from etlch.metrics.reading import ParseConfig, read_pair
from etlch.scoring.detect import _guess
from etlch.scoring.inputs import Job
from etlch.scoring.summary import System
from etlch.tasks import find_task

Entities = dict[str, list[str]]
Triples = Sequence[Fact]

ARTICLE = "Ada Moss lives in Riverton. Ben Oak left."
GOLD: Entities = {"Person": ["Ada Moss", "Ben Oak"], "Location": ["Riverton"]}
SAID: Entities = {"Person": ["Ada Moss"], "Location": ["Riverton", "Hill"]}
KNOWN = (
    ("Ada Moss", "lives in", "Riverton"),
    ("Ada Moss", "knows", "Ben Oak"),
    ("Ben Oak", "left", "Riverton"),
)
TOLD = (("Ada Moss", "lives in", "Riverton"), ("Ada Moss", "knows", "Ben Oak"), ("Ben Oak", "is", "Hill"))
DRAFT = '{"Person": ["Wrong"]}'


def pairs(facts: Entities) -> list[tuple[str, str]]:
    return [(kind, mention) for kind, mentions in facts.items() for mention in mentions]


def row(task: str, gold: str, predicted: str) -> Row:
    return strict(read_pair(gold, predicted, "en", ParseConfig(find_task(task)), ARTICLE).best)


@pytest.mark.parametrize(
    "around",
    [
        f"thoughts {DRAFT}</think>\n\n%s",
        f"<reason>{DRAFT}</reason>%s",
        f"<seed:think>{DRAFT}</seed:think>%s",
        f"<longcat_think>{DRAFT}</longcat_think>%s",
        f"<unused94>thought\n{DRAFT}<unused95>%s",
        f"<|START_THINKING|>{DRAFT}<|END_THINKING|><|START_RESPONSE|>%s<|END_RESPONSE|>",
        f"<|channel>thought\n{DRAFT}<channel|>%s",
        f"Thinking...\n{DRAFT}\n...done thinking.\n\n%s",
        f"analysis We want {DRAFT} here.assistantfinal%s",
        f"Perhaps {DRAFT}.\n<answer>%s</answer>",
        "\\boxed{%s}",
        "{%s}",
        "```json\n%s\n```\nSome [1] more.",
    ],
)
def test_the_answer_is_found_among_thoughts_and_wrappings(around: str) -> None:
    assert row("ner", json.dumps(GOLD), around.replace("%s", json.dumps(SAID))) == (2, 3, 3)


def test_an_answer_that_is_json_inside_a_json_string_is_read() -> None:
    assert row("ner", json.dumps(GOLD), json.dumps(json.dumps(SAID))) == (2, 3, 3)


def test_brackets_around_what_is_no_value_are_not_opened() -> None:
    """A list with a broken item is no value; the whole items in it are not taken for the answer."""
    assert row("ner", json.dumps(GOLD), '[{"type": "Person", "text": "Ada Moss"}, {"type": oops}]')[0] == 0


ENTITY_FORMS: dict[str, Callable[[Entities], str]] = {
    "entity type": lambda facts: json.dumps([{"Entity": m, "Entity Type": k} for k, m in pairs(facts)]),
    "camel case": lambda facts: json.dumps([{"entityText": m, "entityType": k} for k, m in pairs(facts)]),
    "prefixes": lambda facts: json.dumps([{"ner_text": m, "ner_label": k} for k, m in pairs(facts)]),
    "value": lambda facts: json.dumps([{"entity_type": k, "entity_value": m} for k, m in pairs(facts)]),
    "wrapped objects": lambda facts: json.dumps(
        {"result": {"entities": [{"type": k, "text": m} for k, m in pairs(facts)]}}
    ),
    "pairs": lambda facts: json.dumps([[m, k] for k, m in pairs(facts)]),
    "pairs, type first": lambda facts: json.dumps([[k, m] for k, m in pairs(facts)]),
    "types under mentions": lambda facts: json.dumps({m: k for k, m in pairs(facts)}),
    "list of objects": lambda facts: json.dumps([{kind: facts[kind]} for kind in facts]),
    "wrapped": lambda facts: json.dumps({"output": {"entities": facts}}),
    "a fence each": lambda facts: "\n".join(f"```json\n{json.dumps({k: facts[k]})}\n```" for k in facts),
    "bold": lambda facts: "\n".join(f"- **{kind}**: {', '.join(facts[kind])}" for kind in facts),
    "prose first": lambda facts: (
        "The entities are:\n" + "\n".join(f"- {kind}: {', '.join(facts[kind])}" for kind in facts)
    ),
    "type above": lambda facts: "\n".join(
        f"{kind}:\n" + "\n".join(f"- {m}" for m in facts[kind]) for kind in facts
    ),
    "in brackets": lambda facts: "\n".join(f"{m} ({k})" for k, m in pairs(facts)),
    "type in brackets": lambda facts: "\n".join(f"[{k}] {m}" for k, m in pairs(facts)),
    "arrows": lambda facts: "\n".join(f"{m} -> {k}" for k, m in pairs(facts)),
    "tags": lambda facts: " and ".join(f"<{k}>{m}</{k}>" for k, m in pairs(facts)),
    "table": lambda facts: (
        "| Entity | Type |\n|---|---|\n" + "\n".join(f"| {m} | {k} |" for k, m in pairs(facts))
    ),
    "tuples": lambda facts: ", ".join(f"({m}, {k})" for k, m in pairs(facts)),
}


@pytest.mark.parametrize("name", ENTITY_FORMS)
def test_equal_entities_score_equally_in_every_notation(name: str) -> None:
    form = ENTITY_FORMS[name]
    assert row("ner", json.dumps(GOLD), form(SAID)) == (2, 3, 3)
    if name != "a fence each":  # a label is one value
        assert row("ner", form(GOLD), form(SAID)) == (2, 3, 3)


@pytest.mark.parametrize("mark", ["\t", " NNP B-NP ", "/", "|"])
def test_tags_stand_in_the_last_column_or_behind_the_token(mark: str) -> None:
    tags = [
        ("Ada", "B-Person"),
        ("Moss", "I-Person"),
        ("lives", "O"),
        ("in", "O"),
        ("Riverton", "B-Location"),
    ]
    said = (" " if mark in "/|" else "\n").join(token + mark + tag for token, tag in tags)
    assert row("ner", json.dumps(GOLD), said) == (2, 2, 3)


TRIPLE_FORMS: dict[str, Callable[[Triples], str]] = {
    "tuples in a line": lambda facts: ", ".join(f"({a}, {r}, {b})" for a, r, b in facts),
    "tuples in a list": lambda facts: "[" + ", ".join(f"({a}, {r}, {b})" for a, r, b in facts) + "]",
    "angles and pipes": lambda facts: "\n".join(f"<{a}|{r}|{b}>" for a, r, b in facts),
    "calls in a line": lambda facts: ", ".join(f"{r}({a}, {b})" for a, r, b in facts),
    "cypher": lambda facts: "\n".join(f"({a})-[{r}]->({b})" for a, r, b in facts),
    "arrow with a name": lambda facts: "\n".join(f"{a} --[{r}]--> {b}" for a, r, b in facts),
    "numbers": lambda facts: "\n".join(f"{n}) {a} – {r} – {b}" for n, (a, r, b) in enumerate(facts, 1)),
    "table": lambda facts: (
        "| Subject | Relation | Object |\n|---|---|---|\n"
        + "\n".join(f"| {a} | {r} | {b} |" for a, r, b in facts)
    ),
    "named parts": lambda facts: "\n".join(f"Subject: {a}, Relation: {r}, Object: {b}" for a, r, b in facts),
    "parts in lines": lambda facts: "\n\n".join(
        f"Subject: {a}\nRelation: {r}\nObject: {b}" for a, r, b in facts
    ),
    "REBEL": lambda facts: " ".join(f"<triplet> {a} <subj> {b} <obj> {r}" for a, r, b in facts),
    "InstructUIE": lambda facts: "; ".join(f"{r}: {a}, {b}" for a, r, b in facts),
    "bold": lambda facts: "\n".join(f"- **{a}** – {r} – **{b}**" for a, r, b in facts),
    "semicolons": lambda facts: "\n".join(f"{a}; {r}; {b}" for a, r, b in facts),
    "commas": lambda facts: "\n".join(f"{a}, {r}, {b}" for a, r, b in facts),
    "relation keys": lambda facts: json.dumps({r: [[a, b]] for a, r, b in facts}),
    "relation keys, objects": lambda facts: json.dumps({r: [{"head": a, "tail": b}] for a, r, b in facts}),
    "entity1": lambda facts: json.dumps([{"entity1": a, "relation": r, "entity2": b} for a, r, b in facts]),
    "edges": lambda facts: json.dumps(
        {"nodes": [{"id": "x"}], "edges": [{"source": a, "label": r, "target": b} for a, r, b in facts]}
    ),
    "source entity": lambda facts: json.dumps(
        [{"source_entity": a, "relationship": r, "target_entity": b} for a, r, b in facts]
    ),
    "triple in an object": lambda facts: json.dumps([{"triple": [a, r, b]} for a, r, b in facts]),
    "list of lines": lambda facts: json.dumps([f"{a} | {r} | {b}" for a, r, b in facts]),
    "any wrapper": lambda facts: json.dumps(
        {"modifiedtripleset": [{"subject": a, "property": r, "object": b} for a, r, b in facts]}
    ),
}
OWN = "【1. Triple format (Subject–Relation–Object)】\n" + "\n".join(" – ".join(fact) for fact in KNOWN)


@pytest.mark.parametrize("name", TRIPLE_FORMS)
def test_equal_triples_score_equally_in_every_notation(name: str) -> None:
    form = TRIPLE_FORMS[name]
    assert row("kge", OWN, form(TOLD)) == (2, 3, 3)
    if name != "bold":  # a label's own text may hold asterisks
        assert row("kge", form(KNOWN), form(TOLD)) == (2, 3, 3)


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("(甲)公司－位於－(乙)市", [("(甲)公司", "位於", "(乙)市")]),
        ("f (x) – calls – g (y)", [("f (x)", "calls", "g (y)")]),
        ("__init__ – calls – `run`", [("__init__", "calls", "`run`")]),
    ],
)
def test_labels_of_our_own_keep_their_brackets_and_marks(text: str, facts: list[Fact]) -> None:
    language = "zh-TW" if "－" in text else "en"
    pair = read_pair(text, text, language, ParseConfig(find_task("kge")))
    assert pair.best.gold == pair.best.predicted == tuple(facts)


@pytest.mark.parametrize("name", ["commas", "semicolons", "InstructUIE", "relation keys"])
def test_what_could_be_other_labels_is_no_guess_of_triples(name: str) -> None:
    job = Job(path=Path("p.jsonl"), system=System("p", ""), keys=None, shown="p.jsonl", layout=Layout())
    try:
        assert _guess([TRIPLE_FORMS[name](KNOWN)], job) != "kge"
    except EtlchError as error:
        assert "--task" in error.hint


@pytest.mark.parametrize(
    ("label", "predict"),
    [
        ("gold", "pred"),
        ("reference_answer", "model_response"),
        ("target_text", "generated_text"),
        ("expected_output", "actual_output"),
        ("reference", "candidate"),
        ("labels", "preds"),
        ("y_true", "y_pred"),
        ("gold_answer", "answer"),
        ("answer", "prediction"),
        ("output", "generated_output"),
        ("completion", "model_completion"),
        ("Ground Truth", "Model Output"),
        ("goldEntities", "predEntities"),
        ("true_label", "predicted_label"),
        ("ideal", "sampled"),
        ("label", "output_text"),
        ("references", "hypotheses"),
    ],
)
def test_columns_are_known_by_the_words_of_their_names(label: str, predict: str) -> None:
    more = {"id": 1, "model_name": "m", "prompt": "p", "pred_time": 0.3, "target_id": 7}
    found = find_layout({**more, label: "{}", predict: "{}"}, {}).columns
    assert (found["label"], found["predict"]) == (label, predict)


ROWS: list[tuple[dict[str, Json], str]] = [
    (
        {
            "custom_id": "a",
            "response": {"body": {"output": [{"type": "reasoning"}, {"content": [{"text": "said"}]}]}},
        },
        "OpenAI batch output",
    ),
    (
        {
            "custom_id": "a",
            "response": {
                "body": {"choices": [{"message": {"tool_calls": [{"function": {"arguments": "said"}}]}}]}
            },
        },
        "OpenAI batch output",
    ),
    (
        {"custom_id": "a", "result": {"type": "succeeded", "message": {"content": [{"text": "said"}]}}},
        "Anthropic batch output",
    ),
    (
        {"key": "a", "response": {"candidates": [{"content": {"parts": [{"text": "said"}]}}]}},
        "Gemini batch output",
    ),
    ({"prompt": "p", "outputs": [{"text": "said"}]}, "vLLM outputs"),
    ({"choices": [{"text": "said"}]}, "completions"),
]


@pytest.mark.parametrize(("facts", "name"), ROWS)
def test_answers_are_found_in_what_apis_and_servers_write(facts: dict[str, Json], name: str) -> None:
    layout = find_layout(facts, {})
    assert layout.name == name and taken(facts, layout.columns["predict"]) == "said"
    if "custom_id" in facts or "key" in facts:
        assert taken(facts, layout.columns["id"]) == "a"
