"""Score prediction files from end to end: read them, measure, compare, write the summary."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from etlch.core.errors import EtlchError
from etlch.core.files import load_yaml
from etlch.core.locale import _
from etlch.core.records import task_of
from etlch.core.run_folder import Run
from etlch.core.settings import ScoreSettings
from etlch.core.version import __version__
from etlch.metrics.comparators import parse_rules
from etlch.metrics.registry import metrics_of
from etlch.scoring.compare import Compared, compare, known_metrics, type_scores
from etlch.scoring.cosine import Similarity, add_cosine, with_cosines
from etlch.scoring.inputs import check_baseline, find_inputs
from etlch.scoring.summary import KEYS, SCORES, SUMMARY, Counts, Summary, System, write_summary
from etlch.scoring.tables import Collected, Table, collect
from etlch.scoring.win_rates import win_rates
from etlch.stats import resampling
from etlch.tasks import Task, all_tasks
from etlch.tasks.schema_file import read_schema
from etlch.text.normalize import need_tokenizer


@dataclass(frozen=True)
class Scored:
    """What a scoring leaves behind.

    Attributes:
        out: the folder with summary.json and scores.jsonl, or None where nothing was written.
        kept: whether that is a scores folder, and no scratch folder.
    """

    summary: Summary
    out: Path | None
    kept: bool = False


def score(
    paths: Sequence[Path],
    settings: ScoreSettings,
    keys: Path | None = None,
    out: Path | None = None,
    progress: Callable[[str], None] = lambda message: None,
    scratch: Path | None = None,
) -> Scored:
    """Score predictions; write summary.json, scores.jsonl and keys.jsonl once all is well.

    Args:
        paths: run folders, prediction files, globs.
        settings: how.
        keys: the gold side of loose files.
        out: the scores folder; by default that of the one run folder, and none for loose files or
            where the settings filter metrics, models or tasks: a part never replaces the whole.
        progress: told what is being done.
        scratch: where files go that nobody keeps, if they are needed even so.

    Raises:
        EtlchError: an input that cannot be used. Nothing is written then.
    """
    tasks = all_tasks(Path(settings.task_file) if settings.task_file else None)
    metrics = [
        metric
        for metric in known_metrics(settings.metrics, tasks.values())
        if metric.name != "cosine" or settings.cosine != "off"
    ]
    wanted = [metric.name for metric in metrics]
    if not wanted:
        raise EtlchError(
            _("cosine is asked for alone, and switched off"), _("Remove the setting `cosine: off`.")
        )
    _refuse_unusable(settings)
    inputs = find_inputs(paths, keys, settings)
    if inputs.run is not None and not settings.policies:
        settings = replace(settings, policies=_policies(Run(inputs.run)))
    if out is None and inputs.run is not None:
        if is_filtered(settings):
            progress(_("filtered: nothing written; name a folder with --out"))
        else:
            out = inputs.run / "scores"
    kept, out = out is not None, out or scratch
    groups = frozenset(metric.group for metric in metrics)
    if out is None:
        found = collect(inputs.jobs, settings, groups, None, None, progress)
        return Scored(_finish(found, inputs.notes, tasks, wanted, settings, progress).summary, None)
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n") as samples,
        tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n") as golds,
    ):
        found = collect(inputs.jobs, settings, groups, samples, golds, progress)
        finished = _finish(found, inputs.notes, tasks, wanted, settings, progress)
        golds.seek(0)
        samples.seek(0)
        _move(golds, out / KEYS)
        _move(with_cosines(samples, found.runs, finished.similarity.tables), out / SCORES)
    write_summary(finished.summary, out / SUMMARY)
    return Scored(finished.summary, out, kept)


def _refuse_unusable(settings: ScoreSettings) -> None:
    """Stop on a setting that cannot be followed before any file is read."""
    need_tokenizer(settings.tokenizer)
    parse_rules(settings.compare)
    if settings.schema:
        read_schema(settings.schema)


def _policies(run: Run) -> dict[str, str | list[str]]:
    """Return the policies that a run was made with; none where its run.yaml is missing or does not say."""
    if not run.settings.is_file():
        return {}
    content = load_yaml(run.settings)
    settings = content.get("settings") if isinstance(content, dict) else None
    return dict((settings or {}).get("policies") or {})


def is_filtered(settings: ScoreSettings) -> bool:
    """Tell whether only some metrics, models or tasks are asked for."""
    return bool(settings.metrics or settings.model or settings.task)


@dataclass(frozen=True)
class _Finished:
    summary: Summary
    similarity: Similarity


def _finish(
    found: Collected,
    notes: Sequence[str],
    tasks: Mapping[str, Task],
    wanted: Sequence[str],
    settings: ScoreSettings,
    progress: Callable[[str], None],
) -> _Finished:
    check_baseline([source.system for source in found.sources], settings)
    similarity = add_cosine(found, settings, progress) if "cosine" in wanted else Similarity(found.tables)
    tables = similarity.tables
    progress(_("comparing"))
    compared = compare(tables, lambda name: metrics_of(tasks[task_of(name)]), wanted, settings)
    assumed = _assumed(compared, found, settings)
    summary = Summary(
        signature=signature(tables, settings, compared.resamples, similarity.signature),
        counts=sum((source.counts for source in found.sources), Counts()),
        scores=(*compared.scores, *similarity.scores),
        comparisons=compared.comparisons,
        win_rates=win_rates(compared.comparisons, lambda name: tasks[task_of(name)].win_rate_metrics),
        seeds=compared.seeds,
        choices=compared.choices,
        types=type_scores(tables, settings.type_support),
        sources=found.sources,
        notes=tuple(
            dict.fromkeys(
                [*notes, *found.notes, *similarity.notes, *hints(compared, settings), *_told(assumed)]
            )
        ),
        assumed=assumed,
    )
    return _Finished(summary, similarity)


def _assumed(compared: Compared, found: Collected, settings: ScoreSettings) -> tuple[str, ...]:
    """Return the labels of baselines that neither a role nor --baseline names."""
    if settings.baselines:
        return ()
    known = {source.system.task for source in found.sources if source.system.role}
    return tuple(dict.fromkeys(item.baseline for item in compared.comparisons if item.task not in known))


def _told(assumed: Sequence[str]) -> list[str]:
    if not assumed:
        return []
    text = _("assumed baseline: {baselines}; nobody named one (--baseline, which may be repeated)")
    return [text.format(baselines=_(", ").join(assumed))]


def hints(compared: Compared, settings: ScoreSettings) -> list[str]:
    """Return what a reader should be told about numbers that mislead."""
    by_metric = {
        (item.model, item.task, item.size, item.seed, item.metric): item.value for item in compared.scores
    }
    found = []
    for (model, task, size, seed, metric), value in by_metric.items():
        who = System(model, task, size, seed).label
        untyped, parsed = (
            by_metric.get((model, task, size, seed, name)) or 0.0 for name in ("span_f1", "json_fenced_ok")
        )
        if metric == "facts_f1" and value is not None and untyped > 0.3 > 5 * value:
            text = _(
                "{model}: mentions are right (span F1 {span:.2f}) but types almost never (facts F1 {facts:.2f}). "
                "If they only have other names, map them with the setting label_map"
            )
            found.append(text.format(model=who, span=untyped, facts=value))
        if metric == "keys_f1" and value is not None and parsed > 0.5 > 10 * value:
            text = _(
                "{model}: its keys are almost never the labels' (keys F1 {keys:.2f}). "
                "If they only have other names, map them with the setting label_map"
            )
            found.append(text.format(model=who, keys=value))
    apart = [item for item in compared.comparisons if not item.n]
    if apart:
        label = System(apart[0].model, apart[0].task, apart[0].size, apart[0].seed).label
        text = _(
            "{model} and {baseline} share no {task} record with a value of {metric}; "
            "rows without ids meet line by line, where their labels begin alike"
        )
        one = apart[0]
        found.append(text.format(model=label, baseline=one.baseline, task=one.task, metric=one.metric))
    found += few_compared(compared)
    if not compared.comparisons and len({item.model for item in compared.scores}) > 1:
        told = _("nothing was compared: no model has the role base or baseline; name one with --baseline")
        found.append(told)
    return found


def few_compared(compared: Compared) -> list[str]:
    """Return a warning for each pair of models that share fewer than half of their records."""
    counts = {
        (item.task, System(item.model, item.task, item.size, item.seed).label, item.metric): item.n
        for item in compared.scores
    }
    found: dict[str, None] = {}
    for item in compared.comparisons:
        model = System(item.model, item.task, item.size, item.seed).label
        sizes = [counts.get((item.task, name, item.metric), 0) for name in (model, item.baseline)]
        if item.n and 2 * item.n < max(sizes):
            text = _(
                "{model} and {baseline} are compared on {part} of {whole} {task} records: the others have no counterpart"
            )
            told = text.format(
                model=model, baseline=item.baseline, part=item.n, whole=max(sizes), task=item.task
            )
            found[told] = None
    return list(found)


def signature(tables: Sequence[Table], settings: ScoreSettings, resamples: int, cosine: str) -> str:
    """Return all that must be equal for numbers to be comparable, in sacreBLEU's manner."""
    articles = max(len(set(table.articles.tolist())) for table in tables)
    parts = {
        "records": max(len(table.records) for table in tables),
        "articles": articles,
        **({"groups": resampling.GROUPS} if articles > resampling.GROUPS else {}),
        "tok": settings.tokenizer,
        "case": "lower" if settings.tokenizer == "rouge-score" else "mixed",
        "facts": "set+nfkc"
        + ("+map" if settings.label_map else "")
        + ("+compare" if settings.compare else ""),
        "read": "best-effort",
        "test": settings.test,
        "resamples": resamples,
        "seed": settings.seed,
        "cosine": cosine or "none",
        "version": __version__,
    }
    return "|".join(f"{name}:{value}" for name, value in parts.items())


def _move(lines: Iterable[str], path: Path) -> None:
    """Write lines atomically, one in memory at a time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8", newline="\n") as stream:
            stream.writelines(lines)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
