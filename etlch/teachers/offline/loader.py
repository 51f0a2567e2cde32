"""Read the offline teacher's phrase data (prompts/offline/*.yaml), return it checked as a `World`.

Everything that would make a label untrue later (a sentence that does not hold the names it
is said to state, an unknown slot, a name outside of a slot, two fields of one name) is
refused here, with the file and the place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from etlch.core.errors import EtlchError, nearest
from etlch.core.locale import _
from etlch.core.prompts import Prompts
from etlch.teachers.offline.pattern import Pattern
from etlch.teachers.offline.schema import (
    BriefData,
    Domain,
    Everything,
    FactKind,
    Genre,
    Kind,
    Part,
    Range,
    Say,
    Slot,
    Words,
    World,
    bare,
)
from etlch.teachers.offline.yaml_node import Node

COMMON = ("names", "genres", "brief", "discourse")
PHRASINGS = 4
"""The least number of ways in which a domain must be able to say each fact."""

_NAME_INSIDE = re.compile(r"(?<=[a-z,;] )[A-Z][A-Za-z]+|[0-9]+")


@dataclass(frozen=True)
class Names:
    """What names.<language>.yaml holds."""

    types: dict[str, str]
    space: str
    joins: tuple[str, str]
    words: Words


@dataclass(frozen=True)
class Genres:
    """What genres.<language>.yaml holds."""

    genres: dict[str, Genre]
    idle: tuple[Pattern, ...]
    slots: dict[str, Slot]


def load_world(prompts: Prompts, language: str) -> World:
    """Return the phrase data of a language, checked.

    Raises:
        EtlchError: a file is missing or wrong; names the file and the place in it.
    """
    suffix = f".{language}.yaml"
    files = [
        entry.name.removeprefix("offline/").removesuffix(suffix)
        for entry in prompts.listing()
        if entry.name.startswith("offline/") and entry.name.endswith(suffix)
    ]
    names = read_names(prompts, language)
    genres = read_genres(prompts, language, names)
    domains = tuple(
        read_domain(prompts, name, language, names, tuple(genres.genres))
        for name in files
        if name not in COMMON
    )
    if not domains:
        raise EtlchError(
            _("the offline teacher has no domain for {language}").format(language=language),
            _("Add prompts/offline/<name>{suffix}.").format(suffix=suffix),
        )
    brief = read_brief(prompts, language, names)
    for domain in domains:
        for everything in brief.everything.values():
            for name in (*everything.fields, *everything.english):
                if bare(name) in domain.by_field:
                    open_file(prompts, domain.name, language).fail(f"the field '{name}' is also in brief")
    return World(
        language=language,
        space=names.space,
        joins=names.joins,
        domains=domains,
        genres=genres.genres,
        idle=genres.idle,
        frame_slots=genres.slots,
        words=names.words,
        brief=brief,
        no_fact=read_no_fact(prompts, language),
    )


def read_no_fact(prompts: Prompts, language: str) -> tuple[Pattern, ...]:
    """Return the statements that are no facts; each holds {ask} and {value}.

    Raises:
        EtlchError: the file is wrong.
    """
    listed = open_file(prompts, "discourse", language).keys(("no_fact",)).get("no_fact")
    for item in listed.elements():
        _known(item, item.pattern(), ("ask", "value"), "slot")
        if item.pattern().certain() != {"ask", "value"}:
            item.fail("it does not always hold {ask} and {value}")
    return listed.patterns()


def open_file(prompts: Prompts, name: str, language: str) -> Node:
    """Return the root of a phrase file."""
    full = f"offline/{name}.{language}.yaml"
    return Node(prompts.path(full), "", prompts.data(full))


def read_names(prompts: Prompts, language: str) -> Names:
    """Return how names, dates and amounts are made.

    Raises:
        EtlchError: the file is wrong, or names an entity type that ner/types.yaml lacks.
    """
    root = open_file(prompts, "names", language).keys(("types", "space", "joins", "kinds", "parts"))
    known = list(prompts.data("ner/types.yaml")[language])
    types = {name: node.one_of(known, "entity type") for name, node in root.get("types").items()}
    joins = root.get("joins").texts()
    words = read_words(root, types, Words({}, {}))
    return Names(types, root.get("space").text(), (joins[0], joins[1]), words)


def read_words(root: Node, types: dict[str, str], base: Words) -> Words:
    """Return kinds and parts of a file, added to those that all files share."""
    parts = base.parts | {name: _part(node) for name, node in root.get("parts", {}).items()}
    kinds = base.kinds | {name: _kind(node, types) for name, node in root.get("kinds", {}).items()}
    for name, node in root.get("kinds", {}).items():
        for style in kinds[name].of:
            for pattern in style:
                _known(node, pattern, [*parts, *kinds], "part")
    for name, node in root.get("parts", {}).items():
        part = parts[name]
        for pattern in () if isinstance(part, Range) else part:
            _known(node, pattern, [*parts, *kinds], "part")
    return Words(kinds, parts)


def read_genres(prompts: Prompts, language: str, names: Names) -> Genres:
    """Return the genres and the slots of their frames.

    Raises:
        EtlchError: the file is wrong.
    """
    root = open_file(prompts, "genres", language).keys(("slots", "idle", "genres"))
    slots = {name: _slot(node, names.words) for name, node in root.get("slots").items()}
    genres = {}
    for name, node in root.get("genres").items():
        node.keys((), ("open", "close", "idle", "turns"))
        for _rest, listed in node.items():
            for item in listed.elements():
                _known(item, item.pattern(), slots, "slot")
        genres[name] = Genre(*(node.get(key, []).patterns() for key in ("open", "close", "idle", "turns")))
    return Genres(genres, root.get("idle").patterns(), slots)


def read_brief(prompts: Prompts, language: str, names: Names) -> BriefData:
    """Return how the json task asks.

    Raises:
        EtlchError: the file is wrong.
    """
    root = open_file(prompts, "brief", language).keys(
        ("fields", "absent", "everything_rate", "english_rate", "styles", "tones", "joins", "everything")
    )
    joins = root.get("joins").texts()
    for node in root.get("tones").elements():
        _known(node, node.pattern(), ("asks", "subject"), "slot")
    return BriefData(
        fields=root.get("fields").pair(),
        absent=float(root.get("absent").text()),
        everything_rate=float(root.get("everything_rate").text()),
        english_rate=float(root.get("english_rate").text()),
        styles=root.get("styles").texts(),
        tones=root.get("tones").patterns(),
        joins=(joins[0], joins[1]),
        everything={
            names.types[Node(node.path, node.place, name).one_of(names.types, "entity type")]: Everything(
                node.get("fields").texts(), node.get("english", []).texts(), node.get("ask").text()
            )
            for name, node in root.get("everything").items()
        },
    )


def read_domain(prompts: Prompts, name: str, language: str, names: Names, genres: Sequence[str]) -> Domain:
    """Return a domain file, checked: its sentences hold what they are said to state.

    Raises:
        EtlchError: the file is wrong; names the place.
    """
    root = open_file(prompts, name, language).keys(
        ("domain", "subject", "main", "noun", "slots", "facts", "say", "idle", "next"),
        ("genres", "kinds", "parts"),
    )
    words = read_words(root, names.types, names.words)
    slots = {key: _slot(node, words) for key, node in root.get("slots").items()}
    facts = {key: _fact(node, slots) for key, node in root.get("facts").items()}
    say = tuple(_say(node, facts, slots) for node in root.get("say").elements())
    for node in root.get("idle").elements() + root.get("next").elements():
        _known(node, node.pattern(), slots, "slot")
    domain = Domain(
        name=name,
        domain=root.get("domain").text(),
        subject=root.get("subject").text(),
        main=root.get("main").one_of(slots, "slot"),
        noun=root.get("noun").text(),
        slots=slots,
        facts=facts,
        say=say,
        idle=root.get("idle").patterns(),
        next=root.get("next").patterns(),
        genres=tuple(node.one_of(genres, "genre") for node in root.get("genres", list(genres)).elements()),
        words=words,
    )
    _check_domain(root, domain)
    return domain


def _check_domain(root: Node, domain: Domain) -> None:
    for key in domain.facts:
        ways = sum(len(group.patterns) for group in domain.say if key in group.facts)
        if ways < PHRASINGS:
            root.get("facts").get(key).fail(f"said in {ways} ways; at least {PHRASINGS} are needed")
    if not any(group.lead for group in domain.say):
        root.get("say").fail("no group may open an article; mark one `lead: true`")
    seen: dict[str, str] = {}
    for key, fact in domain.facts.items():
        for name in (*fact.fields, *fact.english):
            if seen.setdefault(bare(name), key) != key:
                root.get("facts").get(key).fail(f"the field '{name}' is also one of '{seen[bare(name)]}'")


def _part(node: Node) -> Part:
    if isinstance(node.value, dict):
        node.keys(("range",), ("step", "commas", "width"))
        first, last = node.get("range").pair()
        return Range(
            first,
            last,
            int(node.get("step", 1).text()),
            node.value.get("commas") is True,
            int(node.get("width", 0).text()),
        )
    return node.patterns()


def _kind(node: Node, types: dict[str, str]) -> Kind:
    node.keys((), ("type", "of", "faker"))
    type_ = types[node.get("type").one_of(types, "entity type")] if "type" in node.value else ""
    if "faker" in node.value:
        return Kind((), type_, node.get("faker").one_of(("zh_TW", "zh_CN", "en_US"), "Faker locale"))
    listed = node.get("of").elements()
    if not listed:
        node.fail("at least one pattern is needed")
    if isinstance(listed[0].value, list):
        return Kind(tuple(style.patterns() for style in listed), type_)
    return Kind((node.get("of").patterns(),), type_)


def _slot(node: Node, words: Words) -> Slot:
    node.keys(("kind",), ("count", "parts"))
    parts = {name: _part(part) for name, part in node.get("parts", {}).items()}
    for name, part in node.get("parts", {}).items():
        Node(part.path, part.place, name).one_of(words.parts, "part")
    return Slot(node.get("kind").one_of(words.kinds, "kind"), node.get("count", [1, 1]).pair(), parts)


def _fact(node: Node, slots: dict[str, Slot]) -> FactKind:
    node.keys(("subject", "relation", "object"), ("fields", "english", "ask"))
    if node.value.get("fields") and not node.value.get("ask"):
        node.fail("it has fields but no `ask`")
    return FactKind(
        node.get("subject").one_of(slots, "slot"),
        node.get("relation").text(),
        node.get("object").one_of(slots, "slot"),
        node.get("fields", []).texts(),
        node.get("english", []).texts(),
        node.get("ask", "").text(),
    )


def _say(node: Node, facts: dict[str, FactKind], slots: dict[str, Slot]) -> Say:
    node.keys(("facts", "as"), ("lead", "after", "aside"))
    stated = tuple(item.one_of(facts, "fact") for item in node.get("facts").elements())
    needed = {end for key in stated for end in (facts[key].subject, facts[key].object)}
    for item in node.get("as").elements():
        pattern = item.pattern()
        _known(item, pattern, slots, "slot")
        for missing in sorted(needed - pattern.certain()):
            item.fail(f"it is said to state {', '.join(stated)}, but does not always hold {{{missing}}}")
    return Say(
        stated,
        node.get("as").patterns(),
        node.value.get("lead") is True,
        tuple(item.one_of(facts, "fact") for item in node.get("after", []).elements()),
        node.value.get("aside") is True,
    )


def _known(node: Node, pattern: Pattern, known: Iterable[str], what: str) -> None:
    listed = list(known)
    for name in sorted(pattern.slots()):
        if name not in listed:
            node.fail(f"there is no {what} '{name}'.{nearest(name, listed)}")
    for text in pattern.texts():
        if what == "slot" and (found := _NAME_INSIDE.search(text)):
            node.fail(
                f"'{found.group()}' looks like a name or number outside of a slot; it would miss its label"
            )
