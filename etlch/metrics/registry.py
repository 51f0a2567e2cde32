"""List the metrics: what each is made of and how it is scored.

Every metric is the mean of one value a record, or a function of summed rows (hits, predicted, gold).
Formulas, sources and edge cases are told in docs/metrics.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from etlch.stats.ratio import Ratio
from etlch.tasks.base import Task

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
        group: what is computed together: one of GROUPS. Groups of which no metric is wanted are not computed.
        family: what a task must name in its `metrics` or `part_metrics`; empty for every task, "json_label"
            for tasks with a JSON label, "nested_labels" for labels that nest.
        compared: whether models are compared by it; not where less is better, nor a floor.
        about: one line.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    about: str
    group: str
    score: Ratio | None = None
    yes_no: bool = False
    family: str = ""
    compared: bool = True

    def applies(self, task: Task) -> bool:
        """Tell whether the metric is defined for a task."""
        if self.family == "json_label":
            return task.json_label
        if self.family == "nested_labels":
            return task.nested_labels
        return not self.family or self.family in (*task.metrics, *dict(task.part_metrics))


precision = Ratio(numerator=(1, 0, 0), denominator=(0, 1, 0), zero_if=(0, 1, 1))
"""Hits over predicted; 0 where nothing was predicted of something, undefined where there was nothing."""

recall = Ratio(numerator=(1, 0, 0), denominator=(0, 0, 1))
"""Hits over gold; undefined where there is no gold."""

f1 = Ratio(numerator=(2, 0, 0), denominator=(0, 1, 1))
"""2 · hits / (predicted + gold), the harmonic mean of precision and recall; undefined for 0/0."""

share = Ratio(numerator=(1, 0, 0), denominator=(0, 1, 0))
"""Hits over predicted; undefined where nothing was predicted."""


def record_f1(hits: float, predicted: float, gold: float) -> float:
    """F1 of one record; empty against empty counts 1."""
    return 2 * hits / (predicted + gold) if predicted + gold else 1.0


def _row(family: str) -> tuple[str, ...]:
    return tuple(f"{family}.{part}" for part in ROW)


def _mean(name: str, title: str, about: str, group: str) -> Metric:
    return Metric(name, title, (name,), about, group)


def _form(name: str, title: str, about: str) -> Metric:
    return Metric(name, title, (name,), about, "json", yes_no=True, family="json_label")


def _f1(family: str, title: str, about: str) -> Metric:
    return Metric(f"{family}_f1", title, _row(family), about, "facts", f1, family=family)


def _nested(name: str, title: str, family: str, about: str, score: Ratio) -> Metric:
    return Metric(name, title, _row(family), about, "facts", score, family="nested_labels")


def _grounding(name: str, title: str, about: str) -> Metric:
    return Metric(name, title, _row(name), about, "grounding", share, compared=name == "attribution")


def _floor(family: str, title: str) -> Metric:
    about = f"{title} F1 of predictions against other records' labels"
    return Metric(
        f"{family}_f1_floor",
        f"{title} by chance",
        _row(f"{family}_floor"),
        about,
        "facts",
        f1,
        family=family,
        compared=False,
    )


FLOORS = {
    "soft": "soft",
    "lenient": "lenient",
    "type": "type",
    "partial": "partial",
    "type_counts": "type counts",
}
"""Families that unrelated facts score in too → their titles. Their F1 by chance stands beside them."""

METRICS = (
    _mean("rouge_l", "ROUGE-L", "F1 of the longest common subsequence of tokens", "rouge"),
    _mean("rouge_1", "ROUGE-1", "F1 of tokens", "rouge"),
    _mean("rouge_2", "ROUGE-2", "F1 of token pairs", "rouge"),
    _mean("cosine", "cosine", "cosine of the embeddings of label and prediction", "cosine"),
    _form("json_parse_ok", "JSON ok", "json.loads succeeds on the text as it is"),
    _form("json_fenced_ok", "JSON fenced", "so it does, or after one fence or leading prose"),
    _form("json_repaired_ok", "JSON repaired", "so it does, or after json-repair; never scored"),
    _form("json_object", "object", "the text parses and is an object at the top"),
    _form("json_flat", "no nesting", "the text is an object of scalars and lists of scalars"),
    _form("schema_ok", "schema ok", "the text parses and satisfies the record's schema"),
    Metric(
        "facts_precision",
        "facts P",
        _row("facts"),
        "share of predicted facts in the label",
        "facts",
        precision,
    ),
    Metric("facts_recall", "facts R", _row("facts"), "share of the label's facts predicted", "facts", recall),
    Metric("facts_f1", "facts F1", _row("facts"), "micro F1, each answer read at best effort", "facts", f1),
    Metric(
        "facts_f1_strict",
        "strict F1",
        _row("facts_strict"),
        "micro F1, each answer read strictly",
        "facts",
        f1,
    ),
    _nested("leaf_precision", "leaf P", "leaf", "share of predicted leaves in the label", precision),
    _nested("leaf_recall", "leaf R", "leaf", "share of the label's leaves predicted", recall),
    _nested("leaf_f1", "leaf F1", "leaf", "nested labels: micro F1 of (path, value) leaves", f1),
    _nested("leaf_f1_strict", "strict leaf F1", "leaf_strict", "leaf F1, each answer read strictly", f1),
    _nested("items_f1", "items F1", "items", "nested labels: whole objects, all of their leaves right", f1),
    _mean("facts_f1_macro", "facts F1 macro", "mean F1 by record; empty against empty counts 1", "facts"),
    Metric(
        "leaf_f1_macro",
        "leaf F1 macro",
        ("leaf_f1_macro",),
        "mean leaf F1 by record; empty against empty counts 1",
        "facts",
        family="nested_labels",
    ),
    Metric("exact", "exact", ("exact",), "all facts of the record and nothing else", "facts", yes_no=True),
    _f1("mentions", "mentions F1", "facts, repeats counted one by one"),
    _f1("lenient", "lenient F1", "same type and overlapping places, for relations of both ends (n2c2)"),
    _f1("span", "span F1", "mentions, whatever their types"),
    _f1("type", "type F1", "mentions that overlap one of their type (SemEval, nervaluate)"),
    _f1("partial", "partial F1", "mentions; half a hit where they only overlap (SemEval)"),
    _f1("type_counts", "type counts F1", "types as a multiset, whatever the mentions"),
    _f1("subject", "subject F1", "the set of subjects"),
    _f1("relation", "relation F1", "the set of relations"),
    _f1("object", "object F1", "the set of objects"),
    _f1("soft", "soft F1", "triples by best assignment of similar parts"),
    _f1("keys", "keys F1", "the keys, whatever stands under them"),
    Metric(
        "empty_accuracy",
        "empty fields",
        _row("empty_fields"),
        "share of the fields that the label leaves empty that the prediction does too",
        "facts",
        share,
        family="empty_fields",
    ),
    _grounding("attribution", "attribution", "share of predicted facts in the article"),
    _grounding("spurious", "spurious", "share of predicted facts in the article and not in the label"),
    _grounding("hallucinated", "hallucinated", "share of predicted facts in neither"),
    Metric(
        "rouge_l_floor",
        "ROUGE-L by chance",
        ("rouge_l_floor",),
        "ROUGE-L of predictions against other records' labels",
        "rouge",
        compared=False,
    ),
    *(_floor(family, title) for family, title in FLOORS.items()),
)
"""In the order of tables."""

BY_NAME = {metric.name: metric for metric in METRICS}

GROUPS = tuple(dict.fromkeys(metric.group for metric in METRICS))
"""What is computed together."""

RENAMED = {"untyped_f1": "span_f1", "types_f1": "type_counts_f1", "grounded": "attribution"}
"""Metrics of earlier releases → what they are called now; the old names go with the next release."""

EXTRA = {
    "cosine_floor": "mean cosine of predictions with other records' labels",
    "cosine_rescaled": "(cosine - floor) / (1 - floor)",
    "cosine_long": "share of texts longer than the model's window; scored in pieces, nothing is cut off",
}
"""Numbers that stand beside cosine; they are not compared."""


def metrics_of(task: Task) -> tuple[Metric, ...]:
    """Return the metrics of a task, in the order of tables; those of its own parts come last."""
    shared = tuple(metric for metric in METRICS if metric.applies(task))
    own = (
        _f1(name, f"{name} F1", f"the set of values of '{task.parts[part]}'")
        for name, part in task.part_metrics
        if f"{name}_f1" not in BY_NAME
    )
    return (*shared, *own)
