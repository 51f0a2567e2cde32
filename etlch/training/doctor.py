"""Check what training and predicting need on this machine; each problem comes with its fix.

Packages are imported in processes of their own: a broken pair of builds cannot be told from their
versions, and may take the process with it.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from etlch.core.extras import installed, pip_line
from etlch.core.records import Json
from etlch.training import hardware

OLDEST_PYTHON = (3, 11)
DISK_GB = 10.0
"""Least free space: a 1B model of 2.5 GB, a merged export of the same size, adapters and checkpoints."""
GPU_GB = 8.0
"""Below this `qlora` is the preset to take."""
BROKEN = {"transformers": {"5.6.0": "LlamaFactory's own pins exclude it as a broken release"}}
IMPORTS = {
    "torch": "torch",
    "torchvision": "torchvision",
    "torchaudio": "torchaudio",
    "transformers": "transformers",
    "peft": "peft",
    "llamafactory": "llamafactory.train.tuner",
    "jieba": "jieba",
    "nltk": "nltk.translate.bleu_score",
    "rouge-chinese": "rouge_chinese",
}
"""Package → the module that a training or a prediction imports of it."""
PREDICTING = ("jieba", "nltk", "rouge-chinese")
PATIENCE = 300.0
"""Seconds for one import; a first one from a slow disk takes a minute."""
_TORCH = """
import json, torch
gpus = [torch.cuda.get_device_properties(n) for n in range(torch.cuda.device_count())]
print(json.dumps({"cuda": torch.version.cuda, "available": torch.cuda.is_available(),
                  "gpus": [[g.name, g.total_memory / 1e9] for g in gpus]}))
