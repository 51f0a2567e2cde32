"""Try the newest LlamaFactory and transformers, or versions named, in a scratch environment; print what broke.

Run: python docs/demo/newest.py                          (the newest of both)
     python docs/demo/newest.py transformers==5.6.0

The scratch environment lies over this one and holds only what pip brings anew, so nothing here changes. Tried: whether pip
is content, whether the packages import, and the tests that train, predict and export with llamafactory-cli. A few minutes.
Exit code 1 where something broke. To be run by hand or by a weekly job; CI has the pins.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
WATCHED = ("llamafactory", "transformers", "torch", "peft", "trl", "datasets", "accelerate")
TESTS = ("tests/training/test_train.py", "tests/training/test_predictor.py")
VERSIONS = f"from importlib.metadata import version\nfor name in {WATCHED!r}: print(name, version(name))"
IMPORTS = "import torch, transformers, peft, llamafactory.train.tuner"


def ran(python: Path, *words: str) -> tuple[bool, str]:
    """Run this scratch Python; return whether it ended well, and what it printed."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    environment["PATH"] = f"{python.parent}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(
        [python, *words],
        check=False,
        cwd=ROOT,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    return done.returncode == 0, done.stdout.strip()


def main(wanted: list[str]) -> int:
    """Try the wanted versions, print what came of it; return the exit code."""
    with tempfile.TemporaryDirectory() as scratch:
        venv.create(scratch, with_pip=True)
        python = Path(scratch) / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        inside = sysconfig.get_path("purelib", vars={"base": scratch, "platbase": scratch})
        Path(inside, "below.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
        before = ran(Path(sys.executable), "-c", VERSIONS)[1].splitlines()
        well, told = ran(python, "-m", "pip", "install", "--quiet", "--upgrade", *wanted)
        if not well:
            print(f"pip finds no set of versions for {' '.join(wanted)}:\n{told}")
            return 1
        after = ran(python, "-c", VERSIONS)[1].splitlines()
        # Its llamafactory-cli must be this environment's, also where the version is the same.
        ran(python, "-m", "pip", "install", "--no-deps", "--ignore-installed", after[0].replace(" ", "=="))
        for old, new in zip(before, after, strict=True):
            print(new if old == new else f"{old} -> {new.split()[-1]}", flush=True)
        broken = [line for line in told.splitlines() if "requires" in line]
        well, told = ran(python, "-c", IMPORTS)
        if not well:
            broken.append(f"import: {told.splitlines()[-1]}")
        else:
            _, told = ran(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rf", *TESTS)
            broken += [line for line in told.splitlines() if line.startswith(("FAILED", "ERROR"))]
            print(told.splitlines()[-1])
    print("\n".join(f"broken: {line}" for line in broken) or "nothing broke")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["llamafactory", "transformers"]))
