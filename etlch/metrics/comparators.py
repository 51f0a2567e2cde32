"""Compare values of a field by the rule that the setting `compare` names for it.

A rule is `exact`, `normalised` (numerals and dates in one form, case and width folded), `number`, `number±0.5`,
`number±1%`, `date`, or `fuzzy≥0.9` (rapidfuzz's normalised Indel similarity, 1 = equal). +- stands for ±, >= for ≥.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from etlch.core.errors import EtlchError
from etlch.core.locale import _
from etlch.core.records import Fact
from etlch.metrics.facts import FactPair
from etlch.tasks.base import Task
from etlch.text.locate import folded, normal_text

_RULE = re.compile(
    r"(?P<kind>exact|normalised|date|number|fuzzy)\s*"
    r"(?:(?:±|\+-)\s*(?P<tolerance>[\d.]+)\s*(?P<percent>%?)|(?:≥|>=)\s*(?P<least>[\d.]+))?"
)
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_DATE = re.compile(r"\d{4}(?:-\d{2}(?:-\d{2})?)?")
_ITEM = re.compile(r"/#\d+(?=/|\Z)")


@dataclass(frozen=True)
class Rule:
    """How the values of one field are compared.

    Attributes:
        kind: exact, normalised, number, date or fuzzy.
        tolerance: of numbers: the largest difference.
        relative: whether the tolerance is a share of the gold's number.
        least: of fuzzy: the least similarity.
    """

    kind: str
    tolerance: float = 0.0
    relative: bool = False
    least: float = 1.0

    def equal(self, gold: str, predicted: str) -> bool:
        """Tell whether a predicted value counts as the gold's."""
        if gold == predicted:
            return True
        if self.kind == "exact":
            return False
        if self.kind == "fuzzy":
            from rapidfuzz.distance import Indel

            return Indel.normalized_similarity(_plain(gold), _plain(predicted)) >= self.least - 1e-12
        if self.kind == "number":
            return self._near(_number(gold), _number(predicted))
        one, two = _plain(gold), _plain(predicted)
        return one == two if self.kind == "normalised" else bool(_DATE.fullmatch(one)) and one == two

    def _near(self, gold: float | None, predicted: float | None) -> bool:
        if gold is None or predicted is None:
            return False
        most = self.tolerance * abs(gold) if self.relative else self.tolerance
        return abs(gold - predicted) <= most + 1e-9 * max(1.0, abs(gold))


def parse_rules(compare: Mapping[str, str]) -> dict[str, Rule]:
    """Return field → rule.

    Raises:
        EtlchError: a rule that is none; names the field.
    """
    found = {}
    for name, text in compare.items():
        match = _RULE.fullmatch(text.strip())
        if match is None or not _fits(match["kind"], match["tolerance"], match["least"]):
            raise EtlchError(
                _("compare: {name}: there is no rule '{text}'").format(name=name, text=text),
                _("Use exact, normalised, date, number, number±0.5, number±1% or fuzzy≥0.9."),
            )
        relative = bool(match["percent"])
        tolerance = float(match["tolerance"] or 0) / (100 if relative else 1)
        found[name] = Rule(match["kind"], tolerance, relative, float(match["least"] or 1))
    return found


def _fits(kind: str, tolerance: str | None, least: str | None) -> bool:
    try:
        float(tolerance or 0), float(least or 0)
    except ValueError:
        return False
    return (tolerance is None or kind == "number") and ((least is not None) == (kind == "fuzzy"))


def align(pair: FactPair, task: Task, rules: Mapping[str, Rule], *, nested: bool = False) -> FactPair:
    """Return the pair with each predicted fact that its rules let pass for a gold fact written as that.

    Equal facts meet first; then, in the order of the text, each predicted fact takes the first gold fact that
    none took, whose other parts are equal and whose parts under a rule compare equal. So every metric of facts
    counts by the same rules.

    Args:
        pair: in the form of comparison.
        task: names the parts of a fact.
        rules: field, type, relation or part name → rule.
        nested: facts are (path, leaf); a rule names a path without the numbers of list items, or its last key.
    """
    if not rules:
        return pair
    free = dict.fromkeys(pair.missed)
    matched = set(pair.matched)
    predicted = []
    for fact in pair.predicted:
        other = None
        if fact not in matched:
            own = _rules_of(fact, task, rules, nested)
            other = next((gold for gold in free if _equal(gold, fact, own)), None) if own else None
        if other is not None:
            del free[other]
        predicted.append(fact if other is None else other)
    return FactPair(pair.gold, tuple(dict.fromkeys(predicted)), pair.wrong)


def _rules_of(fact: Fact, task: Task, rules: Mapping[str, Rule], nested: bool) -> dict[int, Rule]:
    """Return part → rule of one fact."""
    if nested:
        path = _ITEM.sub("", fact[0])
        rule = rules.get(path) or rules.get(path.rpartition("/")[2])
        return {} if rule is None else {1: rule}
    names = [part for index, part in enumerate(fact) if index not in task.grounded]
    found = {}
    for index in range(len(fact)):
        said = [task.parts[index], *(names if index in task.grounded else ())]
        rule = next((rules[name] for name in said if name in rules), None)
        if rule is not None:
            found[index] = rule
    return found


def _equal(gold: Fact, predicted: Fact, rules: Mapping[int, Rule]) -> bool:
    return len(gold) == len(predicted) and all(
        rules[index].equal(one, two) if index in rules else one == two
        for index, (one, two) in enumerate(zip(gold, predicted, strict=True))
    )


@lru_cache(maxsize=16384)
def _plain(value: str) -> str:
    """Return a value with numerals and dates in one form, folded in case and width, single spaces."""
    return " ".join(folded(normal_text(value)).text.split())


@lru_cache(maxsize=16384)
def _number(value: str) -> float | None:
    """Return the one number of a value; None where it has none, or several."""
    found = _NUMBER.findall(_plain(value).replace(",", ""))
    return float(found[0]) if len(found) == 1 else None
