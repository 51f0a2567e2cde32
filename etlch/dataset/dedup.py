"""Find near copies: for each article, return the earlier article whose text is nearly the same.

Two texts are near copies when the Jaccard similarity of their sets of 5-character shingles,
after normalising, is at least 0.8. Shingles are of characters because Chinese has no spaces between words.
MinHash with locality-sensitive hashing (Broder 1997; datasketch) proposes pairs; the exact similarity decides.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np

    Hashes = np.ndarray[Any, np.dtype[np.uint32]]

SHINGLE = 5
THRESHOLD = 0.8
_PERMUTATIONS = 64
_BANDS = (16, 4)
"""Bands and rows: a pair at similarity 0.8 becomes a candidate with probability
1 - (1 - 0.8^4)^16 = 0.9998, and at 0.3 with probability 0.12."""

_LIKELY = 5
_NOT_WORD = re.compile(r"[\W_]+")
_MIX = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 0xD6E8FEB86659FD93, 0xA0761D6478BD642F)


def shingles(text: str) -> Hashes:
    """Return the set of the text's 5-character shingles as sorted 32-bit hashes, shape (n,).

    The text is normalised first: NFKC, lower case, 臺 as 台, and only letters, digits and CJK
    characters kept. A text shorter than five characters is one shingle.
    """
    import numpy as np

    plain = _NOT_WORD.sub("", unicodedata.normalize("NFKC", text).lower().replace("臺", "台"))
    codes = np.frombuffer(plain.ljust(SHINGLE).encode("utf-32-le", "surrogatepass"), np.uint32)
    width = len(codes) - SHINGLE + 1
    mixed = np.zeros(width, np.uint64)
    for place, factor in enumerate(_MIX):
        mixed ^= (codes[place : place + width].astype(np.uint64) + np.uint64(place + 1)) * np.uint64(factor)
    mixed ^= mixed >> np.uint64(29)
    return np.unique((mixed * np.uint64(_MIX[0]) >> np.uint64(32)).astype(np.uint32))


def similarity(left: str, right: str) -> float:
    """Return the Jaccard similarity of two texts' shingles, from 0 to 1."""
    return _jaccard(shingles(left), shingles(right))


class Deduplicator:
    """The articles accepted so far, as shingles: about 4 bytes per character, not their texts.

    Args:
        threshold: least Jaccard similarity of near copies, from 0 to 1.
    """

    def __init__(self, threshold: float = THRESHOLD) -> None:
        self._threshold = threshold
        self._seen: dict[str, tuple[int, Hashes]] = {}

    # Importing datasketch takes as long as scipy's import; a run sends its first requests before that.
    @cached_property
    def _empty(self) -> Any:
        from datasketch import MinHash

        return MinHash(num_perm=_PERMUTATIONS, hashfunc=int)

    @cached_property
    def _index(self) -> Any:
        from datasketch import MinHashLSH

        return MinHashLSH(num_perm=_PERMUTATIONS, params=_BANDS)

    def add(self, article_id: str, text: str) -> str | None:
        """Return the id of the earliest article that this is a near copy of; None if there is none, and remember it.

        A near copy is not remembered: later articles are compared with accepted ones only.
        """
        hashes = shingles(text)
        sketch = self._sketch(hashes)
        earlier = self._first_duplicate(hashes, sketch)
        if earlier is None:
            self._index.insert(article_id, sketch)
            self._seen[article_id] = (len(self._seen), hashes)
        return earlier

    def find(self, text: str) -> str | None:
        """Return the id of the earliest article that this text is a near copy of, or None; remember nothing."""
        hashes = shingles(text)
        return self._first_duplicate(hashes, self._sketch(hashes))

    def signature(self, hashes: Hashes) -> Hashes:
        """Return the MinHash values of a set of shingles, shape (permutations,)."""
        values: Hashes = self._sketch(hashes).hashvalues
        return values

    def _first_duplicate(self, hashes: Hashes, sketch: Any) -> str | None:
        candidates: list[str] = self._index.query(sketch)
        for name in sorted(candidates, key=lambda name: self._seen[name][0]):
            if _jaccard(hashes, self._seen[name][1]) >= self._threshold:
                return name
        return None

    def _sketch(self, hashes: Hashes) -> Any:
        sketch = self._empty.copy()
        sketch.update_batch(hashes.tolist())
        return sketch


def _jaccard(left: Hashes, right: Hashes) -> float:
    import numpy as np

    shared = len(np.intersect1d(left, right, assume_unique=True))
    return shared / (len(left) + len(right) - shared)


class Nearest(NamedTuple):
    """The most similar text among others: its place in their list, and the similarity from 0 to 1."""

    place: int
    similarity: float


def nearest(texts: Sequence[str], others: Sequence[str]) -> list[Nearest]:
    """Return for each text the most similar of the others.

    MinHash signatures choose the five likeliest, and the exact similarity decides between them. So the
    result is exact where the nearest text is clearly nearer than the rest, and approximate elsewhere.

    Args:
        texts: n texts.
        others: what they are compared with. If it is the same list, no text is compared with itself.

    Returns:
        n places with similarities; empty if there is nothing to compare with.
    """
    import numpy as np

    if not others or (others is texts and len(texts) < 2):
        return []
    sketcher = Deduplicator()
    hashes = [shingles(text) for text in others]
    table = np.stack([sketcher.signature(item) for item in hashes])
    found = []
    for place, text in enumerate(texts):
        own = hashes[place] if others is texts else shingles(text)
        agreement = (table == sketcher.signature(own)).sum(axis=1)
        if others is texts:
            agreement[place] = -1
        likely = np.argsort(-agreement, kind="stable")[:_LIKELY]
        chosen = [int(at) for at in likely if agreement[at] >= 0]
        best = max(chosen, key=lambda at: (_jaccard(own, hashes[at]), -at))
        found.append(Nearest(best, _jaccard(own, hashes[best])))
    return found
