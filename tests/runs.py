"""Small runs for tests: records written by hand, in the shapes that the three tasks have."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from etlch.core import manifest
from etlch.core.files import write_jsonl
from etlch.core.manifest import Manifest
from etlch.core.records import Record
from etlch.core.run_folder import Run
from etlch.core.settings import Settings

NAMES = ("Amélie O'Hara", "陳怡君", 'Bo "Bob" Li', "Zoë\u2028Ng", "𠮷田")


def records(articles: int, language: str = "en") -> Iterator[Record]:
    """Yield json, kge and ner records of a number of articles, in the order of a run."""
    for number in range(articles):
        name = NAMES[number % len(NAMES)]
        text = f"{name} opened shop {number} in Taipei.\nIt <b>rained</b>: 50% & more."
        labels = {
            "json": json.dumps({"owner": [name], "cost": []}, ensure_ascii=False),
            "kge": f"【1. Triple format (Subject–Relation–Object)】\n{name} – opened – shop {number}",
            "ner": json.dumps({"Person": [name], "Location": ["Taipei"]}, ensure_ascii=False),
        }
        for task, label in labels.items():
            schema = None if task == "kge" else {"type": "object"}
            yield Record(
                id=f"a{number:06d}-{task}",
                article_id=f"a{number:06d}",
                task=task,
                language=language,
                instruction=f"Please do {task}.",
                input=text,
                output=label,
                schema=schema,
                facts=(),
            )


def make_run(folder: Path, settings: Settings) -> Run:
    """Write a run's records and run.yaml: what `etlch-data export` starts from."""
    run = Run(folder)
    write_jsonl(run.records, records(settings.needed))
    manifest.write(run, Manifest(settings, {}, {}, {}))
    return run
