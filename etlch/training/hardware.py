"""Find out what this machine offers a run: GPUs, cores, llamafactory-cli."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from etlch.core.errors import EtlchError
from etlch.core.extras import pip_line


@dataclass(frozen=True)
class Machine:
    """Where runs go.

    Attributes:
        gpus: one entry a place, each the numbers of its GPUs ("0" or "0,1"); empty on a CPU.
        predicting: predictions at a time on a CPU; a training there runs alone.
        cores: processor cores.
        cli: llamafactory-cli.
    """

    gpus: tuple[str, ...]
    predicting: int
    cores: int
    cli: Path

    @property
    def places(self) -> int:
        """How many runs go at a time."""
        return len(self.gpus) or self.predicting

    @property
    def gpus_each(self) -> int:
        """How many GPUs one run sees; 1 on a CPU, where it is one process too."""
        return max((entry.count(",") + 1 for entry in self.gpus), default=1)


def look(gpus: tuple[str, ...] | None, gpus_each: int, predicting: int) -> Machine:
    """Return this machine.

    Args:
        gpus: numbers of the GPUs to use; None takes the visible ones.
        gpus_each: GPUs for one run.
        predicting: predictions at a time on a CPU.

    Raises:
        EtlchError: no llamafactory-cli, or fewer GPUs than one run wants.
    """
    numbers = visible_gpus() if gpus is None else gpus
    places = [numbers[start : start + gpus_each] for start in range(0, len(numbers), gpus_each)]
    whole = tuple(",".join(place) for place in places if len(place) == gpus_each)
    if numbers and not whole:
        raise EtlchError(
            f"--gpus-each {gpus_each}: there are only {len(numbers)} GPUs", "Name a smaller number."
        )
    return Machine(whole, predicting, cores(), cli())


def cli() -> Path:
    """Return llamafactory-cli: beside this Python, else on PATH.

    Raises:
        EtlchError: it is not installed.
    """
    found = shutil.which("llamafactory-cli", path=search_path())
    if found is None:
        raise EtlchError(
            "there is no llamafactory-cli in this environment",
            f"{pip_line('train')}  (about 6 GB; `etlch-data doctor` checks it)",
        )
    return Path(found)


def search_path() -> str:
    """Return PATH with this Python's own programs first: a venv need not be activated."""
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"


def cores() -> int:
    """Return how many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def visible_gpus() -> tuple[str, ...]:
    """Return the numbers of the GPUs that CUDA_VISIBLE_DEVICES names, or that nvidia-smi lists."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return tuple(number.strip() for number in named.split(",") if number.strip() not in ("", "-1"))
    try:
        listed = subprocess.run(
            ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return tuple(listed.stdout.split()) if listed.returncode == 0 else ()
