"""How alike, how fast and how varied is what the offline teacher writes? Prints the table of docs/offline-teacher.md.

Run: python benchmarks/offline.py [articles]     (3,000 articles take about a minute)
"""

from __future__ import annotations

import asyncio
import sys
import time
from itertools import islice

import numpy as np
from scipy.sparse import csr_matrix

from etlch.core.prompts import Prompts
from etlch.core.records import LANGUAGES
from etlch.tasks import all_tasks
from etlch.teachers.base import Attempt, Instruction
from etlch.teachers.offline.teacher import OfflineTeacher
from etlch.text.normalize import fact_form

LONG = {"en": 900, "zh-TW": 1300, "zh-CN": 1300}
ROWS = 250


def shingles(text: str) -> set[str]:
    """Return the 5-character shingles of a text, without white space."""
    squashed = "".join(fact_form(text).split())
    return {squashed[at : at + 5] for at in range(len(squashed) - 4)}


def most_alike(texts: list[str]) -> tuple[int, float]:
    """Return how many texts have a near copy (Jaccard of at least 0.8), and the highest index of any two."""
    sets = [shingles(text) for text in texts]
    number: dict[str, int] = {}
    rows = [row for row, shingles in enumerate(sets) for _ in shingles]
    columns = [number.setdefault(shingle, len(number)) for shingles in sets for shingle in sorted(shingles)]
    holds = csr_matrix((np.ones(len(rows), np.int32), (rows, columns)), (len(texts), len(number)))
    sizes = np.array([len(shingles) for shingles in sets])
    near, highest = 0, 0.0
    for start in range(0, len(texts), ROWS):
        shared = (holds[start : start + ROWS] @ holds.T).toarray()
        index = shared / (sizes[start : start + ROWS, None] + sizes[None, :] - shared)
        index[np.arange(len(index)), start + np.arange(len(index))] = 0
        near += int((index.max(axis=1) >= 0.8).sum())
        highest = max(highest, float(index.max()))
    return near, highest


async def label(teacher: OfflineTeacher, count: int) -> tuple[float, float, int]:
    """Return CPU seconds for all labels of `count` articles, the share of empty fields, different field names."""
    tasks = all_tasks()
    names: set[str] = set()
    empty = asked = 0
    start = time.process_time()
    for topic in islice(teacher.topics(), count):
        text = await teacher.article(topic, Attempt())
        brief = await teacher.write_instruction(topic, text, tasks["json"], Attempt())
        keys = tuple(brief["fields"])
        for name in ("kge", "ner"):
            await teacher.label(topic, text, tasks[name], Instruction("", ()), Attempt())
        values = await teacher.label(topic, text, tasks["json"], Instruction("", keys), Attempt())
        names.update(keys)
        empty += sum(not mentions for mentions in values.values())
        asked += len(keys)
    return time.process_time() - start, empty / asked, len(names)


def main() -> None:
    """Measure each language and print one line per number."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 3000
    for language in LANGUAGES:
        teacher = OfflineTeacher(0, Prompts(), language)
        documents = [teacher.draw(topic) for topic in islice(teacher.topics(), count)]
        near, highest = most_alike([document.text for document in documents])
        print(f"{language}: {near} of {count} articles have a near copy; highest Jaccard index {highest:.2f}")
        seconds, empty, _ = asyncio.run(label(teacher, 1000))
        _, _, names = asyncio.run(label(teacher, 600))
        print(f"  1,000 articles with all labels {seconds:.1f} s CPU; fields without answer {empty:.0%}")
        print(f"  {names} different field names in 600 instructions")
        means = [
            sum(len(getattr(document, part)) for document in documents) / count
            for part in ("triples", "entities", "values")
        ]
        print("  triples, entities, json facts: " + ", ".join(f"{mean:.1f}" for mean in means))
        writer = OfflineTeacher(0, Prompts(), language, lengths=(LONG[language],))
        texts = [writer.draw(topic).text for topic in islice(writer.topics(), 100)]
        sizes = [len(text.split()) if language == "en" else len(text) for text in texts]
        print(f"  mean length for a target of {LONG[language]}: {sum(sizes) / len(sizes):.0f}")


if __name__ == "__main__":
    main()
