"""Compute a training recipe's steps, what its learning rate can move, and its disk space."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from etlch.core.extras import installed
from etlch.core.records import Json
from etlch.core.run_folder import Run
from etlch.export.jobs import Job, names
from etlch.export.preflight.data_files import rows
from etlch.export.preflight.values import Problem

HALVED = ("linear", "cosine", "cosine_with_restarts")
"""Schedules that fall to 0 symmetrically: their learning rates sum to half of the constant one's."""
NOTHING, LITTLE = 1e-5, 2e-3
"""LoRA weights that moved less than this are as untrained, or hardly trained: rules of thumb. On a tiny
Llama 1e-5 left the loss where it was (6.228 → 6.226 in 200 steps), 1e-2 did not (→ 5.845)."""
_GB = 1e9


@dataclass(frozen=True)
class Steps:
    """The arithmetic of a training.

    Attributes:
        rows: training rows of all its data sets.
        batch: rows of one optimizer step, over all processes.
        an_epoch: steps of one pass over the rows.
        total: steps of the training.
        moved: sum of the learning rates, about the most that Adam moves one weight (Kingma & Ba 2015,
            section 2.1: a step is about the learning rate at most, where gradients are not sparse).
    """

    rows: int
    batch: int
    an_epoch: int
    total: int
    moved: float


def steps(values: dict[str, Json], count: int, world: int = 1) -> Steps:
    """Return the arithmetic of a training.

    Args:
        values: the recipe.
        count: training rows.
        world: processes, each with its own batch.
    """
    device, gather = (
        int(values.get(key) or default)
        for key, default in (("per_device_train_batch_size", 8), ("gradient_accumulation_steps", 1))
    )
    batches = math.ceil(count / (device * world))
    an_epoch = max(1, math.ceil(batches / gather))
    limit = int(values.get("max_steps") or 0)
    total = limit if limit > 0 else math.ceil(float(values.get("num_train_epochs", 3.0)) * an_epoch)
    rate = float(values.get("learning_rate", 5e-5))
    schedule = str(values.get("lr_scheduler_type", "linear"))
    warmup = float(values.get("warmup_steps") or 0)
    rising = min(total, math.ceil(warmup * total) if warmup < 1 else int(warmup))
    return Steps(count, device * gather * world, an_epoch, total, rate * _flat_steps(schedule, total, rising))


def _flat_steps(schedule: str, total: int, rising: int) -> float:
    """Return a schedule's learning rates, summed, in units of its highest; at most `total`."""
    if schedule in HALVED:
        return total / 2  # rise and fall have the same mean, so the length of the warmup is of no account
    return total - rising / 2 if schedule == "constant_with_warmup" else float(total)


def problems(run: Run, job: Job, world: int = 1) -> Iterator[Problem]:
    """Yield the steps of a training, what it can move, and what several processes make of its batch."""
    counts = [rows(run, name) for name in names(job.values.get("dataset"))]
    numbers = (
        job.values.get(key) for key in ("learning_rate", "num_train_epochs", "max_steps", "warmup_steps")
    )
    if None in counts or not counts or any(isinstance(number, str) for number in numbers):
        return
    limit = job.values.get("max_samples")
    count = sum(min(count, limit) if limit else count for count in counts if count is not None)
    plan = steps(job.values, count, world)
    rate = float(job.values.get("learning_rate", 5e-5))
    told = (
        f"{plan.rows:,} rows in batches of {plan.batch}: {plan.an_epoch:,} steps an epoch, {plan.total:,} in all; "
        f"at learning rate {rate:.1e} a weight moves by about {plan.moved:.2g} at most"
    )
    if job.adapter and plan.moved < NOTHING:
        yield Problem(
            "error", f"{told}: nothing would be learnt", "Raise the learning rate; LoRA takes about 2.0e-04."
        )
    elif job.adapter and plan.moved < LITTLE:
        usual = plan.moved / rate * 2e-4
        yield Problem("warning", f"{told}; at 2.0e-04 by {usual:.2g}", "Take the preset `efficient`.")
    else:
        yield Problem("note", told)
    if world > 1:
        alone = plan.batch // world
        yield Problem(
            "warning",
            f"{world} processes make the batch {plan.batch} instead of {alone}: another experiment",
            "One run on each GPU keeps it: leave --gpus-each at 1.",
        )
    if job.values.get("save_only_model"):
        yield Problem("note", "save_only_model: a killed training begins again, its optimizer is not kept")


@dataclass(frozen=True)
class Size:
    """Weights of a model: all of them, and those of an adapter on all of its linear layers."""

    whole: int
    adapter: int


