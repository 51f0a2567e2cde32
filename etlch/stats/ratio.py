"""Scores of summed rows: sums walk in; one sum over another, and each article's part in it, walk out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from etlch.stats.resampling import Floats


@dataclass(frozen=True)
class Ratio:
    """A score of summed rows: some columns over others. A mean is one, of (value, 1).

    Attributes:
        above: how often each column counts above the line.
        below: how often it counts below.
        zero: columns that make 0/0 a score of 0; otherwise it is undefined.
    """

    above: tuple[float, ...]
    below: tuple[float, ...]
    zero: tuple[float, ...] = ()

    def __call__(self, sums: Floats) -> Floats:
        """Return the scores (...) of sums (..., columns), NaN where undefined."""
        import numpy as np  # not above: names of metrics are read where nothing is computed

        below = np.asarray(_weighted(sums, self.below))
        empty = np.where(_weighted(sums, self.zero) > 0, 0.0, np.nan) if self.zero else np.nan
        found: Floats = np.divide(
            _weighted(sums, self.above), below, out=np.full(below.shape, empty), where=below > 0
        )
        return found


def pulls(first: Floats, second: Floats, score: Ratio) -> Floats:
    """How far each article pulls the scores of two systems apart.

    A ratio is the mean of the articles' own scores, weighted by their shares of what stands below
    the line. Measured from the score of both systems together, an article's pull is its weighted
    distance in the first system less that in the second. Pulls add up to the difference of the
    scores; where the systems are equally good they scatter around 0, however much more one of
    them predicts. For a mean they are the records' differences over their number.

    Args:
        first: (articles, columns), rows of the first system.
        second: (articles, columns), rows of the second on the same articles.
        score: the metric.

    Returns:
        (articles,); 0 where an article has nothing to say, NaN throughout where only one of the
        systems has anything below the line.
    """
    import numpy as np

    above, below = (
        [_weighted(rows, part) for rows in (first, second)] for part in (score.above, score.below)
    )
    wholes = [float(part.sum()) for part in below]
    if not any(wholes):
        return np.zeros(len(first))
    if not all(wholes):
        return np.full(len(first), np.nan)
    common = float(above[0].sum() + above[1].sum()) / sum(wholes)
    one, two = ((up - common * down) / whole for up, down, whole in zip(above, below, wholes, strict=True))
    apart: Floats = one - two
    return apart


def _weighted(sums: Floats, weights: tuple[float, ...]) -> NDArray[np.float64]:
    """Add up columns one by one: a matrix product may differ in the last digit between processors."""
    parts = [weight * sums[..., at] for at, weight in enumerate(weights) if weight]
    whole: NDArray[np.float64] = sum(parts[1:], start=parts[0])
    return whole
