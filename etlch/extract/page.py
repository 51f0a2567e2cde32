"""Write a page of highlighted documents with their facts, and what the extraction came to in numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from etlch.core.files import write_text
from etlch.core.locale import _
from etlch.extract.card import ExtractorCard
from etlch.extract.confidence import bins, steps
from etlch.extract.facts import ExtractedFact, Extraction, Source
from etlch.render import html, plots
from etlch.render.html import SPURIOUS, Html, Sample, ShownFact

SHOWN = 500
"""Documents on the page."""
CHARACTERS = 5_000_000
"""Characters of all documents on the page: more than a browser shows without waiting."""


def write_page(
    path: Path,
    documents: Iterable[tuple[Extraction, Source]],
    card: ExtractorCard,
    counts: Mapping[str, int],
    tasks: Sequence[str],
) -> None:
    """Write the page, a self-contained HTML file.

    Args:
        path: the file.
        documents: each with what was found in it, in order; the first ones are shown.
        card: of the model.
        counts: as count_extractions returns them, of all documents.
        tasks: names of the tasks that were asked.
    """
    shown = list(_first(documents))
    problems = [(item.document, item.problem) for item, _source in shown if item.problem]
    samples = [sample for item, source in shown for sample in _samples(item, source, card.language, tasks)]
    note = _("No document.")
    if shown:
        note = _("The first {shown:,} of {all:,} documents.").format(
            shown=len(shown), all=counts["documents"]
        )
    parts = [
        ("summary", _("Summary"), html.facts_of(_numbers(counts))),
        ("documents", _("Documents"), html.browser(samples, name="documents", note=note, heading=_("Facts"))),
    ]
    if problems:
        table = html.table(_("Documents with a problem"), [_("document"), _("problem")], problems)
        parts.append(("problems", _("Problems"), table))
    if card.calibration:
        parts.append(("confidence", _("Confidence"), reliability(card)))
    title = _("Facts from {model}").format(model=card.model)
    subtitle = _("{tasks}; {language}").format(tasks=_(", ").join(tasks), language=card.language)
    write_text(path, html.document(title, subtitle, parts))


def reliability(card: ExtractorCard) -> Html:
    """Return the reliability diagram of a calibrated model."""
    drawing = plots.reliability(
        [
            plots.Reliability(
                _("{task}, {count} facts").format(task=task, count=len(calibration.raw)),
                [plots.Bin(*values) for values in bins(calibration)],
                list(zip(*steps(calibration), strict=True)),
            )
            for task, calibration in card.calibration.items()
        ]
    )
    return html.picture(
        drawing.svg,
        _("Share of validation facts that are right, by the probability that the model gives them"),
        _(
            "Facts predicted on the validation set. Points: equally full bins with 95 % intervals. Line: isotonic "
            "regression, which the confidence of a fact is read from."
        ),
    )


def _first(documents: Iterable[tuple[Extraction, Source]]) -> Iterator[tuple[Extraction, Source]]:
    room = CHARACTERS
    for number, (item, source) in enumerate(documents):
        room -= len(source.text)
        if number == SHOWN or room < 0:
            return
        yield item, source


def _samples(item: Extraction, source: Source, language: str, tasks: Sequence[str]) -> Iterator[Sample]:
    """Yield a document once for each task that found something, once if none did, not at all if it was refused."""
    if not item.pieces:
        return
    shown: dict[str, list[ShownFact]] = {}
    for facts, kind, note in (
        (item.facts, "", ""),
        (item.below, "", _("below the threshold")),
        (item.dropped, SPURIOUS, _("not in the document")),
    ):
        for fact in facts:
            shown.setdefault(fact.task, []).append(_shown(fact, kind, note, fact.task in item.fallback))
    for task, found in (shown or {tasks[0]: []}).items():
        name = f"{item.document} ({task})" if len(tasks) > 1 else item.document
        yield Sample(name, task, language, "", source.text, "", tuple(found))


def _shown(fact: ExtractedFact, kind: str, note: str, fallback: bool) -> ShownFact:
    notes = [note] if note else []
    if not fact.grounded and not note:
        notes.append(_("not in the document"))
    if fact.confidence is not None:
        notes.append(f"{fact.confidence:.2f}")
    if fallback:
        notes.append(_("fallback model"))
    return ShownFact(fact.fact, tuple(span for span in fact.spans if span), kind, _(", ").join(notes))


def _numbers(counts: Mapping[str, int]) -> list[tuple[str, str]]:
    names = {
        "documents": _("documents"),
        "facts": _("facts"),
        "ungrounded": _("not in their document"),
        "below": _("below the threshold"),
        "problems": _("documents with a problem"),
        "fallback": _("documents that the fallback model answered about"),
    }
    return [(said, f"{counts[name]:,}") for name, said in names.items()]
