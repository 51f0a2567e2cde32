"""The metrics, as values: a name walks in; what it is made of and how it is scored walks out.

Every metric is the mean of one value a record, or a function of summed rows (hits, predicted, gold).
Formulas, sources and edge cases are told in docs/metrics.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from etlch.stats.ratio import Ratio

ROW = ("hits", "predicted", "gold")


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        name: as in summary.json and in --metrics.
        title: as in tables.
        columns: of a record's table: one for a mean, three for a function of summed rows.
        score: of summed rows; None for the mean of the one column.
        yes_no: whether each record says 1 or 0.
        tasks: where it applies; empty for every task. "*json" stands for tasks with a JSON label.
        about: one line.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    about: str
    score: Ratio | None = None
    yes_no: bool = False
    tasks: tuple[str, ...] = ()

    def applies(self, task: str, json_label: bool) -> bool:
        """Tell whether the metric is defined for a task."""
        return not self.tasks or task in self.tasks or (json_label and "*json" in self.tasks)


precision = Ratio(above=(1, 0, 0), below=(0, 1, 0), zero=(0, 1, 1))
"""Hits over predicted; 0 where nothing was predicted of something, undefined where there was nothing."""

recall = Ratio(above=(1, 0, 0), below=(0, 0, 1))
"""Hits over gold; undefined where there is no gold."""

f1 = Ratio(above=(2, 0, 0), below=(0, 1, 1))
"""2 · hits / (predicted + gold), the harmonic mean of precision and recall; undefined for 0/0."""

share = Ratio(above=(1, 0, 0), below=(0, 1, 0))
"""Hits over predicted; undefined where nothing was predicted."""


def record_f1(hits: float, predicted: float, gold: float) -> float:
    """F1 of one record; empty against empty counts 1."""
    return 2 * hits / (predicted + gold) if predicted + gold else 1.0


def _row(family: str) -> tuple[str, ...]:
    return tuple(f"{family}.{part}" for part in ROW)


def _mean(name: str, title: str, about: str, *tasks: str) -> Metric:
    return Metric(name, title, (name,), about, tasks=tasks)


def _rate(name: str, title: str, about: str, *tasks: str) -> Metric:
    return Metric(name, title, (name,), about, yes_no=True, tasks=tasks)


def _f1(family: str, title: str, about: str, *tasks: str) -> Metric:
    return Metric(f"{family}_f1", title, _row(family), about, f1, tasks=tasks)


METRICS = (
    _mean("rouge_l", "ROUGE-L", "F1 of the longest common subsequence of tokens"),
    _mean("rouge_1", "ROUGE-1", "F1 of tokens"),
    _mean("rouge_2", "ROUGE-2", "F1 of token pairs"),
    _mean("cosine", "cosine", "cosine of the embeddings of label and prediction"),
    _rate("json_parse_ok", "JSON ok", "json.loads succeeds on the text as it is", "*json"),
    _rate("json_fenced_ok", "JSON fenced", "so it does, or after one fence or leading prose", "*json"),
    _rate("json_repaired_ok", "JSON repaired", "so it does, or after json-repair; never scored", "*json"),
    _rate("json_object", "object", "the text parses and is an object at the top", "*json"),
    _rate("json_flat", "no nesting", "the text is an object of scalars and lists of scalars", "*json"),
    _rate("schema_ok", "schema ok", "the text parses and satisfies the record's schema", "*json"),
    Metric("facts_precision", "facts P", _row("facts"), "share of predicted facts in the label", precision),
    Metric("facts_recall", "facts R", _row("facts"), "share of the label's facts predicted", recall),
    Metric("facts_f1", "facts F1", _row("facts"), "micro F1 over the test set", f1),
    _mean("facts_f1_macro", "facts F1 macro", "mean F1 by record; empty against empty counts 1"),
    _rate("exact", "exact", "all facts of the record and nothing else"),
    _f1("untyped", "untyped F1", "mentions, whatever their types", "ner"),
    _f1("types", "type F1", "types as a multiset, whatever the mentions", "ner"),
    _f1("partial", "partial F1", "mentions; half a hit where one contains the other", "ner"),
    _f1("subject", "subject F1", "the set of subjects", "kge"),
    _f1("relation", "relation F1", "the set of relations", "kge"),
    _f1("object", "object F1", "the set of objects", "kge"),
    _f1("soft", "soft F1", "triples by best assignment of similar parts", "kge"),
    _f1("keys", "keys F1", "the keys, whatever stands under them", "json"),
    Metric("grounded", "grounded", _row("grounded"), "share of predicted facts in the article", share),
)
"""In the order of tables."""

BY_NAME = {metric.name: metric for metric in METRICS}

EXTRA = {
    "cosine_floor": "mean cosine of predictions with other records' labels",
    "cosine_rescaled": "(cosine - floor) / (1 - floor)",
    "cosine_long": "share of texts longer than the model's window; scored in pieces, nothing is cut off",
}
"""Numbers that stand beside cosine; they are not compared."""

PAPER = {
    "json": ("rouge_l", "cosine", "json_parse_ok"),
    "kge": ("rouge_l", "cosine"),
    "ner": ("rouge_l", "cosine"),
}
"""What the paper's win rates count, and nothing else."""
