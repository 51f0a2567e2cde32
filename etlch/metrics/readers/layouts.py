"""Find out which column of a file is which, by the names that programs give them or as the user says.

A layout maps our names (predict, label, prompt, id, input, …) to a column or a dotted path into one:
`response.body.choices.0.message.content`; a negative number counts from the end of a list.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from etlch.core.records import Json

NAMES = (
    "predict",
    "label",
    "prompt",
    "id",
    "input",
    "instruction",
    "article_id",
    "task",
    "model",
    "size",
    "seed",
)
"""What a layout can map."""

PREDICT = (
    *(
        "predict",
        "prediction",
        "predicted",
        "pred",
        "predictions",
        "response",
        "generated_text",
        "llm_completion",
    ),
    *("model_output", "model_prediction", "generation", "hypothesis", "answer", "model_answer", "llm_output"),
)
LABEL = (
    *(
        "label",
        "labels",
        "gold",
        "reference",
        "references",
        "target",
        "targets",
        "ground_truth",
        "groundtruth",
    ),
    *("expected", "expected_output", "gt", "gold_label"),
)
EITHER = ("output", "outputs", "output_text", "completion", "result", "answer", "answers")
"""Columns that hold the gold beside a prediction, and the prediction beside a gold."""

_PREDICTED_WORDS = frozenset(
    (
        *("pred", "preds", "predict", "predicted", "prediction", "predictions", "generated", "generation"),
        *("generations", "response", "responses", "hypothesis", "hypotheses", "hyp", "hyps", "candidate"),
        *("candidates", "sampled", "actual", "model", "llm"),
    )
)
_GOLD_WORDS = frozenset(
    (
        *("gold", "golden", "label", "labels", "ref", "refs", "reference", "references", "target", "targets"),
        *("tgt", "truth", "gt", "true", "expected", "ideal", "correct", "solution", "annotation"),
        *("annotations", "chosen"),
    )
)
_NEUTRAL_WORDS = frozenset(("label", "labels", "annotation", "annotations"))
_OTHER_WORDS = frozenset(
    ("name", "id", "version", "path", "file", "time", "source", "score", "type", "prompt")
)
"""Words of a column's name that say what it holds, in any spelling: gold_entities, goldEntities, Gold Entities."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")

_TEXT = ("input", "text", "sentence", "article", "context", "document", "passage")


@dataclass(frozen=True)
class Layout:
    """Which column is which.

    Attributes:
        name: of the program that writes such files, or "" where columns were found by their names.
        columns: our name → column or dotted path.
        said: names that the user's settings mapped.
    """

    name: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    said: frozenset[str] = frozenset()


_KNOWN: tuple[tuple[str, tuple[str, ...], dict[str, str]], ...] = (
    (
        "OpenAI batch output",
        ("custom_id", "response.body.choices.0.message.tool_calls.0.function.arguments"),
        {"predict": "response.body.choices.0.message.tool_calls.0.function.arguments", "id": "custom_id"},
    ),
    (
        "OpenAI batch output",
        ("custom_id", "response.body.output"),
        {"predict": "response.body.output.-1.content.-1.text", "id": "custom_id"},
    ),
    (
        "Anthropic batch output",
        ("custom_id", "result.type"),
        {"predict": "result.message.content.-1.text", "id": "custom_id"},
    ),
    (
        "Gemini batch output",
        ("key", "response.candidates"),
        {"predict": "response.candidates.0.content.parts.-1.text", "id": "key"},
    ),
    (
        "OpenAI batch output",
        ("custom_id", "response"),
        {"predict": "response.body.choices.0.message.content", "id": "custom_id"},
    ),
    (
        "chat completions",
        ("choices.0.message.content",),
        {"predict": "choices.0.message.content", "id": "id"},
    ),
    (
        "completions",
        ("choices.0.text",),
        {"predict": "choices.0.text", "id": "id"},
    ),
    (
        "vLLM outputs",
        ("outputs.0.text",),
        {"predict": "outputs.0.text", "prompt": "prompt", "label": "label"},
    ),
    (
        "ms-swift inference",
        ("response", "messages"),
        {"predict": "response", "label": "labels", "prompt": "messages.-2.content"},
    ),
    (
        "lm-evaluation-harness samples",
        ("target", "filtered_resps"),
        {
            "predict": "filtered_resps.0",
            "label": "target",
            "prompt": "arguments.gen_args_0.arg_0",
            "input": "doc.text",
        },
    ),
    (
        "lm-evaluation-harness samples",
        ("target", "resps"),
        {
            "predict": "resps.0.0",
            "label": "target",
            "prompt": "arguments.gen_args_0.arg_0",
            "input": "doc.text",
        },
    ),
    (
        "InstructUIE predictions",
        ("Prediction", "Instance"),
        {
            "predict": "Prediction",
            "label": "Instance.label",
            "input": "Instance.sentence",
            "id": "Instance.id",
        },
    ),
)
"""(program, paths that must be there, columns)."""


