"""Read a summary, return how far a model's score depends on the form of its prompt.

The test articles asked under several prompt forms (setting `prompt_forms`) are test sets of their own; their scores and
that of the run's own form are set side by side, as in the robustness test of JsonTuning (arXiv 2310.02953).
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from etlch.core.records import is_form, task_of, test_name, test_of
from etlch.report import ranking
from etlch.scoring.summary import Summary, System


@dataclass(frozen=True)
class Robustness:
    """One model's score over prompt forms.

    Attributes:
        system: the model, with the task's own name.
        metric: the headline's.
        values: test set, such as `schema` or `schema@form2` → score; two or more.
    """

    system: System
    metric: str
    values: dict[str, float]

    @property
    def mean(self) -> float:
        """The mean over forms."""
        return statistics.fmean(self.values.values())

    @property
    def worst(self) -> tuple[str, float]:
        """The form with the lowest score, and that score."""
        return min(self.values.items(), key=lambda item: item[1])

    @property
    def spread(self) -> float:
        """The standard deviation over forms (n - 1)."""
        return statistics.stdev(self.values.values())


def robustness(summary: Summary) -> list[Robustness]:
    """Return the scores over prompt forms of every model that answered two forms or more, in the order of the summary."""
    tests = dict.fromkeys(system.task for system in summary.systems)
    asked = dict.fromkeys(task_of(name) for name in tests if is_form(test_of(name)))
    found = []
    for task in asked:
        forms = [name for name in tests if task_of(name) == task and (name == task or is_form(test_of(name)))]
        metric = ranking.headline_metric(summary, next(name for name in forms if name != task))
        models = dict.fromkeys(
            (system.model, system.size, system.seed, system.role)
            for system in summary.systems
            if system.task in forms
        )
        for model, size, seed, role in models:
            values = {}
            for name in sorted(forms, key=_order):
                score = summary.mean_score(System(model, name, size, seed, role), metric) if metric else None
                if score is not None and score.value is not None:
                    values[name] = score.value
            if metric and len(values) > 1:
                found.append(Robustness(System(model, test_name(task, ""), size, seed, role), metric, values))
    return found


def _order(name: str) -> int:
    """Return a form's number; 0 of the run's own."""
    return int(test_of(name).removeprefix("form") or 0)
