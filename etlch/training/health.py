"""Tell whether a finished training or prediction is sound, and why one failed.

LlamaFactory ends without an error where the loss is NaN, no weight moved, or every answer is empty.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from etlch.core.records import Json
from etlch.export.jobs import Job

SAMPLE = 4096
"""Bytes at the beginning of each tensor that are looked at: reading all weights at every look would take minutes."""
_NAN = "Lower learning_rate, say bf16: true and not fp16, or flash_attn: disabled."
_STILL = "Raise learning_rate, or cutoff_len if prompts fill it, so that no label is left to learn."
_MEMORY = re.compile(
    r"out of memory|OutOfMemoryError|can't allocate memory|Cannot allocate memory|bad_alloc|MemoryError",
    re.IGNORECASE,
)
LOADERS = ("_load_from_checkpoint", "_load_optimizer_and_scheduler", "_load_rng_state", "load_from_json")
"""Functions of transformers' trainer and its state, in whose midst a checkpoint fails that cannot be loaded."""


def training_problem(folder: Path, base: Path | None) -> str:
    """Return what is wrong with a finished training, and the known cure; empty if nothing is.

    Args:
        folder: the adapter or whole model, with trainer_state.json.
        base: the folder of the model that it was trained from; None where it is not on this disk.
    """
    return _logged(folder / "trainer_state.json") or _weights(folder, base)


def _logged(path: Path) -> str:
    try:
        trainer_state = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return ""
    history = trainer_state.get("log_history") if isinstance(trainer_state, dict) else None
    entries = [entry for entry in history or () if isinstance(entry, dict)]
    losses, norms, evaluated = (_column(entries, name) for name in ("loss", "grad_norm", "eval_loss"))
    if any(not math.isfinite(value) for value in (*losses, *evaluated)):
        return f"the loss is not a number. {_NAN}"
    # fp16 skips a step whose gradients overflow; from a last one that is no number nothing was learnt.
    if norms and not math.isfinite(norms[-1]):
        return f"the gradients are not numbers. {_NAN}"
    if norms and not any(norms):
        return f"all gradients were 0, so nothing was learnt. {_STILL}"
    return f"the loss was 0 from the first step on. {_STILL} {_NAN}" if losses and not any(losses) else ""


def _column(entries: Sequence[dict[str, Json]], name: str) -> list[float]:
    return [float(entry[name]) for entry in entries if isinstance(entry.get(name), int | float)]


def _weights(folder: Path, base: Path | None) -> str:
    made = _samples_of(folder)
    if any(not finite for _, _, finite in made.values()):
        return f"weights are not numbers. {_NAN}"
    raised = [start for name, (_, start, _) in made.items() if ".lora_B." in name]
    if raised and not any(any(start) for start in raised):
        return f"the adapter is what it was before training: every lora_B is 0. {_STILL}"
    before = _samples_of(base) if base is not None and not raised else {}
    shared = [name for name in made if name in before and made[name][0] == before[name][0]]
    if shared and all(made[name] == before[name] for name in shared):
        return f"the model is what it was before training: no weight moved. {_STILL}"
    return ""


def _samples_of(folder: Path) -> dict[str, tuple[str, bytes, bool]]:
    found: dict[str, tuple[str, bytes, bool]] = {}
    for path in sorted(folder.glob("*.safetensors")):
        state = path.stat()
        found |= _samples(path, state.st_mtime_ns, state.st_size)
    return found


@lru_cache(maxsize=256)
def _samples(path: Path, changed: int, size: int) -> dict[str, tuple[str, bytes, bool]]:
    """Return tensor → (its type, its first bytes, whether these are all finite numbers)."""
    found = {}
    with path.open("rb") as handle:
        length = int.from_bytes(handle.read(8), "little")
        try:
            header = json.loads(handle.read(length))
        except ValueError:
            return {}
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            start, end = entry["data_offsets"]
            handle.seek(8 + length + start)
            sample = handle.read(min(SAMPLE, end - start))
            found[name] = (entry["dtype"], sample, _finite(entry["dtype"], sample))
    return found


def _finite(kind: str, sample: bytes) -> bool:
    """Tell whether floats are finite: their exponent's bits are not all set (IEEE 754; BF16 is F32's upper half)."""
    import numpy as np

    masks = {"F32": ("<u4", 0x7F800000), "BF16": ("<u2", 0x7F80), "F16": ("<u2", 0x7C00)}
    if kind not in masks:
        return True
    number, mask = masks[kind]
    return not bool(((np.frombuffer(sample, number) & mask) == mask).any())


def failure(job: Job, code: int, log: str) -> str:
    """Return in one line why a job ended with an exit code, and what to lower where it ran out of memory.

    Args:
        job: what was run.
        code: its exit code, negative for a signal.
        log: the last lines of what it printed.
    """
    if _MEMORY.search(log):
        return f"exit code {code}: out of memory. {_lower(job)}"
    if code in (-9, 137):
        return f"killed (signal 9), most likely by the system for want of memory. {_lower(job)}"
    return f"exit code {code}"


def _lower(job: Job) -> str:
    return "Lower " + ", ".join(_lowered(job)) + "."


def _lowered(job: Job) -> Iterator[str]:
    values = job.values
    if job.kind == "train":
        batch, gather = (int(values.get(key) or default) for key, default in
                         (("per_device_train_batch_size", 8), ("gradient_accumulation_steps", 1)))  # fmt: skip
        if batch > 1:
            yield (
                f"per_device_train_batch_size ({batch}) to {batch // 2} and raise gradient_accumulation_steps "
                f"({gather}) to {gather * 2}"
            )
        if values.get("eval_strategy", "no") != "no":
            yield f"per_device_eval_batch_size ({values.get('per_device_eval_batch_size', 8)})"
        yield f"cutoff_len ({values.get('cutoff_len', 2048)})"
        if values.get("disable_gradient_checkpointing"):
            yield "memory by leaving out disable_gradient_checkpointing"
        if job.adapter and not values.get("quantization_bit"):
            yield "or take the preset `qlora` on a GPU"
    elif job.kind == "export":
        yield "what else uses memory, or export on a larger machine"
    else:
        yield f"per_device_eval_batch_size ({values.get('per_device_eval_batch_size', 8)})"
        yield f"max_new_tokens ({values.get('max_new_tokens', 1024)})"


def damaged(log: str) -> bool:
    """Tell whether a training's last lines show that its checkpoint could not be loaded, by the calls that failed."""
    return any(re.search(rf"^ *File .*, in {name}$", log, re.MULTILINE) for name in LOADERS)
