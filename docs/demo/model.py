"""Turn a GGUF file into a model folder that LlamaFactory and transformers load.

Reads a GGUF file of a llama, qwen2 or gemma3 model, writes a folder with weights and tokenizer.

    python docs/demo/model.py SmolLM2-135M-Instruct.Q4_1.gguf .cache/SmolLM2-135M-Instruct
    python docs/demo/model.py part1/data part2/data .cache/Qwen2.5-Coder-1.5B-Instruct   # a file in parts, in order

The weights come back from 4 bits as floating point numbers, so they are those of the quantised model.
The tokenizer is built here from the GGUF's own tokens: transformers takes SmolLM2's for SentencePiece
and Gemma's for a unigram model, and both then split words wrongly without a word. So the finished
folder is tried on one sentence, and refused where the model is surprised by it.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

SENTENCE = "Paris is the capital of France, and Berlin is the capital of Germany."
LIMIT = 3.5
"""Nats a token of SENTENCE: with its own tokenizer each of these models needs 1 to 2.5, with a wrong one over 6."""

CONTROL, USER_DEFINED = 3, 4
"""Types of tokens in a GGUF."""

QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""How Qwen2 splits text into words before it merges bytes (llama.cpp, llama-vocab.cpp)."""


def tokenizer(gguf: Path) -> Any:
    """Return the fast tokenizer that a GGUF describes.

    Raises:
        SystemExit: its kind is none of byte-level BPE (SmolLM2, Qwen2) and scored pieces (Gemma).
    """
    from gguf import GGUFReader
    from tokenizers import AddedToken
    from transformers import PreTrainedTokenizerFast

    fields = GGUFReader(gguf).fields
    values = {
        name.removeprefix("tokenizer."): field.contents()
        for name, field in fields.items()
        if name.startswith("tokenizer.")
    }
    tokens, kind = values["ggml.tokens"], values["ggml.model"]
    if kind == "gpt2":
        built = _byte_level(values)
    elif kind == "llama":
        built = _scored_pieces(values)
    else:
        raise SystemExit(f"{gguf}: tokenizers of the kind {kind!r} are not read; gpt2 and llama are")
    types = list(zip(tokens, values["ggml.token_type"], strict=True))
    built.add_special_tokens(
        [AddedToken(token, special=True, normalized=False) for token, of in types if of == CONTROL]
    )
    # Runs of spaces are written ▁ and come together by merges; the other ones are cut out before.
    built.add_tokens(
        [
            AddedToken(token, normalized=False)
            for token, of in types
            if of == USER_DEFINED and token.strip("▁")
        ]
    )

    def named(role: str) -> Any:
        place = values.get(f"ggml.{role}_token_id")
        return None if place is None else tokens[place]

    return PreTrainedTokenizerFast(
        tokenizer_object=built,
        bos_token=named("bos"),
        eos_token=named("eos"),
        pad_token=named("padding") or named("eos"),
        unk_token=named("unknown"),
        chat_template=values.get("chat_template"),
        model_max_length=8192,
        clean_up_tokenization_spaces=False,
    )


def _byte_level(values: dict[str, Any]) -> Any:
    """Return byte-level BPE with the merges and the word pattern that the file names."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

    built = Tokenizer(
        models.BPE(
            vocab={token: place for place, token in enumerate(values["ggml.tokens"])},
            merges=[tuple(merge.split(" ")) for merge in values["ggml.merges"]],
        )
    )
    if values["ggml.pre"] == "qwen2":
        built.normalizer = normalizers.NFC()
        words: list[Any] = [
            pre_tokenizers.Split(Regex(QWEN2), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    else:
        words = [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    built.pre_tokenizer = pre_tokenizers.Sequence(words)
    built.decoder = decoders.ByteLevel()
    return built


def _scored_pieces(values: dict[str, Any]) -> Any:
    """Return BPE whose merges are all splits of a piece into two pieces, the best scored piece first.

    So SentencePiece's BPE is written for `tokenizers`: spaces as ▁, unknown characters as bytes, BOS in front.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, processors

    tokens = values["ggml.tokens"]
    vocab = {token: place for place, token in enumerate(tokens)}
    merges = sorted(
        (
            (-score, vocab[token[:cut]], vocab[token[cut:]])
            for token, score in zip(tokens, values["ggml.scores"], strict=True)
            for cut in range(1, len(token))
            if token[:cut] in vocab and token[cut:] in vocab
        )
    )
    unknown, begin = tokens[values["ggml.unknown_token_id"]], tokens[values["ggml.bos_token_id"]]
    built = Tokenizer(
        models.BPE(
            vocab=vocab,
            merges=[(tokens[left], tokens[right]) for _, left, right in merges],
            unk_token=unknown,
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    built.normalizer = normalizers.Replace(" ", "▁")
    built.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    built.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A", pair=f"{begin} $A {begin} $B", special_tokens=[(begin, vocab[begin])]
    )
    return built


def loss(folder: Path) -> float:
    """Return the mean negative log-likelihood of SENTENCE in nats a token, read as LlamaFactory will read it."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    ids = AutoTokenizer.from_pretrained(folder)(SENTENCE, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        return float(model(ids, labels=ids).loss)


def convert(gguf: Path, folder: Path) -> None:
    """Write the model folder; it appears under its name only when it is complete and was tried.

    Raises:
        SystemExit: it is no GGUF file, or the model needs more than LIMIT nats a token of a plain sentence.
    """
    from transformers import AutoModelForCausalLM

    with gguf.open("rb") as file:
        if file.read(4) != b"GGUF":
            _refuse(f"{gguf} is no GGUF file: it does not begin with the letters GGUF")
    model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name)
    # The weights are plain floats by now; with traces of the quantiser left, saving fails.
    model.hf_quantizer = None
    vars(model.config).pop("quantization_config", None)
    half = folder.with_name(f"{folder.name}.half")
    for stale in (half, folder):
        shutil.rmtree(stale, ignore_errors=True)
    model.save_pretrained(half)
    tokenizer(gguf).save_pretrained(half)
    del model
    surprise = loss(half)
    if not surprise < LIMIT:
        shutil.rmtree(half)
        raise SystemExit(
            f"{gguf}: {surprise:.2f} nats a token of {SENTENCE!r}, and a sound model needs fewer than {LIMIT}: "
            "its tokenizer or its weights were not read right, so no folder was written"
        )
    half.rename(folder)
    print(f"{folder}: {surprise:.2f} nats a token of a plain sentence")


def _refuse(reason: str) -> NoReturn:
    """End with exit code 2 and the reason."""
    print(f"Error: {reason}", file=sys.stderr)
    raise SystemExit(2)


def join(parts: Sequence[Path], target: Path) -> None:
    """Write the parts of a GGUF file (files, or folders of files, by name) one after the other into one file."""
    files = [file for part in parts for file in (sorted(part.iterdir()) if part.is_dir() else [part])]
    with target.open("wb") as whole:
        for file in files:
            if file.suffix != ".py":
                with file.open("rb") as piece:
                    shutil.copyfileobj(piece, whole)


def main(*paths: str) -> None:
    """Convert one GGUF file, or one in parts, into the folder named last."""
    *sources, folder = map(Path, paths)
    if missing := [source for source in sources if not source.exists()]:
        _refuse(f"{missing[0]} does not exist: name a GGUF file, or its parts in order")
    if not sources:
        _refuse("name a GGUF file, or its parts in order, and last the folder to write")
    if len(sources) == 1 and sources[0].is_file():
        convert(sources[0], folder)
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        whole = Path(scratch) / "model.gguf"
        join(sources, whole)
        convert(whole, folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
