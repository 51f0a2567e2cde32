"""Serve an extractor over HTTP: POST a text, get its facts as JSON."""

from __future__ import annotations

import os
import threading
from collections import Counter
from typing import Any

from etlch.core.records import Json
from etlch.extract.extractor import Extractor
from etlch.extract.facts import Source
from etlch.extract.output import document_row

LONGEST = 1_000_000
"""Characters of one request's text."""
KEY = "ETLCH_EXTRACT_KEY"
"""Environment variable: where it is set, requests must carry it as a bearer token."""


def make_app(extractor: Extractor) -> Any:
    """Return a FastAPI application: POST /extract, GET /health, GET /metrics.

    Requests are answered one at a time: the model works on one batch, and a thread keeps the loop free.
    """
    from fastapi import Body, FastAPI, Header, HTTPException

    app = FastAPI(title="etlch-extract", version="1", description=f"Facts from {extractor.card.model}.")
    counts: Counter[str] = Counter()
    busy = threading.Lock()
    key = os.environ.get(KEY, "")

    def refuse_strangers(authorization: str | None = Header(default=None)) -> None:
        if key and authorization != f"Bearer {key}":
            raise HTTPException(401, f"send the key in {KEY} as a bearer token")

    @app.post("/extract")
    def extract(
        text: str = Body(embed=True, max_length=LONGEST),
        document: str = Body(default="text", embed=True),
        authorization: str | None = Header(default=None),
    ) -> dict[str, Json]:
        """Return {document, facts, below, dropped, problem, pieces, tokens} of a text."""
        refuse_strangers(authorization)
        with busy:
            (item,) = extractor.extract([Source(document, text)])
        counts.update(
            documents=1, facts=len(item.facts), tokens=item.tokens, problems=int(bool(item.problem))
        )
        return document_row(item)

    @app.get("/health")
    def health() -> dict[str, Json]:
        """Return that the model is loaded, and which tasks it is asked for."""
        return {"status": "ok", "model": extractor.card.model, "tasks": list(extractor.tasks)}

    @app.get("/metrics")
    def metrics(authorization: str | None = Header(default=None)) -> dict[str, int]:
        """Return what was done since the start: documents, facts, problems, tokens."""
        refuse_strangers(authorization)
        return {name: counts[name] for name in ("documents", "facts", "problems", "tokens")}

    return app
