"""Read the numbers of a run's quality, return the rows that page, card and terminal begin with."""

from __future__ import annotations

from collections.abc import Mapping

from etlch.core.locale import _, ngettext
from etlch.quality.measure import Quality
from etlch.quality.numbers import FiveNumbers, Proportion


def summary(quality: Quality) -> list[tuple[str, str, str]]:
    """Return the rows (what, number, meaning) of the summary table of page, card and terminal."""
    spread, forms = quality.diversity, quality.forms
    rows = [
        (
            _("articles"),
            f"{quality.articles:,}",
            _("records: {counts}").format(counts=_counts(quality.records)),
        ),
        (_("grounding"), percent(quality.grounding), _("facts answered that stand in their article")),
        (_("rejected"), f"{quality.attrition.rejected:,}", _("articles that lost their place to a check")),
        (_("length"), in_spread(spread.characters), _("characters per article: least, median, greatest")),
        (_("topics"), f"{spread.topics:,}", _domains(len(spread.domains))),
        (
            _("self-similarity"),
            in_spread(spread.nearest),
            _("of an article to its nearest other: least, median, greatest"),
        ),
        (
            _("sentence forms"),
            percent(forms.distinct),
            _("different sentences once names and numbers are masked"),
        ),
        (_("masked words"), f"{forms.vocabulary:,}", _("different words in them (of Chinese: characters)")),
        (
            "self-BLEU",
            f"{forms.self_bleu:.2f}",
            _("of a masked sentence against the others; 0 is varied, 1 is all alike"),
        ),
        (_("keys"), _counts(spread.keys), _("different fields, types and subjects by task")),
        (_("relations"), f"{spread.relations:,}", _("different relations of triples")),
    ]
    return [*rows, *_of_labels(quality), *_of_leakage(quality)]


def _of_labels(quality: Quality) -> list[tuple[str, str, str]]:
    spread, agreement = quality.diversity, quality.agreement
    rows = [
        (_("{task} density").format(task=task), f"{item.facts_per_100:.2f}", _("facts per 100 characters"))
        for task, item in quality.labels.items()
    ]
    if spread.unanswered.total:
        rows.append((_("unanswered"), percent(spread.unanswered), _("fields of json that hold []")))
    if agreement.ends.total:
        rows.append((_("triple ends"), percent(agreement.ends_within), _("are, hold or lie in an entity")))
    if agreement.values.total:
        rows.append(
            (
                _("json values"),
                percent(agreement.values_within),
                _("are, hold or lie in an entity or triple end"),
            )
        )
    return rows


def _of_leakage(quality: Quality) -> list[tuple[str, str, str]]:
    leakage, forms = quality.leakage, quality.forms
    if not leakage.topics.total:
        return []
    return [
        (
            _("leakage"),
            in_spread(leakage.nearest),
            _("similarity of a test article to its nearest in training"),
        ),
        (_("forms shared"), percent(forms.seen), _("test sentences whose masked form is trained on")),
        (_("topics shared"), percent(leakage.topics), _("test articles whose topic is trained on")),
        *(
            (
                _("seen in {task}").format(task=task),
                percent(share),
                _("test facts that stand in a training label"),
            )
            for task, share in leakage.seen.items()
        ),
    ]


def percent(share: Proportion) -> str:
    """Return a share in words, e.g. `98.2 % (1,120 of 1,140)`."""
    return _("{rate:.1%} ({part:,} of {whole:,})").format(rate=share.rate, part=share.hits, whole=share.total)


def in_spread(spread: FiveNumbers) -> str:
    """Return least, median and greatest."""
    return f"{spread.low:,.4g} · {spread.median:,.4g} · {spread.high:,.4g}"


def _counts(counts: Mapping[str, int]) -> str:
    return _(", ").join(f"{count:,} {task}" for task, count in counts.items())


def _domains(count: int) -> str:
    return ngettext("different ones, in {count} domain", "different ones, in {count} domains", count).format(
        count=count
    )