def size(config: dict[str, Json], rank: int) -> Size:
    """Return how many weights a Llama-like model and its LoRA adapter have.

    A LoRA pair on a layer of shape (out, in) has rank · (in + out) weights (Hu et al. 2021).

    Raises:
        KeyError: the configuration is not that of a Llama-like model.
    """
    hidden, inner, layers = (config[key] for key in ("hidden_size", "intermediate_size", "num_hidden_layers"))
    heads = config["num_attention_heads"]
    head = config.get("head_dim") or hidden // heads
    narrow = config.get("num_key_value_heads", heads) * head
    wide = heads * head
    linear = [(hidden, wide), (hidden, narrow), (hidden, narrow), (wide, hidden)]
    linear += [(hidden, inner), (hidden, inner), (inner, hidden)]
    tables = config["vocab_size"] * hidden * (1 if config.get("tie_word_embeddings") else 2)
    body = sum(one * two for one, two in linear) + 2 * hidden
    return Size(layers * body + tables + hidden, layers * rank * sum(one + two for one, two in linear))


def disk(run: Run, jobs: Sequence[Job], world: int = 1) -> Iterator[Problem]:
    """Yield what jobs that are not done will write, against what is free."""
    needed = 0.0
    unknown = set()
    for job in jobs:
        if job.kind not in ("train", "export") or (job.result / "provenance.json").is_file():
            continue
        folder = model_folder(run, str(job.values.get("model_name_or_path")))
        config = _config(folder) if folder else None
        try:
            needed += written(
                run, job, size(config or {}, int(job.values.get("lora_rank", 8))), folder, world
            )
        except (KeyError, TypeError, ValueError):
            unknown.add(str(job.values.get("model_name_or_path")))
    if unknown:
        yield Problem(
            "note", f"disk space is not estimated: no config.json of {', '.join(sorted(unknown))} here"
        )
    if not needed:
        return
    free = shutil.disk_usage(run.folder).free
    told = f"checkpoints, adapters and exports take about {needed / _GB:.1f} GB; {free / _GB:.1f} GB are free"
    fix = "Lower save_total_limit, export fewer models, or move the run folder."
    if needed > free:
        yield Problem("error", told, fix)
    else:
        yield Problem("warning" if needed > free / 2 else "note", told, fix if needed > free / 2 else "")


def written(run: Run, job: Job, model: Size, folder: Path | None, world: int = 1) -> float:
    """Return the bytes that a training or an export leaves on disk.

    An adapter is kept in float32, its optimizer has two float32 numbers a weight; every checkpoint
    holds the tokenizer too.
    """
    wide = 2 if job.values.get("bf16") or job.values.get("fp16") else 4
    spelling = sum(path.stat().st_size for path in folder.glob("*token*.json")) if folder else 0
    if job.kind == "export":
        return model.whole * wide + spelling
    result = model.adapter * 4 if job.adapter else model.whole * wide
    moments = 8 * (model.adapter if job.adapter else model.whole)
    one = result + (0 if job.values.get("save_only_model") else moments) + spelling
    return result + spelling + kept(run, job, world) * one


def kept(run: Run, job: Job, world: int = 1) -> int:
    """Return how many checkpoints a training leaves."""
    strategy = job.values.get("save_strategy", "steps")
    if strategy == "no":
        return 0
    count = sum(rows(run, name) or 0 for name in names(job.values.get("dataset")))
    plan = steps(job.values, count, world)
    every = float(job.values.get("save_steps", 500))
    gap = plan.an_epoch if strategy == "epoch" else max(1, every if every >= 1 else every * plan.total)
    made = math.ceil(plan.total / gap)
    limit = job.values.get("save_total_limit")
    if limit is None:
        return made
    # The best one is kept beside the last, also where only one may stay.
    return min(made, max(int(limit), 2) if job.values.get("load_best_model_at_end") else int(limit))


def model_folder(run: Run, name: str) -> Path | None:
    """Return where a model stands on this disk: a folder, or the hub's cache; None if it does not."""
    if (run.folder / name).is_dir():
        return run.folder / name
    if not installed("huggingface_hub"):
        return None  # nothing here ever filled the hub's cache
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        cached = try_to_load_from_cache(name, "config.json")
    except HFValidationError:
        return None
    return Path(cached).parent if isinstance(cached, str) else None


def config_of(run: Run, model: str) -> dict[str, Json] | None:
    """Return a model's config.json; None where it is not on this disk."""
    folder = model_folder(run, model)
    return _config(folder) if folder else None


def _config(folder: Path) -> dict[str, Json] | None:
    try:
        value = json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None
