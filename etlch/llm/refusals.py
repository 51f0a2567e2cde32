"""Read what an endpoint says when it refuses, in any provider's words, and say what follows from it."""

from __future__ import annotations

import re
from typing import NamedTuple

from etlch.core.errors import EtlchError
from etlch.core.locale import N_, _
from etlch.llm.errors import BadContent
from etlch.text.json_text import loads

LONGEST_PAUSE = 900.0
"""Seconds. An endpoint that asks for a longer wait has stopped the run."""
_NO_SUCH_PATH = re.compile(
    r"unexpected endpoint|^(404 )?(page )?not found\.?$|no route|cannot post", re.IGNORECASE
)
"""What LM Studio, FastAPI, Go's and Node's servers say of a path that they do not know."""
GO_ON = N_("Run the same command again to go on; what is answered is not paid again.")


class Fault(NamedTuple):
    """What an endpoint says when it refuses: OpenAI's error object, or the start of the raw text."""

    message: str
    code: str
    param: str


class Refused(Exception):
    """An answer with an error in it. It costs nothing.

    Args:
        status: the HTTP status, or the one that a 200 carries inside.
        fault: what the endpoint says.
        wait: the seconds it asks to wait, or None.

    Attributes:
        busy: it is there, and not ready.
    """

    def __init__(self, status: int, fault: Fault, wait: float | None) -> None:
        super().__init__(fault.message)
        self.status = status
        self.fault = fault
        self.wait = wait
        self.busy = status in (429, 502, 503, 504)


def read_fault(content: bytes) -> Fault:
    """Return what a refusal says, whatever its shape."""
    text = content.decode("utf-8", "replace")
    value, _rest = loads(text)
    if isinstance(value, list) and value:  # Gemini
        value = value[0]
    error = value.get("error", value) if isinstance(value, dict) else None
    if not isinstance(error, dict):
        return Fault(str(error or text).strip()[:500], "", "")
    message = error.get("message") or error.get("detail") or text
    code = error.get("code") or error.get("type") or ""
    return Fault(str(message).strip()[:500], str(code), str(error.get("param") or ""))


def minds_temperature(fault: Fault) -> bool:
    """Tell whether a refusal is about the temperature, which gateways name in their words only."""
    return fault.param == "temperature" or names(fault, r"\btemperature\b")


def names(fault: Fault, pattern: str) -> bool:
    """Tell whether a refusal that states no parameter names one in its words."""
    return not fault.param and re.search(pattern, fault.message, re.IGNORECASE) is not None


def is_quota(status: int, fault: Fault) -> bool:
    """Tell whether a refusal means that money or quota is used up, which waiting does not change."""
    codes = ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active")
    # Gemini says the same of a limit per minute, with a number as its code.
    spoken = "exceeded your current quota" in fault.message and not fault.code.isdigit()
    return status == 402 or (status == 429 and (fault.code in codes or spoken))


_DELAY = re.compile(
    r"(?:retryDelay\W+|(?:retry|try again) (?:in|after) )((?:\d+(?:\.\d+)? ?(?:ms|h|m|s)[a-z]*\W*)+)",
    re.IGNORECASE,
)
_TIMES = re.compile(r"(\d+(?:\.\d+)?) ?(ms|milli|h|m|s)", re.IGNORECASE)
_SECONDS = {"ms": 0.001, "milli": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def stated_delay(content: bytes) -> float | None:
    """Return the seconds that a refusal's own words ask to wait, or None.

    Gemini says "retryDelay": "31s", OpenAI "try again in 1m26.4s", Azure "retry after 26 seconds".
    """
    found = _DELAY.search(content.decode("utf-8", "replace"))
    if found is None:
        return None
    return sum(float(amount) * _SECONDS[unit.lower()] for amount, unit in _TIMES.findall(found[1]))


TOO_LONG = "Lower the setting max_tokens"
"""What helps where `is_too_long`."""
_TOO_LONG = re.compile(
    r"context[ _](?:length|window|size)|reduce the length|supports at most"
    r"|max_(?:completion_)?tokens\W[^.]*(?:too large|at most|exceed|> ?\d|less than)",
    re.IGNORECASE,
)


def is_too_long(fault: Fault) -> bool:
    """Tell whether a refusal says that prompt and max_tokens do not fit the model's context or longest answer."""
    return _TOO_LONG.search(f"{fault.code} {fault.message}") is not None


def is_moderation(status: int, fault: Fault) -> bool:
    """Tell whether a 403 is about the words of one request (OpenRouter's moderation) and not about the key."""
    return status == 403 and re.search(r"moderation|flagged", fault.message, re.IGNORECASE) is not None


def is_about_request(refusal: Refused) -> bool:
    """Tell whether a refusal concerns what one request says or asks for, and not the key or the endpoint."""
    return (
        refusal.status in (400, 413, 422)
        or (refusal.status == 404 and "No endpoints found that" in refusal.fault.message)
        or is_moderation(refusal.status, refusal.fault)
    )


def refused(
    refusal: Refused, *, max_tokens: int, temperature: float | None, first: bool
) -> EtlchError | BadContent:
    """Return what becomes of a request in which nothing is left to leave out: the run ends, or its record.

    Args:
        refusal: the answer.
        max_tokens: of the request.
        temperature: of the request.
        first: nothing was answered so far, and the prompt is shorter than the longest answer.
    """
    if minds_temperature(refusal.fault):
        return EtlchError(
            _("the endpoint refuses temperature {temperature}: {refusal}").format(
                temperature=temperature, refusal=refusal
            ),
            _("Remove the setting temperature."),
        )
    said = f"the endpoint refuses this request (HTTP {refusal.status}): {refusal}"
    if not is_too_long(refusal.fault):
        return BadContent((said,), "")
    if first:
        return EtlchError(
            said, _("{too_long}, which is {max_tokens} now.").format(too_long=TOO_LONG, max_tokens=max_tokens)
        )
    return BadContent((f"{said} {TOO_LONG}",), "", again=False)


def ending(refusal: Refused, url: str, model: str) -> EtlchError | None:
    """Return the error that ends a run on what waiting does not change, or None where waiting may."""
    status = refusal.status
    if status == 404:
        what = f"does not know the model '{model}'"
        if _NO_SUCH_PATH.search(str(refusal)):
            what = "has no chat completions"
        return EtlchError(
            f"{url} {what}: {refusal}",
            _("Check the model's name and --base-url (most endpoints end in /v1)."),
        )
    if is_quota(status, refusal.fault):
        return EtlchError(
            _("the quota at {url} is used up: {refusal}").format(url=url, refusal=refusal),
            _("Add credit there. {go_on}").format(go_on=_(GO_ON)),
        )
    if status in (401, 403):
        return EtlchError(
            _("{url} refuses the key (HTTP {status}): {refusal}").format(
                url=url, status=status, refusal=refusal
            ),
            _("Check OPENAI_API_KEY or the setting key_file."),
        )
    if status < 500 and status not in (408, 409, 425, 429):
        return EtlchError(
            _("{url} refuses the request (HTTP {status}): {refusal}").format(
                url=url, status=status, refusal=refusal
            ),
            _("Check --base-url."),
        )
    if refusal.wait is not None and refusal.wait > LONGEST_PAUSE:
        return EtlchError(
            _("{url} asks to wait {wait:.0f} s: {refusal}").format(
                url=url, wait=refusal.wait, refusal=refusal
            ),
            _(GO_ON),
        )
    return None
