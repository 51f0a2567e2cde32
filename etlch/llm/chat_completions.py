"""Build the body of a Chat Completions request, and read the parts of a response.

What an endpoint accepts (its profile) is learned from its refusals: the structured-output ladder
json_schema → json_object → prompt only, `seed`, a temperature of 0, and the name of the token limit.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import NamedTuple

from etlch.core.records import Json
from etlch.llm.errors import BadContent
from etlch.llm.refusals import Fault, minds_temperature, names
from etlch.llm.store import Reply, Request
from etlch.text.json_text import loads, schema_problems
from etlch.text.model_text import first_json, without_thoughts

LADDER = ("json_schema", "json_object", "prompt")
_NOTE = "\n\nAnswer with one JSON value and nothing else. It must satisfy this JSON Schema:\n"
_WHOLE = frozenset(("stop", "eos", "eos_token", "stop_sequence", "end_turn", "complete"))
"""Finish reasons of a whole answer, in the dialects of OpenAI, TGI, Anthropic and Cohere; null is one too."""
_CUT = frozenset(("length", "max_tokens", "model_length"))
REASONING = "reasoning"
"""Kept as the finish reason of an answer whose text is empty while the server's field for thoughts is not."""
_SHOWN_PROBLEMS = 5


@dataclass(frozen=True)
class EndpointProfile:
    """The parameters an endpoint accepts.

    Attributes:
        format: the rung of LADDER in use.
        seed: whether `seed` is sent.
        limit: the name of the token limit: max_tokens, or max_completion_tokens of newer models.
        greedy: whether a temperature of 0 is sent; models that reason take none.
        proven: an answer came at this rung, so it is not given up for what one record meets.
    """

    format: str = LADDER[0]
    seed: bool = True
    limit: str = "max_tokens"
    greedy: bool = True
    proven: bool = False


class Answer(NamedTuple):
    """The parts of a chat completion that matter; token counts are None where it has none.

    `cached_tokens` are those of the input tokens that the endpoint had cached; `model` is the name it gives itself.
    """

    text: str
    finish: str
    input_tokens: int | None
    output_tokens: int | None
    cached_tokens: int = 0
    model: str = ""


class NotJson(Exception):
    """A page of HTML where an answer should be: no model was asked, so nothing is paid."""


class Broken(Exception):
    """A body that is no chat completion: cut off or garbled on its way."""


def body(request: Request, profile: EndpointProfile) -> dict[str, Json]:
    """Return the JSON body of a request as this endpoint takes it."""
    messages = [{"role": message.role, "content": message.content} for message in request.messages]
    sent: dict[str, Json] = {
        **(request.extra or {}),
        "model": request.model,
        "messages": messages,
        profile.limit: request.max_tokens,
    }
    if profile.seed:
        sent["seed"] = request.sample
    if request.temperature is not None and (request.temperature or profile.greedy):
        sent["temperature"] = request.temperature
    if request.schema is None:
        return sent
    if profile.format == "json_schema":
        schema = {"name": "answer", "strict": is_strict(request.schema), "schema": request.schema}
        sent["response_format"] = {"type": "json_schema", "json_schema": schema}
        return sent
    messages[-1]["content"] += _NOTE + json.dumps(request.schema, ensure_ascii=False)
    if profile.format == "json_object":
        sent["response_format"] = {"type": "json_object"}
    return sent


def is_strict(schema: Json) -> bool:
    """Tell whether a schema keeps OpenAI's rules for `strict`: objects are closed, all properties required."""
    if isinstance(schema, list):
        return all(is_strict(item) for item in schema)
    if not isinstance(schema, dict):
        return True
    if schema.get("type") == "object" and (
        schema.get("additionalProperties") is not False
        or list(schema.get("properties", {})) != schema.get("required")
    ):
        return False
    return all(is_strict(item) for item in schema.values())


class Fallback(NamedTuple):
    """EndpointProfile to send a refused request with, and whether the refusal named what it minds."""

    profile: EndpointProfile
    named: bool


def downgrade(profile: EndpointProfile, request: Request, fault: Fault, proven: bool) -> Fallback | None:
    """Return a reduced profile after an HTTP 400 or 422, or None where no parameter is left to leave out.

    Args:
        profile: what the refused request was sent with.
        request: the refused request.
        fault: what the endpoint said.
        proven: this rung of the ladder was accepted before, so a refusal that does not name
            the response format concerns the record and not the endpoint.
    """
    if "max_completion_tokens" in fault.message and profile.limit == "max_tokens":
        return Fallback(replace(profile, limit="max_completion_tokens"), True)
    if profile.seed and (fault.param == "seed" or names(fault, r"\bseed\b")):
        return Fallback(replace(profile, seed=False), True)
    if profile.greedy and request.temperature == 0.0 and minds_temperature(fault):
        return Fallback(replace(profile, greedy=False), True)
    rung = LADDER.index(profile.format)
    if request.schema is None or rung + 1 == len(LADDER):
        return None
    named = fault.param.startswith("response_format") or names(
        fault, r"response_format|json_schema|json_object|structured output|guided|No endpoints found that"
    )
    return None if proven and not named else Fallback(replace(profile, format=LADDER[rung + 1]), named)


def profile_value(profile: EndpointProfile) -> Json:
    """Return a profile as the store keeps it."""
    return asdict(profile)


