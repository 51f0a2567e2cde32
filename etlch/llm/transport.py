"""Post one request body to an endpoint, return the status, headers and content of its response.

The official SDK on its aiohttp transport, with its own retries off. It is asked for the raw
response: building its models would cost more than everything else on the way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import NamedTuple

from etlch.core.errors import EtlchError
from etlch.core.records import Json
from etlch.llm import chat_completions
from etlch.llm.endpoint import Endpoint
from etlch.llm.rate_limit import retry_after

LONGEST_PAUSE = 900.0
"""Seconds. An endpoint that asks for a longer wait has stopped the run."""
GO_ON = "Run the same command again to go on; what is answered is not paid again."


class HttpResponse(NamedTuple):
    """What came back: an HTTP status, headers (found by lower-case names), and the body."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class NoAnswer(Exception):
    """A timeout, or a broken connection: nobody knows whether it was paid for."""


class NotSent(Exception):
    """No connection could be made: not a byte of the request left, so nothing is paid."""


class Refused(Exception):
    """An answer with an error in it. It costs nothing.

    Args:
        status: the HTTP status, or the one that a 200 carries inside.
        fault: what the endpoint says.
        wait: the seconds it asks to wait, or None.
    """

    def __init__(self, status: int, fault: chat_completions.Fault, wait: float | None) -> None:
        super().__init__(fault.message)
        self.status = status
        self.fault = fault
        self.wait = wait


class Transport:
    """The connection to an endpoint.

    Args:
        endpoint: its URL and key.
        timeout: seconds until an exchange counts as failed.
    """

    def __init__(self, endpoint: Endpoint, timeout: float) -> None:
        import openai

        self._endpoint = endpoint
        self._timeout = timeout
        self._client = openai.AsyncOpenAI(
            api_key=endpoint.key,
            base_url=endpoint.url,
            max_retries=0,
            timeout=timeout,
            default_headers={"Authorization": endpoint.authorization} if endpoint.authorization else None,
            http_client=openai.DefaultAioHttpClient(timeout=timeout),
        )

    async def send(self, body: Json) -> HttpResponse:
        """Post a chat completion's body once.

        Raises:
            NotSent: there is no connection.
            NoAnswer: nothing whole came back.
        """
        import aiohttp
        import openai

        try:
            async with asyncio.timeout(self._timeout):
                raw = await self._client.post(
                    "/chat/completions", body=body, cast_to=openai.HttpxBinaryResponseContent
                )
            response = raw.response
        except openai.APIStatusError as error:
            response = error.response
        except (TimeoutError, openai.APITimeoutError) as error:
            # A refused connection comes as a timeout of the SDK; what happened stands in the causes.
            if refused := _connector(error):
                raise NotSent(self._endpoint.redact(f"cannot connect: {refused}")) from error
            raise NoAnswer(f"no answer within {self._timeout:g} s") from error
        except (openai.APIConnectionError, aiohttp.ClientError, OSError) as error:
            if refused := _connector(error):
                raise NotSent(self._endpoint.redact(f"cannot connect: {refused}")) from error
            raise NoAnswer(self._endpoint.redact(_words(error))) from error
        return HttpResponse(response.status_code, response.headers, response.content)

    def read(self, response: HttpResponse) -> chat_completions.Answer:
        """Return a completion's parts.

        Raises:
            Refused: an HTTP error, or an error inside a 200.
            Broken: neither.
        """
        if response.status < 400:
            value = chat_completions.read_body(response.content)
            inside = chat_completions.inner_error(value)
            if inside is None:
                return chat_completions.read_answer(value)
            fault = chat_completions.read_fault(inside)
        else:
            fault = chat_completions.read_fault(response.content)
        # Some servers repeat the key that they refuse.
        fault = fault._replace(message=self._endpoint.redact(fault.message) or "no reason given")
        status = response.status
        if status < 400:
            status = int(fault.code) if fault.code.isdigit() and len(fault.code) == 3 else 500
        if status == 500 and "validation error" in fault.message:
            status = 422  # llama-cpp-python's server: it says 500 where it refuses the request
        wait = retry_after(response.headers)
        if wait is None and status == 429:
            wait = chat_completions.stated_delay(response.content)
        raise Refused(status, fault, wait)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def _connector(error: BaseException) -> BaseException | None:
    """Return the failed connection among an error's causes, or None: then something was sent."""
    import aiohttp

    at: BaseException | None = error
    while at is not None:
        if isinstance(at, aiohttp.ClientConnectorError):
            return at
        at = at.__cause__ or at.__context__
    return None


def is_about_request(refusal: Refused) -> bool:
    """Tell whether a refusal concerns what one request says or asks for, and not the key or the endpoint."""
    return (
        refusal.status in (400, 413, 422)
        or (refusal.status == 404 and "No endpoints found that" in refusal.fault.message)
        or chat_completions.is_moderation(refusal.status, refusal.fault)
    )


def ending(refusal: Refused, url: str, model: str) -> EtlchError | None:
    """Return the error that ends a run on what waiting does not change, or None where waiting may."""
    status = refusal.status
    if chat_completions.is_quota(status, refusal.fault):
        return EtlchError(f"the quota at {url} is used up: {refusal}", f"Add credit there. {GO_ON}")
    if status in (401, 403):
        return EtlchError(
            f"{url} refuses the key (HTTP {status}): {refusal}",
            "Check OPENAI_API_KEY or the setting key_file.",
        )
    if status == 404:
        return EtlchError(
            f"{url} does not know the model '{model}': {refusal}",
            "Check the model's name and --base-url (most endpoints end in /v1).",
        )
    if status < 500 and status not in (408, 409, 425, 429):
        return EtlchError(f"{url} refuses the request (HTTP {status}): {refusal}", "Check --base-url.")
    if refusal.wait is not None and refusal.wait > LONGEST_PAUSE:
        return EtlchError(f"{url} asks to wait {refusal.wait:.0f} s: {refusal}", GO_ON)
    return None


def _words(error: BaseException) -> str:
    """Return the innermost reason: the SDK itself says only that the connection failed."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"the connection broke: {error or type(error).__name__}"
