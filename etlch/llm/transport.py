"""Post one request body to an endpoint, return the status, headers and content of its response.

The official SDK on its aiohttp transport, with its own retries off. It is asked for the raw
response: building its models would cost more than everything else on the way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple

from etlch.core.records import Json
from etlch.llm import chat_completions
from etlch.llm.endpoint import Endpoint
from etlch.llm.rate_limit import retry_after
from etlch.llm.refusals import Refused, read_fault, stated_delay


class HttpResponse(NamedTuple):
    """What came back: an HTTP status, headers (found by lower-case names), and the body."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class NoAnswer(Exception):
    """A timeout, or a broken connection: nobody knows whether it was paid for."""


class NotSent(Exception):
    """No connection could be made: not a byte of the request left, so nothing is paid."""


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
        self._headers: Any = {name: value or openai.Omit() for name, value in endpoint.headers.items()}
        self._client = openai.AsyncOpenAI(
            api_key=endpoint.key,
            base_url=endpoint.url,
            max_retries=0,
            timeout=timeout,
            default_query=dict(endpoint.query),
            http_client=openai.DefaultAioHttpClient(timeout=timeout),
        )

    async def send(self, body: Json, key: str) -> HttpResponse:
        """Post a chat completion's body once; `key` is its request's.

        Raises:
            NotSent: there is no connection.
            NoAnswer: nothing whole came back.
        """
        import aiohttp
        import openai

        try:
            async with asyncio.timeout(self._timeout):
                raw = await self._client.post(
                    "/chat/completions",
                    body=body,
                    cast_to=openai.HttpxBinaryResponseContent,
                    options={"headers": self._headers},
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
            fault = read_fault(inside)
        else:
            fault = read_fault(response.content)
        # Some servers repeat the key that they refuse.
        fault = fault._replace(message=self._endpoint.redact(fault.message) or "no reason given")
        status = response.status
        if status < 400:
            status = int(fault.code) if fault.code.isdigit() and len(fault.code) == 3 else 500
            if "Unexpected endpoint" in fault.message:
                status = 404  # LM Studio: the path is not one of its own
        if status == 500 and "validation error" in fault.message:
            status = 422  # llama-cpp-python's server: it says 500 where it refuses the request
        wait = retry_after(response.headers)
        if wait is None and status == 429:
            wait = stated_delay(response.content)
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


def _words(error: BaseException) -> str:
    """Return the innermost reason: the SDK itself says only that the connection failed."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"the connection broke: {error or type(error).__name__}"
