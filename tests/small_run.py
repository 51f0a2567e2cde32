"""A small, sound run on disk, made from texts written here; every fact stands in its article."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from etlch.core import manifest
from etlch.core.config import make_settings
from etlch.core.files import write_jsonl, write_text
from etlch.core.manifest import Manifest
from etlch.core.records import TASKS, Article, Fact, Record
from etlch.core.run_folder import Run
from etlch.dataset.grounding import ground
from etlch.export.write import export
from etlch.tasks import find_task

KEYS = {"json": ("founder", "year", "rival"), "kge": (), "ner": ("Person", "Organization", "Date")}
ADJECTIVES = ("quiet", "broad", "narrow", "bright", "old", "new", "grey", "early", "late", "plain", "strange")
NOUNS = ("harbour", "orchard", "observatory", "foundry", "library", "glacier", "canal", "theatre", "mill")


def article(number: int) -> tuple[str, dict[str, list[Fact]]]:
    """Return a text and its facts by task; no two numbers give near copies."""
    name, firm, year = f"Ann Bell{number}", f"Firm {number} Works", str(1801 + number)
    words = [
        f"{ADJECTIVES[(number * 7 + place) % 11]} {NOUNS[(number * 5 + place * place) % 9]} {number * 31 + place}"
        for place in range(12)
    ]
    text = f"{name} founded {firm} in {year}. It stands between the " + ", the ".join(words) + "."
    return text, {
        "json": [("founder", name), ("year", year)],
        "kge": [(name, "founded", firm)],
        "ner": [("Person", name), ("Organization", firm), ("Date", year)],
    }


def record(number: int, task: str) -> Record:
    """Return the record of an article for a task, its label written by the task."""
    text, facts = article(number)
    chosen = find_task(task)
    located = ground(facts[task], chosen, text).located
    return Record(
        id=f"a{number:05d}-{task}",
        article_id=f"a{number:05d}",
        task=task,
        language="en",
        instruction=f"Extract what the task {task} asks for.",
        input=text,
        output=chosen.render([item.fact for item in located], KEYS[task], "en"),
        schema=chosen.label_schema(KEYS[task]) if chosen.json_label else None,
        facts=located,
    )


def write_run(
    folder: Path,
    *,
    test: int = 3,
    sizes: tuple[int, ...] = (4, 20),
    split_by: Literal["article", "topic"] = "article",
    shots: int = 0,
) -> Run:
    """Write a whole run: articles, records, LlamaFactory files, recipes, run.yaml."""
    run = Run(folder)
    settings = make_settings(
        teacher="offline",
        language="en",
        test=test,
        sizes=sizes,
        split_by=split_by,
        shots=shots,
        base_model="some/model",
        template="llama3",
    )
    numbers = range(test + max(sizes))
    records = [record(number, task) for number in numbers for task in TASKS]
    write_jsonl(
        run.articles,
        [
            Article(
                f"a{number:05d}",
                f"topic {number}",
                f"domain {number}",
                "en",
                "teacher:offline",
                article(number)[0],
            )
            for number in numbers
        ],
    )
    write_jsonl(run.records, records)
    write_text(run.rejected, "")
    export(run, settings)
    counts = {"articles": len(numbers), "records": {task: len(numbers) for task in TASKS}}
    manifest.write(run, Manifest(settings, {}, counts, {}))
    return run


def rows(run: Run, stem: str) -> list[dict[str, str]]:
    """Return the rows of a data file."""
    listed: list[dict[str, str]] = json.loads(run.data(stem).read_text(encoding="utf-8"))
    return listed
