"""The HTTP server, asked by a real client in this process."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from etlch.core.extract_settings import ExtractSettings
from etlch.extract.extractor import Extractor
from etlch.extract.server import KEY, LONGEST, make_app
from tests.extract.models import Scripted, card


def client() -> TestClient:
    model = Scripted(lambda asked, _: '{"Person": ["Ann"]}')
    return TestClient(make_app(Extractor("x", ExtractSettings(tasks=("ner",)), card=card(), answering=model)))


def test_a_text_comes_back_as_facts_with_spans() -> None:
    asked = client()
    found = asked.post("/extract", json={"text": "Ann left."}).json()
    assert found["facts"][0]["fact"] == ["Person", "Ann"] and found["facts"][0]["spans"] == [None, [0, 3]]
    assert asked.get("/health").json() == {"status": "ok", "model": "tiny", "tasks": ["ner"]}
    assert asked.get("/metrics").json() == {"documents": 1, "facts": 1, "problems": 0, "tokens": 1}
    assert "/extract" in asked.get("/openapi.json").json()["paths"]


def test_too_long_a_text_and_a_missing_key_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert client().post("/extract", json={"text": "x" * (LONGEST + 1)}).status_code == 422
    monkeypatch.setenv(KEY, "secret")
    asked = client()
    assert asked.post("/extract", json={"text": "Ann left."}).status_code == 401
    head = {"Authorization": "Bearer secret"}
    assert asked.post("/extract", json={"text": "Ann left."}, headers=head).status_code == 200
