"""List the metrics: what each is made of and how it is scored.

Every metric is the mean of one value a record, or a function of summed rows (hits, predicted, gold).
Formulas, sources and edge cases are told in docs/metrics.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from etlch.core.locale import N_
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


def _floor(family: str, title: str, about: str) -> Metric:
    row = _row(f"{family}_floor")
    return Metric(f"{family}_f1_floor", title, row, about, "facts", f1, family=family, compared=False)


FLOORS = ("soft", "lenient", "type", "partial", "type_counts")
"""Families that unrelated facts score in too. Their F1 by chance stands beside them."""

METRICS = (
    _mean("rouge_l", "ROUGE-L", N_("F1 of the longest common subsequence of tokens"), "rouge"),
    _mean("rouge_1", "ROUGE-1", N_("F1 of tokens"), "rouge"),
    _mean("rouge_2", "ROUGE-2", N_("F1 of token pairs"), "rouge"),
    _mean("cosine", N_("cosine"), N_("cosine of the embeddings of label and prediction"), "cosine"),
    _form("json_parse_ok", N_("JSON ok"), N_("json.loads succeeds on the text as it is")),
    _form("json_fenced_ok", N_("JSON fenced"), N_("so it does, or after one fence or leading prose")),
    _form("json_repaired_ok", N_("JSON repaired"), N_("so it does, or after json-repair; never scored")),
    _form("json_object", N_("object"), N_("the text parses and is an object at the top")),
    _form("json_flat", N_("no nesting"), N_("the text is an object of scalars and lists of scalars")),
    _form("schema_ok", N_("schema ok"), N_("the text parses and satisfies the record's schema")),
    Metric(
        "facts_precision",
        N_("facts P"),
        _row("facts"),
        N_("share of predicted facts in the label"),
        "facts",
        precision,
    ),
    Metric(
        "facts_recall",
        N_("facts R"),
        _row("facts"),
        N_("share of the label's facts predicted"),
        "facts",
        recall,
    ),
    Metric(
        "facts_f1",
        N_("facts F1"),
        _row("facts"),
        N_("micro F1, each answer read at best effort"),
        "facts",
        f1,
    ),
    Metric(
        "facts_f1_strict",
        N_("strict F1"),
        _row("facts_strict"),
        N_("micro F1, each answer read strictly"),
        "facts",
        f1,
    ),
    _nested("leaf_precision", N_("leaf P"), "leaf", N_("share of predicted leaves in the label"), precision),
    _nested("leaf_recall", N_("leaf R"), "leaf", N_("share of the label's leaves predicted"), recall),
    _nested("leaf_f1", N_("leaf F1"), "leaf", N_("nested labels: micro F1 of (path, value) leaves"), f1),
    _nested(
        "leaf_f1_strict", N_("strict leaf F1"), "leaf_strict", N_("leaf F1, each answer read strictly"), f1
    ),
    _nested(
        "items_f1", N_("items F1"), "items", N_("nested labels: whole objects, all of their leaves right"), f1
    ),
    _mean(
        "facts_f1_macro", N_("facts F1 macro"), N_("mean F1 by record; empty against empty counts 1"), "facts"
    ),
    Metric(
        "leaf_f1_macro",
        N_("leaf F1 macro"),
        ("leaf_f1_macro",),
        N_("mean leaf F1 by record; empty against empty counts 1"),
        "facts",
        family="nested_labels",
    ),
    Metric(
        "exact", N_("exact"), ("exact",), N_("all facts of the record and nothing else"), "facts", yes_no=True
    ),
    _f1("mentions", N_("mentions F1"), N_("facts, repeats counted one by one")),
    _f1(
        "lenient", N_("lenient F1"), N_("same type and overlapping places, for relations of both ends (n2c2)")
    ),
    _f1("span", N_("span F1"), N_("mentions, whatever their types")),
    _f1("type", N_("type F1"), N_("mentions that overlap one of their type (SemEval, nervaluate)")),
    _f1("partial", N_("partial F1"), N_("mentions; half a hit where they only overlap (SemEval)")),
    _f1("type_counts", N_("type counts F1"), N_("types as a multiset, whatever the mentions")),
    _f1("subject", N_("subject F1"), N_("the set of subjects")),
    _f1("relation", N_("relation F1"), N_("the set of relations")),
    _f1("object", N_("object F1"), N_("the set of objects")),
    _f1("soft", N_("soft F1"), N_("triples by best assignment of similar parts")),
    _f1("keys", N_("keys F1"), N_("the keys, whatever stands under them")),
    Metric(
        "empty_accuracy",
        N_("empty fields"),
        _row("empty_fields"),
        N_("share of the fields that the label leaves empty that the prediction does too"),
        "facts",
        share,
        family="empty_fields",
    ),
    _grounding("attribution", N_("attribution"), N_("share of predicted facts in the article")),
    _grounding(
        "spurious", N_("spurious"), N_("share of predicted facts in the article and not in the label")
    ),
    _grounding("hallucinated", N_("hallucinated"), N_("share of predicted facts in neither")),
    Metric(
        "rouge_l_floor",
        N_("ROUGE-L by chance"),
        ("rouge_l_floor",),
        N_("ROUGE-L of predictions against other records' labels"),
        "rouge",
        compared=False,
    ),
    _floor("soft", N_("soft by chance"), N_("soft F1 of predictions against other records' labels")),
    _floor("lenient", N_("lenient by chance"), N_("lenient F1 of predictions against other records' labels")),
    _floor("type", N_("type by chance"), N_("type F1 of predictions against other records' labels")),
    _floor("partial", N_("partial by chance"), N_("partial F1 of predictions against other records' labels")),
    _floor(
        "type_counts",
        N_("type counts by chance"),
        N_("type counts F1 of predictions against other records' labels"),
    ),
)
"""In the order of tables."""

BY_NAME = {metric.name: metric for metric in METRICS}

GROUPS = tuple(dict.fromkeys(metric.group for metric in METRICS))
"""What is computed together."""

RENAMED = {"untyped_f1": "span_f1", "types_f1": "type_counts_f1", "grounded": "attribution"}
"""Metrics of earlier releases → what they are called now; the old names go with the next release."""

EXTRA = {
    "cosine_floor": N_("mean cosine of predictions with other records' labels"),
    "cosine_rescaled": N_("(cosine - floor) / (1 - floor)"),
    "cosine_long": N_("share of texts longer than the model's window; scored in pieces, nothing is cut off"),
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
