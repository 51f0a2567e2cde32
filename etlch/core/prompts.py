"""Render prompts: from a template's name and values return the text.

A template is `<folder>/<name>.<language>.j2`, or `<folder>/<name>.j2` for all languages; data
is `<folder>/<name>.yaml`. The user's folder is searched first, file by file, then what ships.
The first line of each shipped template is a comment that lists its variables; an override
may use these and no others.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from etlch.core.errors import EtlchError, nearest
from etlch.core.files import digest, load_yaml, read_text, shipped, write_text
from etlch.core.locale import _
from etlch.core.records import LANGUAGES, Json

_VARIABLES = re.compile(r"\A\{#-?\s*variables:\s*([^#]*?)\s*-?#\}")


class Listed(NamedTuple):
    """One prompt file: its name, the file that wins, whether that is the user's, and its hash."""

    name: str
    path: Path
    own: bool
    hash: str


@dataclass(frozen=True)
class Prompts:
    """The prompt folders in effect.

    Args:
        own: the user's folder, or None. There is no implicit lookup: only what is named counts.
        extra: folders of a task of the user's own may exist in `own`; they need no shipped twin.

    Raises (on `check` or first use):
        EtlchError: a file in `own` matches no shipped one, or uses an undefined variable.
    """

    own: Path | None = None
    own_tasks: tuple[str, ...] = ()

    @cached_property
    def _files(self) -> dict[str, Path]:
        found = dict(_walk(shipped("prompts")))
        if self.own is None:
            return found
        if not self.own.is_dir():
            raise EtlchError(
                _("there is no prompt folder {own}").format(own=self.own),
                _("Make one with `etlch-data prompts eject DIR`."),
            )
        for name, path in _walk(self.own):
            if name not in found and name.split("/")[0] not in self.own_tasks:
                raise EtlchError(
                    _("{path} overrides no prompt.{nearest}").format(
                        path=path, nearest=nearest(name, list(found))
                    ),
                    _("`etlch-data prompts list` shows the names."),
                )
            found[name] = path
        return found

    @cached_property
    def _environment(self) -> Any:
        from jinja2 import StrictUndefined
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        environment = ImmutableSandboxedEnvironment(
            undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=False
        )
        # Jinja's own escapes for HTML, and would tell a model other keys than its label has.
        environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
        return environment

    @cached_property
    def _templates(self) -> dict[str, Any]:
        return {}

    @cached_property
    def _data(self) -> dict[Path, Json]:
        return {}

    def path(self, name: str, language: str = "") -> Path:
        """Return the file of a template ("ner/label") or of data ("ner/types.yaml").

        Raises:
            EtlchError: there is none for this language.
        """
        for candidate in (f"{name}.{language}.j2", f"{name}.j2", name):
            if candidate in self._files:
                return self._files[candidate]
        raise EtlchError(
            _("there is no prompt {name} for language '{language}'.{nearest}").format(
                name=name, language=language, nearest=nearest(name, list(self._files))
            ),
            _("`etlch-data prompts list` shows the names."),
        )

    def has(self, name: str, language: str = "") -> bool:
        """Tell whether a template or data file exists."""
        return any(candidate in self._files for candidate in (f"{name}.{language}.j2", f"{name}.j2", name))

    def render(self, name: str, language: str, **values: Json) -> str:
        """Return the prompt. Values are only ever values: braces in an article stay braces.

        Raises:
            EtlchError: no such template, bad syntax, or an undefined variable, with the nearest name.
        """
        path = self.path(name, language)
        template = self._templates.get(str(path))
        if template is None:
            template = self._templates[str(path)] = self._compile(path)
        from jinja2 import TemplateError

        try:
            return str(template.render(values)).strip()
        except TemplateError as error:
            raise EtlchError(
                f"{path}: {error}", _("Variables here: {values}.").format(values=", ".join(sorted(values)))
            ) from error

    def data(self, name: str) -> Json:
        """Return the value of a YAML data file, e.g. "ner/types.yaml"."""
        path = self.path(name)
        if path not in self._data:
            self._data[path] = load_yaml(path)
        return self._data[path]

    def listing(self) -> list[Listed]:
        """Return every prompt file in effect, by name."""
        return [
            Listed(
                name,
                path,
                self.own is not None and path.is_relative_to(self.own),
                digest(path.read_bytes())[:12],
            )
            for name, path in sorted(self._files.items())
        ]

    def fingerprint(self, names: Iterable[str], language: str) -> dict[str, str]:
        """Return name → 12 hex digits of every file of these names that concerns a language.

        A name is a folder (`ner`), or a file without its endings (`article/write`).
        """
        wanted = set(names)
        return {
            entry.name: entry.hash
            for entry in self.listing()
            if wanted & {entry.name.split("/")[0], entry.name.split(".")[0]}
            and _concerns(entry.name, language)
        }

    def check(self) -> None:
        """Compile the user's templates and compare their variables with those that the shipped twin declares.

        Raises:
            EtlchError: a file that overrides nothing, bad syntax, or a variable that is not given.
        """
        shipped_files = dict(_walk(shipped("prompts")))
        for name, path in self._files.items():
            if name.endswith(".j2") and path != shipped_files.get(name):
                twin = shipped_files.get(name)
                self._check_variables(path, _declared(path if twin is None else twin))

    def _compile(self, path: Path) -> Any:
        from jinja2 import TemplateSyntaxError

        try:
            return self._environment.from_string(read_text(path))
        except TemplateSyntaxError as error:
            raise EtlchError(
                _("{path}, line {lineno}: {message}").format(
                    path=path, lineno=error.lineno, message=error.message
                ),
                _("Fix the template."),
            ) from error

    def _check_variables(self, path: Path, known: list[str]) -> None:
        from jinja2 import meta

        self._compile(path)
        used = meta.find_undeclared_variables(self._environment.parse(read_text(path)))
        for name in sorted(used - set(known)):
            raise EtlchError(
                _("{path} uses the variable '{name}', which it is not given.{nearest}").format(
                    path=path, name=name, nearest=nearest(name, known)
                ),
                _("Variables here: {value}.").format(value=", ".join(known) or "none"),
            )


