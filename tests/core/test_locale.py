from __future__ import annotations

import ast
import gettext
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from etlch.core import locale
from etlch.core.locale import _, capital, listed, ngettext, of_environment, sentences, speaking

ROOT = Path(__file__).parent.parent.parent
TOOL: dict[str, Any] = runpy.run_path(str(ROOT / "docs" / "translations.py"))
CATALOGUES = {path.parent.parent.name: catalogue for path, catalogue in TOOL["catalogues"]().items()}
FULL_STOP = re.compile(r"[\u4e00-\u9fff][,;:!?]|[\u4e00-\u9fff]\.(?!\w)")
TOUCHING = re.compile(r"[\u4e00-\u9fff][A-Za-z0-9]|[A-Za-z0-9%][\u4e00-\u9fff]")
"""Chinese and Latin letters or numbers stand apart."""


def ids(message: Any) -> tuple[str, ...]:
    return (message.id,) if isinstance(message.id, str) else tuple(message.id)


def strings(message: Any) -> tuple[str, ...]:
    return (message.string,) if isinstance(message.string, str) else tuple(message.string)


def test_the_languages_are_those_with_a_catalogue() -> None:
    assert {name.replace("_", "-") for name in CATALOGUES} == set(locale.LANGUAGES) - {"en"}


@pytest.mark.parametrize("name", CATALOGUES)
def test_every_message_is_translated_and_none_is_stale(name: str) -> None:
    """`make locale` takes new messages in and old ones out; then translate what it names."""
    here = {(m.context, ids(m)) for m in CATALOGUES[name] if m.id}
    wanted = {(m.context, ids(m)) for m in TOOL["extracted"]() if m.id}
    assert here - wanted == set(), "stale"
    assert wanted - here == set(), "new"
    assert TOOL["missing"](CATALOGUES[name]) == []
    assert not CATALOGUES[name].obsolete and not any(m.fuzzy for m in CATALOGUES[name] if m.id)


def said_inside(node: ast.AST) -> bool:
    """Tell whether a constant message is translated somewhere below."""
    return any(
        isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id in ("_", "ngettext", "pgettext")
        and isinstance(call.args[0], ast.Constant)
        for call in ast.walk(node)
    )


def test_no_message_hides_inside_an_f_string() -> None:
    """Where Babel would not find it."""
    for path in (ROOT / "etlch").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            assert not (isinstance(node, ast.JoinedStr) and said_inside(node)), f"{path}:{node.lineno}"


@pytest.mark.parametrize("name", CATALOGUES)
def test_placeholders_are_those_of_the_message(name: str) -> None:
    def fields(text: str) -> list[str]:
        return sorted(re.findall(r"\{[^{}]*\}", text))

    for message in CATALOGUES[name]:
        for said in strings(message) if message.id else ():
            assert fields(said) == fields(ids(message)[-1]), said


@pytest.mark.parametrize("name", CATALOGUES)
def test_translations_are_set_as_chinese_is(name: str) -> None:
    for message in CATALOGUES[name]:
        for said in strings(message) if message.id else ():
            plain = re.sub(r"\{[^{}]*\}|`[^`]*`", "", said)
            assert not FULL_STOP.search(plain), said
            assert not TOUCHING.search(plain), said


@pytest.mark.parametrize("name", CATALOGUES)
def test_the_compiled_catalogue_is_that_of_the_po_file(name: str) -> None:
    compiled = gettext.translation("etlch", locale.FOLDER, [name])
    for message in CATALOGUES[name]:
        if message.id:
            first = ids(message)[0]
            said = compiled.pgettext(message.context, first) if message.context else compiled.gettext(first)
            if len(ids(message)) == 2:
                said = compiled.ngettext(first, ids(message)[1], 2)
            assert said == strings(message)[0]


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "en"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "zh_TW.UTF-8"}, "zh-TW"),
        ({"LANG": "zh_HK"}, "zh-TW"),
        ({"LANG": "zh_CN.GB18030"}, "zh-CN"),
        ({"LANG": "zh_SG"}, "zh-CN"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "en_US.UTF-8"}, "en"),
        ({"LANG": "en_US.UTF-8", "LANGUAGE": "fr:zh_TW:en"}, "zh-TW"),
        ({"LANG": "zh_TW.UTF-8", "LANGUAGE": ""}, "zh-TW"),
        ({"LANG": "zh-Hans"}, "zh-CN"),
        ({"LANG": "zh_Hant_HK@x"}, "zh-TW"),
        ({"LANG": "fr_FR.UTF-8"}, "en"),
    ],
)
def test_the_environment_names_the_language(environment: dict[str, str], language: str) -> None:
    assert of_environment(environment) == language


def test_what_is_said_follows_the_language_and_english_comes_back() -> None:
    assert (_("best baseline"), sentences("A.", "", "B."), listed(["x"])) == ("best baseline", "A. B.", "x")
    assert (listed(["x", "y", "z"]), capital("abc"), _("")) == ("x, y and z", "Abc", "")
    with speaking("zh-TW"):
        assert (_("best baseline"), sentences("甲。", "乙。")) == ("最佳基準", "甲。乙。")
        assert listed(["json", "kge", "ner"]) == "json、kge 與 ner"
        assert ngettext("{number} seed", "{number} seeds", 3).format(number=3) == "3 個種子"
        with speaking("zh-CN"):
            assert (_("best baseline"), locale.language()) == ("最佳基线", "zh-CN")
        assert locale.language() == "zh-TW"
    assert _("no message of ours") == "no message of ours"
