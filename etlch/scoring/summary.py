"""Read and write summary.json and scores.jsonl as frozen values.

summary.json holds one Summary. scores.jsonl holds one Sample a line without its gold side, which
stands once per record in keys.jsonl beside it, in the same order.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from etlch.core.errors import EtlchError
from etlch.core.files import dumps, read_text, write_text
from etlch.core.locale import _
from etlch.core.records import Json, Key
from etlch.metrics.registry import RENAMED
from etlch.stats.few import is_few

FORMAT = 2
READS = (1, 2)
"""Formats of summary.json that this release reads."""
"""Of summary.json. Keys may be added within a format; a meaning never changes."""

SUMMARY = "summary.json"
SCORES = "scores.jsonl"
KEYS = "keys.jsonl"


@dataclass(frozen=True, slots=True)
class System:
    """One model on one task: what is scored, compared and shown as one point.

    Attributes:
        model: the model's name without size and seed.
        role: tuned, base or baseline; empty where nobody said.
    """

    model: str
    task: str
    size: int | None = None
    seed: int | None = None
    role: str = ""

    @property
    def label(self) -> str:
        """Name with size and seed, as model folders are called: etlch-300-s1."""
        size = "" if self.size is None else f"-{self.size}"
        return f"{self.model}{size}" + ("" if self.seed is None else f"-s{self.seed}")


@dataclass(frozen=True, slots=True)
class Sample:
    """One record as one model answered it.

    Attributes:
        system: who answered, on which task.
        key: the gold side: article, instruction, gold, schema (empty where the input had none).
        line: in the prediction file, from 1.
        predicted: the model's text as the file holds it.
        reading: how facts were read: strict, fenced, best effort, none (a sentence that says there are none),
            or empty: unparseable, it predicts nothing.
        truncated: the label in the prediction file was cut short, so the prompt may have been too.
        values: metric → this record's own value; a metric that does not apply is absent.
        rows: facts metric → (true positives, predicted, gold); what corpus scores are summed from.
        nested: whether the file's labels are nested JSON, so that facts are leaves.
    """

    system: System
    key: Key
    line: int
    predicted: str
    reading: str
    truncated: bool
    values: Mapping[str, float]
    rows: Mapping[str, tuple[float, float, float]]
    nested: bool = False


@dataclass(frozen=True, slots=True)
class Score:
    """A metric of one system with its 95 % interval. `reason` says why a bound is missing."""

    model: str
    task: str
    size: int | None
    metric: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    seed: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A system against a baseline on the records that both answered.

    Attributes:
        baseline: the baseline's label.
        difference: model minus baseline, with its 95 % interval low..high.
        p: two-sided, of `test`; null with a `reason` where no test is possible.
        p_adjusted: Holm within the family (one task, one metric, all models × baselines).
        n: records in common; `clusters` articles among them.
        family: number of tests that Holm adjusted together.
        q: Benjamini-Hochberg over the whole grid of tests.
        effect: size of the effect, of the kind named in `effect_name`.
        detectable: the smallest true difference that this n finds in four of five tries, in one test
            alone, before correction.
        seeds: trainings of the model's recipe that were averaged; `baseline_seeds` of the baseline's.
        scope: "recipes" where the trained sides have three seeds or more, "weights" where one has fewer:
            the difference then holds for these weights; empty in summaries of earlier releases.
        agree: whether every seed points the way their mean does.
        floor: the smallest p that the test can give on so many articles and resamples.
    """

    model: str
    baseline: str
    task: str
    size: int | None
    metric: str
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    p_adjusted: float | None
    test: str
    n: int
    seed: int | None = None
    clusters: int = 0
    family: int = 0
    q: float | None = None
    effect: float | None = None
    effect_name: str = ""
    detectable: float | None = None
    reason: str = ""
    seeds: int = 1
    baseline_seeds: int = 1
    scope: str = ""
    agree: bool = True
    floor: float = 0.0

    @property
    def articles(self) -> int:
        """How many articles the test saw."""
        return self.clusters or self.n

    @property
    def few(self) -> bool:
        """Whether these are too few articles to call a score better: see stats/few.py."""
        return is_few(self.test, self.articles)

    @property
    def significant(self) -> bool:
        """Whether the adjusted p is below 0.05, the interval excludes 0, seeds agree, and articles are enough."""
        if self.p_adjusted is None or self.low is None or self.high is None or not self.agree or self.few:
            return False
        return self.p_adjusted < 0.05 and not self.low <= 0 <= self.high


@dataclass(frozen=True, slots=True)
class WinRate:
    """The paper's win rate: metrics won of those applicable, a tie counting one half.

    `significant` counts the wins that are significant too; `metrics` names the applicable ones.
    """

    model: str
    baseline: str
    size: int | None
    task: str
    won: float
    applicable: int
    significant: int
    seed: int | None = None
    metrics: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SeedScore:
    """A metric over the seeds of one recipe: mean and standard deviation (n - 1) of its trainings.

    `low` and `high` are the mean's 95 % interval over articles and trainings; `n` is the records.
    """

    model: str
    task: str
    size: int | None
    metric: str
    mean: float
    sd: float
    seeds: int
    low: float | None = None
    high: float | None = None
    n: int = 0


@dataclass(frozen=True, slots=True)
class Choice:
    """The best of several models of a task by a metric, and its score corrected for having been chosen.

    `model` is its label, `among` how many there were to choose from.
    """

    task: str
    metric: str
    model: str
    among: int
    value: float
    corrected: float


