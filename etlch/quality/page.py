"""Read a run, write quality.json and quality.html, a self-contained page that makes no network request."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence

from etlch.core.config import plain as plain_settings
from etlch.core.files import dumps, write_text
from etlch.core.locale import _, pgettext
from etlch.core.manifest import Manifest
from etlch.core.records import Json, Record, Rejected
from etlch.core.run_data import RunData
from etlch.core.run_folder import Run
from etlch.quality.measure import Leakage, Quality, measure
from etlch.quality.numbers import Proportion, plain
from etlch.quality.overview import in_spread, percent, summary
from etlch.render import html, plots
from etlch.render.html import Cell, Html, Sample, ShownFact

SAMPLES = 60
"""Articles whose records can be paged through, drawn with the run's seed."""

_REJECTED = 40
_MOST_BARS = 25


def write(run: Run, data: RunData, reference: RunData | None = None) -> Quality:
    """Measure a finished run, write quality.json and quality.html beside its data, and return the numbers.

    Args:
        run: where the files go.
        data: what the run holds.
        reference: a run to compare its labels with.
    """
    quality = measure(data, reference)
    lengths = [len(article.text) for article in data.articles]
    write_text(run.folder / "quality.json", dumps(plain(quality), indent=2) + "\n")
    write_text(
        run.folder / "quality.html",
        render(run.name, quality, data.manifest, data.records, data.rejected, lengths),
    )
    return quality


def render(
    name: str,
    quality: Quality,
    manifest: Manifest,
    records: Sequence[Record],
    rejected: Sequence[Rejected],
    lengths: Sequence[int],
) -> str:
    """Return the page.

    Args:
        name: of the run.
        quality: its numbers.
        manifest: what run.yaml says.
        records: all records; some are shown.
        rejected: some of it is shown.
        lengths: characters of each article.
    """
    settings = manifest.settings
    note = _(
        "The records of up to {articles} articles, drawn with the run's seed; every fact with the place where it stands."
    ).format(articles=SAMPLES)
    parts = [
        (
            "summary",
            _("Summary"),
            _table(_("In numbers"), [_("what"), _("number"), _("meaning")], summary(quality)),
        ),
        ("attrition", _("Attrition"), _attrition(quality, rejected)),
        ("diversity", _("Diversity"), _diversity(quality, lengths)),
        ("labels", _("Labels"), _labels(quality)),
        ("agreement", _("Across tasks"), _agreement(quality)),
        ("leakage", _("Leakage"), _leakage(quality.leakage)),
        ("samples", _("Samples"), html.browser(samples(records, settings.plan.seed), note=note)),
        ("provenance", _("Provenance"), _provenance(manifest)),
    ]
    return html.document(
        _("Quality of {run}").format(run=name),
        _("{teacher}, {language}: what code can check").format(
            teacher=settings.teacher.name, language=settings.plan.language
        ),
        parts,
    )


def samples(records: Sequence[Record], seed: int) -> list[Sample]:
    """Return the records of some articles as the browser shows them, in file order."""
    ids = list(dict.fromkeys(record.article_id for record in records))
    chosen = set(random.Random(f"samples/{seed}").sample(ids, min(SAMPLES, len(ids))))
    return [
        Sample(
            record.id,
            record.task,
            record.language,
            record.instruction,
            record.input,
            record.output,
            tuple(
                ShownFact(item.fact, tuple(span for span in item.spans if span is not None))
                for item in record.facts
            ),
        )
        for record in records
        if record.article_id in chosen
    ]


def _attrition(quality: Quality, rejected: Sequence[Rejected]) -> Html:
    counts = sorted(quality.attrition.by_reason.items(), key=lambda item: (-item[1], item[0]))
    if not counts:
        return html.element("p", _("Nothing was rejected."))
    rows = [
        (item.article_id, item.task, item.stage, "; ".join(item.reasons)) for item in rejected[:_REJECTED]
    ]
    more = _("The first {shown} of {all}; all of them, with their text, are in rejected.jsonl.").format(
        shown=len(rows), all=len(rejected)
    )
    return html.join(
        [
            _table(
                _("Rejected, and facts dropped from accepted records"),
                [_("task, stage and reason"), _("times")],
                [(reason, _number(f"{count:,}")) for reason, count in counts],
            ),
            html.fold(
                _("One by one"),
                html.element("p", more),
                _table(_("Rejected"), [_("article"), _("task"), _("stage"), _("reasons")], rows),
            ),
        ]
    )


def _diversity(quality: Quality, lengths: Sequence[int]) -> Html:
    diversity = quality.diversity
    parts = []
    if lengths:
        drawing = plots.histogram([float(length) for length in lengths], _("characters"))
        caption = _("How long the articles are")
        parts.append(
            html.picture(
                drawing.svg,
                _("Histogram: {caption}").format(caption=caption),
                _("{sentence}.").format(sentence=caption),
                key=drawing.key,
            )
        )
    parts += [
        _bars(counts, unit, caption)
        for counts, unit, caption in (
            (diversity.domains, _("articles"), _("Articles by domain")),
            (diversity.types, _("mentions"), _("Mentions by entity type")),
        )
        if counts
    ]
    rows = [
        (
            task,
            _number(in_spread(diversity.facts[task])),
            _number(f"{diversity.instructions[task]:,}"),
            _number(f"{diversity.keys[task]:,}"),
        )
        for task in diversity.facts
    ]
    header = [_("task"), _("facts per record"), _("instructions"), _("keys")]
    caption = _("By task: least · median · greatest, and different ones")
    return html.join([*parts, _table(caption, header, rows)])


