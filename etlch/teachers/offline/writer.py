"""Draw facts, then write an article that states them; return both as a `Document`, the same for the same seed.

Every sentence is drawn from patterns that say which facts they state, and every name comes
from a slot, so where each value stands is known and not searched for. A draft in which a
value also stands where no slot put it is thrown away and drawn again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from random import Random

from etlch.core.errors import EtlchError
from etlch.core.growth import Growth
from etlch.core.records import Located, Span, Topic
from etlch.teachers.offline.choose import one_of, order_of
from etlch.teachers.offline.discourse import Discourse, no_fact
from etlch.teachers.offline.pattern import Pattern
from etlch.teachers.offline.pattern import Slot as Place
from etlch.teachers.offline.schema import Domain, Genre, Slot, Words, World
from etlch.teachers.offline.values import draw_value

DRAFTS = 50
"""Drafts of one article before its phrase data are declared unusable."""


@dataclass(frozen=True, slots=True)
class Document:
    """An article and everything that it states.

    Attributes:
        text: the article.
        subject: the name that the facts of the json task are about.
        entities: (type, mention), spans of the first mention in the article; by position.
        mentions: the same for every mention, repeats kept.
        triples: (subject, relation, object), in the order in which they are stated.
        values: (fact, value) for each fact that the json task may ask for, in that order.
        forms: each sentence that states facts: where it stands, and the name of its form.
    """

    text: str
    subject: str
    entities: tuple[Located, ...]
    mentions: tuple[Located, ...]
    triples: tuple[Located, ...]
    values: tuple[Located, ...]
    forms: tuple[tuple[Span, str], ...] = ()


@dataclass
class _Scene:
    """One draw of a domain's slots. Values are drawn when a sentence first needs them."""

    slots: dict[str, Slot]
    words: Words
    values: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Mention:
    scene: int
    slot: str
    value: str
    span: Span


@dataclass
class _Draft:
    """An article in the making."""

    rng: Random
    style: float
    joins: tuple[str, str]
    discourse: Discourse | None = None
    growth: Growth | None = None
    text: str = ""
    taken: list[str] = field(default_factory=list)
    scenes: list[_Scene] = field(default_factory=list)
    mentions: list[_Mention] = field(default_factory=list)
    triples: list[Located] = field(default_factory=list)
    values: list[Located] = field(default_factory=list)
    forms: list[tuple[Span, str]] = field(default_factory=list)


FRAME, MAIN = 0, 1
"""Scenes: the genre's frame, and the one that the json task asks about; later ones are other stories."""


class _Clash(Exception):
    """A value that cannot stand beside those drawn before."""


def draw(
    world: World,
    topic: Topic,
    seed: int,
    sample: int = 0,
    *,
    hard: bool = False,
    growth: Growth | None = None,
) -> Document:
    """Return the document of a topic: the same for the same seed, position and sample, and the same growth.

    Raises:
        EtlchError: the topic is not of this world, or its phrase data contradict themselves.
    """
    domain = world.find(topic.domain, topic.subject)
    genre = world.genres.get(topic.genre)
    if genre is None:
        raise EtlchError(f"the offline teacher knows no genre '{topic.genre}'", "See prompts/offline/genres.")
    for attempt in range(DRAFTS):
        rng = Random(f"{seed}|{domain.name}|{topic.position}|{sample}|{attempt}")
        draft = _Draft(rng, rng.random(), world.joins)
        draft.discourse = Discourse(domain.main, domain.noun, world.no_fact) if hard else None
        draft.growth = growth
        try:
            _write(draft, world, domain, genre, topic.length)
        except _Clash:
            continue
        if all(draft.text.count(value) == count for value, count in _counts(draft).items()):
            return _document(draft, domain)
    raise EtlchError(
        f"prompts/offline/{domain.name}.{world.language}.yaml: {DRAFTS} drafts in a row clashed",
        "Its names occur in its own sentences, or too few different values can be drawn.",
    )


def _write(draft: _Draft, world: World, domain: Domain, genre: Genre, length: int) -> None:
    _scene(draft, world.frame_slots, world.words)
    plan = _long(draft, world, domain, genre, length) if length else _short(draft, domain, genre)
    if draft.discourse is not None:
        _add_no_facts(draft, draft.discourse, domain, plan)
    if genre.open:
        _say(draft, FRAME, draft.rng.choice(genre.open))
    _body(draft, world, domain, genre, plan)
    if genre.close:
        _say(draft, FRAME, draft.rng.choice(genre.close))


