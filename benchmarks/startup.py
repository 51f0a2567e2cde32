"""How long `--help` takes beside `python -c 'import click'`, in turn, in one run.

Run: python benchmarks/startup.py [ROUNDS]
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

BIN = Path(sys.executable).parent
COMMANDS = {
    "import click": [sys.executable, "-c", "import click"],
    "etlch-data --help": [str(BIN / "etlch-data"), "--help"],
    "etlch-score --help": [str(BIN / "etlch-score"), "--help"],
    "etlch-data generate --help": [str(BIN / "etlch-data"), "generate", "--help"],
}


def seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(rounds + 1):
        for name, command in COMMANDS.items():
            times[name].append(seconds(command))
    base = times["import click"][1:]
    for name, taken in times.items():
        ratios = [one / other for one, other in zip(taken[1:], base, strict=True)]
        print(
            f"{name:<28} median {statistics.median(taken[1:]):.3f} s, ratio to import click {statistics.median(ratios):.1f}"
        )
