"""Read a run, write quality.json and quality.html, a self-contained page that makes no network request."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence

from etlch.core.config import plain as plain_settings
from etlch.core.files import dumps, write_text
from etlch.core.manifest import Manifest
from etlch.core.records import Json, Record, Rejected
from etlch.core.run_data import RunData
from etlch.core.run_folder import Run
from etlch.quality.measure import Leakage, Quality, measure
from etlch.quality.numbers import FiveNumbers, Proportion, plain
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
    parts = [
        ("summary", "Summary", _table("In numbers", ["what", "number", "meaning"], summary(quality))),
        ("attrition", "Attrition", _attrition(quality, rejected)),
        ("diversity", "Diversity", _diversity(quality, lengths)),
        ("labels", "Labels", _labels(quality)),
        ("agreement", "Across tasks", _agreement(quality)),
        ("leakage", "Leakage", _leakage(quality.leakage)),
        ("samples", "Samples", html.browser(samples(records, settings.plan.seed), note=_SAMPLES_NOTE)),
        ("provenance", "Provenance", _provenance(manifest)),
    ]
    return html.document(
        f"Quality of {name}",
        f"{settings.teacher.name}, {settings.plan.language}: what code can check",
        parts,
    )


_SAMPLES_NOTE = f"The records of up to {SAMPLES} articles, drawn with the run's seed; every fact with the place where it stands."


def summary(quality: Quality) -> list[tuple[str, str, str]]:
    """Return the rows (what, number, meaning) of the summary table of page, card and terminal."""
    spread, agreement, leakage = quality.diversity, quality.agreement, quality.leakage
    forms = quality.forms
    records = ", ".join(f"{count:,} {task}" for task, count in quality.records.items())
    rows = [
        ("articles", f"{quality.articles:,}", f"records: {records}"),
        ("grounding", percent(quality.grounding), "facts answered that stand in their article"),
        ("rejected", f"{quality.attrition.rejected:,}", "articles that lost their place to a check"),
        ("length", in_spread(spread.characters), "characters per article: least, median, greatest"),
        ("topics", f"{spread.topics:,}", f"different ones, in {_domains(len(spread.domains))}"),
        (
            "self-similarity",
            in_spread(spread.nearest),
            "of an article to its nearest other: least, median, greatest",
        ),
        ("sentence forms", percent(forms.distinct), "different sentences once names and numbers are masked"),
        ("masked words", f"{forms.vocabulary:,}", "different words in them (of Chinese: characters)"),
        (
            "self-BLEU",
            f"{forms.self_bleu:.2f}",
            "of a masked sentence against the others; 0 is varied, 1 is all alike",
        ),
        ("keys", _counts(spread.keys), "different fields, types and subjects by task"),
        ("relations", f"{spread.relations:,}", "different relations of triples"),
    ]
    rows += [
        (f"{task} density", f"{item.facts_per_100:.2f}", "facts per 100 characters")
        for task, item in quality.labels.items()
    ]
    if spread.unanswered.total:
        rows.append(("unanswered", percent(spread.unanswered), "fields of json that hold []"))
    if agreement.ends.total:
        rows.append(("triple ends", percent(agreement.ends_within), "are, hold or lie in an entity"))
    if agreement.values.total:
        rows.append(
            ("json values", percent(agreement.values_within), "are, hold or lie in an entity or triple end")
        )
    if leakage.topics.total:
        rows += [
            (
                "leakage",
                in_spread(leakage.nearest),
                "similarity of a test article to its nearest in training",
            ),
            ("forms shared", percent(forms.seen), "test sentences whose masked form is trained on"),
            ("topics shared", percent(leakage.topics), "test articles whose topic is trained on"),
            *(
                (f"seen in {task}", percent(share), "test facts that stand in a training label")
                for task, share in leakage.seen.items()
            ),
        ]
    return rows


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


def percent(share: Proportion) -> str:
    """Return a share in words, e.g. `98.2 % (1,120 of 1,140)`."""
    return f"{share.rate:.1%} ({share.hits:,} of {share.total:,})"


def in_spread(spread: FiveNumbers) -> str:
    """Return least, median and greatest."""
    return f"{spread.low:,.4g} · {spread.median:,.4g} · {spread.high:,.4g}"


def _attrition(quality: Quality, rejected: Sequence[Rejected]) -> Html:
    counts = sorted(quality.attrition.by_reason.items(), key=lambda item: (-item[1], item[0]))
    if not counts:
        return html.element("p", "Nothing was rejected.")
    rows = [
        (item.article_id, item.task, item.stage, "; ".join(item.reasons)) for item in rejected[:_REJECTED]
    ]
    more = f"The first {len(rows)} of {len(rejected)}; all of them, with their text, are in rejected.jsonl."
    return html.join(
        [
            _table(
                "Rejected, and facts dropped from accepted records",
                ["task, stage and reason", "times"],
                [(reason, _number(f"{count:,}")) for reason, count in counts],
            ),
            html.fold(
                "One by one",
                html.element("p", more),
                _table("Rejected", ["article", "task", "stage", "reasons"], rows),
            ),
        ]
    )


def _diversity(quality: Quality, lengths: Sequence[int]) -> Html:
    diversity = quality.diversity
    parts = []
    if lengths:
        drawing = plots.histogram([float(length) for length in lengths], "characters")
        caption = "How long the articles are"
        parts.append(html.picture(drawing.svg, f"Histogram: {caption}", f"{caption}.", key=drawing.key))
    parts += [
        _bars(counts, unit, caption)
        for counts, unit, caption in (
            (diversity.domains, "articles", "Articles by domain"),
            (diversity.types, "mentions", "Mentions by entity type"),
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
    header = ["task", "facts per record", "instructions", "keys"]
    return html.join([*parts, _table("By task: least · median · greatest, and different ones", header, rows)])


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
        "task",
        "facts per 100 characters",
        "per record",
        "records without a fact",
        "spans of two types",
    ]
    return html.join(
        [
            _reference(quality),
            _table("Density: all facts by all characters; least · median · greatest", density, rows),
            _table("Classes that stand nowhere in the text", ["task", "field", "value", "share"], classes),
            _table("Label mix", ["task", "type", "share"], types),
            _table("One span under two types", ["task", "type", "other", "records"], pairs),
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
            _number(f"{item.low:.1%} to {item.high:.1%}"),
        )
        for item in quality.missed
    ]
    counted = ["task", "texts", "here", "there", "both", "missed", "95 % interval"]
    return html.join(
        [
            _table(
                "Against the reference", ["task", "what", "run", "reference", "p (Holm)", "test"], compared
            ),
            _table("Facts missed, by a second labelling of the same texts", counted, missed),
        ]
    )


def _agreement(quality: Quality) -> Html:
    agreement = quality.agreement
    rows = [
        (
            "triple ends that are entities",
            _number(percent(agreement.ends)),
            _number(percent(agreement.ends_within)),
        ),
        (
            "json values that are entities or triple ends",
            _number(percent(agreement.values)),
            _number(percent(agreement.values_within)),
        ),
    ]
    outliers = [(article_id, _number(f"{share:.0%}")) for article_id, share in agreement.outliers]
    return html.join(
        [
            html.element("p", "How far the tasks name the same strings on the same article."),
            _table("Agreement", ["what", "same characters", "or one within the other"], rows),
            _table("Articles on which they agree least", ["article", "share"], outliers),
        ]
    )


def _leakage(leakage: Leakage) -> Html:
    pairs = [(test, train, _number(f"{share:.3f}")) for test, train, share in leakage.closest]
    seen = [(task, _number(percent(share))) for task, share in leakage.seen.items()]
    return html.join(
        [
            html.element(
                "p",
                "Articles at a similarity of 0.8 or more (5-character shingles) are rejected as near copies.",
            ),
            _table(
                "Closest pairs of a test and a training article", ["test", "training", "similarity"], pairs
            ),
            _table("Test facts that stand in a training label", ["task", "share"], seen),
        ]
    )


def _provenance(manifest: Manifest) -> Html:
    settings = plain_settings(manifest.settings)
    pairs = [(name, _shown(value)) for name, value in settings.items() if value not in (None, [], {})]
    prompts = html.fold("Prompt files and their hashes", html.facts_of(manifest.prompts.items()))
    return html.join([html.facts_of(pairs), prompts])


def _bars(counts: Mapping[str, int], unit: str, caption: str) -> Html:
    """Return a figure of the greatest counts, as many as it can show."""
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    drawing = plots.bars(dict(ordered[:_MOST_BARS]), unit)
    rest = f"; the first {_MOST_BARS} of {len(counts)}" if len(counts) > _MOST_BARS else ""
    return html.picture(drawing.svg, f"A bar each: {caption}", f"{caption}{rest}.", key=drawing.key)


def _table(caption: str, header: Sequence[str], rows: Iterable[Sequence[str | Cell]]) -> Html:
    listed = list(rows)
    return html.table(caption, header, listed) if listed else Html("")


def _number(text: str) -> Cell:
    return Cell(text)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {task}" for task, count in counts.items())


def _domains(count: int) -> str:
    return f"{count} domain" if count == 1 else f"{count} domains"


def _shown(value: Json) -> str:
    """Return a setting's value as a person writes it: lists by comma, the rest as JSON."""
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    return value if isinstance(value, str) else dumps(value)
