"""Hard texts: short forms resolve to one name, what is negated or hypothetical is no fact, and labels stay true."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from click.testing import CliRunner

from etlch.cli.data import main
from etlch.core.prompts import Prompts
from etlch.core.records import LANGUAGES
from etlch.teachers.offline.pattern import Pattern, Slot
from etlch.teachers.offline.teacher import OfflineTeacher
from etlch.teachers.offline.writer import Document


def expression(pattern: Pattern) -> str:
    """Return a pattern as a regular expression; the group holds what is said to be wrong."""
    found = ""
    for part in pattern.parts:
        if isinstance(part, str):
            found += re.escape(part)
        elif isinstance(part, Slot):
            found += "(.+?)" if part.name == "value" else "[^.。，]+?"
        else:
            found += f"(?:{'|'.join(map(expression, part.options))})"
    return found


def drawn(language: str, count: int, *, hard: bool = True, length: int = 0) -> Iterator[tuple[Document, str]]:
    """Yield documents with the noun of their domain."""
    teacher = OfflineTeacher(0, Prompts(), language, hard_texts=hard, lengths=(length,))
    for topic in islice(teacher.topics(), count):
        yield teacher.draw(topic), teacher.world.find(topic.domain, topic.subject).noun


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("length", [0, 400])
def test_every_fact_has_the_full_names_at_their_first_place(language: str, length: int) -> None:
    for document, _ in drawn(language, 120 if not length else 20, length=length):
        for item in (*document.entities, *document.mentions, *document.triples, *document.values):
            for part, span in zip(item.fact, item.spans, strict=True):
                assert span is None or document.text[slice(*span)] == part
        for item in document.mentions:
            assert document.text.count(item.fact[1]) == sum(
                other.fact[1] == item.fact[1] for other in document.mentions
            )


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_noun_stands_for_the_subject_only_after_its_name(language: str) -> None:
    found = 0
    for document, noun in drawn(language, 200):
        place = document.text.lower().find(noun.lower())
        if place >= 0 and document.subject in document.text[:place]:
            found += 1
    plain = sum(noun.lower() in document.text.lower() for document, noun in drawn(language, 200, hard=False))
    assert found > 100 and plain < found / 2


def test_a_surname_alone_belongs_to_one_person_who_was_named_before() -> None:
    found = 0
    for document, _ in drawn("en", 400):
        for item in document.entities:
            if item.fact[0] != "Person":
                continue
            surname = item.fact[1].split()[-1]
            bare = re.sub("|".join(re.escape(held.fact[1]) for held in document.entities), "#", document.text)
            if re.search(rf"\b{re.escape(surname)}\b", bare):
                found += 1
                assert sum(surname in held.fact[1] for held in document.entities) == 1, document.text
                assert document.text.find(item.fact[1]) <= document.text.find(surname)
    assert found > 5


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_negated_or_hypothetical_is_in_no_label_of_facts(language: str) -> None:
    sentences = [expression(held) for held in OfflineTeacher(0, Prompts(), language).world.no_fact]
    named = 0
    for document, _ in drawn(language, 200):
        stated = {part for item in (*document.triples, *document.values) for part in item.fact}
        values = [value for held in sentences for value in re.findall(held, document.text)]
        assert len(values) == 1, document.text
        assert values[0] not in stated, document.text
        named += values[0] in {item.fact[1] for item in document.entities}
    assert named > 100  # names, dates and amounts among them are entities all the same


def test_a_run_of_hard_texts_in_held_out_forms_passes_its_own_checks(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text("hard_texts: true\nhold_out_forms: true\n")
    command = ["generate", "--teacher", "offline", "--language", "en", "--settings", str(file)]
    run = tmp_path / "run"
    result = CliRunner().invoke(main, [*command, "--sizes", "40", "--test", "10", "--out", str(run)])
    assert result.exit_code == 0, result.output
    assert "rejected: 0" in result.output
    checked = CliRunner().invoke(main, ["check", str(run)])
    assert checked.exit_code == 0, checked.output
