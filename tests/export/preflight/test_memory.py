"""Estimated memory against published sizes, measured logits, and machines on which it does not fit."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from etlch.core.run_folder import Run
from etlch.export.jobs import Job
from etlch.export.preflight.memory import EVALUATED, LOGIT, phases, problems

LLAMA: dict[str, Any] = {
    "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32,
    "num_key_value_heads": 8, "head_dim": 64, "vocab_size": 128_256, "tie_word_embeddings": True,
}  # fmt: skip
"""Llama-3.2-1B: 1.24 billion weights by its model card."""
GEMMA: dict[str, Any] = {
    "hidden_size": 640, "intermediate_size": 2048, "num_hidden_layers": 18, "num_attention_heads": 4,
    "num_key_value_heads": 1, "head_dim": 256, "vocab_size": 262_144, "tie_word_embeddings": True,
}  # fmt: skip
TRAIN = {"do_train": True, "per_device_train_batch_size": 8, "bf16": True, "lora_rank": 32}


def test_logits_of_a_batch_of_eight_are_most_of_what_a_one_billion_model_takes() -> None:
    """At 1,500 tokens, as was seen on a GPU: about 22 GB of them."""
    (most,) = phases(TRAIN, LLAMA, 1500)
    assert most.logits == pytest.approx(22e9, rel=0.03)
    assert most.resident == pytest.approx(1.24e9 * 2 + 22.5e6 * 16, rel=0.02)
    (fused,) = phases({**TRAIN, "enable_liger_kernel": True}, LLAMA, 1500)
    assert fused.logits == 0 and fused.resident == most.resident


def test_full_fine_tuning_takes_sixteen_bytes_a_weight_and_four_bits_half_a_byte() -> None:
    """Rajbhandari et al. 2020, section 3.1: weights, gradients and two moments, mixed precision: 16 bytes."""
    (full,) = phases({**TRAIN, "finetuning_type": "full"}, LLAMA, 10)
    assert full.resident == pytest.approx(16 * 1.236e9, rel=0.001)
    (lora,) = phases({**TRAIN, "quantization_bit": 4}, LLAMA, 10)
    assert lora.resident == pytest.approx(0.5 * 1.236e9 + 22.5e6 * 16, rel=0.02)


def test_what_does_not_fit_is_refused_with_what_to_lower(tmp_path: Path) -> None:
    """An evaluation batch of 10 of a model with 262,144 tokens killed a CPU with 24 GB."""
    run = Run(tmp_path)
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "config.json").write_text(json.dumps(GEMMA), "utf-8")
    values = {"model_name_or_path": "base", "do_train": True, "per_device_train_batch_size": 2,
              "eval_strategy": "epoch", "per_device_eval_batch_size": 10, "output_dir": "models/m"}  # fmt: skip
    job = Job("train_m", "train", "m", "", values, tmp_path / "models/m")
    ((where, found),) = problems(run, [job], {"train_m": 1024}, 17e9)
    assert (where, found.level) == ("train_m", "error")
    assert found.what.startswith("evaluating takes about 2") and "there are 17.0 GB" in found.what
    assert found.fix == "Lower per_device_eval_batch_size."
    ((_, fits),) = problems(run, [job], {"train_m": 1024}, 64e9)
    assert fits.level == "note"


SCRIPT = """
import re, sys, torch
from transformers import LlamaConfig, LlamaForCausalLM
config = LlamaConfig(vocab_size=40_000, hidden_size=32, intermediate_size=64, num_hidden_layers=1,
                     num_attention_heads=2, num_key_value_heads=2, tie_word_embeddings=True)
model, tokens = LlamaForCausalLM(config), torch.randint(0, 40_000, (4, 256))
# Not ru_maxrss: a child begins with its parent's.
peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) * 1024
model(input_ids=tokens[:1, :8], labels=tokens[:1, :8]).loss.backward()
before = peak()
if sys.argv[1] == "train":
    model(input_ids=tokens, labels=tokens).loss.backward()
else:
    with torch.no_grad():
        model(input_ids=tokens, labels=tokens)
print((peak() - before) / (tokens.numel() * 40_000))
"""


@pytest.mark.train
@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="no /proc elsewhere")
@pytest.mark.parametrize(("phase", "bytes_each"), [("train", LOGIT), ("evaluate", EVALUATED)])
def test_a_logit_takes_what_is_measured(phase: str, bytes_each: int) -> None:
    told = subprocess.run(
        [sys.executable, "-c", SCRIPT, phase], capture_output=True, text=True, check=True
    ).stdout
    assert float(told) == pytest.approx(bytes_each, rel=0.1)
