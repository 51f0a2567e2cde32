"""Tell what LlamaFactory takes: its arguments and their values, its templates, and which base model has which.

Templates and base models are read from its source, since importing it takes half a minute and gigabytes;
where it is not installed, the shipped list of names is all that is known.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from etlch.core.errors import EtlchError, nearest
from etlch.core.files import load_yaml
from etlch.core.locale import _
from etlch.core.records import Json

_CHAT = ("-Chat", "-Distill", "-Instruct", "-Thinking")
"""Names of models that LlamaFactory gives a template to (extras/constants.py, register_model_group)."""
NO_THINKING = "_nothink"


@dataclass(frozen=True)
class Known:
    """What LlamaFactory takes: argument → kinds of value, argument → its only values, and templates.

    `thinking` and `media` are the templates for models that think, and for those with images or audio.
    """

    arguments: dict[str, tuple[str, ...]]
    choices: dict[str, tuple[str, ...]]
    templates: tuple[str, ...]
    thinking: tuple[str, ...]
    media: tuple[str, ...]


@lru_cache(maxsize=1)
def known() -> Known:
    """Return the list that ships with the package."""
    listed = load_yaml(Path(__file__).parent / "llamafactory_known.yaml")
    return Known(
        {name: tuple(str(kinds).split("|")) for name, kinds in listed["arguments"].items()},
        {name: tuple(values) for name, values in listed["choices"].items()},
        tuple(listed["templates"]),
        tuple(listed["thinking"]),
        tuple(listed["media"]),
    )


@dataclass(frozen=True, slots=True)
class Template:
    """One of LlamaFactory's templates.

    Attributes:
        name: as recipes name it.
        thinks: unless told otherwise, it puts an empty block of thoughts before every label.
        media: it needs the model's image or audio processor, for texts too.
    """

    name: str
    thinks: bool = False
    media: bool = False


@lru_cache(maxsize=1)
def templates() -> dict[str, Template]:
    """Return name → template: those of the installed LlamaFactory, else the shipped names."""
    found = {}
    for told in _calls("data/template.py", "register_template"):
        if isinstance(name := _literal(told.get("name")), str):
            plugin = told.get("mm_plugin")
            found[name] = Template(
                name,
                thinks="Reasoning" in ast.unparse(told["template_class"])
                if "template_class" in told
                else False,
                media=plugin is not None and "'base'" not in ast.unparse(plugin),
            )
    return found or {
        name: Template(name, name in known().thinking, name in known().media) for name in known().templates
    }


@lru_cache(maxsize=1)
def base_models() -> dict[str, str]:
    """Return base model → template: LlamaFactory's own table, by the hub's names in small letters."""
    found = {}
    for told in _calls("extras/constants.py", "register_model_group"):
        template = _literal(told.get("template"))
        models = told.get("models")
        if not isinstance(template, str) or not isinstance(models, ast.Dict):
            continue
        every = bool(_literal(told.get("multimodal")))
        for key, sources in zip(models.keys, models.values, strict=True):
            name = _literal(key)
            if isinstance(sources, ast.Dict) and (every or any(word in str(name) for word in _CHAT)):
                hubs = (_literal(source) for source in sources.values)
                found.update({hub.lower(): template for hub in hubs if isinstance(hub, str)})
    return found


def proposed(model: str) -> str | None:
    """Return LlamaFactory's template for a base model: by the hub's name, or a folder of that name.

    None where LlamaFactory is not installed, names none, or knows several models of that name.
    """
    table = base_models()
    name = model.strip("/").lower()
    if name in table:
        return table[name]
    last = name.rpartition("/")[2]
    fits = {template for hub, template in table.items() if hub.rpartition("/")[2] == last}
    return fits.pop() if len(fits) == 1 else None


def settled(name: str, preset: dict[str, Json]) -> tuple[str, str]:
    """Return the template to write into recipes, and a sentence where it is not the one that was named.

    Args:
        name: of a template.
        preset: the preset's values.

    Raises:
        EtlchError: LlamaFactory has no such template, or thoughts are wanted, which labels do not hold.
    """
    if name not in templates():
        raise EtlchError(
            _("LlamaFactory has no template '{name}'.{nearest}").format(
                name=name, nearest=nearest(name, list(templates()))
            ),
            _("Its parser takes any name; the training would fail once the model is loaded."),
        )
    if not templates()[name].thinks or preset.get("enable_thinking") is False:
        return name, ""
    if preset.get("enable_thinking"):
        raise EtlchError(
            _(
                "template {name} with enable_thinking: true puts an empty block of thoughts before every label"
            ).format(name=name),
            _("Labels hold no thoughts: say enable_thinking: false, or leave it out."),
        )
    silent = name + NO_THINKING
    if silent in templates():
        return silent, f"template {name} is for models that think before they answer; recipes take {silent}"
    return name, (
        f"template {name} is for models that think before they answer; recipes say enable_thinking: false, "
        "which puts the empty block of thoughts into the prompt"
    )


def installed() -> bool:
    """Tell whether LlamaFactory is installed here, without importing it."""
    return find_spec("llamafactory") is not None


def _calls(file: str, function: str) -> Iterator[dict[str, ast.expr]]:
    """Yield the named arguments of each call of a function in one of LlamaFactory's files."""
    spec = find_spec("llamafactory")
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder, file)
        if not path.is_file():
            continue
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            call = node.value if isinstance(node, ast.Expr) else None
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == function:
                yield {word.arg: word.value for word in call.keywords if word.arg}


def _literal(node: ast.expr | None) -> Json:
    return node.value if isinstance(node, ast.Constant) else None
