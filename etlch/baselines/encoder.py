"""Tune an encoder such as BERT as token classifier, return what tags tokens with it.

Devlin et al. 2019, section 5.3: one layer over the last hidden states, a tag for the first sub-word of each token. The
trainer is that of transformers. Small training sets are passed over long enough, with warm-up (Mosbach et al. 2021,
arXiv 2006.04884). An article longer than the model's window is read in windows that overlap by a quarter; a token takes
the tag of the window in which it stands farther from an edge.
"""

from __future__ import annotations

import re
import tempfile
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from etlch.baselines.tagging import OUTSIDE, Sentence, Tagger
from etlch.core.errors import EtlchError
from etlch.core.extras import need
from etlch.core.locale import _
from etlch.core.records import Model

NAME = "encoder"
"""`etlch-data predict --model encoder:NAME`; its folders are `encoder-<last part of NAME>-<size>-s<seed>`."""

EPOCHS, LEAST_STEPS, BATCH = 20, 300, 8
LEARNING_RATE = 1e-4
WINDOW = 512
_IGNORED = -100
"""The label that the loss of transformers passes over."""


class _Window(NamedTuple):
    """A stretch of an article for the model: token ids, and for each the tokens (first, end) that begin in it."""

    ids: list[int]
    holds: list[tuple[int, int]]


class Encoder(NamedTuple):
    """A loaded model, its tokenizer, and its tags in the order of its outputs."""

    weights: Any
    tokenizer: Any
    tags: list[str]


def require() -> None:
    """Stop where a package is missing.

    Raises:
        EtlchError: names it and the extra that brings it.
    """
    need("encoder", "--model encoder", "torch", "transformers", "accelerate")


def model_name(base: str) -> str:
    """Return the name of a baseline that tunes this hub model or folder.

    Raises:
        EtlchError: none is named.
    """
    name = re.sub(r"[^\w.-]+", "-", base.rstrip("/").rpartition("/")[2]).strip("-.")
    if not name:
        raise EtlchError(
            _("--model encoder names no model"),
            _("Name a hub model or a folder behind a colon, such as encoder:google-bert/bert-base-cased."),
        )
    return f"{NAME}-{name}"


def trainer(base: str) -> Callable[[Sequence[Sentence], Model], Tagger]:
    """Return what tunes this hub model or folder on tagged sentences, with the model's seed."""

    def train(samples: Sequence[Sentence], model: Model) -> Tagger:
        known = [sample for sample in samples if sample.tokens]
        if not known:
            return lambda sentences: [[OUTSIDE] * len(one.tokens) for one in sentences]
        seed = model.seed or 0
        encoder = load(base, sorted({tag for sample in known for tag in sample.tags} | {OUTSIDE}), seed)
        _tune(encoder, known, seed)
        return lambda sentences: [_tag(encoder, one) for one in sentences]

    return train


def load(base: str, tags: Sequence[str], seed: int) -> Encoder:
    """Load a model with a new last layer for these tags.

    Raises:
        EtlchError: no such model, one that transformers cannot use so, or one without a fast tokenizer.
    """
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.set_seed(seed)
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(base)
        weights = transformers.AutoModelForTokenClassification.from_pretrained(
            base, num_labels=len(tags), ignore_mismatched_sizes=True
        )
    except (OSError, ValueError) as error:
        raise EtlchError(
            _("--model encoder: {base} cannot be loaded as a token classifier: {splitlines}").format(
                base=base, splitlines=str(error).strip().splitlines()[0]
            ),
            _("Name a folder, or an encoder of the hub such as google-bert/bert-base-cased."),
        ) from error
    if not tokenizer.is_fast:
        raise EtlchError(
            _("--model encoder: {base} has no fast tokenizer, which tells where sub-words stand").format(
                base=base
            ),
            _("Name another encoder."),
        )
    return Encoder(weights, tokenizer, list(tags))


def _tune(encoder: Encoder, samples: Sequence[Sentence], seed: int) -> None:
    """Train all weights on the sentences."""
    from transformers import DataCollatorForTokenClassification, PrinterCallback, Trainer, TrainingArguments

    number = {tag: place for place, tag in enumerate(encoder.tags)}
    rows = [
        {
            "input_ids": window.ids,
            "attention_mask": [1] * len(window.ids),
            "labels": [
                number[sample.tags[first]] if first < end else _IGNORED for first, end in window.holds
            ],
        }
        for sample in samples
        for window in _windows(encoder, sample)
    ]
    steps = max(EPOCHS * -(-len(rows) // BATCH), LEAST_STEPS)
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            max_steps=steps,
            warmup_steps=steps // 10,
            learning_rate=LEARNING_RATE,
            weight_decay=0.01,
            per_device_train_batch_size=BATCH,
            seed=seed,
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
            dataloader_pin_memory=False,
        )
        made = Trainer(
            model=encoder.weights,
            args=arguments,
            train_dataset=rows,
            data_collator=DataCollatorForTokenClassification(encoder.tokenizer),
        )
        made.remove_callback(PrinterCallback)
        made.train()


def _tag(encoder: Encoder, sentence: Sentence) -> list[str]:
    """Return the tag of each token."""
    import torch

    tags = [OUTSIDE] * len(sentence.tokens)
    margins = [-1] * len(sentence.tokens)
    encoder.weights.eval()
    for window in _windows(encoder, sentence):
        with torch.no_grad():
            fed = torch.tensor([window.ids], device=encoder.weights.device)
            best = encoder.weights(input_ids=fed).logits[0].argmax(-1).tolist()
        for place, (first, end) in enumerate(window.holds):
            margin = min(place, len(best) - 1 - place)
            if first < end and margin > margins[first]:
                tag = encoder.tags[best[place]]
                inside = tag if tag == OUTSIDE else f"I{tag[1:]}"
                tags[first:end] = [tag, *[inside] * (end - first - 1)]
                margins[first:end] = [margin] * (end - first)
    return tags


def _windows(encoder: Encoder, sentence: Sentence) -> Iterator[_Window]:
    """Yield the windows of an article. A token belongs to the sub-word in which it begins."""
    limit = min(
        WINDOW,
        encoder.tokenizer.model_max_length,
        getattr(encoder.weights.config, "max_position_embeddings", None) or WINDOW,
    )
    coded = encoder.tokenizer(
        sentence.text,
        truncation=True,
        max_length=limit,
        stride=limit // 4,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    starts = [start for start, _ in sentence.tokens]
    for ids, offsets in zip(coded["input_ids"], coded["offset_mapping"], strict=True):
        yield _Window(ids, [(bisect_left(starts, start), bisect_left(starts, end)) for start, end in offsets])