@dataclass(frozen=True, slots=True)
class TypeScore:
    """Facts of one type (ner), field (json) or relation (kge) of one system, pooled over records.

    Below the support floor precision, recall and f1 are null; the counts stay.
    """

    model: str
    task: str
    size: int | None
    type: str
    hits: int
    predicted: int
    gold: int
    precision: float | None
    recall: float | None
    f1: float | None
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the lines that were read."""

    read: int = 0
    scored: int = 0
    skipped: int = 0
    unparseable: int = 0
    truncated: int = 0
    unreadable_gold: int = 0

    def __add__(self, other: Counts) -> Counts:
        """Add field by field."""
        return Counts(
            *(getattr(self, item.name) + getattr(other, item.name) for item in dataclasses.fields(self))
        )


@dataclass(frozen=True, slots=True)
class Source:
    """One system's part of one prediction file.

    Attributes:
        lines: outcome (skipped, unparseable, truncated) → the first line numbers it happened on.
    """

    path: str
    model: str
    task: str
    size: int | None
    seed: int | None
    role: str
    counts: Counts
    lines: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def system(self) -> System:
        """Whose lines these are."""
        return System(self.model, self.task, self.size, self.seed, self.role)


@dataclass(frozen=True, slots=True)
class Summary:
    """All that a report needs besides the samples.

    Attributes:
        notes: sentences for the reader.
        assumed: labels of the baselines that nobody named: every other model is compared with them.
    """

    signature: str
    counts: Counts
    scores: tuple[Score, ...]
    comparisons: tuple[Comparison, ...]
    win_rates: tuple[WinRate, ...]
    seeds: tuple[SeedScore, ...] = ()
    types: tuple[TypeScore, ...] = ()
    choices: tuple[Choice, ...] = ()
    sources: tuple[Source, ...] = ()
    notes: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()

    @property
    def systems(self) -> tuple[System, ...]:
        """Every system, in the order of the sources, each once."""
        return tuple(dict.fromkeys(source.system for source in self.sources))

    def score(self, system: System, metric: str) -> Score | None:
        """Return one score, or None where the metric does not apply."""
        wanted = (system.model, system.task, system.size, system.seed, metric)
        for item in self.scores:
            if (item.model, item.task, item.size, item.seed, item.metric) == wanted:
                return item
        return None

    def mean_score(self, system: System, metric: str) -> Score | None:
        """Return a recipe's mean over its seeds as a score; that of a single training where it is one."""
        for item in self.seeds if system.seed is None else ():
            if (item.model, item.task, item.size, item.metric) == (*_who(system), metric):
                where = (item.model, item.task, item.size, metric)
                return Score(*where, item.mean, item.low, item.high, item.n)
        return self.score(system, metric)


def _who(system: System) -> tuple[str, str, int | None]:
    return system.model, system.task, system.size


def summary_json(summary: Summary) -> dict[str, Json]:
    """Return what summary.json holds and `--json` prints."""
    return {"format": FORMAT, **dataclasses.asdict(summary)}


def write_summary(summary: Summary, path: Path) -> None:
    """Write summary.json atomically."""
    write_text(path, dumps(summary_json(summary), indent=1) + "\n")


def read_summary(path: Path | str) -> Summary:
    """Return the summary that a file holds; `path` may also be the folder it stands in.

    Unknown keys are passed over and absent ones take their defaults, so that files of other
    releases with the same format number are read.

    Raises:
        EtlchError: not JSON, no summary, or a format number that this release does not know.
    """
    path = Path(path)
    path = path / SUMMARY if path.is_dir() else path
    try:
        value = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise EtlchError(
            _("{path} is not JSON ({error})").format(path=path, error=error),
            _("Name a summary.json of etlch-score."),
        ) from error
    if not isinstance(value, dict) or value.get("format") not in READS:
        raise EtlchError(
            _("{path} is not a summary of format {reads}").format(
                path=path, reads=" or ".join(map(str, READS))
            ),
            _("Name a summary.json of etlch-score."),
        )
    lists: dict[str, type[Any]] = {
        "scores": Score,
        "comparisons": Comparison,
        "win_rates": WinRate,
        "seeds": SeedScore,
        "types": TypeScore,
        "choices": Choice,
    }
    try:
        return Summary(
            signature=value["signature"],
            counts=_known(Counts, value["counts"]),
            sources=tuple(_source(item) for item in value.get("sources", ())),
            notes=tuple(value.get("notes", ())),
            **{
                name: tuple(_known(kind, item) for item in value.get(name, ()))
                for name, kind in lists.items()
            },
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise EtlchError(
            _("{path} is not a whole summary ({error})").format(path=path, error=error),
            _("Score again with etlch-score."),
        ) from error


Kind = TypeVar("Kind")


def _known(kind: type[Kind], values: dict[str, Json]) -> Kind:
    names = [item.name for item in dataclasses.fields(kind)]  # type: ignore[arg-type]
    known = {name: values[name] for name in names if name in values}
    if "metric" in known:
        known["metric"] = RENAMED.get(known["metric"], known["metric"])
    return kind(**{name: tuple(item) if isinstance(item, list) else item for name, item in known.items()})


def _source(values: dict[str, Json]) -> Source:
    lines = {outcome: tuple(numbers) for outcome, numbers in values.get("lines", {}).items()}
    return _known(Source, {**values, "counts": _known(Counts, values["counts"]), "lines": lines})
