"""Read settings: defaults, a YAML file and command-line options in, one frozen Settings out.

A settings file is flat (`test: 50`) or names the groups (`plan: {test: 50}`); both may be mixed.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from etlch.core.errors import EtlchError, nearest, warn_user
from etlch.core.extract_settings import ExtractSettings
from etlch.core.files import load_yaml
from etlch.core.locale import _
from etlch.core.records import Json
from etlch.core.settings import ScoreSettings, Settings

Kind = TypeVar("Kind")

RENAMED = {"asks": "max_attempts"}
"""Keys of an earlier release → what they are called now. They go with the next release."""


def load_settings(kind: type[Kind], file: Path | None, options: dict[str, Json]) -> Kind:
    """Return settings: defaults, overridden by the file, overridden by options that are not None.

    Raises:
        EtlchError: an unknown key (with the nearest known one), or a value of the wrong kind.
    """
    values = {} if file is None else read_file(kind, file)
    values |= {name: value for name, value in options.items() if value is not None}
    return parse_settings(kind, values, str(file) if file else "settings")


def read_file(kind: type[Any], file: Path) -> dict[str, Json]:
    """Return what a settings file says, under the keys of a flat one; the values are not looked at.

    Raises:
        EtlchError: not a mapping, or an unknown key.
    """
    loaded = load_yaml(file)
    if not isinstance(loaded, dict | None):
        raise EtlchError(
            _("{file}: settings are `key: value` lines").format(file=file), _("See docs/settings.md.")
        )
    said = [
        *(loaded or {}),
        *(key for group in (loaded or {}).values() if isinstance(group, dict) for key in group),
    ]
    for key in RENAMED.keys() & said:
        warn_user(f"{file}: '{key}' is called '{RENAMED[key]}' now; the old name goes with the next release")
    return flat(kind, loaded or {}, str(file))


def parse_settings(kind: type[Kind], values: Mapping[str, Json], where: str) -> Kind:
    """Return validated settings from plain values, flat or in groups. `where` names their file in messages.

    Raises:
        EtlchError: an unknown key, or a value that pydantic refuses; says how one is written.
    """
    from pydantic import ValidationError

    grouped: dict[str, Json] = {}
    for key, value in flat(kind, values, where).items():
        group, name = _places(kind)[key]
        (grouped.setdefault(group, {}) if group else grouped)[name] = value
    if kind is ScoreSettings and grouped.get("cosine") is False:
        grouped["cosine"] = "off"  # YAML 1.1 reads a bare off as false
    try:
        read: Kind = _adapter(kind).validate_python(grouped)  # type: ignore[arg-type]
        return read
    except ValidationError as error:
        raise _refused(kind, error.errors()[0], where) from error


def make_settings(**values: Json) -> Settings:
    """Return the default settings, changed by values under the keys of a settings file.

    Raises:
        EtlchError: as parse_settings says.
    """
    return parse_settings(Settings, values, "settings")


def changed(settings: Settings, **values: Json) -> Settings:
    """Return settings with other values under the keys of a flat settings file.

    Raises:
        EtlchError: as parse_settings says.
    """
    return parse_settings(Settings, {**plain(settings), **values}, "settings")


def flat(kind: type[Any], values: Mapping[str, Json], where: str) -> dict[str, Json]:
    """Return settings with all values under the keys of a flat file, old names replaced.

    Raises:
        EtlchError: an unknown key.
    """
    groups, places = _groups(kind), _places(kind)
    keys = {place: key for key, place in places.items()}
    found: dict[str, Json] = {}
    for said, value in values.items():
        name = RENAMED.get(said, said)
        if name in groups and isinstance(value, dict):
            found |= {keys[name, inner]: one for inner, one in _inside(name, groups[name], value, where)}
        elif name in places:
            found[name] = value
        elif name in groups:
            raise EtlchError(
                _("{where}: '{name}' is a group of settings, and no value").format(where=where, name=name),
                _("See docs/settings.md."),
            )
        else:
            raise _unknown(kind, str(name), where)
    return found


def _inside(group: str, kind: type[Any], values: Json, where: str) -> Iterator[tuple[str, Json]]:
    """Yield (name, value) of one group of a settings file; an unknown name is an EtlchError."""
    known = [item.name for item in dataclasses.fields(kind)]
    for said, value in values.items():
        name = RENAMED.get(said, said)
        if name not in known:
            raise EtlchError(
                _("{where}: unknown setting '{group}: {said}'.{nearest}").format(
                    where=where, group=group, said=said, nearest=nearest(str(said), known)
                ),
                _("See docs/settings.md."),
            )
        yield name, value


def plain(settings: Any) -> dict[str, Json]:
    """Return settings as plain values for YAML, under the keys of a flat file: tuples become lists."""
    values = dataclasses.asdict(settings)
    return {
        key: _plain(values[group][name] if group else values[name])
        for key, (group, name) in _places(type(settings)).items()
    }


def settings_schema(kind: type[Any]) -> Json:
    """Return the JSON Schema of a settings file, flat or in groups, for editors."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **_adapter(kind).json_schema()}  # type: ignore[arg-type]
    for described in (schema, *schema.get("$defs", {}).values()):
        described.pop("description", None)  # a class's docstring, which not every pydantic puts there
    groups = {name: schema["$defs"][group.__name__] for name, group in _groups(kind).items()}
    for key, (group, name) in _places(kind).items():
        if not group:
            continue
        value = groups[group]["properties"][name]
        schema["properties"][key] = {"anyOf": [value, schema["properties"][key]]} if key in groups else value
    return schema


