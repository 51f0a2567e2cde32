"""Read the facts of one record and its article, return the located facts with spans and the ungrounded ones.

Each part that must stand in the article is searched there, under the policy of its field:

- verbatim (the default): found in any form, it is written in the article's own characters, on one line;
- normalised: found in any form, it is written in plain digits or as an ISO 8601 date;
- number: found in any form, it is written as the JSON number that it was stated as;
- derived: it is kept as it is and not searched;
- one of a list: it must be one of the listed values, and is written as the list writes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from etlch.core.records import Fact, Located, Span
from etlch.tasks import Task
from etlch.tasks.base import policy_names
from etlch.text.locate import locate, normal_text, one_line
from etlch.text.normalize import fact_form

Policy = str | Sequence[str]
"""`verbatim`, `normalised`, `number`, `derived`, or the listed values."""

_VERBATIM: Mapping[str, Policy] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Grounded:
    """The facts of a record, divided.

    Attributes:
        located: the facts that stand in the article, by first position, without repeats.
        ungrounded: the facts that do not, in the order given.
    """

    located: tuple[Located, ...]
    ungrounded: tuple[Fact, ...]


def ground(
    facts: Sequence[Fact], task: Task, article: str, policies: Mapping[str, Policy] = _VERBATIM
) -> Grounded:
    """Locate the facts of one record in its article.

    Args:
        facts: as the teacher or annotator stated them.
        task: says which parts of a fact must stand in the article.
        article: the article's text.
        policies: field, entity type, relation or part name ("object") → policy.

    Returns:
        The located facts and the ungrounded ones.
    """
    located: dict[Fact, Located] = {}
    ungrounded: dict[Fact, None] = {}
    for fact in facts:
        found = _locate_fact(fact, task, article, policies)
        if found is None:
            ungrounded.setdefault(fact)
        else:
            located.setdefault(tuple(fact_form(part) for part in found.fact), found)
    return Grounded(tuple(sorted(located.values(), key=_position)), tuple(ungrounded))


def _locate_fact(fact: Fact, task: Task, article: str, policies: Mapping[str, Policy]) -> Located | None:
    parts = list(fact)
    spans: list[Span | None] = [None] * len(fact)
    for index in task.grounded:
        result = _apply(_policy(fact, index, task, policies), fact[index], article)
        if result is None:
            return None
        parts[index], spans[index] = result
    return Located(tuple(parts), tuple(spans))


def _policy(fact: Fact, index: int, task: Task, policies: Mapping[str, Policy]) -> Policy:
    """Return the policy that names this part, or one of the fact's fields, types or relations."""
    if not policies:
        return "verbatim"
    names = policy_names(fact, index, task)
    return next((policies[name] for name in names if name in policies), "verbatim")


def _apply(policy: Policy, value: str, article: str) -> tuple[str, Span | None] | None:
    """Return the value as the label writes it, with its span; None if the policy refuses it."""
    if policy == "derived":
        return value.strip(), None
    place = locate(value, article)
    span = None if place is None else (place.start, place.end)
    if not isinstance(policy, str):
        listed = {fact_form(item).casefold(): item for item in policy}.get(fact_form(value).casefold())
        return None if listed is None else (listed, span)
    if place is None:
        return None
    if policy == "number":
        return value.strip(), span
    found = one_line(place.text)
    return (normal_text(found) if policy == "normalised" else found), span


def _position(located: Located) -> tuple[int, ...]:
    """Return the starts of a fact's spans in ascending order, for sorting; facts without spans come last."""
    return tuple(sorted(span[0] for span in located.spans if span is not None)) or (2**62,)
