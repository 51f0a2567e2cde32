"""Estimate the most memory that a training, its evaluation or a prediction takes, against what is there.

Formulas are for Llama-like models. They leave out what frameworks take for themselves: OVERHEAD.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from etlch.core.records import Json
from etlch.core.run_folder import Run
from etlch.export.jobs import Job
from etlch.export.preflight.steps import config_of, size
from etlch.export.preflight.values import Problem

GB = 1e9
OVERHEAD = 1.0 * GB
"""Of a process that has imported torch and LlamaFactory: 0.9 GB on a CPU, about as much as a CUDA context."""
LOGIT, EVALUATED = 12, 8
"""Bytes that one logit takes in float32, with its gradient and log-probability, and without a gradient; measured
with transformers 5.5 on a CPU. A 16-bit model holds its own copy of 2 bytes beside them."""


@dataclass(frozen=True)
class Memory:
    """Bytes of one phase of a job: what stays (weights, gradients, moments), what a batch takes, its logits."""

    phase: str
    resident: float
    activations: float
    logits: float

    @property
    def total(self) -> float:
        """All of it, with the framework's own share."""
        return self.resident + self.activations + self.logits + OVERHEAD


def phases(values: dict[str, Json], config: dict[str, Json], longest: int) -> Iterator[Memory]:
    """Yield what each phase of a job takes at most.

    Weights: 4 bytes each, 2 in 16 bits, half a byte in 4 bits. What is trained has a float32 gradient and Adam's two
    float32 moments (Kingma & Ba 2015), and is kept in float32. Activations of a layer with a gated MLP, kept for the
    backward pass, are about (17 · hidden + 8 · inner) bytes a token in 16 bits (after Korthikanti et al. 2022,
    section 4.1); with gradient checkpointing, LlamaFactory's default, one layer's and the input of each.

    Args:
        values: the recipe.
        config: the base model's config.json.
        longest: tokens of the longest sample, prompt and label.

    Raises:
        KeyError: the configuration is not that of a Llama-like model.
    """
    wide = 2 if values.get("bf16") or values.get("fp16") or values.get("pure_bf16") else 4
    model = size(config, int(values.get("lora_rank") or 8))
    hidden, inner, layers = (config[key] for key in ("hidden_size", "intermediate_size", "num_hidden_layers"))
    bits = values.get("quantization_bit")
    weights = model.whole * (float(bits) / 8 if bits else wide)
    copy = 0 if wide == 4 else 2
    if values.get("do_predict"):
        heads = config.get("num_key_value_heads", config["num_attention_heads"])
        head = config.get("head_dim") or hidden // config["num_attention_heads"]
        batch = int(values.get("per_device_eval_batch_size") or 8)
        tokens = batch * (longest + int(values.get("max_new_tokens") or 1024))
        cache = tokens * layers * heads * head * 2 * wide
        layer = batch * longest * (17 * hidden + 8 * inner) * wide / 2
        yield Memory("predicting", weights, cache + layer, batch * config["vocab_size"] * EVALUATED)
        return
    kind = values.get("finetuning_type", "lora")
    trained = model.whole if kind == "full" else model.adapter
    if kind == "freeze":
        trained = model.whole * min(1.0, int(values.get("freeze_trainable_layers") or 2) / layers)
    resident = weights + trained * (4 + 8) + trained * ((4 - wide) if kind in ("full", "freeze") else 4)
    batch = int(values.get("per_device_train_batch_size") or 8)
    layer = batch * longest * (17 * hidden + 8 * inner) * wide / 2
    kept = layers if values.get("disable_gradient_checkpointing") else 1
    inputs = 0 if kept > 1 else layers * batch * longest * hidden * wide
    fused = bool(values.get("enable_liger_kernel"))
    logits = 0 if fused else batch * longest * config["vocab_size"] * (LOGIT + copy)
    yield Memory("training", resident, kept * layer + inputs, logits)
    if values.get("eval_strategy", "no") != "no":
        batch = int(values.get("per_device_eval_batch_size") or 8)
        logits = batch * longest * config["vocab_size"] * (EVALUATED + copy)
        yield Memory("evaluating", resident, batch * longest * (17 * hidden + 8 * inner) * wide / 2, logits)


def problems(
    run: Run, jobs: Sequence[Job], longest: Mapping[str, int], there: float | None
) -> Iterator[tuple[str, Problem]]:
    """Yield (recipe, what its most demanding phase takes), as an error where that is more than there is.

    Args:
        run: the run, whose recipes name base models.
        jobs: what is to be run.
        longest: recipe → tokens of its longest sample.
        there: bytes of one GPU, or free ones of the machine; None where that is not known.
    """
    bases = {str(job.values.get("output_dir")): str(job.values.get("model_name_or_path")) for job in jobs}
    for job in jobs:
        named = str(job.values.get("model_name_or_path"))
        config = config_of(run, bases.get(named, named))
        if job.kind == "export" or config is None or job.stem not in longest:
            continue
        try:
            most = max(phases(job.values, config, longest[job.stem]), key=lambda memory: memory.total)
        except (KeyError, TypeError, ValueError):
            continue
        told = (
            f"{most.phase} takes about {most.total / GB:.1f} GB: {most.resident / GB:.1f} for weights and optimizer, "
            f"{most.activations / GB:.1f} for activations, {most.logits / GB:.1f} for logits"
        )
        if there is None or most.total <= there:
            yield job.stem, Problem("note", told)
            continue
        key = "train" if most.phase == "training" else "eval"
        level: Literal["error", "warning"] = "error" if most.total > 1.25 * there else "warning"
        mend = f"Lower per_device_{key}_batch_size" + (
            " (and raise gradient_accumulation_steps as much), or cutoff_len." if key == "train" else "."
        )
        yield job.stem, Problem(level, f"{told}; there are {there / GB:.1f} GB", mend)
