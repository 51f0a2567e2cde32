"""Load a model's tokenizer with the template of a recipe, with LlamaFactory's own code.

It imports torch and LlamaFactory, so it is for a process of its own, which ends with its memory.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from copy import copy
from functools import lru_cache
from itertools import cycle
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from etlch.core.errors import EtlchError
from etlch.core.locale import _
from etlch.core.run_folder import Run
from etlch.export.jobs import Job
from etlch.export.llamafactory import templates
from etlch.export.preflight.steps import model_folder
from etlch.export.preflight.values import Problem

UNCUT = 1_000_000
"""A cutoff_len that cuts nothing."""
_ROLES = ("user", "assistant")
Result = TypeVar("Result")


class Setup(NamedTuple):
    """What decides how a text becomes tokens."""

    model: str
    template: str
    trust: bool
    system: str | None
    thinking: bool = True


def in_own_process(work: Callable[[Run, list[Job]], Result], run: Run, jobs: list[Job]) -> Result:
    """Return what `work` makes of jobs in a process that may import LlamaFactory.

    Raises:
        EtlchError: LlamaFactory cannot be imported, or the process died of it.
    """
    try:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=_quiet) as pool:
            return pool.submit(work, run, jobs).result()
    except (BrokenProcessPool, ImportError) as error:
        raise EtlchError(
            _("LlamaFactory could not be imported"), _("`etlch-data doctor` says why.")
        ) from error


def _quiet() -> None:
    os.environ.setdefault("LLAMAFACTORY_VERBOSITY", "ERROR")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")


def has_tokenizer(run: Run, model: str) -> bool:
    """Tell whether a model's tokenizer is on this disk."""
    folder = model_folder(run, model)
    return folder is not None and any(
        (folder / name).is_file() for name in ("tokenizer.json", "tokenizer.model", "vocab.json")
    )


def loaded_from(jobs: Sequence[Job]) -> dict[str, str]:
    """Return model folder → the base model that it will be trained from, whose tokenizer it will have."""
    return {
        str(job.values.get("output_dir")): str(job.values.get("model_name_or_path"))
        for job in jobs
        if job.kind == "train"
    }


def setup_of(job: Job, bases: Mapping[str, str] = MappingProxyType({})) -> Setup:
    """Return what decides how a job's texts become tokens.

    Args:
        job: a job.
        bases: models that are yet to be trained, as loaded_from returns them.
    """
    values = job.values
    model = str(values.get("model_name_or_path"))
    return Setup(
        bases.get(model, model),
        str(values.get("template")),
        bool(values.get("trust_remote_code", False)),
        values.get("default_system"),
        bool(values.get("enable_thinking", True)),
    )


class Counter(NamedTuple):
    """A tokenizer, the processor of a model for images or audio, and a template, as LlamaFactory pairs them."""

    setup: Setup
    tokenizer: Any
    processor: Any
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
            processor=self.processor,
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
    """Return a model's tokenizer and template, or why they cannot be used."""
    from jinja2 import TemplateError
    from llamafactory.data import get_template_and_fix_tokenizer
    from llamafactory.hparams import DataArguments, ModelArguments
    from llamafactory.model import load_tokenizer

    # What tokenizers, templates and processors of foreign models raise is not documented.
    kinds = (OSError, ValueError, LookupError, TypeError, AttributeError, NotImplementedError, TemplateError)
    try:
        loaded = load_tokenizer(ModelArguments(model_name_or_path=setup.model, trust_remote_code=setup.trust))
        tokenizer = loaded["tokenizer"]
    except kinds as error:
        fix = f"`etlch-data doctor --hub {setup.model}` looks further."
        return None, Problem("error", f"no tokenizer of {setup.model}: {_first_line(error)}", fix)
    named = templates().get(setup.template)
    if named and named.media and loaded["processor"] is None:
        return None, Problem(
            "error",
            f"template {setup.template} needs a processor of images or audio, and {setup.model} has none",
            "Take the template of a model for text, or put the processor's files into the model's folder.",
        )
    try:
        data = DataArguments(
            template=setup.template, default_system=setup.system, enable_thinking=setup.thinking
        )
        template = copy(get_template_and_fix_tokenizer(tokenizer, data))  # the original is shared
        counter = Counter(setup, tokenizer, loaded["processor"], template)
        missing = any(None in ids for ids in counter.encode([(["Q"], "A")], UNCUT, False)[0])
    except Exception as error:
        if (
            not isinstance(error, kinds) and type(error) is not Exception
        ):  # tokenizers, in Rust, raise the bare class
            raise
        told = f"template {setup.template} does not fit {setup.model}: {_first_line(error)}"
        return None, Problem("error", told, _OWN_TEMPLATE)
    if missing:
        told = f"template {setup.template} writes tokens that {setup.model} does not have"
        return None, Problem("error", told, _OWN_TEMPLATE)
    return counter, Problem("note", "")


_OWN_TEMPLATE = "Name the template of this model: `etlch-data export RUN --template NAME`."


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def prompts(counter: Counter) -> tuple[str, str | None]:
    """Return one prompt as the template writes it in training, and as the tokenizer's chat template does.

    The second is None where the tokenizer has no chat template, or one that cannot be used.
    """
    from jinja2 import TemplateError

    asked = "QUESTION"
    trained = str(counter.tokenizer.decode(counter.encode([([asked], "ANSWER")], UNCUT, False)[0][0]))
    if not counter.tokenizer.chat_template:
        return trained, None
    try:
        served = counter.tokenizer.apply_chat_template(
            [{"role": "user", "content": asked}], add_generation_prompt=True, tokenize=False
        )
    except (TemplateError, TypeError, ValueError):
        return trained, None
    return trained, str(served)
