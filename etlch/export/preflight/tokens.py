"""Count what tokenizer and template make of a recipe's data sets, with LlamaFactory's own code.

LlamaFactory cuts what is longer than cutoff_len without a word: the end of the prompt with the
assistant's header, the end of the label with the token that ends it. This counts such samples. It
imports torch and LlamaFactory, so it works in a process of its own, which ends with its memory.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from etlch.core.errors import EtlchError
from etlch.core.files import read_text
from etlch.core.records import Json
from etlch.core.run_folder import Run
from etlch.export.data_files import COLUMNS, INFO
from etlch.export.jobs import Job, names, read_jobs
from etlch.export.llamafactory import installed
from etlch.export.preflight.counter import (
    UNCUT,
    Counter,
    Setup,
    counter_of,
    has_tokenizer,
    in_own_process,
    loaded_from,
    prompts,
    setup_of,
)
from etlch.export.preflight.data_files import read_rows
from etlch.export.preflight.findings import Finding, gathered, quick
from etlch.export.preflight.values import Problem
from etlch.text.json_text import loads

WASTED = 0.1
"""A larger share of samples that lose their label's end or their prompt's is an error."""
ROUND = 64
_SHOWN = 400
_BATCH = 200


class Lengths(NamedTuple):
    """Tokens of one sample: whole, and what cutoff_len leaves of it."""

    prompt: int
    label: int
    kept_prompt: int
    kept_label: int


class Piece(NamedTuple):
    """A stretch of a sample as the trainer sees it: its text, and whether it is trained on."""

    text: str
    trained: bool


@dataclass(frozen=True)
class Look:
    """What was found.

    Attributes:
        findings: as preflight's.
        sample: one training sample with its label mask; empty where nothing is trained.
        longest: recipe → tokens of its longest sample, as cutoff_len leaves it.
    """

    findings: tuple[Finding, ...]
    sample: tuple[Piece, ...]
    longest: dict[str, int] = field(default_factory=dict)


def look(run: Run, jobs: Sequence[Job]) -> Look:
    """Count the tokens of all data sets that jobs name; a hub may be asked for tokenizers."""
    try:
        return in_own_process(_look, run, list(jobs))
    except EtlchError as error:
        return Look(
            (Finding("error", f"tokens were not counted: {error.what}", ("preflight",), error.hint),), ()
        )


def at_export(run: Run) -> list[str]:
    """Return what an export has to say about its recipes: errors, warnings, and whether tokens were counted.

    They are, where LlamaFactory and the tokenizers of all trained models are on this disk; no hub is asked.
    """
    jobs = read_jobs(run)
    again = f"`etlch-data run {run.folder} --preflight` counts them"
    found = quick(run, jobs)
    needed = {str(job.values.get("model_name_or_path")) for job in jobs if job.kind == "train"}
    missing = sorted(name for name in needed if not has_tokenizer(run, name))
    last = []
    if not installed():
        last = [f"tokens were not counted: LlamaFactory is not installed; {again}"]
    elif missing:
        last = [f"tokens were not counted: no tokenizer of {', '.join(missing)} on this disk; {again}"]
    else:
        bases = loaded_from(jobs)
        here = [job for job in jobs if has_tokenizer(run, setup_of(job, bases).model)]
        found += look(run, here).findings
    return [str(finding) for finding in found if finding.level != "note"] + last


def _look(run: Run, jobs: Sequence[Job]) -> Look:
    """Do the work of look, in the process that was made for it."""
    run = Run(run.folder.resolve())
    os.chdir(run.folder)  # recipes name models as seen from here
    found: list[tuple[str, Problem]] = []
    sample: tuple[Piece, ...] = ()
    longest: dict[tuple[Setup, int], Lengths] = {}
    whole: dict[str, int] = {}
    bases = loaded_from(jobs)
    for job in jobs:
        if job.kind == "export":
            continue
        setup = setup_of(job, bases)
        counter, problem = counter_of(setup)
        if counter is None:
            found.append((setup.model, problem))
            continue
        cutoff = int(job.values.get("cutoff_len", 2048))
        for name in job.data_sets:
            lengths = _lengths(run, setup, name, cutoff, job.kind)
            most = longest.get((setup, cutoff), Lengths(0, 0, 0, 0))
            whole[job.stem] = max(
                (one.kept_prompt + one.kept_label for one in lengths), default=whole.get(job.stem, 0)
            )
            longest[setup, cutoff] = Lengths(*map(max, zip(most, *lengths, strict=True)))
            found += [(name, problem) for problem in _cut(lengths, cutoff, job)]
        if not job.values.get("resize_vocab"):
            found += [(setup.model, problem) for problem in _embedding(counter)]
        if job.kind == "train" and not sample:
            sample = _sample(run, job, counter)
    for (setup, cutoff), most in longest.items():
        counter, _ = counter_of(setup)
        found.append((setup.model, _told(most, cutoff)))
        if counter is not None:
            found += [(setup.model, problem) for problem in (*_window(counter, most), *_parity(counter))]
    return Look(tuple(gathered(found)), sample, whole)


@lru_cache(maxsize=256)
def _lengths(run: Run, setup: Setup, name: str, cutoff: int, kind: str) -> tuple[Lengths, ...]:
    counter, _ = counter_of(setup)
    pairs = _pairs(run, name)
    if counter is None or not pairs:
        return ()
    train = kind == "train"
    found = []
    for start in range(0, len(pairs), _BATCH):
        part = pairs[start : start + _BATCH]
        whole, left = (counter.encode(part, limit, train) for limit in (UNCUT, cutoff))
        for one, other in zip(whole, left, strict=True):
            found.append(Lengths(*_split(one, train), *_split(other, train)))
    return tuple(found)


def _split(sample: tuple[list[int], list[int]], train: bool) -> tuple[int, int]:
    """Return tokens of prompt and label."""
    inputs, labels = sample
    if not train:
        return len(inputs), len(labels)
    masked = sum(label == -100 for label in labels)
    return masked, len(labels) - masked


def _pairs(run: Run, name: str) -> list[tuple[list[str], str]]:
    """Return (turns, label) of a data set in the alpaca form, joined as LlamaFactory joins them."""
    info, _ = loads(read_text(run.llamafactory / INFO))
    entry: Json = info.get(name) if isinstance(info, dict) else None
    if (
        not isinstance(entry, dict)
        or entry.get("formatting", "alpaca") != "alpaca"
        or not entry.get("file_name")
    ):
        return []
    columns = entry.get("columns") or COLUMNS
    prompt, query, response = (columns.get(key) for key in COLUMNS)
    rows = read_rows(run.llamafactory / str(entry["file_name"])) or []
    pairs = []
    for row in rows:
        asked = "\n".join(str(row[column]) for column in (prompt, query) if column and row.get(column))
        earlier = [turn for turns in row.get(columns.get("history") or "") or () for turn in turns]
        pairs.append(([*earlier, asked], str(row.get(response or "") or "")))
    return pairs


def _told(most: Lengths, cutoff: int) -> Problem:
    told = f"cutoff_len {cutoff:,}: the longest prompt has {most.prompt:,} tokens, the longest label {most.label:,}"
    return Problem("note", told)


def _cut(lengths: Sequence[Lengths], cutoff: int, job: Job) -> Iterator[Problem]:
    """Yield what cutoff_len and max_new_tokens would take away."""
    if not lengths:
        return
    total = len(lengths)
    longest = max(one.prompt + one.label for one in lengths)
    fix = f"Say cutoff_len: {rounded_up(longest)}, or cut articles with the setting `chunk`."
    lost = (
        (
            sum(one.kept_label < one.label for one in lengths),
            "the end of their label and the token that ends it",
        ),
        (
            sum(one.kept_prompt < one.prompt for one in lengths),
            "their prompt's end and the assistant's header",
        ),
    )
    for count, what in lost:
        if count:
            yield Problem(
                _level(count, total), f"cutoff_len {cutoff}: {count} of {total} samples lose {what}", fix
            )
    if job.kind == "train":
        return
    room = int(job.values.get("max_new_tokens", 1024))
    label = max(one.label for one in lengths)
    over = sum(one.label > room for one in lengths)
    if over:
        told = f"max_new_tokens {room}: {over} of {total} labels are longer, the longest {label}"
        yield Problem(_level(over, total), told, f"Say max_new_tokens: {rounded_up(label)}.")


def _level(count: int, total: int) -> Any:
    return "error" if count > WASTED * total else "warning"


def rounded_up(tokens: int) -> int:
    """Return the next multiple of ROUND."""
    return -(-tokens // ROUND) * ROUND


def _text_config(counter: Counter) -> Any:
    """Return the configuration of the model's part for text."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(counter.setup.model, trust_remote_code=counter.setup.trust)
    return config.get_text_config()


