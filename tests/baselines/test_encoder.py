"""A real encoder of some 20,000 random weights, tuned by the real trainer until it knows two patterns."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from etlch.baselines import encoder
from etlch.baselines.tagging import Mention, Sentence, sentence, tagged
from etlch.cli.data import main
from etlch.core.records import Model
from etlch.metrics.predictions import read_aligned
from tests.small_run import ADJECTIVES, NOUNS, write_run

pytest.importorskip("transformers")
pytest.importorskip("accelerate")
MODEL = Model("encoder-tiny", 12, 1, "baseline", None, None)
WORDS = (
    *(
        "mr",
        "said",
        "no",
        "to",
        "trains",
        "go",
        "lincoln",
        "jordan",
        "par",
        "##is",
        "aus",
        "##tin",
        "mad",
        "##ison",
    ),
    *("ann", "bell", "founded", "firm", "works", "in", "it", "stands", "between", "the", "and"),
    *("住", "在", "宣", "布", "增", "資", "高", "雄", "新", "竹", ".", ",", "。"),
    *ADJECTIVES,
    *NOUNS,
    *(f"##{digit}" for digit in range(10)),
    *map(str, range(10)),
)


def tiny_bert(folder: Path, window: int = 64) -> Path:
    """Write a BERT with random weights and a word-piece tokenizer; return the folder."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder.mkdir()
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    BertTokenizerFast(
        vocab={word: place for place, word in enumerate(vocabulary)}, model_max_length=window
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        initializer_range=0.2,
        max_position_embeddings=window,
    )
    BertModel(config).save_pretrained(folder)
    return folder


def quick(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """A model without knowledge needs a higher rate than one with it."""
    monkeypatch.setattr(encoder, "LEARNING_RATE", 3e-3)
    monkeypatch.setattr(encoder, "EPOCHS", 1)
    monkeypatch.setattr(encoder, "LEAST_STEPS", steps)


def marked(text: str, word: str, kind: str) -> Sentence:
    return sentence(text, [Mention(kind, (text.index(word), text.index(word) + len(word)))])


@pytest.mark.slow
def test_context_tells_the_type_in_both_scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch, 120)
    train = [
        made
        for name in ("Jordan", "Paris", "Austin")
        for made in (
            marked(f"Mr {name} said no.", name, "Person"),
            marked(f"Trains go to {name}.", name, "City"),
            marked("新竹宣布增資。", "新竹", "組織"),
            marked("住在新竹。", "新竹", "地點"),
        )
    ]
    tagger = encoder.trainer(str(tiny_bert(tmp_path / "tiny")))(train, MODEL)
    texts = ("Mr Paris said no.", "Trains go to Paris.", "新竹宣布增資。", "住在新竹。", "")
    made = [sentence(text) for text in texts]
    assert [
        [(one.text[slice(*mention.span)], mention.kind) for mention in tagged(one.tokens, tags)]
        for one, tags in zip(made, tagger(made), strict=True)
    ] == [[("Paris", "Person")], [("Paris", "City")], [("新竹", "組織")], [("新竹", "地點")], []]


def test_a_long_article_is_read_in_windows_that_cover_it(tmp_path: Path) -> None:
    model = encoder.load(str(tiny_bert(tmp_path / "tiny", window=16)), ["O"], 0)
    long = sentence("Trains go to Madison. " * 20)
    windows = list(encoder._windows(model, long))
    covered = {place for window in windows for first, end in window.holds for place in range(first, end)}
    assert len(windows) > 5 and all(len(window.ids) <= 16 for window in windows)
    assert covered == set(range(len(long.tokens)))


def test_each_size_and_seed_predicts_the_test_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch, 3)
    run = write_run(tmp_path / "run", sizes=(4,))
    base = tiny_bert(tmp_path / "tiny", window=128)
    command = ["predict", str(run.folder), "--model", f"encoder:{base}"]
    shown = CliRunner().invoke(main, command)
    assert shown.exit_code == 0, shown.output
    assert shown.stdout.splitlines()[0].endswith("encoder-tiny-4-s42/ner/generated_predictions.jsonl: 3 rows")
    card = json.loads(run.model_card("encoder-tiny-4-s42").read_text())
    assert (card["name"], card["size"], card["seed"], card["role"]) == ("encoder-tiny", 4, 42, "baseline")
    path = run.prediction_file("encoder-tiny-4-s42", "ner")
    rows = list(read_aligned(path, run.keys(run.stem("ner", "test"))))
    assert len(rows) == 3 and all(isinstance(json.loads(row.text), dict) for row in rows)
    before = path.read_bytes()
    CliRunner().invoke(main, command)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("encoder", "names no model"),
        ("encoder:./nowhere", "./nowhere cannot be loaded"),
        ("encoder:/", "names no"),
    ],
)
def test_a_model_that_is_not_there_is_said(
    model: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    run = write_run(tmp_path / "run", sizes=(4,))
    shown = CliRunner().invoke(main, ["predict", str(run.folder), "--model", model])
    assert shown.exit_code == 2 and said in shown.stderr
