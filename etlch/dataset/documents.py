"""Read the user's own texts from a path or a data set, return them as candidates.

Read are .txt, .md, .jsonl, .csv, .tsv and .parquet files, folders of them, folders that
`datasets` saved, and names that `datasets.load_dataset` knows. Long texts are cut at sentence
ends. A candidate's source says where its text stands: `posts/x.md#120-1620` are characters 120
to 1620 of that file, `news.jsonl#row7:0-900` of the text in its seventh row.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from etlch.core.errors import EtlchError, warn_user
from etlch.core.extras import need
from etlch.core.files import digest, parquet_rows, read_lines, read_text
from etlch.core.records import Json, Topic
from etlch.core.settings import PlanSettings
from etlch.dataset.build_record import Candidate
from etlch.dataset.chunking import chunk

COLUMNS = ("text", "content", "article", "body", "context", "document", "passage", "input")
"""Where the text of a row is looked for unless `text_column` names it."""

_LABELS = ("label", "labels", "entities", "spans", "triples", "relations", "annotations", "output")
"""Columns that hold labels more often than not; a run of `--articles` asks the teacher for them."""

_TITLES = ("title", "topic", "subject", "headline")
_DOMAINS = ("domain", "category", "section")
_FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(.*?\n)(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.DOTALL)
_HEADING = re.compile(r"^#{1,6}[ \t]+(.+?)[ \t#]*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class SourceDocument:
    """One text before it is cut into chunks.

    Attributes:
        source: file or data set, with the row where there are rows.
        text: the whole text.
        start: character at which the article begins in `text`, after any front matter.
        title: from the row, front matter or first heading; else the file's name.
        domain: the row's or front matter's category; else the name of the folder.
        problem: why there is no text; empty where it could be read.
    """

    source: str
    text: str
    start: int
    title: str
    domain: str
    problem: str = ""


def candidates(plan: PlanSettings) -> Iterator[Candidate]:
    """Yield the user's texts as candidates, the documents in an order drawn with the seed.

    The chunks of one document follow each other, so that at most one document can be in both
    test and training; `split_by: topic` excludes even that one.

    Raises:
        EtlchError: the path does not exist, no file can be read, or there is no text column; names what there is.
    """
    documents = read_documents(str(plan.articles), plan.text_column)
    order = sorted(documents, key=lambda document: digest(f"{plan.seed}|{document.source}"))
    position = 0
    for document in order:
        for start, end in chunk(document.text[document.start :], plan.chunk):
            low, high = document.start + start, document.start + end
            mark = ":" if "#" in document.source else "#"
            yield Candidate(
                f"t{position:05d}",
                Topic(position, document.domain, document.title, plan.language),
                f"{document.source}{mark}{low}-{high}",
                document.text[low:high],
            )
            position += 1


def mean_bytes(plan: PlanSettings, needed: int) -> int:
    """Return the mean length in UTF-8 bytes of the first `needed` texts, rounded down.

    Raises:
        EtlchError: there are fewer than needed, or as candidates says.
    """
    lengths = [len((candidate.text or "").encode()) for candidate in islice(candidates(plan), needed)]
    if len(lengths) < needed:
        cut = f", cut at {plan.chunk:,} characters" if plan.chunk else ""
        raise EtlchError(
            f"{plan.articles} holds {len(lengths):,} texts{cut}, and test {plan.test} + size "
            f"{max(plan.sizes)} need {needed:,}",
            "Ask for less with --test and --sizes, or bring more texts.",
        )
    return sum(lengths) // needed


def read_documents(place: str, text_column: str | None = None) -> list[SourceDocument]:
    """Return every text that is not blank at a path or in a data set, in the order of files and rows.

    Raises:
        EtlchError: as candidates says.
    """
    found = [
        document for document in iter_documents(place, text_column) if document.text[document.start :].strip()
    ]
    if not found:
        raise EtlchError(
            f"--articles {place} holds no text", f"Files read are {', '.join(sorted(_READERS))}, as UTF-8."
        )
    return found


def iter_documents(
    place: str, text_column: str | None = None, *, keep_unreadable: bool = False
) -> Iterator[SourceDocument]:
    """Yield every text at a path or in a data set, blank ones too, one at a time.

    Args:
        place: a file, a folder, or a data set's name.
        text_column: of rows; None looks for one of COLUMNS.
        keep_unreadable: a file of one text that cannot be read becomes a blank document with its problem.

    Raises:
        EtlchError: as candidates says.
    """
    path = Path(place)
    if path.is_dir() and (path / "state.json").is_file():
        yield from _read_rows(_saved(path), path.name, text_column)
    elif path.is_file() or path.is_dir():
        for file, name in _files(path):
            try:
                yield from _read_file(file, name, text_column)
            except EtlchError as error:
                if not keep_unreadable or file.suffix.lower() not in _ONE_TEXT:
                    raise
                yield SourceDocument(name, "", 0, file.stem, _folder(name), error.what)
    elif path.suffix.lower() in _READERS or place.startswith((".", "/", "~")):
        raise EtlchError(f"--articles {place}: there is no such file or folder", "Check the path.")
    else:
        yield from _read_rows(_named(place), place, text_column)


def _files(path: Path) -> Iterator[tuple[Path, str]]:
    """Yield a file, or the files of a folder that can be read, each with its name below the path."""
    if path.is_file():
        yield path, path.name
        return
    for file in sorted(path.rglob("*")):
        name = file.relative_to(path)
        if file.is_file() and file.suffix.lower() in _READERS and not _hidden(name):
            yield file, name.as_posix()


def _read_file(path: Path, name: str, text_column: str | None) -> Iterator[SourceDocument]:
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise EtlchError(
            f"--articles {path}: files of this kind are not read",
            f"Use one of {', '.join(sorted(_READERS))}.",
        )
    return reader(path, name, text_column)


def _read_plain(path: Path, name: str, text_column: str | None) -> Iterator[SourceDocument]:
    yield SourceDocument(name, read_text(path), 0, path.stem, _folder(name))


def _read_markdown(path: Path, name: str, text_column: str | None) -> Iterator[SourceDocument]:
    """Read Markdown without its front matter, whose title and category are kept as topic and domain."""
    import yaml

    text = read_text(path)
    matter = _FRONT_MATTER.match(text)
    front: Json = {}
    if matter:
        try:
            front = yaml.safe_load(matter.group(1))
        except yaml.YAMLError:
            front = {}  # the front matter is left out either way; only its title is lost
    front = front if isinstance(front, dict) else {}
    heading = _HEADING.search(text, matter.end() if matter else 0)
    title = _first(front, _TITLES) or (heading.group(1) if heading else path.stem)
    yield SourceDocument(
        name, text, matter.end() if matter else 0, title, _first(front, _DOMAINS) or _folder(name)
    )


def _read_jsonl(path: Path, name: str, text_column: str | None) -> Iterator[SourceDocument]:
    return _read_rows((line.value for line in read_lines(path)), name, text_column)


def _read_csv(path: Path, name: str, text_column: str | None) -> Iterator[SourceDocument]:
    mark = "\t" if path.suffix.lower() == ".tsv" else ","
    csv.field_size_limit(2**31 - 1)
    return _read_rows(_csv_rows(path, mark), name, text_column)


def _csv_rows(path: Path, mark: str) -> Iterator[Mapping[str, Json]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from csv.DictReader(file, delimiter=mark)
    except UnicodeDecodeError as error:
        raise EtlchError(f"{path} is not UTF-8", "Save the file as UTF-8.") from error
    except (OSError, csv.Error) as error:
        raise EtlchError(f"cannot read {path}: {error}", "Check the file.") from error


def _read_parquet(path: Path, name: str, text_column: str | None) -> Iterator[SourceDocument]:
    return _read_rows(parquet_rows(path), name, text_column)


_READERS: dict[str, Callable[[Path, str, str | None], Iterator[SourceDocument]]] = {
    ".txt": _read_plain,
    ".md": _read_markdown,
    ".markdown": _read_markdown,
    ".jsonl": _read_jsonl,
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".parquet": _read_parquet,
}


_ONE_TEXT = (".txt", ".md", ".markdown")
"""Files that are one document; the others are tables, and a table that cannot be read is the user's to repair."""


