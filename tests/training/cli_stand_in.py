"""Stands in for llamafactory-cli where many processes are needed in a second: same calls, same files.

It writes what the real one leaves behind (the real one runs in tests/training/test_run.py). A recipe may
carry a wish in `new_special_tokens`, which etlch's recipes never use: fail, slow, short, nan, mute, killed, or
damaged (its second checkpoint cannot be loaded).
"""

from __future__ import annotations

import json
import os
import random
import signal
import struct
import sys
import time
from pathlib import Path
from typing import Any

import yaml


def main(command: str, recipe: str) -> None:
    values: dict[str, Any] = yaml.safe_load(Path(recipe).read_text(encoding="utf-8"))
    wish = values.get("new_special_tokens")
    folder = Path(values.get("export_dir") or values["output_dir"])
    folder.mkdir(parents=True, exist_ok=True)
    started = {"pid": os.getpid(), "gpu": os.environ.get("CUDA_VISIBLE_DEVICES"), "at": time.monotonic()}
    print("started", flush=True)
    if wish == "fail":
        sys.exit("CUDA out of memory. Tried to allocate 2.00 GiB.")
    if wish == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if wish == "damaged" and any(word.endswith("/checkpoint-2") for word in sys.argv):
        sys.exit(
            '  File "trainer.py", line 1, in _load_optimizer_and_scheduler\nRuntimeError: it is corrupted'
        )
    if wish == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    Path(folder / "pid").write_text(str(os.getpid()), encoding="utf-8")
    time.sleep(60 if wish in ("slow", "stubborn") else 0.1)
    if command == "export":
        weights(folder, "config.json", "model.safetensors")
    elif values.get("do_predict"):
        predict(values, folder, short=wish == "short", mute=wish == "mute")
    else:
        log = {
            "current_steps": 3,
            "total_steps": 3,
            "loss": 0.5,
            "total_tokens": 100,
            "remaining_time": "0:00:00",
        }
        (folder / "trainer_log.jsonl").write_text(json.dumps(log) + "\n", encoding="utf-8")
        (folder / "train_results.json").write_text('{"train_runtime": 2.0}', encoding="utf-8")
        weights(folder, "adapter_config.json", "adapter_model.safetensors")
        history = [{"loss": float("nan")}] if wish == "nan" else []
        (folder / "trainer_state.json").write_text(json.dumps({"log_history": history}), encoding="utf-8")
    with Path("calls.jsonl").open("a", encoding="utf-8") as calls:
        calls.write(json.dumps({**started, "recipe": recipe, "end": time.monotonic()}) + "\n")


def weights(folder: Path, config: str, name: str) -> None:
    (folder / config).write_text("{}", encoding="utf-8")
    header = b'{"w":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}'
    numbers = struct.pack("<4f", *(random.uniform(-1, 1) for _ in range(4)))  # random bits may be a NaN
    (folder / name).write_bytes(len(header).to_bytes(8, "little") + header + numbers)


def predict(values: dict[str, Any], folder: Path, *, short: bool, mute: bool) -> None:
    keys = (
        Path("llamafactory", f"{values['eval_dataset']}.keys.jsonl").read_text(encoding="utf-8").splitlines()
    )
    lines = [
        {"prompt": "", "predict": "" if mute else "{}", "label": json.loads(key)["gold"]} for key in keys
    ]
    text = "".join(json.dumps(line) + "\n" for line in (lines[:-1] if short else lines))
    (folder / "generated_predictions.jsonl").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
