"""Count what tokenizer and template make of a recipe's data sets, with LlamaFactory's own code.

LlamaFactory cuts what is longer than cutoff_len without a word: the end of the prompt with the
assistant's header, the end of the label with the token that ends it. This counts such samples. It
imports torch and LlamaFactory, so it works in a process of its own, which ends with its memory.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from itertools import cycle
from typing import Any, NamedTuple, TypeVar

from etlch.core.files import read_text
from etlch.core.records import Json
from etlch.core.run_folder import Run
from etlch.export.data_files import COLUMNS, INFO
from etlch.export.jobs import Job, names, read_jobs
from etlch.export.preflight.data_files import read_rows
from etlch.export.preflight.findings import Finding, gathered, quick
from etlch.export.preflight.steps import model_folder
from etlch.export.preflight.values import Problem
from etlch.text.json_text import loads

WASTED = 0.1
"""A larger share of samples that lose their label's end or their prompt's is an error."""
ROUND = 64
UNCUT = 1_000_000
_ROLES = ("user", "assistant")
_SHOWN = 400
_BATCH = 200
Result = TypeVar("Result")


class Setup(NamedTuple):
    """What decides how a text becomes tokens."""

    model: str
    template: str
    trust: bool
    system: str | None


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
    """

    findings: tuple[Finding, ...]
    sample: tuple[Piece, ...]


def look(run: Run, jobs: Sequence[Job]) -> Look:
    """Count the tokens of all data sets that jobs name; a hub may be asked for tokenizers."""
    try:
        return in_own_process(_look, run, list(jobs))
    except BrokenProcessPool:
        told = "LlamaFactory could not be imported to count tokens"
        return Look((Finding("error", told, ("preflight",), "`etlch-data doctor` says why."),), ())


def in_own_process(work: Callable[[Run, list[Job]], Result], run: Run, jobs: list[Job]) -> Result:
    """Return what `work` makes of jobs in a process that may import LlamaFactory.

    Raises:
        BrokenProcessPool: the process died, most likely while importing it.
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=_quiet) as pool:
        return pool.submit(work, run, jobs).result()


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
    if find_spec("llamafactory") is None:
        last = [f"tokens were not counted: LlamaFactory is not installed; {again}"]
    elif missing:
        last = [f"tokens were not counted: no tokenizer of {', '.join(missing)} on this disk; {again}"]
    else:
        here = [job for job in jobs if has_tokenizer(run, str(job.values.get("model_name_or_path")))]
        found += look(run, here).findings
    return [str(finding) for finding in found if finding.level != "note"] + last


def has_tokenizer(run: Run, model: str) -> bool:
    """Tell whether a model's tokenizer is on this disk."""
    folder = model_folder(run, model)
    return folder is not None and any(
        (folder / name).is_file() for name in ("tokenizer.json", "tokenizer.model", "vocab.json")
    )


def _quiet() -> None:
    os.environ.setdefault("LLAMAFACTORY_VERBOSITY", "ERROR")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")


def _look(run: Run, jobs: Sequence[Job]) -> Look:
    """Do the work of look, in the process that was made for it."""
    run = Run(run.folder.resolve())
    os.chdir(run.folder)  # recipes name models as seen from here
    found: list[tuple[str, Problem]] = []
    sample: tuple[Piece, ...] = ()
    longest: dict[tuple[Setup, int], Lengths] = {}
    for job in jobs:
        if job.kind == "export":
            continue
        setup = setup_of(job)
        counter, problem = counter_of(setup)
        if counter is None:
            found.append((setup.model, problem))
            continue
        cutoff = int(job.values.get("cutoff_len", 2048))
        for name in job.data_sets:
            lengths = _lengths(run, setup, name, cutoff, job.kind)
            most = longest.get((setup, cutoff), Lengths(0, 0, 0, 0))
            longest[setup, cutoff] = Lengths(*map(max, zip(most, *lengths, strict=True)))
            found += [(name, problem) for problem in _cut(lengths, cutoff, job)]
        if job.kind == "train" and not sample:
            sample = _sample(run, job, counter)
    for (setup, cutoff), most in longest.items():
        counter, _ = counter_of(setup)
        found.append((setup.model, _told(most, cutoff)))
        found += [(setup.model, problem) for problem in (*_window(counter, most), *_parity(counter))]
    return Look(tuple(gathered(found)), sample)


