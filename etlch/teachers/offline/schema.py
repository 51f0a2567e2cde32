"""Define the types of the offline teacher's phrase data; `loader` reads and checks them.

`names.<language>.yaml` says how names, dates and amounts are made, `genres.<language>.yaml`
what frames an article, `brief.<language>.yaml` how the json task asks; every other file
`<name>.<language>.yaml` is a domain.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from etlch.core.errors import EtlchError, nearest
from etlch.teachers.offline.pattern import Pattern


@dataclass(frozen=True)
class Range:
    """A part that is a number: first, first + step, … up to last; written with commas and at a width."""

    first: int
    last: int
    step: int = 1
    commas: bool = False
    width: int = 0


Part = tuple[Pattern, ...] | Range


@dataclass(frozen=True)
class Kind:
    """How one kind of value is made.

    Attributes:
        of: one or more styles, each a list of patterns over parts; an article keeps to one style.
        type: the entity type, in the language's own words; "" for what is no named entity.
        faker: the Faker locale whose person names are drawn instead.
    """

    of: tuple[tuple[Pattern, ...], ...]
    type: str = ""
    faker: str = ""


@dataclass(frozen=True)
class Words:
    """What values are made of."""

    kinds: dict[str, Kind]
    parts: dict[str, Part]


@dataclass(frozen=True)
class Slot:
    """A place for a value in the sentences of a domain or genre.

    Attributes:
        kind: which kind of value.
        count: how many values, from and to; they are joined as in a list.
        parts: parts of the kind that are drawn differently here.
    """

    kind: str
    count: tuple[int, int]
    parts: dict[str, Part]


@dataclass(frozen=True)
class FactKind:
    """A relation between two slots, and how the json task may ask for its object.

    Attributes:
        subject, object: slots.
        relation: the relation of the triple, the same however the sentence puts it.
        fields: names of the field; none: never asked for in the json task.
        english: English names of the field, for articles in other languages.
        ask: what is asked for, as a noun phrase.
    """

    subject: str
    relation: str
    object: str
    fields: tuple[str, ...]
    english: tuple[str, ...]
    ask: str


@dataclass(frozen=True, eq=False)
class Say:
    """Sentences that state the same facts (or none: then they only name somebody).

    Attributes:
        facts: what each sentence states.
        patterns: the sentences.
        lead: may open the article.
        after: facts that must have been stated before.
        aside: beside the point: at most every third sentence, never the first.
    """

    facts: tuple[str, ...]
    patterns: tuple[Pattern, ...]
    lead: bool
    after: tuple[str, ...]
    aside: bool


@dataclass(frozen=True)
class Domain:
    """One domain file: what its articles can say.

    Attributes:
        name: of the file.
        domain, subject: of its topics.
        main: the slot that the json task is about, and `noun` what else it is called there.
        slots, facts, say: names, relations between them, and sentences that state those.
        idle: sentences that state nothing.
        next: sentences that lead over to a further story, in long articles.
        genres: in which it can be told.
        words: what its values are made of.
    """

    name: str
    domain: str
    subject: str
    main: str
    noun: str
    slots: dict[str, Slot]
    facts: dict[str, FactKind]
    say: tuple[Say, ...]
    idle: tuple[Pattern, ...]
    next: tuple[Pattern, ...]
    genres: tuple[str, ...]
    words: Words

    @cached_property
    def by_field(self) -> dict[str, str]:
        """Return field name in its bare form → fact."""
        return {bare(name): key for key, fact in self.facts.items() for name in (*fact.fields, *fact.english)}

    @cached_property
    def forms(self) -> dict[Pattern, str]:
        """Return sentence → its name: the file, the facts that it states, and its number among those that do."""
        return {
            pattern: f"{self.name}: {'+'.join(group.facts)} {number}"
            for group in self.say
            for number, pattern in enumerate(group.patterns, start=1)
        }

    @cached_property
    def kinds_of_facts(self) -> dict[str, tuple[str, ...]]:
        """Return fact → what labels call it, in bare form: its relation, its fields, and the types of its ends."""

        def types(fact: FactKind) -> list[str]:
            return [self.words.kinds[self.slots[slot].kind].type for slot in (fact.subject, fact.object)]

        return {
            key: tuple(
                bare(name)
                for name in (fact.relation, *fact.fields, *fact.english, *types(fact))
                if bare(name)
            )
            for key, fact in self.facts.items()
        }


@dataclass(frozen=True)
class Genre:
    """What stands around the sentences of an article.

    Attributes:
        open, close: text before the first and after the last sentence; may hold slots.
        idle: sentences without facts that belong to this genre.
        turns: what stands before each turn of a dialogue, by turns; empty: no dialogue.
    """

    open: tuple[Pattern, ...]
    close: tuple[Pattern, ...]
    idle: tuple[Pattern, ...]
    turns: tuple[Pattern, ...]


@dataclass(frozen=True)
class Everything:
    """A field that asks for every entity of one type."""

    fields: tuple[str, ...]
    english: tuple[str, ...]
    ask: str


@dataclass(frozen=True)
class BriefData:
    """How the json task asks: prompts/offline/brief.<language>.yaml.

    Attributes:
        fields: least and most number of fields.
        absent: share of fields that the article does not answer.
        everything_rate: share of instructions with a field for every entity of a type.
        english_rate: share of instructions whose fields have English names.
        styles: how field names are written: plain, snake, camel.
        tones: instructions, with {asks} and {subject}.
        joins: between the things asked for: usually, and before the last.
        everything: entity type → its field.
    """

    fields: tuple[int, int]
    absent: float
    everything_rate: float
    english_rate: float
    styles: tuple[str, ...]
    tones: tuple[Pattern, ...]
    joins: tuple[str, str]
    everything: dict[str, Everything]


@dataclass(frozen=True)
class World:
    """All phrase data of one language.

    Attributes:
        space: what stands between two sentences.
        joins: what stands between the values of a list: usually, and before the last.
        domains: by file name.
        genres: by name.
        idle: sentences without facts that fit everywhere; used in long articles.
        frame_slots: the slots of the genres.
        words: what the values of frame_slots are made of.
        brief: how the json task asks.
        no_fact: statements that are negated or hypothetical; used in hard texts.
    """

    language: str
    space: str
    joins: tuple[str, str]
    domains: tuple[Domain, ...]
    genres: dict[str, Genre]
    idle: tuple[Pattern, ...]
    frame_slots: dict[str, Slot]
    words: Words
    brief: BriefData
    no_fact: tuple[Pattern, ...]

    def find(self, domain: str, subject: str) -> Domain:
        """Return the domain file of a topic.

        Raises:
            EtlchError: there is none.
        """
        for known in self.domains:
            if (known.domain, known.subject) == (domain, subject):
                return known
        names = [known.domain for known in self.domains]
        raise EtlchError(
            f"the offline teacher knows no domain '{domain}' with subject '{subject}' in {self.language}."
            f"{nearest(domain, names)}",
            "Its topics come from prompts/offline; other subjects need a language model as teacher.",
        )


def bare(name: str) -> str:
    """Return a field name without case, spaces, underscores and hyphens: fiscalYear = fiscal_year."""
    return "".join(char for char in name if char.isalnum()).casefold()
