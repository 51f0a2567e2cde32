"""Read a run folder, return what its files say: run.yaml, articles, records and rejected."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from etlch.core import manifest
from etlch.core.files import read_jsonl
from etlch.core.manifest import Manifest
from etlch.core.records import Article, Record, Rejected
from etlch.core.run_folder import Run


class RunData(NamedTuple):
    """The content of a run.

    Attributes:
        manifest: what run.yaml says: settings, hashes of prompts, counts, cost.
        articles: in plan order.
        records: one per article and task, in the order of the articles.
        rejected: what was refused, with the reasons.
    """

    manifest: Manifest
    articles: Sequence[Article]
    records: Sequence[Record]
    rejected: Sequence[Rejected]


def read_run(folder: Path | str) -> RunData:
    """Return the content of a run folder.

    Raises:
        EtlchError: not a run folder, or a file of it that cannot be read.
    """
    run = Run(Path(folder))
    return RunData(
        manifest.read(run),
        read_jsonl(run.articles, Article),
        read_jsonl(run.records, Record),
        read_jsonl(run.rejected, Rejected),
    )
