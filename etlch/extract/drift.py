"""Compare two outputs of one model: has what it reads or writes changed? Documents are the independent units."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from etlch.core.errors import EtlchError
from etlch.core.locale import _
from etlch.extract.facts import Extraction
from etlch.stats.corrections import holm
from etlch.stats.intervals import newcombe

ALPHA = 0.05


class Change(NamedTuple):
    """One number before and after.

    Attributes:
        name: what is compared.
        before, after: the share or median; None where there is nothing.
        low, high: 95 % interval of after - before, of shares (Newcombe 1998); None of medians.
        p: of the test, two-sided; None where one side has nothing.
        adjusted: p after Holm's correction over all changes.
        test: its name.
    """

    name: str
    before: float | None
    after: float | None
    low: float | None
    high: float | None
    p: float | None
    adjusted: float | None
    test: str

    @property
    def significant(self) -> bool:
        """Whether it changed, at 5 % after correction."""
        return self.adjusted is not None and self.adjusted <= ALPHA


@dataclass
class _Watched:
    """What is kept of an output: counts, and a number for each document."""

    documents: int = 0
    problems: int = 0
    ungrounded: int = 0
    below: int = 0
    facts: list[float] = field(default_factory=list)
    confidence: list[float] = field(default_factory=list)


def compare_outputs(before: Iterable[Extraction], after: Iterable[Extraction]) -> list[Change]:
    """Return what changed from one output to another of the same model.

    Shares of documents are compared by Fisher's exact test; facts a document by Mann and Whitney's, and the mean
    confidence of a document's facts by Kolmogorov and Smirnov's, which also sees a change of spread. All are
    corrected together (Holm). Facts of one document go together, so documents are counted, not facts.

    Args:
        before: the documents of the earlier output.
        after: those of the later one; other documents.

    Raises:
        EtlchError: an output holds no document.
    """
    one, two = _watched(before), _watched(after)
    for side, name in ((one, "first"), (two, "second")):
        if not side.documents:
            raise EtlchError(
                _("the {name} output holds no document").format(name=name),
                _("Compare two outputs with documents."),
            )
    made = [
        _share("documents with a problem", one.problems, one.documents, two.problems, two.documents),
        _share(
            "documents with an ungrounded value", one.ungrounded, one.documents, two.ungrounded, two.documents
        ),
        _share(
            "documents with a fact below the threshold", one.below, one.documents, two.below, two.documents
        ),
        _spread("facts a document", one.facts, two.facts, "Mann-Whitney"),
        _spread("confidence of a document", one.confidence, two.confidence, "Kolmogorov-Smirnov"),
    ]
    adjusted = holm([change.p for change in made])
    return [change._replace(adjusted=p) for change, p in zip(made, adjusted, strict=True)]


def _watched(extractions: Iterable[Extraction]) -> _Watched:
    watched = _Watched()
    for item in extractions:
        watched.documents += 1
        watched.problems += bool(item.problem)
        watched.ungrounded += bool(item.dropped) or any(not fact.grounded for fact in item.facts)
        watched.below += bool(item.below)
        found = (*item.facts, *item.below)
        watched.facts.append(len(found))
        known = [fact.confidence for fact in found if fact.confidence is not None]
        if known:
            watched.confidence.append(sum(known) / len(known))
    return watched


def _share(name: str, hits: int, n: int, hits2: int, n2: int) -> Change:
    import numpy as np
    from scipy.stats import fisher_exact

    p = float(fisher_exact(np.asarray([[hits, n - hits], [hits2, n2 - hits2]])).pvalue)
    interval = newcombe(hits2, n2, hits, n)
    return Change(name, hits / n, hits2 / n2, interval.low, interval.high, p, None, "Fisher")


def _spread(name: str, before: Sequence[float], after: Sequence[float], test: str) -> Change:
    from statistics import median

    from scipy.stats import ks_2samp, mannwhitneyu

    p: float | None = None
    if before and after:
        # Where nothing varies, the tests divide by zero.
        tests: dict[str, Callable[..., Any]] = {"Mann-Whitney": mannwhitneyu, "Kolmogorov-Smirnov": ks_2samp}
        p = float(tests[test](before, after).pvalue) if len({*before, *after}) > 1 else 1.0
    first, second = (median(side) if side else None for side in (before, after))
    return Change(name, first, second, None, None, p, None, test)