def find_layout(row: Mapping[str, Json], said: Mapping[str, str]) -> Layout:
    """Return the layout of a file from its first row.

    Args:
        row: the first row, parsed.
        said: the setting `columns`; what it maps is taken as it is.
    """
    for name, needed, columns in _KNOWN:
        if all(taken(row, path) is not None for path in needed):
            kept = {key: path for key, path in columns.items() if key == "predict" or _reaches(row, path)}
            return Layout(name, {**kept, **said}, frozenset(said))
    columns = dict(said)
    lowered = {str(column).casefold(): str(column) for column in row}
    predict = (
        columns.get("predict")
        or _first(lowered, PREDICT)
        or _by_words(row, _PREDICTED_WORDS, (_GOLD_WORDS - _NEUTRAL_WORDS) | _OTHER_WORDS)
    )
    label = (
        columns.get("label")
        or _first(lowered, LABEL)
        or _by_words(row, _GOLD_WORDS, _PREDICTED_WORDS | _OTHER_WORDS)
    )
    either = next(
        (lowered[name] for name in EITHER if name in lowered and lowered[name] not in (predict, label)), None
    )
    if predict is None and label is not None:
        predict = either
    elif label is None and predict is not None:
        label = either
    found = {"predict": predict, "label": label, "input": columns.get("input") or _first(lowered, _TEXT)}
    for name in ("prompt", "id", "instruction", "article_id", "task", "model", "size", "seed"):
        found[name] = columns.get(name) or lowered.get(name)
    columns |= {name: column for name, column in found.items() if column is not None}
    return Layout("", columns, frozenset(said))


def failure(row: Mapping[str, Json], layout: Layout) -> str:
    """Return in words why a row of batch output carries no answer; empty for other rows.

    A row without an answer has an error of the batch, or a response with another status than 200 and the endpoint's
    own error.
    """
    if not layout.name.endswith("batch output"):
        return ""
    status = taken(row, "response.status_code")
    errors = ("error", "response.body.error", "result.error.error", "result.error")
    error = next((found for path in errors if (found := taken(row, path))), None)
    words = error.get("message") or error.get("code") if isinstance(error, Mapping) else error
    told = [f"HTTP {status}"] if isinstance(status, int) and status >= 400 else []
    told += [str(words)] if words else []
    if not told and isinstance(kind := taken(row, "result.type"), str) and kind != "succeeded":
        told.append(kind)  # Anthropic: errored, canceled, expired
    return ": ".join(told)


def taken(row: Json, path: str) -> Json:
    """Return what stands at a dotted path of a row; None where there is nothing.

    A column whose own name holds the dots is taken first.
    """
    if isinstance(row, Mapping) and path in row:
        return row[path]
    inner: Json = row
    for step in path.split("."):
        if isinstance(inner, Mapping):
            inner = inner.get(step)
        elif isinstance(inner, list) and step.removeprefix("-").isdigit():
            place = int(step)
            inner = inner[place] if -len(inner) <= place < len(inner) else None
        else:
            return None
    return inner


def _by_words(row: Mapping[str, Json], words: frozenset[str], others: frozenset[str]) -> str | None:
    """Return the first column named with one of the words and none of the others that holds text or JSON."""
    for column, value in row.items():
        said = {word.casefold() for word in _WORD.findall(str(column))}
        texts = value is None or isinstance(value, str | list | dict)
        if said & words and not said & others and texts and str(column).casefold() not in NAMES:
            return str(column)
    return None


def _reaches(row: Mapping[str, Json], path: str) -> bool:
    return taken(row, path) is not None


def _first(lowered: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((lowered[name] for name in names if name in lowered), None)
