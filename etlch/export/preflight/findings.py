"""Check recipes and their data before training: return everything that would go wrong.

LlamaFactory's parser checks the names of arguments and little else. What it lets pass fails once model
and data are loaded, or, worse, does not: it drops rows and cuts labels.
Here each value, each data set and the whole arithmetic of a training is looked at first. Nothing
heavy is imported; what needs a tokenizer stands in `tokens`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from etlch.core.run_folder import Run
from etlch.export.jobs import Job
from etlch.export.preflight import data_files, steps, values
from etlch.export.preflight.values import Problem

Level = Literal["error", "warning", "note"]
_ORDER = {"error": 0, "warning": 1, "note": 2}
_SHOWN = 3


@dataclass(frozen=True)
class Finding:
    """One thing found, and where.

    Attributes:
        level: error (training would be wasted, or fail), warning, or note.
        what: with numbers.
        where: recipes or data sets that it was found in.
        fix: what to do; empty for a note.
    """

    level: Level
    what: str
    where: tuple[str, ...]
    fix: str = ""

    def __str__(self) -> str:
        shown = ", ".join(self.where[:_SHOWN])
        more = f" and {len(self.where) - _SHOWN} more" if len(self.where) > _SHOWN else ""
        return f"{self.level}: {self.what} ({shown}{more})" + (f"\n    → {self.fix}" if self.fix else "")


def quick(run: Run, jobs: Sequence[Job], *, gpus: int | None = None, world: int = 1) -> list[Finding]:
    """Return what is found without a tokenizer: values, data sets, steps, learning rates, disk.

    Args:
        run: a run folder with data and recipes.
        jobs: the jobs to look at.
        gpus: GPUs of this machine; None does not look at what needs one.
        world: processes of one training, each with its own batch.
    """
    found: list[tuple[str, Problem]] = []
    sets: dict[str, list[Problem]] = {}
    for job in jobs:
        found += [(job.stem, problem) for problem in values.problems(job.values, run.folder, gpus)]
        for name in job.data_sets:
            if name not in sets:
                sets[name] = list(data_files.problems(run, name))
        found += [(job.stem, problem) for problem in data_files.across(run, job.values)]
        if job.kind == "train":
            found += [(job.stem, problem) for problem in steps.problems(run, job, world)]
    found += [(name, problem) for name, problems in sets.items() for problem in problems]
    found += [("disk", problem) for problem in steps.disk(run, jobs, world)]
    return gathered(found)


def gathered(found: Iterable[tuple[str, Problem]]) -> list[Finding]:
    """Return findings, errors first; the same problem in many places is one finding."""
    places: dict[Problem, list[str]] = {}
    for where, problem in found:
        places.setdefault(problem, []).append(where)
    made = [
        Finding(problem.level, problem.what, tuple(dict.fromkeys(where)), problem.fix)
        for problem, where in places.items()
    ]
    return sorted(made, key=lambda finding: _ORDER[finding.level])