def setup_of(job: Job) -> Setup:
    """Return what decides how a job's texts become tokens."""
    values = job.values
    return Setup(
        str(values.get("model_name_or_path")),
        str(values.get("template")),
        bool(values.get("trust_remote_code", False)),
        values.get("default_system"),
    )


class Counter(NamedTuple):
    """A tokenizer and a template, as LlamaFactory pairs them."""

    setup: Setup
    tokenizer: Any
    template: Any

    def encode(
        self, pairs: Sequence[tuple[Sequence[str], str]], cutoff: int, train: bool
    ) -> list[tuple[list[int], list[int]]]:
        """Return (input ids, label ids) of samples, turns and a label, as LlamaFactory's processors make them.

        In training the labels are as long as the inputs, -100 where nothing is learnt; in
        predicting they are the label alone.
        """
        from llamafactory.data.processor import SupervisedDatasetProcessor, UnsupervisedDatasetProcessor
        from llamafactory.hparams import DataArguments

        kind = SupervisedDatasetProcessor if train else UnsupervisedDatasetProcessor
        processor = kind(
            template=self.template,
            tokenizer=self.tokenizer,
            processor=None,
            data_args=DataArguments(template=self.setup.template, cutoff_len=cutoff),
        )
        none: list[None] = [None] * len(pairs)
        examples = {
            "_prompt": [
                [{"role": role, "content": turn} for role, turn in zip(cycle(_ROLES), turns, strict=False)]
                for turns, _ in pairs
            ],
            "_response": [[{"role": "assistant", "content": answer}] for _, answer in pairs],
            "_system": [""] * len(pairs),
            "_tools": [""] * len(pairs),
            **dict.fromkeys(("_images", "_videos", "_audios"), none),
        }
        made = processor.preprocess_dataset(examples)
        return list(zip(made["input_ids"], made["labels"], strict=True))


@lru_cache(maxsize=8)
def counter_of(setup: Setup) -> tuple[Counter | None, Problem]:
    """Return a model's tokenizer and template, or why there are none."""
    from llamafactory.data import get_template_and_fix_tokenizer
    from llamafactory.hparams import DataArguments, ModelArguments
    from llamafactory.model import load_tokenizer

    try:
        arguments = ModelArguments(model_name_or_path=setup.model, trust_remote_code=setup.trust)
        tokenizer = load_tokenizer(arguments)["tokenizer"]
        data = DataArguments(template=setup.template, default_system=setup.system)
        template = get_template_and_fix_tokenizer(tokenizer, data)
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        mend = f"`etlch-data doctor --hub {setup.model}` looks further."
        return None, Problem("error", f"no tokenizer or template of {setup.model}: {reason}", mend)
    return Counter(setup, tokenizer, template), Problem("note", "")


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
    mend = f"Say cutoff_len: {rounded_up(longest)}, or cut articles with the setting `chunk`."
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
                _level(count, total), f"cutoff_len {cutoff}: {count} of {total} samples lose {what}", mend
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


def _window(counter: Counter | None, most: Lengths) -> Iterator[Problem]:
    """Yield samples that are longer than the model's own window."""
    if counter is None:
        return
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(counter.setup.model, trust_remote_code=counter.setup.trust)
    window = getattr(config, "max_position_embeddings", None)
    if window and most.prompt + most.label > window:
        told = f"samples have up to {most.prompt + most.label:,} tokens, the model's window {window:,}"
        yield Problem("warning", told, "Cut articles with the setting `chunk`.")


def _parity(counter: Counter | None) -> Iterator[Problem]:
    """Yield how the chat template that an export carries differs from the training template."""
    if counter is None:
        return
    if not counter.tokenizer.chat_template:
        told = "the export will carry no chat template: servers that need one refuse it or take their own"
        yield Problem("warning", told, "Serve it with the training template.")
        return
    trained, served = prompts(counter)
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


def prompts(counter: Counter) -> tuple[str, str]:
    """Return one prompt as the template writes it in training, and as the tokenizer's chat template does."""
    asked = "QUESTION"
    trained = counter.tokenizer.decode(counter.encode([([asked], "ANSWER")], UNCUT, False)[0][0])
    served = counter.tokenizer.apply_chat_template(
        [{"role": "user", "content": asked}], add_generation_prompt=True, tokenize=False
    )
    return str(trained), str(served)


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
