"""`import etlch` exports what is documented, lightly; modules that moved say where they are."""

from __future__ import annotations

import importlib
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

import etlch
from etlch.core.moved import MODULES
from tests.small_run import write_run


@pytest.mark.parametrize("name", sorted({*etlch.__all__} - {"__version__"}))
def test_every_exported_name_is_there_and_described(name: str) -> None:
    value = getattr(etlch, name)
    assert value.__name__ == name and value.__doc__ and f"`{name}`" in str(etlch.__doc__)
    assert name in dir(etlch)


def test_a_name_that_is_not_exported_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'etlch' has no attribute 'Tasks'"):
        etlch.Tasks  # noqa: B018


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("import etlch.labels", "etlch.labels is etlch.text.json_text now"),
        ("from etlch.config import Settings", "etlch.config is etlch.core.config now"),
        ("from etlch.measure.paper import unpaired", "etlch.measure.paper is etlch.stats.paper now"),
        ("import etlch.score.results", "etlch.score.results is etlch.scoring.summary now"),
        ("from etlch.data import engine", "etlch.data was divided into the packages dataset, teachers, llm"),
        ("import etlch.nothing", "No module named 'etlch.nothing'"),
        ("import etlch.score.nothing", "etlch.score was divided into the packages scoring and report"),
    ],
)
def test_a_module_of_an_earlier_release_says_where_it_is(statement: str, told: str) -> None:
    with pytest.raises(ModuleNotFoundError, match=told):
        exec(statement)


def test_every_new_place_exists() -> None:
    missing = [name for name in MODULES.values() if find_spec(f"etlch.{name}") is None]
    assert missing == []


def test_the_old_name_is_not_taken_by_a_new_module() -> None:
    for name in MODULES:
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module(f"etlch.{name}")


def test_importing_etlch_imports_nothing_but_the_table_of_moved_modules() -> None:
    code = "import sys, etlch; print(sorted(n for n in sys.modules if n.startswith('etlch')))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "['etlch', 'etlch.core', 'etlch.core.moved', 'etlch.core.version']"


def test_the_version_is_that_of_the_package() -> None:
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))
    assert etlch.__version__ == project["project"]["version"]


def test_a_run_is_read_whole(tmp_path: Path) -> None:
    run = etlch.read_run(write_run(tmp_path / "run").folder)
    assert (len(run.articles), len(run.records), len(run.rejected)) == (23, 69, 0)
    assert run.manifest.settings.plan.sizes == (4, 20)
    with pytest.raises(etlch.EtlchError, match="is not a run folder"):
        etlch.read_run(tmp_path)
