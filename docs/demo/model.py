"""Turn the GGUF of SmolLM2-135M-Instruct into a model folder that LlamaFactory loads.

Reads a GGUF file, writes a folder with weights and tokenizer.

    python docs/demo/model.py SmolLM2-135M-Instruct.Q4_1.gguf .cache/SmolLM2-135M-Instruct

The weights come back from 4 bits as float32, so they are those of the quantised model. The
tokenizer is built here from the GGUF's own tokens and merges: transformers takes a GGUF of
the architecture "llama" for SentencePiece, and the folder it saves splits words wrongly.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any


def tokenizer(gguf: Path) -> Any:
    """Return the byte-level BPE tokenizer that a GGUF describes (pre-tokenizer "smollm")."""
    from gguf import GGUFReader
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    fields = GGUFReader(gguf).fields
    held = {
        name.removeprefix("tokenizer."): fields[name].contents() for name in fields if "tokenizer" in name
    }
    tokens = held["ggml.tokens"]
    bpe = Tokenizer(
        models.BPE(
            vocab={token: place for place, token in enumerate(tokens)},
            merges=[tuple(merge.split(" ")) for merge in held["ggml.merges"]],
        )
    )
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    bpe.decoder = decoders.ByteLevel()
    control = [token for token, kind in zip(tokens, held["ggml.token_type"], strict=True) if kind == 3]
    bpe.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in control])
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token=tokens[held["ggml.bos_token_id"]],
        eos_token=tokens[held["ggml.eos_token_id"]],
        pad_token=tokens[held["ggml.padding_token_id"]],
        unk_token=tokens[held["ggml.unknown_token_id"]],
        chat_template=held["chat_template"],
        model_max_length=8192,
        clean_up_tokenization_spaces=False,
    )


def convert(gguf: Path, folder: Path) -> None:
    """Write the model folder; it appears under its name only when it is complete."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name)
    # The weights are plain float32 by now; with traces of the quantiser left, saving fails.
    model.hf_quantizer = None
    vars(model.config).pop("quantization_config", None)
    half = folder.with_name(f"{folder.name}.half")
    for stale in (half, folder):
        shutil.rmtree(stale, ignore_errors=True)
    model.save_pretrained(half)
    tokenizer(gguf).save_pretrained(half)
    half.rename(folder)


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