def _labels(quality: Quality) -> Html:
    """Return the tables of the labels: reference, density, empty records, classes, types, spans in two types."""
    labels = quality.labels
    rows = [
        (
            task,
            _number(f"{item.facts_per_100:.2f}"),
            _number(in_spread(item.density)),
            _number(percent(item.empty)),
            _number(percent(item.two_types)) if item.two_types.total else "",
        )
        for task, item in labels.items()
    ]
    pairs = [
        (task, first, other, _number(percent(share)))
        for task, item in labels.items()
        for first, other, share in item.pairs
    ]
    classes = [
        (task, field, value, _number(percent(Proportion(count, sum(counts.values())))))
        for task, item in labels.items()
        for field, counts in item.classes.items()
        for value, count in list(counts.items())[:_MOST_BARS]
    ]
    types = [
        (task, name, _number(percent(Proportion(count, sum(item.types.values())))))
        for task, item in labels.items()
        for name, count in list(item.types.items())[:_MOST_BARS]
    ]
    density = [
        _("task"),
        _("facts per 100 characters"),
        _("per record"),
        _("records without a fact"),
        _("spans of two types"),
    ]
    return html.join(
        [
            _reference(quality),
            _table(_("Density: all facts by all characters; least · median · greatest"), density, rows),
            _table(
                _("Classes that stand nowhere in the text"),
                [_("task"), _("field"), _("value"), _("share")],
                classes,
            ),
            _table(_("Label mix"), [_("task"), _("type"), _("share")], types),
            _table(_("One span under two types"), [_("task"), _("type"), _("other"), _("records")], pairs),
        ]
    )


def _reference(quality: Quality) -> Html:
    """Return the tables of the comparison with a reference; nothing where none was named."""
    compared = [
        (
            item.task,
            item.what,
            _number(f"{item.own:.4g}"),
            _number(f"{item.reference:.4g}"),
            _number(f"{item.p:.3f}"),
            item.test,
        )
        for item in quality.reference
    ]
    missed: list[tuple[str | Cell, ...]] = [
        (
            item.task,
            *(_number(f"{count:,}") for count in (item.texts, item.own, item.other, item.both)),
            _number(f"{item.share:.1%}"),
            _number(_("{low:.1%} to {high:.1%}").format(low=item.low, high=item.high)),
        )
        for item in quality.missed
    ]
    counted = [_("task"), _("texts"), _("here"), _("there"), _("both"), _("missed"), _("95 % interval")]
    return html.join(
        [
            _table(
                _("Against the reference"),
                [_("task"), _("what"), _("run"), _("reference"), "p (Holm)", _("test")],
                compared,
            ),
            _table(_("Facts missed, by a second labelling of the same texts"), counted, missed),
        ]
    )


def _agreement(quality: Quality) -> Html:
    agreement = quality.agreement
    rows = [
        (
            _("triple ends that are entities"),
            _number(percent(agreement.ends)),
            _number(percent(agreement.ends_within)),
        ),
        (
            _("json values that are entities or triple ends"),
            _number(percent(agreement.values)),
            _number(percent(agreement.values_within)),
        ),
    ]
    outliers = [(article_id, _number(f"{share:.0%}")) for article_id, share in agreement.outliers]
    return html.join(
        [
            html.element("p", _("How far the tasks name the same strings on the same article.")),
            _table(_("Agreement"), [_("what"), _("same characters"), _("or one within the other")], rows),
            _table(_("Articles on which they agree least"), [_("article"), _("share")], outliers),
        ]
    )


def _leakage(leakage: Leakage) -> Html:
    pairs = [(test, train, _number(f"{share:.3f}")) for test, train, share in leakage.closest]
    seen = [(task, _number(percent(share))) for task, share in leakage.seen.items()]
    return html.join(
        [
            html.element(
                "p",
                _(
                    "Articles at a similarity of 0.8 or more (5-character shingles) are rejected as near copies."
                ),
            ),
            _table(
                _("Closest pairs of a test and a training article"),
                [
                    pgettext("article of which set", "test"),
                    pgettext("article of which set", "training"),
                    _("similarity"),
                ],
                pairs,
            ),
            _table(_("Test facts that stand in a training label"), [_("task"), _("share")], seen),
        ]
    )


def _provenance(manifest: Manifest) -> Html:
    settings = plain_settings(manifest.settings)
    pairs = [(name, _shown(value)) for name, value in settings.items() if value not in (None, [], {})]
    prompts = html.fold(_("Prompt files and their hashes"), html.facts_of(manifest.prompts.items()))
    return html.join([html.facts_of(pairs), prompts])


def _bars(counts: Mapping[str, int], unit: str, caption: str) -> Html:
    """Return a figure of the greatest counts, as many as it can show."""
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    drawing = plots.bars(dict(ordered[:_MOST_BARS]), unit)
    text = _("{sentence}.") if len(counts) <= _MOST_BARS else _("{sentence}; the first {shown} of {all}.")
    told = text.format(sentence=caption, shown=_MOST_BARS, all=len(counts))
    return html.picture(
        drawing.svg, _("A bar each: {caption}").format(caption=caption), told, key=drawing.key
    )


def _table(caption: str, header: Sequence[str], rows: Iterable[Sequence[str | Cell]]) -> Html:
    listed = list(rows)
    return html.table(caption, header, listed) if listed else Html("")


def _number(text: str) -> Cell:
    return Cell(text)


def _shown(value: Json) -> str:
    """Return a setting's value as a person writes it: lists by comma, the rest as JSON."""
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    return value if isinstance(value, str) else dumps(value)
