"""Read the rows of several systems, return what the best of them is worth, corrected for having been chosen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from etlch.stats.analysis import Measured
from etlch.stats.resampling import Floats, pooled, weights

RESAMPLES = 1_000
"""Of the correction; a mean needs fewer than the tails of an interval."""


def corrected_best(contenders: Sequence[Sequence[Measured]], seed: int) -> tuple[int, float, float] | None:
    """Correct the score of the best of several systems for having been chosen on the same records.

    In each bootstrap resample the best on the drawn articles is scored on the articles that were not
    drawn; the mean over resamples is what the best of such a choice is worth on other articles (BBC:
    Tsamardinos, Greasidou and Borboudakis, Machine Learning 107 (2018) 1895–1922, section 3).

    Args:
        contenders: of each system its trainings, all on the same records.
        seed: of the draws.

    Returns:
        (place of the best, its score, the corrected score); None with fewer than two systems or articles,
        or where a score is undefined.
    """
    present = contenders[0][0].records > 0 if contenders else np.zeros(0, dtype=bool)
    if len(contenders) < 2 or int(present.sum()) < 2:
        return None
    tables = [pooled([run.rows[present] for run in runs], seed) for runs in contenders]
    score = contenders[0][0].score
    whole = np.array([np.mean([score(rows.sum(axis=0)) for rows in runs]) for runs in tables])
    if not np.isfinite(whole).all():
        return None
    best = int(np.argmax(whole))
    found: list[Floats] = []
    for block in weights(len(tables[0][0]), RESAMPLES, seed):
        out = (block == 0).astype(np.float64)
        inside, outside = (
            np.array([np.mean([score(side @ rows) for rows in runs], axis=0) for runs in tables])
            for side in (block, out)
        )
        chosen = np.argmax(np.where(np.isnan(inside), -np.inf, inside), axis=0)
        found.append(outside[chosen, np.arange(len(block))])
    values = np.concatenate(found)
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    return best, float(whole[best]), min(float(whole[best]), float(values.mean()))