def eject(
    folder: Path, task: str | None = None, language: str | None = None, *, force: bool = False
) -> list[Path]:
    """Copy the shipped prompts (of one task, for one language) to a folder of the user's; return the copies.

    Raises:
        EtlchError: a file is there already and `force` is not set; then nothing is written.
    """
    chosen = {
        name: path
        for name, path in _walk(shipped("prompts"))
        if (task is None or name.startswith(f"{task}/")) and (language is None or _concerns(name, language))
    }
    if not chosen:
        folders = sorted({name.split("/")[0] for name, _ in _walk(shipped("prompts"))})
        raise EtlchError(
            _("there are no prompts for '{task}'.{nearest}").format(
                task=task, nearest=nearest(str(task), folders)
            ),
            _("Folders: {folders}.").format(folders=", ".join(folders)),
        )
    existing = [folder / name for name in chosen if (folder / name).exists()]
    if existing and not force:
        raise EtlchError(
            _("{existing} exists already").format(existing=existing[0]),
            _("Nothing was written. Use --force to overwrite."),
        )
    for name, path in chosen.items():
        write_text(folder / name, read_text(path))
    return [folder / name for name in chosen]


def _walk(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.glob("*/*")):
        if path.is_file() and not path.name.startswith(".") and path.suffix in (".j2", ".yaml"):
            yield f"{path.parent.name}/{path.name}", path


def _declared(path: Path) -> list[str]:
    match = _VARIABLES.match(read_text(path))
    return [name.strip() for name in match.group(1).split(",") if name.strip()] if match else []


def _concerns(name: str, language: str) -> bool:
    """Tell whether a file is for a language: it names it, or it names none."""
    named = set(name.split("/")[1].split(".")) & set(LANGUAGES)
    return not named or language in named
