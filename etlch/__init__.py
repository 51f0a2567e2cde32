"""etlch: synthetic data, LlamaFactory recipes and scores for small information-extraction models.

What this module exports is the public interface; everything else may move between releases.
Each name is imported from its module when it is first used, so `import etlch` costs next to nothing.

- `score`: score prediction rows or a DataFrame; returns `Scores` with tables as DataFrames (docs/python.md).
- `Extractor`, `ExtractSettings`: the tuned model on new texts (docs/extract.md).
- `read_summary`: the summary.json of an earlier scoring, as a `Summary`.
- `read_run`: settings, articles, records and rejected of a run folder.
- `Task`, `Parsed`, `read_json`, `scalar_text`, `flat_facts`, `flat_label`, `flat_parse`, `flat_schema`:
  what a task of one's own is made of (docs/own-task.md).
- `EtlchError`: what is raised for a mistake of the user; `what` is wrong, and the `hint` what to do.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from etlch.core.moved import MovedFinder
from etlch.core.version import __version__

if TYPE_CHECKING:
    from etlch.core.errors import EtlchError
    from etlch.core.extract_settings import ExtractSettings
    from etlch.core.run_data import read_run
    from etlch.extract.extractor import Extractor
    from etlch.scoring.frames import Scores, score
    from etlch.scoring.summary import Summary, read_summary
    from etlch.tasks.base import Parsed, Task, flat_facts, flat_label, flat_parse, flat_schema, scalar_text
    from etlch.text.json_text import read_json

__all__ = [
    "EtlchError",
    "ExtractSettings",
    "Extractor",
    "Parsed",
    "Scores",
    "Summary",
    "Task",
    "__version__",
    "flat_facts",
    "flat_label",
    "flat_parse",
    "flat_schema",
    "read_json",
    "read_run",
    "read_summary",
    "scalar_text",
    "score",
]

_MODULES = {
    "EtlchError": "etlch.core.errors",
    "ExtractSettings": "etlch.core.extract_settings",
    "Extractor": "etlch.extract.extractor",
    "read_json": "etlch.text.json_text",
    "read_run": "etlch.core.run_data",
    "read_summary": "etlch.scoring.summary",
    "Summary": "etlch.scoring.summary",
    "Scores": "etlch.scoring.frames",
    "score": "etlch.scoring.frames",
    **dict.fromkeys(
        ("Parsed", "Task", "flat_facts", "flat_label", "flat_parse", "flat_schema", "scalar_text"),
        "etlch.tasks.base",
    ),
}

sys.meta_path.append(MovedFinder())


def __getattr__(name: str) -> object:
    """Import an exported name from its module."""
    if name not in _MODULES:
        raise AttributeError(f"module 'etlch' has no attribute '{name}'")
    from importlib import import_module

    value: object = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the exported names and what is imported already."""
    return sorted({*globals(), *__all__})
