"""Tell what is installed beside the core, and which extra brings what is not."""

from __future__ import annotations

from importlib.util import find_spec

from etlch.core.errors import EtlchError
from etlch.core.locale import _, ngettext


def installed(module: str) -> bool:
    """Tell whether a top-level module can be imported, without importing it."""
    return find_spec(module) is not None


def need(extra: str, what: str, *modules: str) -> None:
    """Stop before work begins where a package of an extra is missing.

    Args:
        extra: a name of `project.optional-dependencies` that brings all the modules.
        what: what needs them, as the user wrote it: `--tokenizer jieba`.
        modules: top-level modules, as they are imported.

    Raises:
        EtlchError: names what is missing and the line that installs it.
    """
    missing = [module for module in modules if not installed(module)]
    if missing:
        raise EtlchError(
            ngettext(
                "{what} needs {missing}, which is not installed",
                "{what} needs {missing}, which are not installed",
                len(missing),
            ).format(what=what, missing=_(" and ").join(missing)),
            pip_line(extra),
        )


def pip_line(extra: str) -> str:
    """Return the command that installs an extra, in a checkout as from a wheel."""
    return f"pip install 'etlch[{extra}]'"
