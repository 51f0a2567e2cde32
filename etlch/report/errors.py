"""Read a record's gold and predicted text, return its facts in pairs and the kinds of error.

Every gold fact is matched, paired with the predicted fact that was meant for it, or missing; every
predicted fact is matched, paired, or spurious (the MUC term). Each has exactly one kind, so the counts add up.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from etlch.core.locale import N_
from etlch.core.records import Fact, Key
from etlch.metrics.comparators import parse_rules
from etlch.metrics.facts import comparable
from etlch.metrics.predictions import END_MARKERS, without_markers
from etlch.metrics.reading import ParseConfig, mapped, read_pair
from etlch.tasks import Task

OF_TEXT = (N_("unparseable"), N_("fenced"), N_("cut off"), N_("repetition loop"))
"""Errors of a whole prediction: counted once each."""

OF_FACTS = (
    N_("missing"),
    N_("spurious"),
    N_("wrong type"),
    N_("boundary"),
    N_("reversed"),
    N_("wrong relation"),
    N_("extra key"),
    N_("malformed"),
)
"""Errors of one fact: counted per fact."""

KINDS = OF_TEXT + OF_FACTS

MEANINGS = {
    "unparseable": N_("nothing could be read; all its gold facts count as missed"),
    "fenced": N_("readable only after a code fence or leading prose was removed"),
    "cut off": N_("the text ends in the middle of a value, list or line"),
    "repetition loop": N_("one fact written four times or more, or a text that ends in a loop"),
    "missing": N_("a gold fact with no counterpart"),
    "spurious": N_("a predicted fact with no counterpart"),
    "wrong type": N_("the right mention or value under another type or field"),
    "boundary": N_("the right type, and a text that contains the gold one or is contained in it"),
    "reversed": N_("subject and object changed places"),
    "wrong relation": N_("the right subject and object under another relation"),
    "extra key": N_("a type or field that the schema does not have"),
    "malformed": N_("a line without three parts, or a list or object inside a list"),
}

MISSING, SPURIOUS = N_("(missing)"), N_("(spurious)")
"""Edges of the confusion matrix: a gold mention nobody predicted, a predicted one that is not gold."""

_LOOP = re.compile(r"(\S.{3,79}?)\1{3,}", re.DOTALL)
_LOOP_TIMES = 4
_TAIL = 800


class Pair(NamedTuple):
    """A gold fact and the predicted fact that stands for it, as places in their lists; one may be None.

    `kind` is empty for a match, else one of OF_FACTS.
    """

    gold: int | None
    predicted: int | None
    kind: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What is right and wrong in one prediction.

    Attributes:
        gold, predicted: facts as written, each once (equal in the form of comparison).
        pairs: every gold and every predicted fact once.
        kinds: kind of error → how often.
    """

    gold: tuple[Fact, ...]
    predicted: tuple[Fact, ...]
    pairs: tuple[Pair, ...]
    kinds: Counter[str]

    @property
    def matched(self) -> int:
        """Facts that are right."""
        return sum(pair.kind == "" for pair in self.pairs)

    @property
    def f1(self) -> float:
        """F1 of this record's facts; 1 where both sides are empty."""
        total = len(self.gold) + len(self.predicted) + self.kinds["malformed"]
        return 2 * self.matched / total if total else 1.0

    @property
    def outcome(self) -> str:
        """Right, partly, wrong or unparseable."""
        if self.kinds["unparseable"]:
            return "unparseable"
        if self.f1 == 1.0:
            return "right"
        return "partly" if self.matched else "wrong"


