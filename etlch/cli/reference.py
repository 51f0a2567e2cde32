"""Write the reference pages' Markdown from the code's own options and settings (run by cog)."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from typing import Any

import click


def commands() -> str:
    """Return a table of all commands with their first help sentence."""
    rows = [f"| `{path}` | {command.get_short_help_str(120)} |" for path, command in _walk()]
    return "\n".join(["| command | what it does |", "|---|---|", *rows])


def helps() -> str:
    """Return every command's help text, as the terminal shows it at 100 columns."""
    parts = []
    for path, command in _walk():
        context = click.Context(
            command,
            info_name=path,
            help_option_names=["-h", "--help"],
            max_content_width=100,
            terminal_width=100,
        )
        parts.append(f"## {path}\n\n```text\n{command.get_help(context).rstrip()}\n```\n")
    return "\n".join(parts)


def settings(kind: type[Any], **keys: str) -> str:
    """Return a table of a settings class: key, default, meaning (from its docstring).

    `keys` are fields that a flat file calls otherwise: field → key.
    """
    meanings = dict(_meanings(kind.__doc__ or ""))
    rows = []
    for item in dataclasses.fields(kind):
        default = item.default if item.default is not dataclasses.MISSING else {}
        shown = "–" if default in (None, (), {}, "") else f"`{_plain(default)}`"
        rows.append(f"| `{keys.get(item.name, item.name)}` | {shown} | {meanings.get(item.name, '')} |")
    return "\n".join(["| key | default | meaning |", "|---|---|---|", *rows])


def groups() -> str:
    """Return the tables of all groups of settings of etlch-data, a section each."""
    from etlch.core.settings import CheckSettings, ExportSettings, PlanSettings, TeacherSettings

    parts = []
    for name, kind in (
        ("teacher", TeacherSettings),
        ("plan", PlanSettings),
        ("check", CheckSettings),
        ("export", ExportSettings),
    ):
        about = (kind.__doc__ or "").partition("\n")[0]
        parts.append(
            f"## {name}\n\n{about}\n\n{settings(kind, **({'name': 'teacher'} if name == 'teacher' else {}))}\n"
        )
    return "\n".join(parts)


def modules() -> str:
    """Return one line for every module of the package, folder by folder: the first line of its docstring."""
    import ast
    from pathlib import Path

    import etlch

    root = Path(str(etlch.__file__)).parent
    parts = []
    for folder in PACKAGES:
        files = sorted((root / folder).rglob("*.py"))
        about = (
            ast.get_docstring(ast.parse((root / folder / "__init__.py").read_text("utf-8"))) or ""
        ).partition("\n")[0]
        lines = [
            f"- `{file.relative_to(root / folder).as_posix()}`: "
            + " ".join(
                (ast.get_docstring(ast.parse(file.read_text("utf-8"))) or "").partition("\n\n")[0].split()
            )
            for file in files
            if file.name != "__init__.py"
        ]
        parts.append("\n".join([f"### {folder}/", "", about, "", *lines]))
    return "\n\n".join(parts)


PACKAGES = (
    *(
        "cli",
        "pipeline",
        "report",
        "extract",
        "quality",
        "training",
        "baselines",
        "scoring",
        "export",
        "dataset",
        "teachers",
    ),
    *("llm", "metrics", "tasks", "stats", "render", "text", "core"),
)
"""The packages, from the one that imports all others down to the one that imports none."""


def _walk() -> Iterator[tuple[str, click.Command]]:
    from etlch.cli.data import main as data
    from etlch.cli.extract import main as extract
    from etlch.cli.score import main as score

    for name, root in (("etlch-data", data), ("etlch-score", score), ("etlch-extract", extract)):
        yield from _below(name, root)


def _below(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            yield from _below(f"{path} {name}", child)


def _meanings(doc: str) -> Iterator[tuple[str, str]]:
    block = doc.partition("Attributes:")[2]
    for names, meaning in re.findall(r"^ {8}([\w, ]+): ((?:.+)(?:\n {12}.+)*)", block, re.MULTILINE):
        for name in names.split(","):
            yield name.strip(), " ".join(meaning.split())


def _plain(default: Any) -> str:
    return ", ".join(map(str, default)) if isinstance(default, tuple) else str(default)


if __name__ == "__main__":
    from etlch.core.config import settings_schema
    from etlch.core.files import dumps
    from etlch.core.settings import Settings

    click.echo(dumps(settings_schema(Settings), indent=2))
