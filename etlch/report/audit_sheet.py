"""Write the sheet of an audit, as a page and as CSV, and read the answers back."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from etlch.core.errors import EtlchError
from etlch.core.files import read_text, write_text
from etlch.core.locale import _
from etlch.core.records import Fact, Span
from etlch.report.audit import NO, SAME, YES, Answers, Checked, Claim, form
from etlch.text.locate import locate, standing

COLUMNS = ("record", "article", "task", "fact", "in_gold", "models", "answer")
FURTHER = "further facts"
"""In the column fact: the line that takes the number of facts that the article states and no line says."""

_WORDS = {
    **dict.fromkeys(("yes", "y", "1", "true", "right", "是", "對", "对"), YES),
    **dict.fromkeys(("no", "n", "0", "false", "wrong", "否", "不對", "不对"), NO),
    **dict.fromkeys(("same", "s", "重複", "重复"), SAME),
}


@dataclass(frozen=True)
class _Row:
    """A claim as the page shows it; `fact` is its JSON text, as in the CSV."""

    fact: str
    parts: tuple[str, ...]
    gold: bool
    models: tuple[str, ...]
    spans: str


@dataclass(frozen=True)
class _Record:
    id: str
    task: str
    article: str
    text: str
    rows: tuple[_Row, ...]


def write_sheet(records: Sequence[Checked], folder: Path, name: str) -> tuple[Path, Path]:
    """Write sheet.html and sheet.csv into a folder and return their paths.

    Args:
        records: to judge, in the order of the sheet.
        folder: new, or without a sheet.
        name: of what is audited; the page keeps answers in the browser under it.

    Raises:
        EtlchError: there is a sheet already, and perhaps work in it.
    """
    page, table = folder / "sheet.html", folder / "sheet.csv"
    for path in (page, table):
        if path.exists():
            raise EtlchError(
                _("{path} is there already").format(path=path),
                _("Fill it in, name another folder with --out, or move it away."),
            )
    write_text(table, csv_text(records))
    write_text(page, page_text(records, name))
    return page, table


def csv_text(records: Sequence[Checked]) -> str:
    """Return the sheet as CSV: a line for each claim and one for further facts, `answer` left empty."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for record in records:
        key = record.key
        for claim in record.claims:
            gold = YES if claim.gold else NO
            writer.writerow(
                (key.id, key.article_id, key.task, _json(claim.fact), gold, " ".join(claim.models), "")
            )
        writer.writerow((key.id, key.article_id, key.task, FURTHER, "", "", ""))
    return stream.getvalue()


def page_text(records: Sequence[Checked], name: str) -> str:
    """Return the sheet as one self-contained page that asks no other machine for anything."""
    from jinja2 import Environment, PackageLoader

    environment = Environment(loader=PackageLoader("etlch.report", ""), autoescape=True, trim_blocks=True)
    template = environment.get_template("audit.html.j2")
    shown = [
        _Record(
            record.key.id,
            record.key.task,
            record.key.article_id,
            record.key.input or record.key.instruction,
            tuple(_row(claim, record.key.input) for claim in record.claims),
        )
        for record in records
    ]
    return template.render(name=name, records=shown, columns=COLUMNS, further=FURTHER)


def _row(claim: Claim, article: str) -> _Row:
    spans = sorted({span for part in claim.fact for span in _spans(part, article)})
    return _Row(_json(claim.fact), claim.fact, claim.gold, claim.models, json.dumps(spans))


def _spans(part: str, article: str) -> list[Span]:
    found = list(standing(part, article)) if part.strip() else []
    place = None if found else locate(part, article)
    return found or ([] if place is None else [(place.start, place.end)])


def _json(fact: Fact) -> str:
    return json.dumps(list(fact), ensure_ascii=False)


def read_answers(path: Path) -> Answers:
    """Return the answers of a filled sheet: the CSV, or what the page's button saved.

    Raises:
        EtlchError: not such a file, or an answer that is none; names the line.
    """
    claims: dict[tuple[str, Fact], str] = {}
    further: dict[str, int] = {}
    for number, row in _lines(path):
        answer = row["answer"].strip()
        if not answer:
            continue
        if row["fact"] == FURTHER:
            if not answer.isdecimal():
                raise EtlchError(
                    _("{path}, line {number}: '{answer}' is not a number of further facts").format(
                        path=path, number=number, answer=answer
                    ),
                    _("Write 0, 1, 2 …"),
                )
            further[row["record"]] = int(answer)
            continue
        if answer.casefold() not in _WORDS:
            raise EtlchError(
                _("{path}, line {number}: '{answer}' is not an answer").format(
                    path=path, number=number, answer=answer
                ),
                _("Write {yes}, {no} or {same}.").format(yes=YES, no=NO, same=SAME),
            )
        claims[row["record"], form(_fact(row["fact"], path, number))] = _WORDS[answer.casefold()]
    return Answers(claims, further)


def _lines(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""))
    missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        raise EtlchError(
            _("{path} is not an audit's sheet: it lacks the column {missing}").format(
                path=path, missing=missing[0]
            ),
            _("Its columns are {columns}.").format(columns=", ".join(COLUMNS)),
        )
    for row in reader:
        yield reader.line_num, {name: row[name] or "" for name in COLUMNS}


def _fact(text: str, path: Path, number: int) -> Fact:
    try:
        return tuple(str(part) for part in json.loads(text))
    except (ValueError, TypeError) as error:
        raise EtlchError(
            _("{path}, line {number}: the fact was changed").format(path=path, number=number),
            _("Leave all columns but `answer` as they are."),
        ) from error
