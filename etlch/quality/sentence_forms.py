"""Measure how varied the sentences of a run are, with the values of its facts masked: forms, words, self-BLEU."""

from __future__ import annotations

import math
import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from etlch.core.records import Article, Record, Span
from etlch.dataset.chunking import sentence_ends
from etlch.dataset.splits import Splits
from etlch.quality.numbers import Proportion
from etlch.text.normalize import hybrid

SAMPLE = 500
"""Sentences compared with each other for self-BLEU, drawn with the run's seed."""
_ORDER = 4
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_MASK = "□"


@dataclass(frozen=True)
class SentenceForms:
    """How varied sentences are once names and numbers are masked.

    Attributes:
        distinct: different forms, of all sentences.
        vocabulary: different words (of Chinese: characters) outside of masks.
        self_bleu: mean BLEU-4 of a sentence against all others of a sample, from 0 (varied) to 1 (all alike).
        seen: test sentences whose form stands in the training data of the largest size.
    """

    distinct: Proportion
    vocabulary: int
    self_bleu: float
    seen: Proportion


def sentence_forms(
    articles: Sequence[Article], records: Iterable[Record], parts: Splits, seed: int
) -> SentenceForms:
    """Return how varied the sentences of a run are.

    Args:
        articles: of the run.
        records: their facts' places are masked.
        parts: what is test, what is training.
        seed: draws the sample for self-BLEU.
    """
    spans: dict[str, set[Span]] = {}
    for record in records:
        spans.setdefault(record.article_id, set()).update(
            span for item in record.facts for span in item.spans if span is not None
        )
    forms = {article.id: masked_sentences(article.text, spans.get(article.id, ())) for article in articles}
    largest = max(parts.train)
    trained = {form for name in (*parts.train[largest], *parts.val[largest]) for form in forms.get(name, ())}
    tested = [form for name in parts.test for form in forms.get(name, ())]
    every = [form for found in forms.values() for form in found]
    sample = random.Random(f"forms/{seed}").sample(every, min(SAMPLE, len(every)))
    return SentenceForms(
        Proportion(len(set(every)), len(every)),
        len({word for form in set(every) for word in hybrid(form) if word != _MASK}),
        round(self_bleu([hybrid(form) for form in sample]), 4),
        Proportion(sum(form in trained for form in tested), len(tested)),
    )


def masked_sentences(text: str, spans: Iterable[Span]) -> list[str]:
    """Return the sentences of a text with spans and numbers masked; what states nothing but a mask is left out."""
    starts = [0, *sentence_ends(text)]
    # Every place where a value stands is masked, and not the one alone that its label points to.
    values = sorted({text[start:end] for start, end in spans}, key=lambda value: (-len(value), value))
    known = re.compile("|".join(map(re.escape, values))) if values else None
    found = []
    for start, end in pairwise(starts):
        sentence = text[start:end].strip()
        form = _NUMBER.sub(_MASK, known.sub(_MASK, sentence) if known else sentence)
        if form.strip(f"{_MASK} ,.:;，。：；\n"):
            found.append(form)
    return found


def self_bleu(sentences: Sequence[Sequence[str]]) -> float:
    """Return the mean BLEU-4 of each sentence with all others as its references (Zhu et al., SIGIR 2018, Texygen).

    Modified n-gram precisions are those of Papineni et al. (ACL 2002); zero counts are 0.1 (Chen and Cherry 2014,
    method 1). 0 for fewer than two sentences.
    """
    if len(sentences) < 2:
        return 0.0
    tables = [[_ngrams(words, order) for words in sentences] for order in range(1, _ORDER + 1)]
    most = [_two_largest(table) for table in tables]
    lengths = Counter(map(len, sentences))
    total = 0.0
    for place, words in enumerate(sentences):
        logs = 0.0
        for table, largest in zip(tables, most, strict=True):
            counts = table[place]
            hits = sum(min(count, _elsewhere(largest[gram], place)) for gram, count in counts.items())
            logs += math.log((hits or 0.1) / max(1, sum(counts.values())))
        total += math.exp(logs / _ORDER) * _brevity(len(words), lengths)
    return total / len(sentences)


def _ngrams(words: Sequence[str], order: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[at : at + order]) for at in range(len(words) - order + 1))


_Largest = tuple[int, int, int]
"""The largest count of an n-gram in any sentence, that sentence, and the largest count in another one."""


def _two_largest(table: Sequence[Counter[tuple[str, ...]]]) -> dict[tuple[str, ...], _Largest]:
    found: dict[tuple[str, ...], _Largest] = {}
    for place, counts in enumerate(table):
        for gram, count in counts.items():
            first, owner, second = found.get(gram, (0, -1, 0))
            found[gram] = (count, place, first) if count > first else (first, owner, max(second, count))
    return found


def _elsewhere(largest: _Largest, place: int) -> int:
    first, owner, second = largest
    return second if owner == place else first


def _brevity(length: int, lengths: Counter[int]) -> float:
    """Return BLEU's brevity penalty against the closest length of the other sentences, the shorter of two."""
    others = (other for other, count in lengths.items() if count > (other == length))
    closest = min(others, key=lambda other: (abs(other - length), other))
    return 1.0 if length >= closest or not length else math.exp(1 - closest / length)
