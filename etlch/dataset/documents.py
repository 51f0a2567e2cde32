"""Read the user's own texts from a path or a data set, return them as candidates.

Long texts are cut at sentence ends. A candidate's source says where its text stands: `posts/x.md#120-1620` are
characters 120 to 1620 of that file, `news.jsonl#row7:0-900` of the text in its seventh row, and `lease.pdf#page2:900-1800`
of the text of all pages, beginning on the second.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from etlch.core.errors import EtlchError, warn_user
from etlch.core.files import digest
from etlch.core.locale import _
from etlch.core.records import Topic
from etlch.core.settings import PlanSettings
from etlch.dataset.build_record import Candidate
from etlch.dataset.chunking import chunk
from etlch.dataset.document_files import (
    ENDINGS,
    ROWS,
    SourceDocument,
    ending,
    folder_of,
    read_file,
    read_rows,
)
from etlch.dataset.readers.hub import load, saved
from etlch.text.encodings import UTF8


@dataclass(frozen=True)
class OwnTexts:
    """The user's texts, cut.

    Attributes:
        candidates: the documents in an order drawn with the seed, the parts of one after each other.
        told: how many documents became how many parts, in words.
    """

    candidates: tuple[Candidate, ...]
    told: str

    def mean_bytes(self, plan: PlanSettings, needed: int) -> int:
        """Return the mean length in UTF-8 bytes of the first `needed` texts, rounded down.

        Raises:
            EtlchError: there are fewer than needed.
        """
        if len(self.candidates) < needed:
            cut = f", cut at {plan.chunk:,} characters" if plan.chunk else ""
            raise EtlchError(
                _(
                    "{articles} holds {count:,} texts{cut}, and test {test} + size {sizes} need {needed:,}"
                ).format(
                    articles=plan.articles,
                    count=len(self.candidates),
                    cut=cut,
                    test=plan.test,
                    sizes=max(plan.sizes),
                    needed=needed,
                ),
                _("Ask for less with --test and --sizes, or bring more texts."),
            )
        return sum(len((item.text or "").encode()) for item in self.candidates[:needed]) // needed


def own_texts(plan: PlanSettings) -> OwnTexts:
    """Return the user's texts as candidates.

    The chunks of one document follow each other, so that at most one document can be in both
    test and training; `split_by: topic` excludes even that one.

    Raises:
        EtlchError: the path does not exist, no file can be read, or there is no text column; names what there is.
    """
    documents = read_documents(str(plan.articles), plan.text_column)
    order = sorted(documents, key=lambda document: digest(f"{plan.seed}|{document.source}"))
    found: list[Candidate] = []
    cut = 0
    for document in order:
        parts = list(chunk(document.text[document.start :], plan.chunk))
        cut += len(parts) > 1
        for start, end in parts:
            low, high = document.start + start, document.start + end
            topic = Topic(len(found), document.domain, document.title, plan.language)
            place = _place(document, low, high)
            found.append(Candidate(f"t{len(found):05d}", topic, place, document.text[low:high]))
    told = f"{plan.articles}: {len(order):,} documents → {len(found):,} parts"
    if cut:
        told += f": {cut:,} documents are longer than {plan.chunk:,} characters and were cut at sentence ends (setting chunk)"
    return OwnTexts(tuple(found), told)


def _place(document: SourceDocument, low: int, high: int) -> str:
    if document.pages:
        return f"{document.source}#page{bisect_right(document.pages, low)}:{low}-{high}"
    return f"{document.source}{':' if '#' in document.source else '#'}{low}-{high}"


def read_documents(place: str, text_column: str | None = None) -> list[SourceDocument]:
    """Return every text that is not blank at a path or in a data set, in the order of files and rows.

    Raises:
        EtlchError: as own_texts says.
    """
    found = [
        document for document in iter_documents(place, text_column) if document.text[document.start :].strip()
    ]
    if not found:
        raise EtlchError(
            _("{place} holds no text").format(place=place),
            _("Files read are {endings}.").format(endings=", ".join(ENDINGS)),
        )
    return found


def iter_documents(
    place: str, text_column: str | None = None, *, keep_unreadable: bool = False
) -> Iterator[SourceDocument]:
    """Yield every text at a path or in a data set, blank ones too, one at a time.

    A warning says which files of a folder are of a kind that is not read, what of a file was left out, and what was
    taken for another encoding than UTF-8.

    Args:
        place: a file, a folder, or a data set's name.
        text_column: of rows; None looks for one of COLUMNS.
        keep_unreadable: a file of one text that cannot be read becomes a blank document with its problem.

    Raises:
        EtlchError: as own_texts says.
    """
    path = Path(place)
    if path.is_dir() and (path / "state.json").is_file():
        yield from read_rows(saved(path), path.name, text_column)
    elif path.is_file() or path.is_dir():
        guessed: Counter[str] = Counter()
        for file, name in _files(path):
            try:
                for document in read_file(file, name, text_column):
                    guessed[document.encoding] += 1
                    if document.left_out:
                        warn_user(f"{document.source}: not read: {document.left_out}")
                    yield document
            except EtlchError as error:
                if not keep_unreadable or ending(file) in ROWS:
                    raise
                yield SourceDocument(name, "", 0, file.stem, folder_of(name), error.what)
        _tell(place, guessed)
    elif path.suffix.lower() in ENDINGS or place.startswith((".", "/", "~")):
        raise EtlchError(
            _("{place}: there is no such file or folder").format(place=place), _("Check the path.")
        )
    else:
        yield from read_rows(load(place, split="train"), place, text_column)


def _files(path: Path) -> Iterator[tuple[Path, str]]:
    """Yield a file, or the files of a folder that can be read, each with its name below the path."""
    if path.is_file():
        if ending(path) not in ENDINGS:
            raise EtlchError(
                _("{path}: files of this kind are not read").format(path=path),
                _("Use one of {endings}.").format(endings=", ".join(ENDINGS)),
            )
        yield path, path.name
        return
    files = [file for file in sorted(path.rglob("*")) if file.is_file()]
    files = [file for file in files if not _hidden(file.relative_to(path))]
    unread = Counter(ending(file) or "without an ending" for file in files if ending(file) not in ENDINGS)
    if unread:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(unread.items()))
        warn_user(f"{path}: not read: {kinds}")
    yield from ((file, file.relative_to(path).as_posix()) for file in files if ending(file) in ENDINGS)


def _tell(place: str, encodings: Mapping[str, int]) -> None:
    guessed = [f"{count} as {name}" for name, count in encodings.items() if name not in ("", UTF8)]
    if guessed:
        warn_user(f"{place}: files that are not UTF-8 were read {', '.join(guessed)}")


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
