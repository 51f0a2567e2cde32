"""What real servers answer to a request they mind, read as what they mean."""

from __future__ import annotations

import asyncio
import json

import pytest

from etlch.llm.endpoint import Endpoint
from etlch.llm.refusals import Refused
from etlch.llm.transport import HttpResponse, Transport

LLAMA_CPP_PYTHON = {
    "error": {
        "message": "1 validation error:\n  {'type': 'literal_error', 'loc': ('body', 'response_format', 'type'), "
        "'msg': \"Input should be 'text' or 'json_object'\", 'input': 'json_schema'}",
        "type": "internal_server_error",
        "param": None,
        "code": None,
    }
}
"""The body with which llama-cpp-python's server answers `json_schema`, with status 500."""


@pytest.mark.parametrize(
    ("status", "message", "meant"),
    [
        (500, LLAMA_CPP_PYTHON["error"]["message"], 422),
        (500, "out of memory", 500),
        (503, "validation error", 503),
    ],
)
def test_a_500_that_minds_the_request_is_a_refusal(status: int, message: str, meant: int) -> None:
    async def read() -> None:
        transport = Transport(Endpoint("http://127.0.0.1:9/v1", "no-key"), 1.0)
        try:
            body = {"error": {**LLAMA_CPP_PYTHON["error"], "message": message}}
            transport.read(HttpResponse(status, {}, json.dumps(body).encode()))
        finally:
            await transport.close()

    with pytest.raises(Refused) as refused:
        asyncio.run(read())
    assert refused.value.status == meant
