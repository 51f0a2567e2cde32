"""What needs an extra names one that exists, and the line that installs it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from etlch.core.errors import EtlchError
from etlch.core.extras import need
from etlch.text.normalize import TOKENIZER_EXTRAS

ROOT = Path(__file__).parent.parent.parent
EXTRAS: dict[str, list[str]] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"][
    "optional-dependencies"
]


def test_every_extra_that_the_code_names_exists_and_is_documented() -> None:
    asked = re.compile(r"""(?:need|pip_line)\(\s*["'](\w+)""")
    named = {
        name for path in ROOT.glob("etlch/**/*.py") for name in asked.findall(path.read_text("utf-8"))
    } | {extra for extra, _ in TOKENIZER_EXTRAS.values()}
    assert len(named) >= 7 and named <= EXTRAS.keys()
    table = (ROOT / "docs" / "install.md").read_text("utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == EXTRAS.keys()


def test_the_extra_all_holds_all_that_are_not_for_developers() -> None:
    (listed,) = EXTRAS["all"]
    assert set(listed.removeprefix("etlch[").removesuffix("]").split(",")) == EXTRAS.keys() - {"all", "dev"}


def test_what_is_missing_is_named_with_the_line_that_installs_it() -> None:
    need("serve", "anything", "json")
    with pytest.raises(EtlchError) as caught:
        need("serve", "etlch-extract serve", "json", "no_such_module")
    assert str(caught.value) == (
        "etlch-extract serve needs no_such_module, which is not installed\npip install 'etlch[serve]'"
    )
    assert caught.value.code == 2
