"""Measure how far training moved the weights of adapter folders.

    python docs/results/moved.py outputs/results/models/*

LoRA's matrix B starts at 0, so its largest absolute value is the furthest that any weight of it moved,
to be compared with the sum of the learning rates.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from safetensors.torch import load_file


def moved(folder: Path) -> float:
    """Return the largest absolute value in the B matrices of an adapter."""
    tensors = load_file(folder / "adapter_model.safetensors")
    return max(float(tensor.abs().max()) for name, tensor in tensors.items() if "lora_B" in name)


def allowed(folder: Path) -> float:
    """Return the sum of the learning rates, from those that the trainer noted at every few steps."""
    noted = json.loads((folder / "trainer_state.json").read_text(encoding="utf-8"))["log_history"]
    points = [(entry["step"], entry["learning_rate"]) for entry in noted if "learning_rate" in entry]
    steps = [0, *(step for step, _ in points)]
    return float(sum((step - before) * rate for before, (step, rate) in zip(steps, points, strict=False)))


if __name__ == "__main__":
    for folder in map(Path, sys.argv[1:]):
        print(f"{folder.name}: moved {moved(folder):.2g}, sum of the rates {allowed(folder):.2g}")