"""


@dataclass(frozen=True)
class Finding:
    """One thing looked at.

    Attributes:
        name: what was looked at.
        state: ok; note, worth knowing; bad, training or predicting fails here.
        found: what was found.
        fix: the line that fixes it; empty where there is nothing to fix.
    """

    name: str
    state: Literal["ok", "note", "bad"]
    found: str
    fix: str = ""


def examine(folder: Path, hub: str | None = None) -> Iterator[Finding]:
    """Look at Python, packages, GPUs, disk and programs; yield each finding as it is made.

    Args:
        folder: where runs are written; its disk is looked at.
        hub: a model to ask the hub for; None sends no request.
    """
    yield _python()
    if any(map(installed, ("llamafactory", "torch", "transformers"))):
        yield from _versions()
        yield from _imports()
        yield from _gpus()
        yield from _programs()
    else:
        yield Finding("training", "bad", "nothing of the extra `train` is installed", pip_line("train"))
    yield _disk(folder)
    if hub is not None:
        yield _hub(hub)


def pins() -> dict[str, str]:
    """Return package → requirement of the extra `train`, the versions known to work together."""
    from importlib.metadata import PackageNotFoundError, requires

    try:
        listed = requires("etlch") or []
    except PackageNotFoundError:
        listed = []
    requirements = (line.partition(";")[0].strip() for line in listed if re.search(r"extra == .train.", line))
    return {re.split(r"[=<>~! ]", requirement, maxsplit=1)[0]: requirement for requirement in requirements}


def installation() -> str:
    """Return the line that installs everything in the versions known to work."""
    return "pip install " + " ".join(f"'{pin}'" if ">" in pin else pin for pin in pins().values())


def _python() -> Finding:
    shown = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info >= OLDEST_PYTHON:
        return Finding("Python", "ok", shown)
    return Finding("Python", "bad", shown, "Make an environment of Python 3.11 or newer.")


def _versions() -> Iterator[Finding]:
    """Yield what is missing, known to be broken, or not the version that was tried."""
    from importlib.metadata import PackageNotFoundError, version

    for name, pin in pins().items():
        try:
            installed = version(name)
        except PackageNotFoundError:
            needed = (
                "needed to predict, and not declared by LlamaFactory" if name in PREDICTING else "missing"
            )
            yield Finding(name, "bad", needed, f"pip install '{pin}'")
            continue
        wanted = pin.partition("==")[2]
        if installed in BROKEN.get(name, {}):
            yield Finding(name, "bad", f"{installed}: {BROKEN[name][installed]}", f"pip install '{pin}'")
        elif wanted and installed.partition("+")[0] != wanted:
            yield Finding(name, "note", f"{installed}; tried with {wanted}", f"pip install '{pin}'")
        else:
            yield Finding(name, "ok", installed)


def _imports() -> Iterator[Finding]:
    """Import each package apart, two at a time."""
    with ThreadPoolExecutor(2) as pool:
        for name, problem in zip(IMPORTS, pool.map(_import, IMPORTS.values()), strict=True):
            if problem:
                yield Finding(f"import {name}", "bad", problem, _cure(name, problem))
            else:
                yield Finding(f"import {name}", "ok", "works")


def _import(module: str) -> str:
    """Return why a module cannot be imported; empty if it can."""
    code, shown = _python_says(f"import {module}")
    if code == 0:
        return ""
    lines = [line.strip() for line in shown.splitlines() if line.strip()]
    return lines[-1] if lines else f"Python ended with {code}"


def _python_says(script: str) -> tuple[int, str]:
    try:
        done = subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return 1, f"no answer in {PATIENCE:.0f} s"
    return done.returncode, done.stdout if done.returncode == 0 else done.stderr


def _cure(name: str, problem: str) -> str:
    missing = re.search(r"No module named '([\w.]+)'", problem)
    if missing and missing[1].partition(".")[0] == IMPORTS[name].partition(".")[0]:
        return f"pip install '{pins().get(name, name)}'"
    if "CUDA version" in problem or "torch" in name or "operator torchvision" in problem or ".so" in problem:
        return f"torch, torchvision and torchaudio are builds that do not fit: {installation()}"
    return installation()


def _gpus() -> Iterator[Finding]:
    code, shown = _python_says(_TORCH)
    if code:
        return  # `import torch` has said it
    seen: dict[str, Json] = json.loads(shown.splitlines()[-1])
    if seen["available"]:
        for number, (name, size) in enumerate(seen["gpus"]):
            small = size < GPU_GB
            hint = "etlch-data export RUN --preset qlora" if small else ""
            yield Finding(f"GPU {number}", "note" if small else "ok", f"{name}, {size:.1f} GB", hint)
    elif listed := hardware.visible_gpus():
        built = f"CUDA {seen['cuda']}" if seen["cuda"] else "no CUDA"
        yield Finding(
            "GPU", "bad", f"{len(listed)} listed, torch (built for {built}) sees none", _driver(seen["cuda"])
        )
    else:
        told = "none: presets with bf16 need one; `smoke` trains a 135M model on the CPU"
        yield Finding("GPU", "note", told, "etlch-data export RUN --preset smoke")


def _driver(cuda: str | None) -> str:
    if cuda is None:
        return installation()
    return f"Update the driver to one for CUDA {cuda} or newer (`nvidia-smi` shows its version)."


def _disk(folder: Path) -> Finding:
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    free = shutil.disk_usage(place).free / 1e9
    if free >= DISK_GB:
        return Finding("disk", "ok", f"{free:.0f} GB free")
    return Finding(
        "disk", "bad", f"{free:.1f} GB free at {place}", f"Make room: {DISK_GB:.0f} GB are needed."
    )


def _programs() -> Iterator[Finding]:
    for name, use in (("llamafactory-cli", "trains and predicts"), ("torchrun", "runs on several GPUs")):
        found = shutil.which(name, path=hardware.search_path())
        if found:
            yield Finding(name, "ok", found)
        else:
            yield Finding(name, "bad", f"not on PATH; it {use}", installation())


def _hub(model: str) -> Finding:
    if not installed("huggingface_hub"):
        return Finding("hub", "bad", f"not asked for {model}: huggingface_hub is missing", installation())
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

    try:
        HfApi().auth_check(model)
    except GatedRepoError:
        ask = f"Accept its licence at https://huggingface.co/{model}, then: hf auth login"
        return Finding("hub", "bad", f"{model} is given out on request only", ask)
    except RepositoryNotFoundError:
        return Finding("hub", "bad", f"the hub knows no {model}, or hides it", "hf auth login")
    except (HfHubHTTPError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        return Finding(
            "hub", "bad", f"no answer: {reason}", "Name a folder: etlch-data export RUN --base-model FOLDER"
        )
    return Finding("hub", "ok", f"{model} can be fetched")
