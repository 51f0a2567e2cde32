"""Read a number of articles, return how frequent a failure may be that none of them showed."""

from __future__ import annotations

from math import ceil, log

RATE = 0.05
"""A failure of this share of all articles must not go unseen in a claim."""

ALPHA = 0.05
"""The level of all tests and intervals."""

ENOUGH = ceil(log(ALPHA / 2) / log(1 - RATE))
"""Articles below which no score is called significantly better: 72.

A model that fails on RATE of all articles, and fails badly (a repetition loop, a hundred spurious facts),
shows no failure on n articles with the chance (1 − RATE)^n. No test can know of what is not in its data;
72 is the first n at which that chance is at most ALPHA / 2, the error that a two-sided test has on the side
of the better model.
"""

BOUNDED = frozenset({"mcnemar-mid-p", "sign-flip-mid-p", "fisher-greater", "two-proportion-z"})
"""Tests of yes or no: an article's failure moves them by one record only, so that they are exact at any n."""


def unseen_rate(articles: int) -> float:
    """Return the share of failing articles that n articles miss with the chance ALPHA: about 3/n.

    1 − ALPHA^(1/n), the "rule of three" (Hanley and Lippman-Hand, JAMA 249 (1983) 1743–1745).
    """
    return 1 - ALPHA ** (1 / articles) if articles > 0 else 1.0


def is_few(test: str, articles: int) -> bool:
    """Tell whether a test of a score saw too few articles to be called significant."""
    return test not in BOUNDED and 0 < articles < ENOUGH
