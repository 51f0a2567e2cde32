"""Divide labelled texts into a test set and training texts: by official splits, else by a draw; leave out the unusable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from etlch.core.files import digest
from etlch.core.records import Rejected
from etlch.core.settings import Settings
from etlch.dataset.dedup import Deduplicator
from etlch.dataset.readers.ground import ground_labelled
from etlch.dataset.readers.labelled import LabelledText, lost_labels
from etlch.dataset.splits import FOLD
from etlch.tasks import Task
from etlch.tasks.own_schema import broken_by
from etlch.text.normalize import special_tokens

SHARE, MOST = 5, 300
"""Without an official test set every fifth document, at most 300 of them, becomes it."""


class Chosen(NamedTuple):
    """Texts in the order of the run: the test set, then the training texts with validation at every tenth place.

    Texts that nearly copy one of a test set that was drawn here are `leaking`, and left out. Official splits stay.
    """

    texts: list[LabelledText]
    test: int
    leaking: list[LabelledText]


def in_order(splits: Mapping[str, list[LabelledText]], test_size: int | None) -> Chosen:
    """Return the texts in the order of a run, drawn by a hash of their names.

    Args:
        splits: texts by official split; those under "" belong to none.
        test_size: texts of the test set; None takes all of an official one, else a fifth of the documents.
    """
    unnamed = _by_hash(splits.get("", []))
    test = _by_hash(splits.get("test", []))
    train = _by_hash(splits.get("train", []))
    validation = _by_hash(splits.get("validation", []))
    leaking: list[LabelledText] = []
    if not test:
        test, rest = _held_out(unnamed or train, test_size)
        rest, leaking = _without_copies(rest, test)
        train = rest if unnamed and not train else [*train, *rest] if unnamed else rest
    else:
        train += unnamed
    if test_size is not None:
        test = test[:test_size]
    return Chosen([*test, *_interleaved(train, validation)], len(test), leaking)


def _by_hash(texts: Sequence[LabelledText]) -> list[LabelledText]:
    """Return texts in an order that depends on their names alone; those of one document stay together."""
    return sorted(texts, key=lambda text: (digest(text.document), text.document, digest(text.name)))


def _held_out(
    texts: Sequence[LabelledText], wanted: int | None
) -> tuple[list[LabelledText], list[LabelledText]]:
    """Return a test set of whole documents, and the rest."""
    documents = list(dict.fromkeys(text.document for text in texts))
    share = min(MOST, len(documents) // SHARE)
    if wanted is not None:
        sizes = Counter(text.document for text in texts)
        share, total = 0, 0
        while share < len(documents) and total < wanted:
            total += sizes[documents[share]]
            share += 1
    test_documents = set(documents[:share])
    return [text for text in texts if text.document in test_documents], [
        text for text in texts if text.document not in test_documents
    ]


def _without_copies(
    texts: Sequence[LabelledText], test: Sequence[LabelledText]
) -> tuple[list[LabelledText], list[LabelledText]]:
    """Return the texts that are no near copies of a test text, and those that are."""
    tested = Deduplicator()
    for text in test:
        tested.add(text.name, text.text)
    leaking = [tested.find(text.text) is not None for text in texts]
    pairs = list(zip(texts, leaking, strict=True))
    return [text for text, leaks in pairs if not leaks], [text for text, leaks in pairs if leaks]


def _interleaved(train: list[LabelledText], validation: list[LabelledText]) -> list[LabelledText]:
    """Return training texts with an official validation text at every place that splits takes for validation."""
    if not validation:
        return train
    mixed: list[LabelledText] = []
    sources = {False: iter(train), True: iter(validation)}
    while True:
        text = next(sources[len(mixed) % FOLD == FOLD - 1], None)
        if text is None:
            return mixed
        mixed.append(text)


def without_unusable(
    splits: Mapping[str, list[LabelledText]], task: Task, settings: Settings
) -> tuple[dict[str, list[LabelledText]], list[Rejected]]:
    """Return the texts that can be records, by split, and the others with their reasons.

    A text that lost all of its labels is none: as an empty record it would teach to answer nothing.
    """
    kept: dict[str, list[LabelledText]] = {split: [] for split in splits}
    left_out = []
    for split, texts in splits.items():
        for text in texts:
            reason, _, detail = (unusable(text, task) or _ungrounded(text, task, settings)).partition(": ")
            if reason:
                reasons = (reason, detail) if detail else (reason,)
                left_out.append(Rejected(text.name, task.name, "import", reasons, text.text))
            else:
                kept[split].append(text)
    return kept, left_out


def unusable(text: LabelledText, task: Task) -> str:
    """Return why nobody can know the label of a text, after a colon more of it; empty where it is known."""
    if not text.text.strip():
        return "no text"
    if not text.facts and (lost := lost_labels(text)):
        return lost[0].partition(":")[0]
    if task.leaf_facts and (why := broken_by([item.fact for item in text.facts], task)):
        return f"the label breaks the schema: {why}"
    tokens = special_tokens(text.text)
    return f"the text contains the control text {tokens[0]}" if tokens else ""


def _ungrounded(text: LabelledText, task: Task, settings: Settings) -> str:
    """Return what is wrong with a text whose labels are all to be dropped, as none stands in it."""
    if settings.check.ungrounded == "keep" or not text.facts:
        return ""
    one_by_one = (replace(text, facts=(item,)) for item in text.facts)
    language, policies = settings.plan.language, settings.check.policies
    if any(ground_labelled(one, task, language, policies)[0] for one in one_by_one):
        return ""
    return "none of its labels stands in the text"


def by_reason(rejected: Sequence[Rejected]) -> str:
    """Return what was left out in words, counted by its first reason."""
    counts = Counter(item.reasons[0] for item in rejected)
    return ", ".join(f"{count:,} × {reason}" for reason, count in counts.most_common(6))
