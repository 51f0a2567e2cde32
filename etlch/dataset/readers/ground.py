"""Locate the facts of a labelled text: at the offsets of the source, else where they are found."""

from __future__ import annotations

from collections.abc import Mapping

from etlch.core.records import Located
from etlch.dataset.grounding import Policy, ground
from etlch.dataset.readers.labelled import LabelledFact, LabelledText
from etlch.tasks import Task


def ground_labelled(
    text: LabelledText, task: Task, language: str, policies: Mapping[str, Policy]
) -> tuple[list[Located], list[LabelledFact]]:
    """Return the facts of a text with their spans, in the order of the text, and those that are not in it.

    Offsets of the source are kept where the text there is the fact's part; else the part is searched. A fact that
    its task cannot write, such as a triple that holds the separator, counts as not in the text. No fact twice.

    Args:
        text: with its labels.
        task: says which parts must stand in the text.
        language: of the labels; a task's separators depend on it.
        policies: settings.check.policies.
    """
    located: dict[tuple[str, ...], Located] = {}
    ungrounded: dict[tuple[str, ...], LabelledFact] = {}
    for item in text.facts:
        told = all(
            (span := item.spans[part]) is not None and text.text[span[0] : span[1]] == item.fact[part]
            for part in task.grounded
        )
        found = (
            [Located(item.fact, item.spans)]
            if told
            else ground([item.fact], task, text.text, policies).located
        )
        if found and not task.problems([found[0].fact], language):
            located.setdefault(found[0].fact, found[0])
        else:
            ungrounded.setdefault(item.fact, item)
    return sorted(located.values(), key=_first_place), list(ungrounded.values())


def _first_place(item: Located) -> tuple[int, ...]:
    return tuple(sorted(span[0] for span in item.spans if span is not None)) or (2**62,)
