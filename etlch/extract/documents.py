"""Extract from files and folders into one file, so that a stopped extraction goes on where it was."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from etlch.core.files import digest, dumps
from etlch.core.records import to_dict
from etlch.dataset.documents import read_documents
from etlch.extract.extractor import Extractor, count_extractions
from etlch.extract.facts import Source
from etlch.extract.output import WorkFile, read_extraction


class Extracted(NamedTuple):
    """What an extraction did.

    Attributes:
        counts: documents, facts, ungrounded, below, problems and tokens of the whole file.
        seconds: of this session.
        asked: documents asked in this session; the others stood in the work file.
    """

    counts: dict[str, int]
    seconds: float
    asked: int


def sources(paths: Sequence[str], text_column: str | None, limit: int | None) -> Iterator[Source]:
    """Yield the documents of paths, in their order, at most `limit` of them."""
    count = 0
    for path in paths:
        for document in read_documents(path, text_column):
            if limit is not None and count >= limit:
                return
            count += 1
            name = document.source if len(paths) == 1 else f"{path}:{document.source}"
            yield Source(name, document.text[document.start :])


def extract_to_file(
    extractor: Extractor,
    documents: Iterator[Source],
    out: Path,
    *,
    by_fact: bool,
    note: Callable[[int, int, float], None],
) -> Extracted:
    """Extract from documents and write the file that was asked for, in the order of the documents.

    Args:
        extractor: the model, ready.
        documents: what to extract from.
        out: the file; its ending names the format.
        by_fact: one row a fact; else one a document.
        note: told (documents, tokens, seconds) of this session after each document.

    Raises:
        EtlchError: as WorkFile says, or the model fails; what was done stands in the work file.
    """
    work = WorkFile(out, fingerprint(extractor))
    began, asked, tokens = time.monotonic(), 0, 0
    for item in extractor.extract(source for source in documents if source.name not in work.done):
        work.add(item)
        asked += 1
        tokens += item.tokens
        note(asked, tokens, time.monotonic() - began)
    counts = count_extractions(read_extraction(row) for row in work.rows())
    work.finish(by_fact=by_fact)
    return Extracted(counts, time.monotonic() - began, asked)


def fingerprint(extractor: Extractor) -> str:
    """Return a hash of everything that decides what is extracted: the model's card and the settings."""
    return digest(dumps([to_dict(extractor.card), to_dict(extractor.settings)]))[:16]