def default(kind: type[Any], key: str) -> Json:
    """Return the default of a key of a flat settings file; None where it is empty."""
    group, name = _places(kind)[key]
    return getattr(_groups(kind)[group] if group else kind, name, None)


def _groups(kind: type[Any]) -> dict[str, type[Any]]:
    """Return the groups of a kind of settings by name; ScoreSettings has none."""
    factories = {item.name: item.default_factory for item in dataclasses.fields(kind)}
    return {name: made for name, made in factories.items() if dataclasses.is_dataclass(made)}  # type: ignore[misc]


def _places(kind: type[Any]) -> dict[str, tuple[str, str]]:
    """Return the keys of a flat file → (group, name in it); the teacher's name is the key `teacher`."""
    groups = _groups(kind) or {"": kind}
    return {
        group if (group, item.name) == ("teacher", "name") else item.name: (group, item.name)
        for group, members in groups.items()
        for item in dataclasses.fields(members)
    }


def _unknown(kind: type[Any], name: str, where: str) -> EtlchError:
    """Return the error about a key that this command does not know; another command may."""
    for other, (command, _rest) in _COMMANDS.items():
        if other is not kind and name in _places(other):
            return EtlchError(
                _("{where}: '{name}' is a setting of {command}").format(
                    where=where, name=name, command=command
                ),
                _("Each of the commands has a settings file of its own."),
            )
    known = [*_places(kind), *_groups(kind)]
    page = _COMMANDS[kind][1]
    return EtlchError(
        _("{where}: unknown setting '{name}'.{nearest}").format(
            where=where, name=name, nearest=nearest(name, known)
        ),
        _("See {page}.").format(page=page),
    )


_COMMANDS: dict[type[Any], tuple[str, str]] = {
    Settings: ("etlch-data", "docs/settings.md"),
    ScoreSettings: ("etlch-score", "docs/metrics.md, section Settings"),
    ExtractSettings: ("etlch-extract", "docs/extract.md, section Settings"),
}
"""Kind of settings → whose they are, and the page that lists them."""


def _refused(kind: type[Any], error: Any, where: str) -> EtlchError:
    """Return pydantic's first complaint as one line, with a value that would be taken."""
    groups = _groups(kind)
    place = [*error["loc"]]
    group = str(place.pop(0)) if groups else ""
    name = str(place.pop(0))
    key = next(key for key, place in _places(kind).items() if place == (group, name))
    of = groups[group] if group else kind
    schema = _adapter(of).json_schema()["properties"][name]  # type: ignore[arg-type]
    example = schema["examples"][0] if "examples" in schema else schema["default"]
    inside = "".join(f"[{part}]" if isinstance(part, int) else f": {part}" for part in place)
    # A YAML file has lists, and no Python classes.
    said = (
        re.sub(r" or an instance of \w+", "", error["msg"]).replace("tuple", "list").replace("Tuple", "List")
    )
    return EtlchError(
        f"{where}: {key}{inside}: {said} (it is {_shown(error['input'])})",
        _("Write it so: {key}: {shown}").format(key=key, shown=_shown(example)),
    )


@cache
def _adapter(kind: type[Any]) -> Any:
    """Return pydantic's reader of a kind of settings; making one takes longer than all reading.

    pydantic resolves the annotations in settings.py in this function's names: `Field` must be one of them.
    """
    from pydantic import Field, TypeAdapter  # noqa: F401

    return TypeAdapter(kind)


def _shown(value: Json) -> str:
    """Return a value as it stands in a settings file."""
    import yaml

    written = yaml.safe_dump(
        _plain(value), default_flow_style=True, allow_unicode=True, sort_keys=False, width=1000
    )
    return str(written).removesuffix("\n").removesuffix("\n...")


def _plain(value: Json) -> Json:
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