def _body(draft: _Draft, world: World, domain: Domain, genre: Genre, plan: list[_Planned]) -> None:
    """Write the planned sentences, in paragraphs or as the turns of a dialogue."""
    speaker = block = 0
    for at, (scene, pattern, facts) in enumerate(plan):
        fresh = block > 0 and _breaks(draft.rng, domain, genre, plan, at, block)
        if fresh:
            block = 0
        if at:
            draft.text += world.space if not fresh else "\n" if genre.turns else "\n\n"
        if genre.turns and block == 0:
            _say(draft, FRAME, genre.turns[speaker % len(genre.turns)])
            speaker += 1
        block += 1
        start = len(draft.text)
        _state(draft, domain, scene, _say(draft, scene, pattern), facts)
        if facts:
            draft.forms.append(((start, len(draft.text)), domain.forms[pattern]))


def _breaks(rng: Random, domain: Domain, genre: Genre, plan: list[_Planned], at: int, block: int) -> bool:
    """Tell whether a new paragraph or turn begins with sentence `at`, after `block` sentences."""
    scene, pattern, _ = plan[at]
    if pattern in domain.next:
        return True
    if genre.turns:
        return scene == FRAME or block >= 3 or rng.random() < 0.6
    lone = at + 1 == len(plan) or plan[at + 1][1] in domain.next
    return len(plan) > 7 and block >= 3 and not lone and rng.random() < (block - 2) / 4


_Planned = tuple[int, Pattern, tuple[str, ...]]
"""A sentence to write: scene, pattern, facts stated."""


def _short(draft: _Draft, domain: Domain, genre: Genre) -> list[_Planned]:
    """Plan 4 to 6 sentences: a lead, facts, one or two without facts, and often one beside the point."""
    rng = draft.rng
    size = rng.randint(4, 6)
    idle = 1 if size == 4 else rng.randint(1, 2)
    aside = int(rng.random() < 0.6)
    scene = _scene(draft, domain.slots, domain.words)
    order = order_of(rng, draft.growth, domain, size - idle - aside, aside)
    told = [(scene, one_of(rng, draft.growth, domain, group.patterns), group.facts) for group in order]
    return _mix(rng, told, _pick(rng, _idle(domain.idle, genre.idle), idle, scene))


def _long(draft: _Draft, world: World, domain: Domain, genre: Genre, length: int) -> list[_Planned]:
    """Plan sentences until their length, by what the patterns hold, comes near the target.

    When one draw of the domain has been told, another story of the domain begins. Every
    second sentence or so states nothing, and no sentence that states nothing comes twice.
    """
    rng = draft.rng
    plan: list[_Planned] = []
    idle = _idle(domain.idle, genre.idle, world.idle)
    used: set[Pattern] = set()
    left = float(length)
    while left > 0:
        scene = _scene(draft, domain.slots, domain.words)
        part: list[_Planned] = [] if not plan else [(scene, rng.choice(domain.next), ())]
        for group in order_of(rng, draft.growth, domain, rng.randint(6, 9), rng.randint(1, 3)):
            fresh = [pattern for pattern in group.patterns if pattern not in used]
            pattern = one_of(rng, draft.growth, domain, fresh or group.patterns)
            story = [(scene, pattern, group.facts)]
            spare = [told for told in idle if told[1] not in used]
            if spare and rng.random() < 0.85:
                story += _pick(rng, spare, 1, scene)
            used |= {told[1] for told in story}
            part += story
            left -= sum(_size(told[1], world.space) for told in story)
            if left <= 0:
                break
        plan += part
    return plan


def _size(pattern: Pattern, space: str) -> float:
    """Return the rough length of a sentence: words, or characters where no spaces are written."""
    total = 0.0
    for part in pattern.parts:
        if isinstance(part, str):
            total += len(part.split()) if space else len(part)
        elif isinstance(part, Place):
            total += 2 if space else 6
        else:
            total += sum(_size(option, space) for option in part.options) / len(part.options)
    return total


def _idle(
    of_domain: Sequence[Pattern], of_genre: Sequence[Pattern], of_all: Sequence[Pattern] = ()
) -> list[tuple[int, Pattern]]:
    """Return sentences without facts, each with the scene (FRAME or MAIN) whose slots it may hold."""
    return [(MAIN, pattern) for pattern in (*of_domain, *of_all)] + [(FRAME, pattern) for pattern in of_genre]


def _pick(rng: Random, pool: list[tuple[int, Pattern]], count: int, scene: int) -> list[_Planned]:
    chosen = rng.sample(pool, min(count, len(pool)))
    return [(where and scene, pattern, ()) for where, pattern in chosen]


def _mix(rng: Random, plan: list[_Planned], idle: list[_Planned]) -> list[_Planned]:
    mixed = list(plan)
    for item in idle:
        mixed.insert(rng.randint(1, len(mixed)), item)
    return mixed