def read_body(content: bytes) -> dict[str, Json]:
    """Return the object in a response's body.

    Raises:
        Broken: it is not JSON, or not an object.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Broken("the answer is not UTF-8") from error
    if text.lstrip("\ufeff \r\n\t").startswith("<"):
        raise NotJson(f"a page of HTML came instead of an answer: {' '.join(text.split())[:80]}")
    if not text.strip():
        raise Broken("the answer's body is empty")
    if text.lstrip().startswith(("data:", "event:")):
        raise Broken(
            f"the endpoint streams (server-sent events), which was not asked for: {' '.join(text.split())[:80]}"
        )
    value, problem = loads(text.removeprefix("\ufeff"))
    if problem:
        raise Broken(f"the answer's body is not JSON ({problem}): {' '.join(text.split())[:80]}")
    if not isinstance(value, dict):
        raise Broken("the answer's body is not a JSON object")
    return value


def read_answer(value: dict[str, Json]) -> Answer:
    """Return the parts of a chat completion.

    Raises:
        Broken: it has no list of choices.
    """
    choices = value.get("choices")
    if not isinstance(choices, list):
        raise Broken("the answer has no choices")
    usage = value.get("usage")
    counts = (*_counts(usage), _cached(usage), str(value.get("model") or ""))
    if not choices or not isinstance(choices[0], dict):
        return Answer("", "empty", *counts)
    message = choices[0].get("message")
    message = message if isinstance(message, dict) else {}
    refusal = message.get("refusal")
    if refusal:
        return Answer(str(refusal), "refusal", *counts)
    text, finish = _content(message.get("content")), str(choices[0].get("finish_reason") or "stop")
    if not text.strip() and any(message.get(name) for name in ("reasoning_content", "reasoning")):
        finish = finish if finish.lower() in _CUT else REASONING
    return Answer(text, finish, *counts)


def _content(content: Json) -> str:
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _counts(usage: Json) -> tuple[int | None, int | None]:
    """Return the tokens in and out that are billed.

    Some endpoints (xAI, Gemini) count reasoning in the total alone, so that what is billed as output is
    max(completion, total - prompt).
    """
    prompt, completion, total = (
        _count(usage, name) for name in ("prompt_tokens", "completion_tokens", "total_tokens")
    )
    if prompt is not None and completion is not None and total is not None:
        completion = max(completion, total - prompt)
    return prompt, completion


def _cached(usage: Json) -> int:
    """Return the input tokens that were cached, in the dialects of OpenAI, DeepSeek and Anthropic."""
    details = usage.get("prompt_tokens_details") if isinstance(usage, dict) else None
    found = (
        _count(details, "cached_tokens"),
        *(_count(usage, name) for name in ("prompt_cache_hit_tokens", "cache_read_input_tokens")),
    )
    return next((count for count in found if count is not None), 0)


def _count(usage: Json, name: str) -> int | None:
    """Return a count, which some servers write as a float or as text."""
    count = usage.get(name) if isinstance(usage, dict) else None
    try:
        number = None if isinstance(count, bool) or count is None else float(count)
    except (TypeError, ValueError):
        return None
    return int(number) if number is not None and 0 <= number < float("inf") else None


def inner_error(value: dict[str, Json]) -> bytes | None:
    """Return the error inside a body that came with HTTP 200, as JSON, or None where it is an answer.

    It stands at the top where there are no choices, or in the first choice, whose text then is a part.
    """
    choices = value.get("choices")
    first = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    error = first.get("error") or (None if choices else value.get("error"))
    return json.dumps({"error": error}).encode() if error else None


def answer(reply: Reply, schema: Json, max_tokens: int) -> Json:
    """Return a reply's text, or its JSON value where a schema was asked for.

    A code fence or prose around the JSON is taken off; a block of thoughts too.

    Raises:
        BadContent: cut off, refused, empty, not JSON, or against the schema.
    """
    problem = _unfinished(reply, max_tokens)
    text = without_thoughts(reply.text).strip()
    if not problem and not text:
        thought = "; the thoughts are not closed: raise max_tokens" if reply.text.strip() else ""
        problem = f"the answer is empty{thought}"
    if not problem and "<|channel|>" in text:
        problem = "the answer holds harmony's control text and no final channel: the server lacks a reasoning parser"
    if problem:
        raise BadContent((problem,), reply.text)
    if schema is None:
        return text
    value, no_json = loads(text)
    if no_json:
        found = first_json(text)
        if found.problem:
            raise BadContent((f"the answer is not JSON: {no_json}",), reply.text)
        value = found.value
    problems = schema_problems(value, schema)
    if problems:
        raise BadContent(tuple(problems[:_SHOWN_PROBLEMS]), reply.text)
    return value


def _unfinished(reply: Reply, max_tokens: int) -> str:
    """Return why a reply is no whole answer by its finish reason; empty if it is one."""
    finish = reply.finish.lower()
    if finish in _CUT:
        return f"the answer was cut off at the limit of {max_tokens} tokens"
    if finish in ("refusal", "content_filter"):
        return "the teacher refused to answer"
    if finish == REASONING:
        return "the answer is empty, all of it stands in reasoning_content: turn the model's reasoning off"
    # An empty reason means that no choice came, which the empty text tells.
    return "" if finish in _WHOLE | {"", "empty"} else f"the endpoint broke the answer off: '{reply.finish}'"


def texts(request: Request) -> Iterator[str]:
    """Yield everything in a request that counts as input."""
    for message in request.messages:
        yield message.content
    if request.schema is not None:
        yield _NOTE
        yield json.dumps(request.schema, ensure_ascii=False)
    if request.extra:
        yield json.dumps(request.extra, ensure_ascii=False)