def _read_rows(
    rows: Iterable[Mapping[str, Json]], name: str, text_column: str | None
) -> Iterator[SourceDocument]:
    for number, row in enumerate(rows, start=1):
        column = text_column or next((column for column in COLUMNS if column in row), None)
        if column is None or column not in row:
            raise EtlchError(
                f"--articles {name}: no column '{text_column or 'text'}' among {', '.join(map(str, row))}",
                "Name the column of the text with the setting text_column.",
            )
        if number == 1 and (unused := [column for column in _LABELS if column in row]):
            warn_user(
                f"--articles {name}: the column '{unused[0]}' is not used, and a teacher is asked for labels; "
                "labels that people made come in with `etlch-data import`"
            )
        text = row[column] if isinstance(row[column], str) else ""
        title = _first(row, _TITLES) or f"{name} {number}"
        yield SourceDocument(f"{name}#row{number}", text, 0, title, _first(row, _DOMAINS) or _folder(name))


def _saved(path: Path) -> Iterable[Mapping[str, Json]]:
    need("datasets", f"--articles {path}, which the library datasets saved,", "datasets")
    from datasets import load_from_disk

    rows: Iterable[Mapping[str, Json]] = load_from_disk(str(path))
    return rows


def _named(place: str) -> Iterable[Mapping[str, Json]]:
    """Return the rows of the training split of a data set, given as NAME or NAME:CONFIGURATION."""
    need("datasets", f"--articles {place} is no file or folder here; a data set of this name", "datasets")
    from datasets import load_dataset
    from datasets.exceptions import DatasetsError

    name, _, configuration = place.partition(":")
    try:
        rows: Iterable[Mapping[str, Json]] = load_dataset(name, configuration or None, split="train")
    except (DatasetsError, OSError, ValueError) as error:
        raise EtlchError(
            f"--articles {place}: neither a file, a folder nor a data set that loads ({error})",
            "Check the path, or the data set's name and the network.",
        ) from error
    return rows


def _first(row: Mapping[str, Json], names: Iterable[str]) -> str:
    return next((str(row[name]).strip() for name in names if row.get(name)), "")


def _folder(name: str) -> str:
    return Path(name).parent.name or "own texts"


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
