"""Check a model folder's weights without loading them.

Only what stands in the files' heads is read: a file that was cut short, or whose writer was
killed, is told from a whole one in milliseconds.
"""

from __future__ import annotations

import json
import os
from functools import lru_cache
from pathlib import Path
from zipfile import is_zipfile

from etlch.core.files import digest
from etlch.core.records import Json

ADAPTER = ("adapter_config.json", "adapter_model.safetensors")
WHOLE = ("config.json", "model.safetensors")
INDEX = "model.safetensors.index.json"
RESUMING = ("optimizer.pt", "scheduler.pt")
"""What a checkpoint holds to go on from, beside weights and trainer_state.json."""
TAIL = 65_536
"""Bytes at the end of a weight file that its fingerprint is made of."""
_LONGEST_HEAD = 100_000_000


def problem(folder: Path, *, adapter: bool) -> str:
    """Return why the model in a folder cannot be loaded; empty if it can.

    Args:
        folder: of an adapter, or of a whole model (in one file, or in shards with an index).
        adapter: which of the two it must be.
    """
    config, weights = ADAPTER if adapter else WHOLE
    if not isinstance(_json(folder / config), dict):
        return f"no readable {config}"
    if adapter or not (folder / INDEX).is_file():
        return shard_problem(folder / weights)
    index = _json(folder / INDEX)
    shards = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(shards, dict) or not shards:
        return f"no readable {INDEX}"
    return next(filter(None, (shard_problem(folder / name) for name in sorted(set(shards.values())))), "")


def shard_problem(path: Path) -> str:
    """Return why a safetensors file is not whole; empty if it is.

    The format: 8 bytes with the length of a JSON header, the header, then exactly the bytes that
    the header's data_offsets name (github.com/huggingface/safetensors, "Format").
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as handle:
            length = int.from_bytes(handle.read(8), "little")
            header = json.loads(handle.read(min(length, _LONGEST_HEAD)))
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    except OSError:
        return f"no {path.name}"
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return f"{path.name} has no readable header"
    if not ends:
        return f"{path.name} holds no weights"
    return "" if 8 + length + max(ends) == size else f"{path.name} is cut short"


def fingerprint(folder: Path) -> str | None:
    """Return a mark of a folder's weights (size and last bytes of each file), or None without any.

    Training moves all weights, so two trainings never leave the same last bytes; a hash of the
    whole would read gigabytes for every look at a matrix.
    """
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        return None
    marks = []
    for path in files:
        size = path.stat().st_size
        with path.open("rb") as handle:
            handle.seek(-min(size, TAIL), os.SEEK_END)
            marks.append(f"{path.name} {size} {digest(handle.read())}")
    return digest("\n".join(marks))


def origin_mark(folder: Path) -> str | None:
    """Return a mark of a base model on this disk: the hub's revision, or its weights, configuration and tokenizer.

    None where it holds no weights.
    """
    if folder.parent.name == "snapshots":  # of the hub's cache; the folder is named by the commit
        return f"revision {folder.name}"
    marks = fingerprint(folder)
    if marks is None:
        return None
    for name in ("config.json", "tokenizer.json", "tokenizer.model", "vocab.json"):
        path = folder / name
        if path.is_file():
            state = path.stat()
            marks += f"\n{name} {_file_digest(path, state.st_mtime_ns, state.st_size)}"
    return digest(marks)


@lru_cache(maxsize=64)
def _file_digest(path: Path, changed: int, size: int) -> str:
    return digest(path.read_bytes())


def checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoint folders that a training left, in the order of their steps."""
    found = [path for path in folder.glob("checkpoint-*") if path.name.partition("-")[2].isdigit()]
    return sorted(found, key=lambda path: int(path.name.partition("-")[2]))


def resumable(checkpoint: Path, *, adapter: bool) -> bool:
    """Tell whether a training can go on from a checkpoint with nothing lost.

    Weights alone are not enough: without the optimizer's state LlamaFactory goes on as well, and
    says nothing. trainer_state.json is written last.
    """
    return (
        isinstance(_json(checkpoint / "trainer_state.json"), dict)
        # torch writes zip files, whose directory stands at their end
        and all(is_zipfile(checkpoint / name) for name in RESUMING)
        and not problem(checkpoint, adapter=adapter)
    )


def _json(path: Path) -> Json:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
