"""Train a linear-chain conditional random field on tokens, return what tags them.

Lafferty et al. 2001; trained by L-BFGS with L1 and L2 penalties in CRFsuite (package python-crfsuite). A token's features
are the token and its kind, its neighbours up to two away, and pairs of neighbours; a word also has its shape, beginnings
and endings. Nothing is drawn by chance: the same training set gives the same tags.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from etlch.baselines.tagging import OUTSIDE, Sentence, Tagger
from etlch.core.extras import need
from etlch.core.records import Model
from etlch.text.normalize import is_cjk

NAME = "crf"
"""What `etlch-data predict --model` calls it; its folders are `crf-<size>`."""

_PENALTIES = {"c1": 0.02, "c2": 0.02, "max_iterations": 200}
"""L1 and L2: the best of seven on validation sets of CrossNER and UNER, 100 and 300 training records; all were close."""
_WINDOW = (-2, -1, 1, 2)
_AFFIX = 3
"""Longest beginning and ending of a word that is a feature."""


def require() -> None:
    """Stop where CRFsuite is not installed.

    Raises:
        EtlchError: it is not.
    """
    need("crf", "--model crf", "pycrfsuite")


def train(samples: Sequence[Sentence], model: Model) -> Tagger:
    """Return a tagger trained on tagged sentences; the model's seed does not matter."""
    import pycrfsuite

    trainer = pycrfsuite.Trainer(algorithm="lbfgs", params=_PENALTIES, verbose=False)
    known = [sample for sample in samples if sample.tokens]
    if not known:
        return lambda sentences: [[OUTSIDE] * len(one.tokens) for one in sentences]
    for sample in known:
        trainer.append(features(sample.words), sample.tags)
    tagger = pycrfsuite.Tagger()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "model.crfsuite")
        trainer.train(str(file))
        tagger.open(str(file))  # it is read whole; open_inmemory would not keep the bytes alive
    return lambda sentences: [tagger.tag(features(one.words)) for one in sentences]


def features(words: Sequence[str]) -> list[list[str]]:
    """Return the features of each token."""
    low = [word.lower() for word in words]
    kinds = [shape(word) for word in words]
    return [_features(place, words[place], low, kinds) for place in range(len(words))]


def _features(place: int, word: str, low: Sequence[str], kinds: Sequence[str]) -> list[str]:
    def at(values: Sequence[str], offset: int) -> str:
        return values[place + offset] if 0 <= place + offset < len(values) else "<>"

    found = ["bias", f"w={low[place]}", f"kind={kinds[place]}"]
    for offset in _WINDOW:
        found += [f"w{offset:+}={at(low, offset)}", f"kind{offset:+}={at(kinds, offset)}"]
    for offset in (-2, -1, 0, 1):
        found.append(f"w{offset:+}{offset + 1:+}={at(low, offset)}|{at(low, offset + 1)}")
    found.append(f"kinds={at(kinds, -1)}|{kinds[place]}|{at(kinds, 1)}")
    if not is_cjk(word[0]):
        found.append(f"word={word}")
        for length in range(1, min(_AFFIX, len(word) - 1) + 1):
            found += [f"starts={low[place][:length]}", f"ends={low[place][-length:]}"]
    return found


def shape(word: str) -> str:
    """Return a token's kind: `Han` for a CJK character, else its shape without repeats: Xx for Paris, d for 1804."""
    if is_cjk(word[0]):
        return "Han"
    found = ""
    for char in word:
        kind = "d" if char.isdigit() else "X" if char.isupper() else "x" if char.isalpha() else char
        found += kind if not found.endswith(kind) else ""
    return found
