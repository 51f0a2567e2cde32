"""Record what made a result (recipe, data, weights, versions, time), and compare it with the present files.

At the start of a run the file says what is being made; at its end it is written again with the
costs. Which result belongs to which recipe is decided from it, never from dates.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from etlch.core.errors import EtlchError
from etlch.core.files import digest, dumps, read_text, write_text
from etlch.core.records import Json, from_dict, to_dict

NAME = "provenance.json"
PACKAGES = ("etlch", "llamafactory", "torch", "transformers", "peft", "datasets", "accelerate", "trl")


@dataclass(frozen=True)
class Provenance:
    """The content of provenance.json.

    Attributes:
        recipe: the recipe file, as seen from the run folder.
        recipe_hash: of its values, whatever their order and the file's comments.
        data: data set → hash of its file.
        weights: mark of the weights that a prediction or an export was made with; None for a
            training, and for a model from a hub.
        seed: of the training; None elsewhere.
        versions: package → version, and of Python.
        device: "cpu" or the GPUs' numbers.
        resumed_from: the checkpoint from which a killed training went on.
        seconds: wall time; None until the run is done. Of the last part, if it was resumed.
        base: mark of the base model: its revision on the hub, or a hash of its files; None where it was not on
            this disk.
        peak_memory_gb: most main memory of the process, in 10⁹ bytes.
        peak_gpu_memory_gb: most GPU memory that torch had reserved.
        tokens: those that a training has seen, padding included.
        tokens_per_second: of the training itself, without loading.
    """

    recipe: str
    recipe_hash: str
    data: dict[str, str]
    weights: str | None
    seed: int | None
    versions: dict[str, str]
    device: str
    resumed_from: str | None = None
    seconds: float | None = None
    peak_memory_gb: float | None = None
    peak_gpu_memory_gb: float | None = None
    tokens: int | None = None
    tokens_per_second: float | None = None
    base: str | None = None

    def same_origin(self, other: Provenance) -> bool:
        """Tell whether both were made from the same recipe, data, weights and, where it is known, base model."""
        base = None in (self.base, other.base) or self.base == other.base
        return base and (self.recipe_hash, self.data, self.weights) == (
            other.recipe_hash,
            other.data,
            other.weights,
        )


def recipe_hash(values: dict[str, Json]) -> str:
    """Return the hash of a recipe's values."""
    return digest(json.dumps(values, sort_keys=True, ensure_ascii=True))


def data_hashes(files: Iterable[Path]) -> dict[str, str]:
    """Return data set → hash of its file; a file that is not there has the hash ""."""
    return {path.stem: _hash(path) for path in files}


def _hash(path: Path) -> str:
    try:
        state = path.stat()
    except OSError:
        return ""
    return _hash_of(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=1024)
def _hash_of(path: Path, changed: int, size: int) -> str:
    return digest(path.read_bytes())


@lru_cache(maxsize=1)
def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that a training's outcome depends on."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def write(folder: Path, provenance: Provenance) -> None:
    """Write a result's provenance, atomically."""
    write_text(folder / NAME, dumps(to_dict(provenance), indent=2) + "\n")


def read(folder: Path) -> Provenance | None:
    """Return a result's provenance; None where there is none or another release wrote it."""
    try:
        value = json.loads(read_text(folder / NAME))
        return from_dict(Provenance, value) if isinstance(value, dict) else None
    except (EtlchError, ValueError, KeyError):
        return None
