"""Read and write the lines of scores.jsonl, one sample each, with the gold side of keys.jsonl."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from etlch.core.errors import EtlchError
from etlch.core.files import dumps, read_lines
from etlch.core.locale import _
from etlch.core.records import Key, from_dict, task_of
from etlch.scoring.summary import KEYS, SCORES, Sample, System


def sample_line(sample: Sample) -> str:
    """Return a sample as one line of scores.jsonl, without its line break."""
    system = sample.system
    return dumps(
        {
            "model": system.model,
            "task": system.task,
            "size": system.size,
            "seed": system.seed,
            "role": system.role,
            "id": sample.key.id,
            "article_id": sample.key.article_id,
            "line": sample.line,
            "reading": sample.reading,
            "truncated": sample.truncated,
            "values": dict(sample.values),
            "rows": {name: list(row) for name, row in sample.rows.items()},
            "predicted": sample.predicted,
            **({"nested": True} if sample.nested else {}),
        }
    )


def read_samples(folder: Path) -> Iterator[Sample]:
    """Yield every sample of a scores folder, system by system, one in memory at a time.

    Raises:
        EtlchError: a file is missing or damaged, or a sample has no key.
    """
    if not (folder / KEYS).is_file():
        raise EtlchError(
            _("{folder} is missing").format(folder=folder / KEYS), _("Score again with etlch-score.")
        )
    with (folder / KEYS).open("rb") as stream:
        places = _places(stream)
        for line in read_lines(folder / SCORES):
            value = line.value
            system = System(value["model"], value["task"], value["size"], value["seed"], value["role"])
            place = places.get((task_of(system.task), value["id"]))
            if place is None:
                raise EtlchError(
                    _("{folder} has no record '{value}'").format(folder=folder / KEYS, value=value["id"]),
                    _("Score again with etlch-score."),
                )
            stream.seek(place)
            yield Sample(
                system,
                from_dict(Key, json.loads(stream.readline())),
                value["line"],
                value["predicted"],
                value["reading"],
                value["truncated"],
                value["values"],
                {name: (row[0], row[1], row[2]) for name, row in value["rows"].items()},
                bool(value.get("nested", False)),
            )


def _places(stream: IO[bytes]) -> dict[tuple[str, str], int]:
    """Return where each record's line begins in a keys file, by task and id."""
    places = {}
    place = 0
    for raw in stream:
        value = json.loads(raw)
        places[value["task"], value["id"]] = place
        place += len(raw)
    return places
