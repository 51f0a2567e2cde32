"""Sentences that are held out for the test set: the others never use them, and both sides can state every fact."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
from click.testing import CliRunner

from etlch.cli.data import main
from etlch.core.prompts import Prompts
from etlch.core.records import LANGUAGES
from etlch.core.run_data import read_run
from etlch.quality.measure import measure
from etlch.teachers.offline.held_out import TEST_EVERY, is_held_out, world_of_forms
from etlch.teachers.offline.loader import load_world
from etlch.teachers.offline.teacher import OfflineTeacher


@pytest.mark.parametrize("language", LANGUAGES)
def test_both_sides_state_every_fact_in_sentences_that_the_other_lacks(language: str) -> None:
    world = load_world(Prompts(), language)
    kept, held = (world_of_forms(world, 3, held_out=side) for side in (False, True))
    for whole, one, other in zip(world.domains, kept.domains, held.domains, strict=True):
        for group, trained, tested in zip(whole.say, one.say, other.say, strict=True):
            assert trained.patterns and tested.patterns
            if len(group.patterns) > 1:
                assert not {*trained.patterns} & {*tested.patterns}
                assert {*trained.patterns} | {*tested.patterns} == {*group.patterns}


def test_which_are_held_out_depends_on_the_seed_alone() -> None:
    world = load_world(Prompts(), "en")
    first = world_of_forms(world, 0, held_out=True).domains[0].say
    assert world_of_forms(world, 0, held_out=True).domains[0].say[0].patterns == first[0].patterns
    assert any(
        world_of_forms(world, seed, held_out=True).domains[0].say[0].patterns != first[0].patterns
        for seed in range(1, 6)
    )


def test_every_fifth_place_of_the_plan_is_written_in_held_out_forms() -> None:
    plain, held = (OfflineTeacher(0, Prompts(), "en", hold_out_forms=on) for on in (False, True))
    topics = list(islice(held.topics(), 2 * TEST_EVERY))
    assert topics == list(islice(plain.topics(), 2 * TEST_EVERY))  # the plan is the same
    assert [is_held_out(topic.position) for topic in topics] == ([True] + [False] * (TEST_EVERY - 1)) * 2
    assert all(held.find(topic, held.draw(topic).text) for topic in topics)


@pytest.mark.parametrize("language", LANGUAGES)
def test_few_test_sentences_have_a_form_of_training(language: str, tmp_path: Path) -> None:
    """Goal: at most 40 %; without the setting it is about nine in ten."""
    file = tmp_path / "s.yaml"
    file.write_text("hold_out_forms: true\n")
    command = ["generate", "--teacher", "offline", "--language", language, "--settings", str(file)]
    run = tmp_path / "run"
    result = CliRunner().invoke(main, [*command, "--sizes", "120", "--test", "30", "--out", str(run)])
    assert result.exit_code == 0, result.output
    forms = measure(read_run(run)).forms
    assert forms.seen.total > 100 and forms.seen.rate < 0.1
    grown = CliRunner().invoke(main, [*command, "--sizes", "150", "--test", "30", "--out", str(run)])
    assert grown.exit_code == 0 and measure(read_run(run)).forms.seen.rate < 0.1


def test_other_teachers_have_no_forms_to_hold_out(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text("hold_out_forms: true\n")
    command = ["generate", "--teacher", "m", "--base-url", "http://127.0.0.1:9/v1", "--settings", str(file)]
    result = CliRunner().invoke(main, [*command, "--out", str(tmp_path / "run")])
    assert result.exit_code == 2 and "hold_out_forms" in result.output
