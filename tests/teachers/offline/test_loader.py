"""Phrase data of the user's own: a new domain works, and every mistake in one is refused with its place."""

from __future__ import annotations

import re
from functools import cache
from itertools import islice
from pathlib import Path
from random import Random

import pytest

from etlch.core.errors import EtlchError
from etlch.core.prompts import Prompts
from etlch.core.records import LANGUAGES
from etlch.teachers.offline.loader import Names, load_world, read_domain, read_names
from etlch.teachers.offline.pattern import Slot, compile_pattern
from etlch.teachers.offline.teacher import OfflineTeacher

DOCS = Path(__file__).parents[3] / "docs" / "offline-teacher.md"
SPORT = DOCS.read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]
"""The example of the documentation."""


@cache
def shipped_names() -> Names:
    return read_names(Prompts(), "en")


def own(folder: Path, text: str) -> Prompts:
    (folder / "offline").mkdir()
    (folder / "offline" / "sport.en.yaml").write_text(text, encoding="utf-8")
    return Prompts(folder, own_tasks=("offline",))


def test_a_domain_is_one_file(tmp_path: Path) -> None:
    teacher = OfflineTeacher(0, own(tmp_path, SPORT), "en", domains=("sport",))
    topics = list(islice(teacher.topics(), 20))
    triples = {item.fact[1] for topic in topics for item in teacher.draw(topic).triples}
    assert triples == {"coached by", "plays in", "founded in"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_shipped_phrase_data_load(language: str) -> None:
    world = load_world(Prompts(), language)
    assert len(world.domains) >= 6
    assert all(domain.genres == tuple(world.genres) for domain in world.domains)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("main: club", "mian: club", "unknown key 'mian'. Did you mean 'main'?"),
        ("noun: the club  ", "#", "the key 'noun' is missing"),
        (
            "{kind: city}",
            "{kind: citty}",
            "slots.ground.kind: there is no kind 'citty'. Did you mean 'city'?",
        ),
        ("object: coach,", "object: coahc,", "facts.coach.object: there is no slot 'coahc'"),
        ("{coach} coaches {club}, ", "{coahc} coaches {club}, ", "say[0].as[1]: there is no slot 'coahc'"),
        ("{coach} coaches {club}, ", "Somebody coaches {club}, ", "does not always hold {coach}"),
        ("{coach} coaches {club}, ", "[{coach}|He] coaches {club}, ", "does not always hold {coach}"),
        ("{coach} coaches {club}, ", "In Leeds, {coach} coaches {club}, ", "'Leeds' looks like a name"),
        ("Nobody scored.", "Nobody scored after minute 80.", "idle[1]: '80' looks like a name or number"),
        ("{coach} coaches {club}, ", "{coach} [coaches {club}, ", "'[' without ']'"),
        ("{coach} coaches {club}, ", "{coach coaches {club}, ", "a lone '{'"),
        ('      - "{club} plays in {ground}."\n', "", "facts.ground: said in 3 ways; at least 4 are needed"),
        ("    lead: true  ", "    #", "no group may open an article"),
        ("fields: [ground, home]", "fields: [Head_Coach]", "the field 'Head_Coach' is also one of 'coach'"),
        (", ask: the home ground", "", "facts.ground: it has fields but no `ask`"),
        ("type: organization", "type: club", "there is no entity type 'club'"),
        ("{stem}{ending} Rovers", "{stemm} Rovers", "there is no part 'stemm'"),
        ("idle: [", "idle: [{a: b}, ", "idle[0]: a text belongs here"),
        ("  coach: {kind: person}", "  coach: {kind: person, count: [2, 1]}", "2 is above 1"),
    ],
)
def test_a_mistake_is_refused_with_its_place(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in SPORT
    prompts = own(tmp_path, SPORT.replace(old, new, 1))
    names = shipped_names()
    with pytest.raises(EtlchError, match=re.escape(message)) as caught:
        read_domain(prompts, "sport", "en", names, ("story",))
    assert "sport.en.yaml" in caught.value.what


def test_a_field_that_every_domain_has_already_is_refused(tmp_path: Path) -> None:
    prompts = own(tmp_path, SPORT.replace("fields: [ground, home]", "fields: [places]"))
    with pytest.raises(EtlchError, match="the field 'places' is also in brief"):
        load_world(prompts, "en")


def test_names_that_stand_in_their_own_sentences_are_refused(tmp_path: Path) -> None:
    clashing = SPORT.replace("{stem}{ending} Rovers", "grass").replace("{nature} United", "grass")
    clashing = clashing.replace(', "Nobody scored."', "")
    teacher = OfflineTeacher(
        0, own(tmp_path, clashing), "en", domains=("sport",), genres=("encyclopedia entry",)
    )
    with pytest.raises(EtlchError, match="drafts in a row clashed"):
        for topic in islice(teacher.topics(), 50):
            teacher.draw(topic)


def test_patterns_hold_text_slots_and_choices() -> None:
    pattern = compile_pattern("{a} [runs|walks[ fast|]|] home.")
    said = {
        "".join(piece if isinstance(piece, str) else "A" for piece in pattern.render(Random(seed)))
        for seed in range(60)
    }
    assert said == {"A runs home.", "A walks fast home.", "A walks home.", "A  home."}
    assert pattern.slots() == {"a"}
    assert compile_pattern("[{a} or {b}|{b}]").certain() == {"b"}
    assert list(compile_pattern("x|y").parts) == ["x", "|", "y"]
    assert Slot("a") in pattern.parts
    with pytest.raises(ValueError, match="']' without"):
        compile_pattern("a]")
