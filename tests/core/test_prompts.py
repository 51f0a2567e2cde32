"""Prompts: what is named wins, what is misspelt is named, and values are only ever values."""

from __future__ import annotations

from pathlib import Path

import pytest

from etlch.core.errors import EtlchError
from etlch.core.prompts import Prompts, eject


def test_keys_stand_in_the_instruction_as_they_stand_in_the_label() -> None:
    told = Prompts().render(
        "json/instruction", "en", instruction="Tell.", fields=["founder's name", "café", "<b>&"]
    )
    assert '"founder\'s name", "café", "<b>&"' in told


def test_braces_of_an_article_stay_braces() -> None:
    told = Prompts().render("kge/label", "en", article="{{ 7 * 7 }} {% raw %} <b>")
    assert "{{ 7 * 7 }} {% raw %} <b>" in told


def test_an_override_wins_file_by_file(tmp_path: Path) -> None:
    (tmp_path / "ner").mkdir()
    (tmp_path / "ner" / "instruction.en.j2").write_text("Find names.", encoding="utf-8")
    prompts = Prompts(tmp_path)
    prompts.check()
    assert prompts.render("ner/instruction", "en") == "Find names."
    assert prompts.render("ner/instruction", "zh-TW") == Prompts().render("ner/instruction", "zh-TW")
    assert [entry.name for entry in prompts.listing() if entry.own] == ["ner/instruction.en.j2"]


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("ner/lable.en.j2", "", "overrides no prompt. Did you mean 'ner/label.en.j2'?"),
        (
            "ner/label.en.j2",
            "{{ artcle }}",
            "uses the variable 'artcle', which it is not given. Did you mean 'article'?",
        ),
        ("ner/label.en.j2", "{% if %}", "line 1"),
        ("ner/label.en.j2", "{{ ''.__class__.__mro__ }}", ""),
    ],
)
def test_what_is_wrong_with_an_override_is_named(tmp_path: Path, name: str, text: str, told: str) -> None:
    path = tmp_path / name
    path.parent.mkdir()
    path.write_text(text, encoding="utf-8")
    prompts = Prompts(tmp_path)
    with pytest.raises(EtlchError) as caught:
        prompts.check()
        prompts.render("ner/label", "en", article="", types={})
    assert told in str(caught.value)


def test_one_language_is_ejected_with_what_concerns_them_all(tmp_path: Path) -> None:
    copies = {path.name for path in eject(tmp_path, "ner", "en")}
    assert copies == {"instruction.en.j2", "label.en.j2", "types.yaml"}


def test_ejecting_never_overwrites_unasked(tmp_path: Path) -> None:
    copies = eject(tmp_path, "kge")
    assert len(copies) == 6
    copies[0].write_text("mine", encoding="utf-8")
    with pytest.raises(EtlchError, match="exists already"):
        eject(tmp_path, "kge")
    assert copies[0].read_text(encoding="utf-8") == "mine"
    eject(tmp_path, "kge", force=True)
    assert copies[0].read_text(encoding="utf-8") != "mine"
