"""Read summed rows of counts, return a ratio of them and each article's influence on it."""

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
        numerator: the weight of each column in the numerator.
        denominator: its weight in the denominator.
        zero_if: weights of the columns that make 0/0 a score of 0; otherwise 0/0 is undefined.
    """

    numerator: tuple[float, ...]
    denominator: tuple[float, ...]
    zero_if: tuple[float, ...] = ()

    def __call__(self, sums: Floats) -> Floats:
        """Return the scores (...) of sums (..., columns), NaN where undefined."""
        import numpy as np  # not above: names of metrics are read where nothing is computed

        below = np.asarray(_weighted(sums, self.denominator))
        empty = np.where(_weighted(sums, self.zero_if) > 0, 0.0, np.nan) if self.zero_if else np.nan
        found: Floats = np.divide(
            _weighted(sums, self.numerator), below, out=np.full(below.shape, empty), where=below > 0
        )
        return found


def influence(first: Floats, second: Floats, score: Ratio) -> Floats:
    """Return each article's influence on the difference of two systems' scores.

    A ratio is the mean of the articles' own scores, weighted by their shares of the denominator.
    Measured from the score of both systems together, an article's influence is its weighted
    distance in the first system less that in the second. Influences add up to the difference of the
    scores; where the systems are equally good they scatter around 0, however much more one of
    them predicts. For a mean they are the records' differences over their number.

    Args:
        first: (articles, columns), rows of the first system.
        second: (articles, columns), rows of the second on the same articles.
        score: the metric.

    Returns:
        (articles,); 0 where an article has no facts, NaN throughout where the denominator of only
        one system is 0.
    """
    import numpy as np

    numerators, denominators = (
        [_weighted(rows, part) for rows in (first, second)] for part in (score.numerator, score.denominator)
    )
    wholes = [float(part.sum()) for part in denominators]
    if not any(wholes):
        return np.zeros(len(first))
    if not all(wholes):
        return np.full(len(first), np.nan)
    common = float(numerators[0].sum() + numerators[1].sum()) / sum(wholes)
    one, two = (
        (up - common * down) / whole for up, down, whole in zip(numerators, denominators, wholes, strict=True)
    )
    difference: Floats = one - two
    return difference


def deviations(rows: Floats, score: Ratio) -> Floats:
    """Return how far each article moves one system's score from what it is (linearised influence).

    (numerator − score · denominator) / sum of denominators; adds up to 0. For a mean they are the
    records' deviations over their number (Cochran, Sampling Techniques, 1977, section 6.4).

    Args:
        rows: (articles, columns).
        score: the metric.

    Returns:
        (articles,), NaN throughout where the denominator is 0.
    """
    import numpy as np

    up, down = _weighted(rows, score.numerator), _weighted(rows, score.denominator)
    whole = float(down.sum())
    if whole <= 0:
        return np.full(len(rows), np.nan)
    moved: Floats = (up - float(up.sum()) / whole * down) / whole
    return moved


def _weighted(sums: Floats, weights: tuple[float, ...]) -> NDArray[np.float64]:
    """Add up columns one by one: a matrix product may differ in the last digit between processors."""
    parts = [weight * sums[..., at] for at, weight in enumerate(weights) if weight]
    whole: NDArray[np.float64] = sum(parts[1:], start=parts[0])
    return whole
