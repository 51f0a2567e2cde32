"""Compute cosine similarity from unit vectors, its floor, and the rescaled value."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]


def pool(pieces: Vectors, weights: Sequence[float]) -> Vectors:
    """Return the unit vector of a text from those of its pieces: their mean weighted by length.

    Args:
        pieces: (pieces, dimensions), unit vectors; none for an empty text.
        weights: each piece's length, e.g. in tokens.

    Returns:
        (dimensions,); zeros for a text without pieces, so that its cosine with anything is 0.
    """
    if not len(weights):
        return np.zeros(pieces.shape[1], dtype=np.float32)
    mean = np.average(pieces, axis=0, weights=weights)
    length = float(np.linalg.norm(mean))
    return (mean / length if length else mean).astype(np.float32)


def cosines(gold: Vectors, predicted: Vectors) -> NDArray[np.float64]:
    """Return the cosine of every record's two texts, in [-1, 1], rounded to six digits.

    Encoders return values that differ by 1e-7 with the size of a batch; the rest is the same everywhere.

    Args:
        gold: (records, dimensions), unit vectors or zeros.
        predicted: the same shape.
    """
    products = np.einsum("ij,ij->i", gold.astype(np.float64), predicted.astype(np.float64))
    rounded: NDArray[np.float64] = np.round(np.clip(products, -1.0, 1.0), 6)
    return rounded


def floor(gold: Vectors, predicted: Vectors) -> float | None:
    """Return the mean cosine of every prediction with the labels of all other records.

    What unrelated texts of this kind score: embedders put any two labels of one task close together.
    It is the exact mean of all shuffles: (Σ predicted · Σ gold − Σ own cosines) / (n (n − 1)).
    None for fewer than two records.
    """
    n = len(gold)
    if n < 2:
        return None
    whole = float(predicted.sum(axis=0, dtype=np.float64) @ gold.sum(axis=0, dtype=np.float64))
    own = float(np.einsum("ij,ij->", gold.astype(np.float64), predicted.astype(np.float64)))
    return (whole - own) / (n * (n - 1))


def rescaled(mean: float, low: float | None) -> float | None:
    """Return (mean − floor) / (1 − floor): 0 for unrelated texts, 1 for equal ones.

    As BERTScore rescales with its baseline (Zhang et al., ICLR 2020). None without a floor below 1.
    """
    return None if low is None or low >= 1 else (mean - low) / (1 - low)
