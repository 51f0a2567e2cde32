"""Read rows of counts by record, return scores with intervals and paired tests.

    one = measured(rows_of_model, cluster, clusters, score=facts_f1)
    two = measured(rows_of_baseline, cluster, clusters, score=facts_f1)
    found = analyse([one, two], pairs=[(0, 1)], seed=0)
    found.estimates[0].value, found.comparisons[0].p

Everything is paired by record and clustered by article; docs/statistics.md says which test is used when.
No returned number is NaN: it is finite, or None with a reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from etlch.core.locale import N_
from etlch.stats.effects import (
    cohen_h,
    detectable_difference,
    detectable_rate_difference,
    pseudo_values,
    standardised_mean_difference,
)
from etlch.stats.intervals import LEVEL, Interval, logit_t, newcombe_paired, percentile, wilson
from etlch.stats.mcnemar import mcnemar
from etlch.stats.ratio import Ratio, deviations, influence
from etlch.stats.resampling import (
    GROUPS,
    Floats,
    Ints,
    bootstrap_scores,
    flipped_sums,
    flips_are_exact,
    pooled,
    resamples_for,
    sum_by_cluster,
)


@dataclass(frozen=True, eq=False)
class Measured:
    """One metric of one system on one test set. Made by `measured`.

    Attributes:
        rows: (clusters, columns), sums of the records' rows by article. Metrics that share
            this array (precision, recall and F1 of the same counts: dataclasses.replace) are
            resampled together.
        records: (clusters,), how many records of each article are in `rows`.
        score: of sums (..., columns).
        yes_no: whether every record says yes or no, so that rows are (yes, records).
    """

    rows: Floats
    records: NDArray[np.int32]
    score: Ratio
    yes_no: bool


@dataclass(frozen=True)
class Estimate:
    """One score with its interval.

    Attributes:
        value: the score, None where it is undefined.
        interval: at the level asked for.
        n: records.
        clusters: articles.
        reason: why there is no value.
    """

    value: float | None
    interval: Interval
    n: int
    clusters: int
    reason: str = ""


@dataclass(frozen=True)
class Comparison:
    """One system against another on the same records: first minus second.

    Attributes:
        difference: first score minus second score.
        interval: of the difference.
        p: two-sided, uncorrected.
        test: "mcnemar-mid-p", "sign-flip", "sign-flip-exact" or, for yes/no, "sign-flip-mid-p"; of
            several seeds "articles-x-seeds".
        effect: Cohen's h for yes/no metrics, else the standardised mean difference.
        effect_name: "cohen_h" or "smd".
        detectable: the smallest true difference found with power 80 % at alpha 5 % here, in one
            test alone.
        n: records.
        clusters: articles.
        reason: why a number is missing or can say little.
        floor: the smallest p that this test can give on so many articles and resamples.
        agree: whether every single seed points the way that their mean does; True for single trainings.
    """

    difference: float | None
    interval: Interval
    p: float | None
    test: str
    effect: float | None
    effect_name: str
    detectable: float | None
    n: int
    clusters: int
    reason: str = ""
    floor: float = 0.0
    agree: bool = True


@dataclass(frozen=True)
class Analysis:
    """All estimates and comparisons of one set of draws.

    Attributes:
        estimates: one per measured metric, in order.
        comparisons: one per pair, in order.
        resamples: of the bootstrap, and at most as many patterns of signs.
        groups: what was drawn: as many as articles, or 5,000 random groups where they are more.
        seed: of the draws.
    """

    estimates: tuple[Estimate, ...]
    comparisons: tuple[Comparison, ...]
    resamples: int
    groups: int
    seed: int


mean = Ratio(numerator=(1, 0), denominator=(0, 1))
"""The score of rows (value, 1): the mean over records; undefined without records."""


def measured(
    rows: Floats, cluster: Ints, clusters: int, score: Ratio | None = None, yes_no: bool = False
) -> Measured:
    """Make the table of one metric of one system.

    Args:
        rows: (records, columns) for a corpus metric, or (records,) for a metric that is the
            mean of one value a record.
        cluster: (records,), the number of each record's article, from 0.
        clusters: how many articles the whole analysis has.
        score: of a corpus metric; None for the mean.
        yes_no: whether the values of a mean are all 0 or 1.
    """
    rows = np.asarray(rows, dtype=np.float64)
    if score is None:
        rows = np.stack([rows, np.ones(len(rows))], axis=1)
    records = np.bincount(cluster, minlength=clusters).astype(np.int32)  # half the memory of a million
    return Measured(sum_by_cluster(rows, cluster, clusters), records, score or mean, yes_no)


def analyse(
    metrics: Sequence[Measured],
    pairs: Sequence[tuple[int, int]],
    seed: int,
    resamples: int | None = None,
    level: float = LEVEL,
) -> Analysis:
    """Estimate every metric and compare the pairs, all on the same draws.

    Args:
        metrics: all with the same articles in the same order.
        pairs: (first, second) as indices into `metrics`; both hold the same records.
        seed: of the draws.
        resamples: how many; by default as `resamples_for` says.
        level: of confidence.

    Raises:
        ValueError: when the metrics differ in articles or a pair in its records.
    """
    if not metrics:
        return Analysis((), (), 0, 0, seed)
    _check(metrics, pairs)
    metrics = _with_records(metrics)
    clusters = len(metrics[0].records)
    resamples = resamples_for(clusters) if resamples is None else resamples
    drawn = _drawn(metrics, pairs, resamples, seed)
    ps = _sign_flip_ps(metrics, pairs, resamples, seed)
    estimates = tuple(_estimate(one, level) for one in metrics)
    comparisons = tuple(
        _compare(metrics[a], metrics[b], drawn[a] - drawn[b], ps[index], level)
        for index, (a, b) in enumerate(pairs)
    )
    return Analysis(estimates, comparisons, resamples, min(clusters, GROUPS), seed)


def _check(metrics: Sequence[Measured], pairs: Sequence[tuple[int, int]]) -> None:
    if len({len(one.records) for one in metrics}) > 1:
        raise ValueError("all metrics of one analysis need the same articles")
    if any(not np.array_equal(metrics[a].records, metrics[b].records) for a, b in pairs):
        raise ValueError("a pair can only be compared on the same records")


def _with_records(metrics: Sequence[Measured]) -> Sequence[Measured]:
    """Leave out the articles that no metric has a record of (another task's, say)."""
    present = np.any([one.records > 0 for one in metrics], axis=0)
    if present.all():
        return metrics
    rows = {id(one.rows): one.rows[present] for one in metrics}  # shared tables stay shared
    return [replace(one, rows=rows[id(one.rows)], records=one.records[present]) for one in metrics]


def _drawn(
    metrics: Sequence[Measured], pairs: Sequence[tuple[int, int]], resamples: int, seed: int
) -> Floats:
    """Bootstrap scores (metrics, resamples) of what is compared; NaN where Newcombe needs none.

    Tables that several metrics share are taken once.
    """
    drawn = np.full((len(metrics), resamples), np.nan)
    wanted = sorted({side for pair in pairs for side in pair if not _single_yes_no(metrics[side])})
    if wanted and len(metrics[0].records):
        tables = {id(metrics[index].rows): metrics[index].rows for index in wanted}
        place = {key: at for at, key in enumerate(tables)}
        scores = [(place[id(metrics[index].rows)], metrics[index].score) for index in wanted]
        drawn[wanted] = bootstrap_scores(pooled(list(tables.values()), seed), scores, resamples, seed)
    return drawn


def _sign_flip_ps(
    metrics: Sequence[Measured], pairs: Sequence[tuple[int, int]], resamples: int, seed: int
) -> list[float | None]:
    """Two-sided sign-flip p of each pair; None for pairs that McNemar's test takes or nothing can test."""
    ps: list[float | None] = [None] * len(pairs)
    wanted = [index for index, (a, _) in enumerate(pairs) if not _single_yes_no(metrics[a])]
    if not wanted or not len(metrics[0].records):
        return ps
    tables: dict[int, Floats] = {}
    for index in wanted:
        for side in pairs[index]:
            tables[id(metrics[side].rows)] = metrics[side].rows
    tables = dict(zip(tables, pooled(list(tables.values()), seed), strict=True))
    parts = []
    for index in wanted:
        first, second = (metrics[side] for side in pairs[index])
        parts.append(influence(tables[id(first.rows)], tables[id(second.rows)], first.score))
    flipped = flipped_sums(np.stack(parts, axis=1), resamples, seed)
    exact = flips_are_exact(len(parts[0]), resamples)
    for index, part, sums in zip(wanted, parts, flipped, strict=True):
        if all(value_of(metrics[side]) is not None for side in pairs[index]):
            ps[index] = _share_as_far(sums, part, exact, metrics[pairs[index][0]].yes_no)
    return ps


def _share_as_far(flipped: Floats, part: Floats, exact: bool, mid: bool) -> float | None:
    """(c + 1)/(n + 1) of drawn patterns at least as far from 0 as the data; c/n of all of them.

    With `mid`, patterns exactly as far count one half: the few values that counts of yes can take
    make the full p too careful (Fagerland, Lydersen and Laake 2013, as for McNemar's test).
    """
    if np.isnan(part).any():
        return None
    # Sums in another order differ in the last digits; a pattern that only mirrors the data is a tie.
    slack = 1e-9 * float(np.abs(part).sum())
    distance = np.abs(flipped) - abs(float(part.sum()))
    far: float = int(np.count_nonzero(distance >= -slack))
    own = 1.0
    if mid and np.abs(part).sum() > 0:
        far -= int(np.count_nonzero(np.abs(distance) <= slack)) / 2
        own = 0.5
    return far / len(flipped) if exact else (far + own) / (len(flipped) + 1)


def value_of(one: Measured) -> float | None:
    """Return the score of all records together, None where it is undefined."""
    value = float(one.score(one.rows.sum(axis=0)))
    return value if isfinite(value) else None


def _single_yes_no(one: Measured) -> bool:
    """McNemar's test takes records as independent: at most one an article."""
    return one.yes_no and int(one.records.max(initial=0)) <= 1


def _estimate(one: Measured, level: float) -> Estimate:
    n, clusters = int(one.records.sum()), int(np.count_nonzero(one.records))
    value = value_of(one) if n else None
    if value is None:
        reason = "the metric is undefined on these records" if n else "no records"
        return Estimate(None, Interval(None, None, "", reason), n, clusters, reason)
    if one.yes_no:
        size = _effective_size(one, level)
        return Estimate(value, wilson(value * size, size, level), n, clusters)
    parts = deviations(one.rows[one.records > 0], one.score)
    return Estimate(value, logit_t(value, parts, level), n, clusters)


def _effective_size(one: Measured, level: float) -> float:
    """How many independent records the records are worth, so that Wilson's interval knows of articles.

    Records divided by the design effect, the variance of the rate between articles over that of
    independent records, which is taken as at least 1; and by the square of the t-quantiles'
    ratio, since few articles estimate that variance badly (Korn and Graubard, Survey Methodology
    24 (1998) 193–201). Where all or none say yes it cannot be seen: each article counts once.
    """
    has_records = one.records > 0
    yes, size = one.rows[has_records, 0], one.records[has_records].astype(np.float64)
    n, clusters = float(size.sum()), len(size)
    if clusters == n:
        return n
    rate = float(yes.sum()) / n
    if rate <= 0 or rate >= 1 or clusters < 2:
        return float(clusters)
    between = float(((yes - rate * size) ** 2).sum()) * clusters / (clusters - 1) / n**2
    worth = rate * (1 - rate) / between if between > 0 else n
    wider = float(stdtrit(n - 1, 0.5 + level / 2) / stdtrit(clusters - 1, 0.5 + level / 2))
    return min(n, worth) * wider**2


def _compare(first: Measured, second: Measured, drawn: Floats, p: float | None, level: float) -> Comparison:
    n, clusters = int(first.records.sum()), int(np.count_nonzero(first.records))
    name = "cohen_h" if first.yes_no else "smd"
    one, two = (value_of(first), value_of(second)) if n else (None, None)
    if one is None or two is None:
        reason = "the metric is undefined on these records" if n else "no records"
        return Comparison(
            None, Interval(None, None, "", reason), None, "", None, name, None, n, clusters, reason
        )
    if _single_yes_no(first):
        return _compare_yes_no(first, second, one, two, level)
    interval = percentile(drawn, clusters, level)
    identical = np.array_equal(first.rows, second.rows)
    if identical and first.yes_no:
        interval = newcombe_paired(one * clusters, 0, 0, (1 - one) * clusters, level)
    parts = [pseudo_values(side.rows[side.records > 0], side.score) for side in (first, second)]
    effect = cohen_h(one, two) if first.yes_no else standardised_mean_difference(*parts)
    spread = float(np.std(parts[0] - parts[1], ddof=1)) if clusters > 1 else 0.0
    exact = flips_are_exact(len(first.records), len(drawn))
    return Comparison(
        difference=one - two,
        interval=interval,
        p=p,
        test=_test_name(exact, first.yes_no) if p is not None else "",
        effect=0.0 if identical else effect,
        effect_name=name,
        detectable=detectable_difference(spread, clusters),
        n=n,
        clusters=clusters,
        reason=_why(identical, clusters, p, effect),
        floor=_floor(clusters, len(drawn), first.yes_no),
    )


def _test_name(exact: bool, yes_no: bool) -> str:
    return "sign-flip-mid-p" if yes_no else "sign-flip-exact" if exact else "sign-flip"


def _floor(clusters: int, resamples: int, yes_no: bool) -> float:
    """Return the smallest p that sign flips can give; both patterns that mirror each other count."""
    exact = flips_are_exact(clusters, resamples)
    floor = 2.0 ** (1 - clusters) if exact else 1 / (resamples + 1)
    return floor / 2 if yes_no else floor


def _why(identical: bool, clusters: int, p: float | None, effect: float | None) -> str:
    if identical:
        return N_("both systems score the same on every article")
    if p is None:
        return N_("one system predicted nothing: its score is 0 by definition, which no test can judge")
    if clusters < 2:
        return N_("one article can show no difference")
    return "" if effect is not None else N_("no spread between articles: no standardised difference")


def _compare_yes_no(first: Measured, second: Measured, one: float, two: float, level: float) -> Comparison:
    has_records = first.records > 0
    yes, yes2 = first.rows[has_records, 0] > 0, second.rows[has_records, 0] > 0
    only, only2 = int((yes & ~yes2).sum()), int((~yes & yes2).sum())
    both, n = int((yes & yes2).sum()), len(yes)
    return Comparison(
        difference=one - two,
        interval=newcombe_paired(both, only, only2, n - both - only - only2, level),
        p=mcnemar(only, only2),
        test="mcnemar-mid-p",
        effect=cohen_h(one, two),
        effect_name="cohen_h",
        detectable=detectable_rate_difference((only + only2) / n, n),
        n=n,
        clusters=n,
        reason="" if only + only2 else N_("no discordant pairs"),
        floor=mcnemar(n, 0),
    )
