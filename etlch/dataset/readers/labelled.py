"""What every reader of labelled data returns: texts with their facts and where these stand."""

from __future__ import annotations

from dataclasses import dataclass

from etlch.core.records import Fact, Span


@dataclass(frozen=True, slots=True)
class LabelledFact:
    """A fact as a person labelled it.

    Attributes:
        fact: its parts, as in the task's labels.
        spans: where each part stands in the text, in characters; None for parts without offsets.
    """

    fact: Fact
    spans: tuple[Span | None, ...]


@dataclass(frozen=True, slots=True)
class LabelledText:
    """One text with its labels.

    Attributes:
        name: what the source calls it, else file and place; the same between imports.
        document: what it was cut from; texts of one document stay on one side of the test set's border.
        text: the text.
        facts: labels, in the order of the source.
        dropped: labels that could not be read or were left out, each with its reason.
        instruction: what the source asks with this text, where it says so; empty otherwise.
        fields: names of the label's fields where the source lists them, present or not.
        target: the label word for word, where the source is a file to train on (alpaca, sharegpt, messages).
    """

    name: str
    document: str
    text: str
    facts: tuple[LabelledFact, ...]
    dropped: tuple[str, ...] = ()
    instruction: str = ""
    fields: tuple[str, ...] = ()
    target: str | None = None


_MEANT = ("relation '", "region of type")
"""How reasons begin that tell of labels left out by the setting `drop`, or of kinds that no task knows."""


def lost_labels(text: LabelledText) -> tuple[str, ...]:
    """Return the reasons for which labels of a text could not be read; those left out on purpose are not lost."""
    return tuple(reason for reason in text.dropped if not reason.startswith(_MEANT))


def entity(kind: str, start: int, end: int, text: str) -> LabelledFact:
    """Return a (type, mention) fact from offsets; blank edges are left out of the mention."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return LabelledFact((kind, text[start:end]), (None, (start, end)))


def plain_fact(fact: Fact) -> LabelledFact:
    """Return a fact whose place the source does not tell."""
    return LabelledFact(fact, (None,) * len(fact))
