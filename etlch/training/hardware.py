"""Find out what this machine offers a run: GPUs, cores, llamafactory-cli."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from etlch.core.errors import EtlchError
from etlch.core.extras import pip_line
from etlch.core.locale import _


@dataclass(frozen=True)
class Machine:
    """Where runs go.

    Attributes:
        gpus: one entry a place, each the numbers of its GPUs ("0" or "0,1"); empty on a CPU.
        predicting: predictions at a time on a CPU; a training there runs alone.
        cores: processor cores.
        cli: llamafactory-cli.
        own_predictor: whether predictions of one model share a process of ours (`predictor`), not one each of
            LlamaFactory's.
    """

    gpus: tuple[str, ...]
    predicting: int
    cores: int
    cli: Path
    own_predictor: bool = False

    @property
    def places(self) -> int:
        """How many runs go at a time."""
        return len(self.gpus) or self.predicting

    @property
    def gpus_each(self) -> int:
        """How many GPUs one run sees; 1 on a CPU, where it is one process too."""
        return max((entry.count(",") + 1 for entry in self.gpus), default=1)


def look(
    gpus: tuple[str, ...] | None, gpus_each: int, predicting: int, *, own_predictor: bool = False
) -> Machine:
    """Return this machine.

    Args:
        gpus: numbers of the GPUs to use; None takes the visible ones.
        gpus_each: GPUs for one run.
        predicting: predictions at a time on a CPU.
        own_predictor: as Machine has it.

    Raises:
        EtlchError: no llamafactory-cli, or fewer GPUs than one run wants.
    """
    numbers = visible_gpus() if gpus is None else gpus
    places = [numbers[start : start + gpus_each] for start in range(0, len(numbers), gpus_each)]
    whole = tuple(",".join(place) for place in places if len(place) == gpus_each)
    if numbers and not whole:
        raise EtlchError(
            _("--gpus-each {gpus_each}: there are only {count} GPUs").format(
                gpus_each=gpus_each, count=len(numbers)
            ),
            _("Name a smaller number."),
        )
    return Machine(whole, predicting, cores(), cli(), own_predictor)


def cli() -> Path:
    """Return llamafactory-cli: beside this Python, else on PATH.

    Raises:
        EtlchError: it is not installed.
    """
    found = shutil.which("llamafactory-cli", path=search_path())
    if found is None:
        raise EtlchError(
            _("there is no llamafactory-cli in this environment"),
            _("{pip_line}  (about 6 GB; `etlch-data doctor` checks it)").format(pip_line=pip_line("train")),
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


def memory(gpus: tuple[str, ...]) -> float | None:
    """Return the bytes of the smallest GPU, or those of main memory that are free; None where nothing tells.

    Args:
        gpus: places as Machine has them; empty on a CPU.
    """
    if gpus:
        listed = _nvidia_smi("memory.total")
        return min((float(number) * 2**20 for number in listed), default=None)
    try:
        told = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        return None
    free = next((line.split()[1] for line in told.splitlines() if line.startswith("MemAvailable:")), None)
    return None if free is None else float(free) * 1024


def visible_gpus() -> tuple[str, ...]:
    """Return the numbers of the GPUs that CUDA_VISIBLE_DEVICES names, or that nvidia-smi lists."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return _as_cuda_reads(named)
    return _nvidia_smi("index")


def _as_cuda_reads(named: str) -> tuple[str, ...]:
    """Return the devices of CUDA_VISIBLE_DEVICES: those before the first that is none; none where one stands twice.

    CUDA C++ Programming Guide, "CUDA Environment Variables".
    """
    devices = [name.strip() for name in named.split(",")]
    valid = list(takewhile(lambda name: name.isdigit() or name.startswith(("GPU-", "MIG-")), devices))
    return tuple(valid) if len(set(valid)) == len(valid) else ()


def _nvidia_smi(what: str) -> tuple[str, ...]:
    """Return a number for each GPU; none where nvidia-smi is not there or fails."""
    try:
        listed = subprocess.run(
            ["nvidia-smi", f"--query-gpu={what}", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return tuple(listed.stdout.split()) if listed.returncode == 0 else ()