def _embedding(counter: Counter) -> Iterator[Problem]:
    """Yield tokens that the template adds and the model's embedding has no rows for."""
    rows = getattr(_text_config(counter), "vocab_size", None)
    added = sorted(token for token, place in counter.tokenizer.get_vocab().items() if rows and place >= rows)
    if added:
        yield Problem(
            "error",
            f"template {counter.setup.template} adds {', '.join(added)}, and {counter.setup.model} has {rows:,} rows "
            "of embeddings, all of them taken: training would fail",
            "Take the model's own template, or say resize_vocab: true and additional_target: embed_tokens,lm_head.",
        )


def _window(counter: Counter, most: Lengths) -> Iterator[Problem]:
    """Yield samples that are longer than the model's own window."""
    window = getattr(_text_config(counter), "max_position_embeddings", None)
    if window and most.prompt + most.label > window:
        told = f"samples have up to {most.prompt + most.label:,} tokens, the model's window {window:,}"
        yield Problem("warning", told, "Cut articles with the setting `chunk`.")


def _parity(counter: Counter) -> Iterator[Problem]:
    """Yield how the chat template that an export carries differs from the training template."""
    trained, served = prompts(counter)
    if served is None:
        told = "the export will carry no chat template: servers that need one refuse it or take their own"
        yield Problem("warning", told, "Serve it with the training template.")
        return
    if trained == served:
        return
    pairs = enumerate(zip(trained, served, strict=False))
    place = next((at for at, (one, two) in pairs if one != two), min(len(trained), len(served)))
    ours, theirs = (text[max(0, place - 20) : place + 60] for text in (trained, served))
    yield Problem(
        "warning",
        f"the model is trained with one prompt and served with another, from character {place} on: "
        f"template {counter.setup.template} writes {ours!r}, the export's chat template {theirs!r}",
        "`etlch-data run RUN --exports` writes the training template into the export, llamafactory-cli does not.",
    )


def _sample(run: Run, job: Job, counter: Counter) -> tuple[Piece, ...]:
    """Return the first training sample as the trainer sees it, cut where cutoff_len cuts."""
    pairs = _pairs(run, names(job.values.get("dataset"))[0])
    if not pairs:
        return ()
    inputs, labels = counter.encode(pairs[:1], int(job.values.get("cutoff_len", 2048)), True)[0]
    pieces: list[Piece] = []
    start = 0
    for end in range(1, len(inputs) + 1):
        if end == len(inputs) or (labels[end] == -100) != (labels[start] == -100):
            text = counter.tokenizer.decode(inputs[start:end])
            pieces.append(Piece(_shortened(text), labels[start] != -100))
            start = end
    return tuple(pieces)


def _shortened(text: str) -> str:
    if len(text) <= 2 * _SHOWN:
        return text
    return f"{text[:_SHOWN]} … {len(text) - 2 * _SHOWN:,} characters … {text[-_SHOWN:]}"