def find_mistakes(
    task: Task,
    key: Key,
    predicted: str,
    label_map: Mapping[str, str] = MappingProxyType({}),
    markers: tuple[str, ...] = END_MARKERS,
    compare: Mapping[str, str] = MappingProxyType({}),
    *,
    nested: bool = False,
    written: bool = True,
) -> Finding:
    """Compare a prediction with its label, fact by fact, read as the scores read them.

    Args:
        task: whose facts they are.
        key: the gold side; the `properties` of its schema are the keys that were asked for.
        predicted: the prediction's text.
        label_map: a type's name → the name it is compared under.
        markers: removed from the end of both texts.
        compare: how the values of a field are compared, as in the settings.
        nested: whether the file's labels are nested, as scoring found and stored it.
        written: whether facts are wanted as the texts write them; in the form of comparison they cost
            half the time, and pairs and kinds are the same.
    """
    gold, text = without_markers(key.gold, markers), without_markers(predicted, markers)
    config = ParseConfig(task, nested=nested, label_map=label_map, compare=parse_rules(compare))
    read = read_pair(gold, text, key.language, config, key.input)
    wanted, given = read.best.gold, read.best.predicted
    if written:
        wanted, given = (_as_written(*side, config) for side in zip((wanted, given), read.raw, strict=True))
    schema = key.schema if task.json_label and not nested and isinstance(key.schema, dict) else {}
    asked = frozenset(label_map.get(name, name) for name in schema.get("properties", ()))
    grounded = (1,) if nested else task.grounded
    pairs = pair_facts(read.best.gold, read.best.predicted, asked, grounded)
    kinds = Counter(pair.kind for pair in pairs if pair.kind)
    kinds.update(_of_text(task, read.reading, text))
    if max(Counter(read.raw[1]).values(), default=0) >= _LOOP_TIMES:
        kinds["repetition loop"] = 1
    if read.best.wrong:
        kinds["malformed"] = read.best.wrong
    return Finding(wanted, given, pairs, kinds)


def _as_written(forms: Sequence[Fact], written: Sequence[Fact], config: ParseConfig) -> tuple[Fact, ...]:
    """Return, for facts in the form of comparison, how the text writes them first."""
    first: dict[Fact, Fact] = {}
    for form, fact in zip(written if config.nested else mapped(written, config), written, strict=True):
        first.setdefault(_form(form), fact)
    return tuple(first.get(form, form) for form in forms)


def _form(fact: Fact) -> Fact:
    return comparable([fact])[0]


def _of_text(task: Task, reading: str, text: str) -> list[str]:
    kinds = []
    if not reading:
        kinds.append("unparseable")
        if _LOOP.search(text[-_TAIL:]):
            kinds.append("repetition loop")
    if reading == "fenced":
        kinds.append("fenced")
    if task.json_label and not reading and _is_open(text):
        kinds.append("cut off")
    if not task.json_label and _last_line_is_short(task, text):
        kinds.append("cut off")
    return kinds


def _is_open(text: str) -> bool:
    """Whether a JSON text ends inside a string, list or object that it began."""
    depth, inside, escaped = 0, False, False
    for char in text:
        if inside:
            inside = escaped or char != '"'
            escaped = char == "\\" and not escaped
        elif char == '"':
            inside, escaped = True, False
        else:
            depth += (char in "[{") - (char in "]}")
    return depth > 0


def _last_line_is_short(task: Task, text: str) -> bool:
    """Whether the last line alone is no fact, after lines that are."""
    lines = text.rstrip().splitlines()
    last = task.parse(lines[-1], "", False) if len(lines) > 2 else None
    return last is not None and last.wrong > 0 and bool(task.parse("\n".join(lines[:-1]), "", False).facts)


# ---------------------------------------------------------------- pairing


def pair_facts(
    gold: Sequence[Fact], predicted: Sequence[Fact], keys: frozenset[str], grounded: Sequence[int]
) -> tuple[Pair, ...]:
    """Pair gold with predicted facts: equal ones first, then the likeliest slip for what is left.

    Args:
        gold: facts in the form of comparison, each once: (subject, relation, object), (type or field,
            mention or value), or what a task of the user's own makes of it.
        predicted: the same of the prediction.
        keys: types or fields that were asked for; empty where any is allowed.
        grounded: which parts should stand in the article; the others name what they are.
    """
    open_gold: Open = dict(enumerate(gold))
    open_predicted: Open = dict(enumerate(predicted))
    steps = [
        _the_same,
        _extra_keys(keys),
        *_slips(tuple(grounded)),
        _boundaries(grounded),
        _rest,
    ]
    pairs: list[Pair] = []
    for step in steps:
        found = list(step(open_gold, open_predicted))
        pairs += found
        for pair in found:
            open_gold.pop(pair.gold, None)
            open_predicted.pop(pair.predicted, None)
    return tuple(pairs)


