"""The house keeps its rules: budgets, prompts for every task and language, help for every command."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from etlch.cli.data import main as data
from etlch.cli.extract import main as extract
from etlch.cli.score import main as score
from etlch.core.prompts import Prompts, eject
from etlch.core.records import LANGUAGES
from etlch.tasks import all_tasks

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "etlch").rglob("*.py"))
LONGEST_FILE, LONGEST_FUNCTION = 400, 60


def commands() -> Iterator[tuple[str, click.Command]]:
    def below(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
        yield path, command
        if isinstance(command, click.Group):
            for name, child in command.commands.items():
                yield from below(f"{path} {name}", child)

    yield from below("etlch-data", data)
    yield from below("etlch-score", score)
    yield from below("etlch-extract", extract)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_stay_small_and_open_with_a_docstring(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= LONGEST_FILE
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "say what the module reads and returns"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < LONGEST_FUNCTION, node.name


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_task_has_its_prompts(language: str) -> None:
    prompts = Prompts()
    for name in all_tasks():
        assert prompts.has(f"{name}/instruction", language) and prompts.has(f"{name}/label", language)
    assert prompts.has("article/write", language) and prompts.has("common/again", language)
    assert prompts.has(f"topics/{language}.yaml")


def test_every_shipped_template_declares_the_variables_it_uses(tmp_path: Path) -> None:
    copies = eject(tmp_path)
    prompts = Prompts(tmp_path)
    prompts.check()  # raises where a template uses what it does not declare
    assert sum(entry.own for entry in prompts.listing()) == len(copies) > 20


@pytest.mark.parametrize(("path", "command"), list(commands()), ids=[path for path, _ in commands()])
def test_every_command_has_help_and_few_options(path: str, command: click.Command) -> None:
    assert command.help
    options = [param for param in command.params if isinstance(param, click.Option)]
    own = [option for option in options if option.name != "lang"]  # which every command takes
    assert len(own) <= 16, "rarer things are keys of the settings file"
    for option in options:
        assert option.help, option.name
    if not isinstance(command, click.Group):
        assert "Example" in command.help, "a runnable example belongs in the help"


@pytest.mark.parametrize("module", ["etlch", "etlch.cli.data", "etlch.cli.score", "etlch.cli.extract"])
def test_importing_is_light(module: str) -> None:
    heavy = (
        "torch",
        "pandas",
        "numpy",
        "scipy",
        "openai",
        "datasets",
        "matplotlib",
        "statsmodels",
        "pydantic",
        "jinja2",
        "yaml",
        "rapidfuzz",
    )
    code = f"import sys, {module}; print([name for name in {heavy!r} if name in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "[]"
