"""Print the versions of etlch's extras in this environment, and of all that they depend on, as pip constraints."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, distribution


def name_of(requirement: str) -> str:
    """Return the normal form of a requirement's name."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0]).lower()  # type: ignore[index]


def closure(root: str) -> dict[str, str]:
    """Return package → version of everything installed that a package asks for, extras included."""
    found: dict[str, str] = {}
    open_ = [root]
    while open_:
        name = open_.pop()
        try:
            installed = distribution(name)
        except PackageNotFoundError:
            continue  # for another system or Python
        found[name] = installed.version.partition("+")[0]
        open_ += {name_of(line) for line in installed.requires or []} - found.keys()
    return {name: version for name, version in sorted(found.items()) if name != root}


if __name__ == "__main__":
    for name, version in closure("etlch").items():
        print(f"{name}=={version}")