Open = dict[int | None, Fact]
"""Facts that have no counterpart yet: place → form."""

Step = Callable[[Open, Open], Iterator[Pair]]
"""Finds counterparts among open gold and open predicted facts."""


def _whole(fact: Fact) -> Fact:
    return fact


def _the_same(gold: Open, predicted: Open) -> Iterator[Pair]:
    """Pair equal facts; each stands once on either side."""
    places = {fact: place for place, fact in gold.items()}
    for place, fact in predicted.items():
        if fact in places:
            yield Pair(places.pop(fact), place, "")


def _equal(kind: str, of_gold: Callable[[Fact], Fact], of_predicted: Callable[[Fact], Fact]) -> Step:
    """Pair facts of which these views are equal, one to one, in order."""

    def step(gold: Open, predicted: Open) -> Iterator[Pair]:
        waiting: dict[Fact, list[int | None]] = {}
        for place, fact in gold.items():
            waiting.setdefault(of_gold(fact), []).append(place)
        for place, fact in predicted.items():
            if places := waiting.get(of_predicted(fact)):
                yield Pair(places.pop(0), place, kind)

    return step


def _slips(grounded: tuple[int, ...]) -> list[Step]:
    """The right words under another name; of a triple, whose two ends stand in the article, also swapped."""

    def words(fact: Fact) -> Fact:
        return tuple(fact[part] for part in grounded if part < len(fact))

    if not grounded:
        return []
    if grounded == (0, 2):
        return [
            _equal("reversed", _whole, lambda fact: fact[::-1]),
            _equal("wrong relation", words, words),
        ]
    return [_equal("wrong type", words, words)]


@lru_cache(maxsize=256)
def _compared_keys(keys: frozenset[str]) -> frozenset[str]:
    return frozenset(_form((key,))[0] for key in keys)


def _extra_keys(keys: frozenset[str]) -> Step:
    known = _compared_keys(keys)

    def step(gold: Open, predicted: Open) -> Iterator[Pair]:
        for place, fact in predicted.items():
            if known and fact[0] not in known:
                yield Pair(None, place, "extra key")

    return step


def _boundaries(grounded: Sequence[int]) -> Step:
    def overlap(gold: Fact, predicted: Fact) -> bool:
        """Whether grounded parts are equal or contain one another, and all others are equal."""
        return len(gold) == len(predicted) and all(
            one == two or (part in grounded and (one in two or two in one))
            for part, (one, two) in enumerate(zip(gold, predicted, strict=True))
        )

    def names(fact: Fact) -> tuple[int, Fact]:
        return len(fact), tuple(part for at, part in enumerate(fact) if at not in grounded)

    def step(gold: Open, predicted: Open) -> Iterator[Pair]:
        waiting: dict[tuple[int, Fact], list[int | None]] = {}
        for place, fact in predicted.items():
            waiting.setdefault(names(fact), []).append(place)
        for place, fact in gold.items():
            alike = waiting.get(names(fact), [])
            near = next((other for other in alike if overlap(fact, predicted[other])), None)
            if near is not None:
                alike.remove(near)
                yield Pair(place, near, "boundary")

    return step


def _rest(gold: Open, predicted: Open) -> Iterator[Pair]:
    yield from (Pair(place, None, "missing") for place in gold)
    yield from (Pair(None, place, "spurious") for place in predicted)


def confusions(finding: Finding) -> Counter[tuple[str, str]]:
    """Return (gold type, predicted type) → count, for two-part facts; edges are MISSING and SPURIOUS."""
    found: Counter[tuple[str, str]] = Counter()
    for pair in finding.pairs:
        gold = SPURIOUS if pair.gold is None else finding.gold[pair.gold][0]
        predicted = MISSING if pair.predicted is None else finding.predicted[pair.predicted][0]
        found[gold, predicted] += 1
    return found