def _add_no_facts(draft: _Draft, discourse: Discourse, domain: Domain, plan: list[_Planned]) -> None:
    """Put one statement that is no fact into a plan, and one more for each further dozen sentences."""
    for _ in range(1 + len(plan) // 12):
        pattern, name, slot = no_fact(draft.rng, discourse, domain)
        scene = draft.scenes[MAIN]
        name = f"{name} {len(scene.slots)}"
        scene.slots = {**scene.slots, name: slot}
        pattern = Pattern(tuple(Place(name) if isinstance(part, Place) else part for part in pattern.parts))
        plan.insert(draft.rng.randint(1, len(plan)), (MAIN, pattern, ()))


def _scene(draft: _Draft, slots: dict[str, Slot], words: Words) -> int:
    draft.scenes.append(_Scene(slots, words))
    return len(draft.scenes) - 1


def _say(draft: _Draft, scene: int, pattern: Pattern) -> dict[str, list[tuple[str, Span]]]:
    """Append a sentence and return the spans of its slots' values."""
    marks: dict[str, list[tuple[str, Span]]] = {}
    for piece in pattern.render(draft.rng):
        if isinstance(piece, str):
            draft.text += piece
            continue
        values = _values(draft, draft.scenes[scene], piece)
        for at, value in enumerate(values):
            if at:
                draft.text += draft.joins[1] if at == len(values) - 1 else draft.joins[0]
            if len(values) == 1 and (first := _taken_up(draft, scene, piece.name, value)):
                marks.setdefault(piece.name, []).append((value, first))
                continue
            span = (len(draft.text), len(draft.text) + len(value))
            draft.text += value
            marks.setdefault(piece.name, []).append((value, span))
            draft.mentions.append(_Mention(scene, piece.name, value, span))
    return marks


def _taken_up(draft: _Draft, scene: int, slot: str, value: str) -> Span | None:
    """Write a short form of a value that was named before, and return where it was named first; else None."""
    first = next((mention.span for mention in draft.mentions if mention.value == value), None)
    if draft.discourse is None or scene == FRAME or first is None:
        return None
    drawn = draft.scenes[scene]
    kind = drawn.words.kinds[drawn.slots[slot].kind]
    short = draft.discourse.short_form(draft.rng, draft.text, slot, kind, value, draft.taken)
    if not short:
        return None
    if slot != draft.discourse.main and short not in draft.taken:
        draft.taken.append(short)  # nobody drawn later may hold this surname
    draft.text += short
    return first


def _state(
    draft: _Draft,
    domain: Domain,
    scene: int,
    marks: dict[str, list[tuple[str, Span]]],
    facts: Iterable[str],
) -> None:
    for key in facts:
        fact = domain.facts[key]
        objects = _first_spans(marks[fact.object])
        for subject, place in _first_spans(marks[fact.subject]).items():
            for value, span in objects.items():
                draft.triples.append(Located((subject, fact.relation, value), (place, None, span)))
        if fact.fields and scene == MAIN:
            draft.values += [Located((key, value), (None, span)) for value, span in objects.items()]


def _first_spans(marks: list[tuple[str, Span]]) -> dict[str, Span]:
    found: dict[str, Span] = {}
    for value, span in marks:
        found.setdefault(value, span)
    return found


def _values(draft: _Draft, scene: _Scene, place: Place) -> tuple[str, ...]:
    if place.name not in scene.values:
        slot = scene.slots[place.name]
        count = draft.rng.randint(*slot.count)
        scene.values[place.name] = tuple(_fresh(draft, slot, scene.words) for _ in range(count))
    return scene.values[place.name]


def _fresh(draft: _Draft, slot: Slot, words: Words) -> str:
    """Return a value that neither holds nor is held by one drawn before."""
    for _ in range(DRAFTS):
        value = draw_value(draft.rng, slot, words, draft.style)
        if not any(value in other or other in value for other in draft.taken):
            draft.taken.append(value)
            return value
    raise _Clash


def _counts(draft: _Draft) -> dict[str, int]:
    counts: dict[str, int] = {}
    for mention in draft.mentions:
        counts[mention.value] = counts.get(mention.value, 0) + 1
    return counts


def _document(draft: _Draft, domain: Domain) -> Document:
    mentions = []
    for mention in draft.mentions:
        scene = draft.scenes[mention.scene]
        kind = scene.words.kinds[scene.slots[mention.slot].kind]
        if kind.type:
            mentions.append(Located((kind.type, mention.value), (None, mention.span)))
    first = {item.fact: item for item in reversed(mentions)}
    return Document(
        text=draft.text,
        subject=draft.scenes[MAIN].values[domain.main][0],
        entities=tuple(sorted(first.values(), key=lambda item: item.spans[1] or (0, 0))),
        mentions=tuple(mentions),
        triples=tuple(draft.triples),
        values=tuple(draft.values),
        forms=tuple(draft.forms),
    )
