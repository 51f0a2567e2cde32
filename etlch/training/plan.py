"""Estimate tokens and hours of each job of a run, from the pace of jobs that were run here or a guess by device.

Tokens are counted with the base model's tokenizer.json where that is on this disk, without LlamaFactory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from statistics import median

from etlch.core.files import read_text
from etlch.core.records import Json
from etlch.core.run_folder import Run
from etlch.export.data_files import COLUMNS
from etlch.export.jobs import Job, names
from etlch.export.preflight.counter import loaded_from
from etlch.export.preflight.data_files import read_rows
from etlch.export.preflight.steps import config_of, model_folder, size, steps
from etlch.text.json_text import loads
from etlch.training import provenance

CPU_FLOPS, GPU_FLOPS = 2e10, 4e13
"""Operations a second that a training gets out of one core, and out of one GPU of the size of an RTX 3090: guesses."""
CPU_BYTES, GPU_BYTES = 1e10, 5e11
"""Bytes of weights a second that a prediction reads, on the whole processor and on such a GPU: guesses."""
LOADING = 30.0
"""Seconds in which a job loads LlamaFactory and the model: a guess."""
CHARACTERS = 2.0
"""Characters a token where the tokenizer is not on this disk: between English (4) and Chinese (1)."""


@dataclass(frozen=True)
class Estimate:
    """What a job will take.

    Attributes:
        tokens: those that a training sees in all epochs, or that a prediction reads and writes.
        seconds: of the whole job; None where nothing is known of the base model.
        measured: whether the pace is that of jobs run here with this base model, and not a guess.
        took: the seconds that the job took, where it is done.
    """

    tokens: int
    seconds: float | None
    measured: bool
    took: float | None


def estimates(
    run: Run, jobs: Sequence[Job], everything: Sequence[Job], gpus: int, cores: int
) -> list[Estimate]:
    """Return what each job will take.

    Args:
        run: the run.
        jobs: the jobs to be told.
        everything: all jobs of the run: those that are done tell the pace.
        gpus: GPUs of this machine; on a CPU, 0.
        cores: of the processor.
    """
    bases = loaded_from(everything)
    paces = {
        key: median(pace)
        for key, pace in _paces(run, everything, bases, "cpu" if gpus == 0 else "gpu").items()
        if pace
    }
    return [_estimate(run, job, bases, paces, gpus, cores) for job in jobs]


def _estimate(
    run: Run, job: Job, bases: dict[str, str], paces: dict[tuple[str, str], float], gpus: int, cores: int
) -> Estimate:
    base = _base(job, bases)
    made = provenance.read(job.result)
    took = made.seconds if made else None
    if job.kind == "export":
        return Estimate(0, None, False, took)
    tokens = _tokens(run, job, base)
    pace = paces.get((job.kind, base))
    if pace is not None:
        return Estimate(tokens, LOADING + tokens / pace, True, took)
    config = config_of(run, base)
    try:
        weights = size(config or {}, int(job.values.get("lora_rank") or 8)).whole
    except (KeyError, TypeError):
        return Estimate(tokens, None, False, took)
    return Estimate(tokens, LOADING + _guess(run, job, base, tokens, weights, gpus, cores), False, took)


def _guess(run: Run, job: Job, base: str, tokens: int, weights: int, gpus: int, cores: int) -> float:
    """Return the seconds of a job by a guess at the device.

    A token costs 2 operations a weight forward and 4 backward (Kaplan et al. 2020, section 2.1), one forward pass more
    with gradient checkpointing; a LoRA adapter saves half of the backward pass. A batch's new tokens are written one after
    the other, and each reads all weights.
    """
    flops = GPU_FLOPS if gpus else CPU_FLOPS * cores
    if job.kind == "train":
        again = 0 if job.values.get("disable_gradient_checkpointing") else 2
        return tokens * weights * (2 + (2 if job.adapter else 4) + again) / flops
    wide = 2 if job.values.get("bf16") or gpus else 4
    texts = list(_texts(run, names(job.values.get("eval_dataset"))))
    batches = -(-len(texts) // int(job.values.get("per_device_eval_batch_size") or 8))
    longest = max((_count(run, base, answer) for _, answer in texts), default=0)
    return tokens * 2 * weights / flops + batches * longest * weights * wide / (
        GPU_BYTES if gpus else CPU_BYTES
    )


def _paces(
    run: Run, jobs: Sequence[Job], bases: dict[str, str], device: str
) -> dict[tuple[str, str], list[float]]:
    """Return (kind, base model) → tokens a second of each job that was run here on such a device."""
    found: dict[tuple[str, str], list[float]] = {}
    for job in jobs:
        made = provenance.read(job.result)
        if job.kind == "export" or made is None or (made.device == "cpu") != (device == "cpu"):
            continue
        base = _base(job, bases)
        if job.kind == "train" and made.tokens_per_second:
            found.setdefault((job.kind, base), []).append(made.tokens_per_second)
        elif job.kind == "predict" and (seconds := _predicting(run, job, made.seconds)):
            found.setdefault((job.kind, base), []).append(_tokens(run, job, base) / seconds)
    return found


def _predicting(run: Run, job: Job, whole: float | None) -> float | None:
    """Return the seconds in which a prediction wrote its answers, without the loading; None where nothing tells."""
    told, _ = (
        loads(read_text(path)) if (path := job.result / "predict_results.json").is_file() else ({}, None)
    )
    pace = told.get("predict_samples_per_second") if isinstance(told, dict) else None
    if pace:
        return len(list(_texts(run, names(job.values.get("eval_dataset"))))) / float(pace)
    return whole - LOADING if whole and whole > LOADING else None


def _base(job: Job, bases: dict[str, str]) -> str:
    named = str(job.values.get("model_name_or_path"))
    return bases.get(named, named)


def _tokens(run: Run, job: Job, base: str) -> int:
    """Return the tokens that a training sees, cut rows counted whole, or that a prediction reads and writes."""
    sets = names(job.values.get("dataset" if job.kind == "train" else "eval_dataset"))
    texts = list(_texts(run, sets))
    once = sum(_count(run, base, f"{asked}{answer}") for asked, answer in texts)
    if job.kind != "train" or not texts:
        return once
    plan = steps(job.values, len(texts))
    return round(once * plan.total / plan.an_epoch)


def _texts(run: Run, sets: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield (question, label) of each row of data sets."""
    prompt, query, response = (COLUMNS[key] for key in COLUMNS)
    for name in sets:
        for row in read_rows(run.data(name)) or ():
            history = "".join(f"{one}{two}" for one, two in row.get("history") or ())
            yield f"{history}{row.get(prompt) or ''}\n{row.get(query) or ''}", str(row.get(response) or "")


def _count(run: Run, base: str, text: str) -> int:
    folder = model_folder(run, base)
    path = folder / "tokenizer.json" if folder else None
    if path is None or not path.is_file():
        return round(len(text) / CHARACTERS)
    return _counted(path, text)


@lru_cache(maxsize=100_000)
def _counted(path: Path, text: str) -> int:
    return len(_tokenizer(path).encode(text).ids)


@lru_cache(maxsize=4)
def _tokenizer(path: Path) -> Json:
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(path))
