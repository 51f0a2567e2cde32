"""Take the messages of the code into etlch/locale/*.po, drop those that are gone, and compile (`make locale`).

python docs/translations.py         write the catalogues; what has no translation yet is named
"""

from __future__ import annotations

import sys
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).parent.parent
METHODS = [("**.py", "python"), ("**.j2", "jinja2"), ("**.js", "javascript")]


def extracted() -> Catalog:
    """Return every message of the package: what stands in `_`, `ngettext`, `pgettext` and `N_`."""
    catalogue = Catalog(charset="utf-8")
    for name, _line, message, comments, context in extract_from_dir(
        ROOT / "etlch", METHODS, keywords={**DEFAULT_KEYWORDS, "N_": None}
    ):
        place = [(f"etlch/{Path(name).as_posix()}", None)]
        catalogue.add(message, None, place, auto_comments=comments, context=context)
    return catalogue


def catalogues() -> dict[Path, Catalog]:
    """Return the catalogue of each language as its file holds it."""
    paths = sorted((ROOT / "etlch" / "locale").glob("*/LC_MESSAGES/etlch.po"))
    found = {}
    for path in paths:
        with path.open("rb") as file:
            found[path] = read_po(file, locale=path.parent.parent.name)
    return found


def missing(catalogue: Catalog) -> list[Message]:
    """Return the messages that have no translation."""
    return [m for m in catalogue if m.id and not all(m.string if isinstance(m.string, tuple) else [m.string])]


def update() -> int:
    """Write .po and .mo of every language; return how many translations are missing."""
    template, open_ = extracted(), 0
    for path, catalogue in catalogues().items():
        catalogue.update(template, no_fuzzy_matching=True, update_creation_date=False)
        for message in catalogue:
            message.flags -= {"python-format"}  # "95 % intervals" is none
        with path.open("wb") as file:
            write_po(file, catalogue, width=0, ignore_obsolete=True, sort_by_file=True, include_lineno=False)
        with path.with_suffix(".mo").open("wb") as file:
            write_mo(file, catalogue)
        for message in missing(catalogue):
            print(f"{path.parent.parent.name} lacks {message.id!r}")
            open_ += 1
    return open_


if __name__ == "__main__":
    sys.exit(1 if update() else 0)
