"""Extract from files and folders into one file, so that a stopped extraction goes on where it was."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from etlch.core.errors import EtlchError
from etlch.core.files import digest, dumps
from etlch.core.locale import _
from etlch.core.records import to_dict
from etlch.dataset.documents import iter_documents
from etlch.extract.extractor import WINDOW, Extractor, count_extractions
from etlch.extract.facts import Extraction, Source
from etlch.extract.output import WorkFile, read_extraction
from etlch.extract.page import write_page
from etlch.extract.review import write_review


class Extracted(NamedTuple):
    """What an extraction did.

    Attributes:
        counts: documents, facts, ungrounded, below, problems and tokens of the whole file.
        seconds: of this session.
        asked: documents asked in this session; the others stood in the work file.
        review: files for people → documents in each.
    """

    counts: dict[str, int]
    seconds: float
    asked: int
    review: dict[str, int]


class Wanted(NamedTuple):
    """What is to be written.

    Attributes:
        out: the file of rows; its ending names the format.
        by_fact: one row a fact; else one a document.
        html: the page of highlighted documents; None writes none.
        review: the file of what is unsure, for people; None writes none.
    """

    out: Path
    by_fact: bool = False
    html: Path | None = None
    review: Path | None = None


def sources(paths: Sequence[str], text_column: str | None, limit: int | None) -> Iterator[Source]:
    """Yield the documents of paths, in their order, at most `limit` of them, one at a time."""
    count = 0
    for path in paths:
        for document in iter_documents(path, text_column, keep_unreadable=True):
            if limit is not None and count >= limit:
                return
            count += 1
            name = document.source if len(paths) == 1 else f"{path}:{document.source}"
            yield Source(name, document.text, document.start, document.problem)


def extract_to_file(
    extractor: Extractor,
    documents: Callable[[], Iterator[Source]],
    wanted: Wanted,
    note: Callable[[int, int, float], None],
) -> Extracted:
    """Extract from documents and write the files that were asked for, in the order of the documents.

    Args:
        extractor: the model, ready.
        documents: yields what to extract from; page and review read the texts once more.
        wanted: the files.
        note: told (documents, tokens, seconds) of this session after each document.

    Raises:
        EtlchError: as WorkFile says, a file that is there, or the model fails; what was done stands in the work
            file.
    """
    for path in (wanted.html, wanted.review):
        if path is not None and path.exists():
            raise EtlchError(
                _("{path} exists and is not overwritten").format(path=path),
                _("Name another file, or move it away."),
            )
    work = WorkFile(wanted.out, fingerprint(extractor))
    began, asked, tokens = time.monotonic(), 0, 0
    for item in extractor.extract(_unfinished(documents(), work.done)):
        if item.document in work.done:
            continue
        work.add(item)
        asked += 1
        tokens += item.tokens
        note(asked, tokens, time.monotonic() - began)
    seconds = time.monotonic() - began
    counts = count_extractions(read_extraction(row) for row in work.rows())
    review: dict[str, int] = {}
    if wanted.html is not None:
        write_page(wanted.html, _with_texts(work, documents()), extractor.card, counts, list(extractor.tasks))
    if wanted.review is not None:
        review = write_review(
            wanted.review,
            _with_texts(work, documents()),
            extractor.card,
            extractor.tasks.values(),
            extractor.settings.review_format,
        )
    work.finish(by_fact=wanted.by_fact)
    return Extracted(counts, seconds, asked, review)


def _unfinished(documents: Iterator[Source], done: Collection[str]) -> Iterator[Source]:
    """Yield the documents of every window that is not wholly done.

    Who shares a batch decides the last digits of probabilities, so a window that was interrupted is asked as a
    whole once more: the file then has the bytes of an extraction that was never stopped.
    """
    while window := list(islice(documents, WINDOW)):
        if not all(source.name in done for source in window):
            yield from window


def fingerprint(extractor: Extractor) -> str:
    """Return a hash of everything that decides what is extracted: the model's card and the settings."""
    settings = extractor.settings
    told = {
        name: getattr(settings, name)
        for name in ("tasks", "decoding", "ungrounded", "retries", "min_precision")
    }
    fallback = None if settings.fallback is None else settings.fallback.name
    return digest(dumps([to_dict(extractor.card), told, fallback]))[:16]


def _with_texts(work: WorkFile, documents: Iterator[Source]) -> Iterator[tuple[Extraction, Source]]:
    """Yield what was found in each document, with the document: both stand in the order of the paths."""
    rows = work.rows()
    for source in documents:
        row = next(rows, None)
        if row is None or row["document"] != source.name:
            raise EtlchError(
                _("{name} was not among the documents when the extraction began").format(name=source.name),
                _("Move {path} away to begin anew.").format(path=work.path),
            )
        yield read_extraction(row), source
