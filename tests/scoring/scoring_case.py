"""A small run folder with keys and predictions of four models, for tests of the scoring wing."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path

from etlch.core.records import Json, Key, to_dict

NAMES = ("Ann Lee", "Bob Stone", "Carol King", "David Hall", "Eve Park")
PLACES = ("Oslo", "Paris", "Taipei", "Lima")
HEADER = "【1. Triple format (Subject–Relation–Object)】\n"
MODELS = (
    ("base", None, None, "base", 0.3),
    ("etlch", 100, 1, "tuned", 0.7),
    ("etlch", 100, 2, "tuned", 0.8),
    ("etlch", 300, None, "tuned", 1.0),
)
"""Name, size, seed, role, and the share of records answered as the gold has it."""


def key(task: str, number: int) -> Key:
    draw = random.Random(number)
    one, two = draw.sample(NAMES, 2)
    place = draw.choice(PLACES)
    gold = {
        "json": json.dumps({"people": [one, two], "place": [place], "cost": []}),
        "ner": json.dumps({"Person": [one, two], "Location": [place]}),
        "kge": f"{HEADER}{one} – met – {two}\n{one} – met in – {place}",
    }[task]
    lists = {name: {"type": "array", "items": {"type": "string"}} for name in ("people", "place", "cost")}
    schema = {"type": "object", "properties": lists, "required": list(lists)} if task == "json" else None
    article = f"{one} met {two} in {place} on day {number}. They talked for a while."
    return Key(f"a{number:03d}-{task}", f"a{number:03d}", task, "en", f"Do {task}.", article, gold, schema)


def worse(gold: str, draw: random.Random) -> str:
    return draw.choice(
        [
            gold[:-4],
            f"Sure!\n```json\n{gold}\n```",
            gold.replace("Ann", "Anne").replace("Oslo", "Bergen"),
            "I cannot do that.",
        ]
    )


def write_lines(path: Path, rows: Sequence[Json]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def rows(keys: Sequence[Key], good: float, seed: str) -> list[dict[str, Json]]:
    draw = random.Random(seed)
    return [
        {
            "prompt": f"user\n{one.instruction}\n{one.input}assistant\n",
            "predict": one.gold if draw.random() <= good else worse(one.gold, draw),
            "label": one.gold + "\n",
        }
        for one in keys
    ]


def make_run(folder: Path, records: int = 20, tasks: Sequence[str] = ("json", "kge", "ner")) -> Path:
    """Write a run folder with predictions of all MODELS, and one model folder without any."""
    for task in tasks:
        keys = [key(task, number) for number in range(records)]
        write_lines(
            folder / "llamafactory" / f"{folder.name}_{task}_test.keys.jsonl", list(map(to_dict, keys))
        )
        for name, size, seed, role, good in MODELS:
            label = name + (f"-{size}" if size else "") + (f"-s{seed}" if seed else "")
            card = {"name": name, "size": size, "seed": seed, "role": role, "adapter": None, "recipe": None}
            place = folder / "predictions" / label
            write_lines(place / task / "generated_predictions.jsonl", rows(keys, good, f"{label}{task}"))
            (place / "model.json").write_text(json.dumps(card), encoding="utf-8")
    (folder / "predictions" / "etlch-500").mkdir(exist_ok=True)
    (folder / "run.yaml").write_text("format: 1\n", encoding="utf-8")
    return folder
