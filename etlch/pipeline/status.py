"""Read a run folder, return what it holds, what it needs, and whether it is finished, running or stopped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from etlch.core import manifest
from etlch.core.config import plain
from etlch.core.records import Json
from etlch.core.run_folder import Run
from etlch.core.settings import Settings
from etlch.dataset.build_record import CHECKS
from etlch.dataset.collect import kind_of
from etlch.llm.client import is_locked
from etlch.llm.pricing import find_price
from etlch.llm.store import Store, Usage


@dataclass(frozen=True)
class Status:
    """The state of a run.

    Attributes:
        going: another process works on it now.
        finished: run.yaml holds the counts of what is asked for.
        needed: articles promised.
        accepted, rejected: candidates by the checks' verdicts so far.
        reasons: first reason → count, of the rejected ones.
        usage: purpose → replies, tokens, dollars.
        spent: US dollars, unanswered requests at their reserve included; None where the teacher's price is unknown.
        models: model folder → predicted test sets.
    """

    settings: Settings
    going: bool
    finished: bool
    needed: int
    accepted: int
    rejected: int
    reasons: dict[str, int]
    usage: dict[str, Usage]
    spent: float | None
    models: dict[str, tuple[str, ...]]


def read(run: Run) -> Status:
    """Return the state of a run. Nothing is written or sent.

    Raises:
        EtlchError: not a run folder, or a damaged store.
    """
    known = manifest.read(run)
    settings = known.settings
    needed = settings.needed
    finished = known.counts.get("articles", -1) >= needed
    models = dict(_models(run, known.tests() or settings.plan.tasks))
    if not run.replies.exists():
        accepted = known.counts.get("articles", 0)
        rejected = sum(known.counts.get("rejected", {}).values())
        return Status(settings, is_locked(run), finished, needed, accepted, rejected, {}, {}, 0.0, models)
    store = Store(run.replies, read_only=True)
    try:
        verdicts = store.verdicts(CHECKS)
        usage = store.usage()
        spent = store.spent() if find_price(replace(settings.teacher, budget=None)) else None
    finally:
        store.close()
    reasons: dict[str, int] = {}
    for verdict in verdicts.values():
        if not verdict.ok:
            first = kind_of(verdict.reasons[0]) if verdict.reasons else "no reason kept"
            reasons[first] = reasons.get(first, 0) + 1
    accepted = sum(verdict.ok for verdict in verdicts.values())
    return Status(
        settings,
        is_locked(run),
        finished,
        needed,
        accepted,
        len(verdicts) - accepted,
        reasons,
        usage,
        spent,
        models,
    )


def in_words(run: Run, status: Status) -> str:
    """Return the state for a person."""
    settings = status.settings
    state = _state(status)
    lines = [
        f"{run.folder}: {state}",
        f"  teacher {settings.teacher.name}, {settings.plan.language}, tasks {', '.join(settings.plan.tasks)}, "
        f"sizes {', '.join(map(str, settings.plan.sizes))}, test {settings.plan.test}, seed {settings.plan.seed}",
        f"  candidates: {status.accepted} accepted of {status.needed} needed, {status.rejected} rejected",
    ]
    lines += [
        f"    {count} × {reason}" for reason, count in sorted(status.reasons.items(), key=lambda r: -r[1])[:5]
    ]
    for purpose, used in status.usage.items():
        price = "" if status.spent is None else f", ${used.cost:.4f}"
        lines.append(f"  {purpose}: {used.calls:,} replies, {used.input:,} + {used.output:,} tokens{price}")
    if status.usage and status.spent is None:
        lines.append(f"  spent: unknown, as no price of {settings.teacher.name} is known (setting `price`)")
    elif status.usage:
        lines.append(f"  spent: ${status.spent:.4f}, unanswered requests at their reserve included")
    for model, tasks in status.models.items():
        lines.append(f"  model {model}: {'predicted ' + ', '.join(tasks) if tasks else 'no predictions yet'}")
    if state == "stopped":
        lines.append(
            "  Repeat its `etlch-data generate` command to go on; what is answered is not paid again."
        )
    return "\n".join(lines)


def to_json(run: Run, status: Status) -> dict[str, Json]:
    """Return the state as plain values, named as in run.yaml and in the summary of `generate --json`."""
    return {
        "run": str(run.folder),
        "state": _state(status),
        "settings": plain(status.settings),
        "candidates": {
            "needed": status.needed,
            "accepted": status.accepted,
            "rejected": status.rejected,
            "reasons": status.reasons,
        },
        "cost": {
            purpose: {
                "requests": used.calls,
                "input_tokens": used.input,
                "output_tokens": used.output,
                "usd": None if status.spent is None else used.cost,
            }
            for purpose, used in status.usage.items()
        },
        "usd": status.spent,
        "models": {model: list(tasks) for model, tasks in status.models.items()},
    }


def _state(status: Status) -> str:
    return "going" if status.going else "finished" if status.finished else "stopped"


def _models(run: Run, tasks: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for card in sorted(run.predictions.glob("*/model.json")):
        name = card.parent.name
        yield name, tuple(task for task in tasks if run.prediction_file(name, task).exists())
