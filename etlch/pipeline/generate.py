"""Read settings, write what is missing in a run folder: articles, records, LlamaFactory files and recipes."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from etlch.core import manifest
from etlch.core.config import plain
from etlch.core.files import write_jsonl
from etlch.core.manifest import Manifest
from etlch.core.prompts import Prompts
from etlch.core.records import Json
from etlch.core.run_data import RunData
from etlch.core.run_folder import Run
from etlch.core.settings import Settings
from etlch.dataset import documents
from etlch.dataset.build_record import RecordBuilder
from etlch.dataset.collect import AcceptedData, Exhausted, Watcher, collect_with_holdout, reasons
from etlch.dataset.corrections import read_corrections, with_corrections
from etlch.export.write import export, export_warnings, refuse_unusable
from etlch.llm.rate_limit import BATCH_MOST
from etlch.pipeline.imported import imported_part, not_to_copy, refuse_mix, with_imported
from etlch.pipeline.retry_rejected import set_rejected_aside
from etlch.pipeline.session import open_teacher
from etlch.pipeline.setup import (
    changed,
    chosen_prompts,
    chosen_tasks,
    earlier,
    money_in_words,
    planned,
    refuse_impossible,
    resume,
    used_prompts,
    with_schema,
)


def write(run: Run, collected: AcceptedData) -> None:
    """Write articles.jsonl, records.jsonl and rejected.jsonl."""
    write_jsonl(run.articles, collected.articles)
    write_jsonl(run.records, collected.records)
    write_jsonl(run.rejected, collected.rejected)


def counts(collected: AcceptedData) -> dict[str, Json]:
    """Return the counts that run.yaml keeps."""
    return {
        "articles": len(collected.articles),
        "records": dict(Counter(record.task for record in collected.records)),
        "rejected": dict(sorted(reasons(collected.rejected).items())),
        "facts": {"grounded": collected.grounded, "stated": collected.stated},
    }


def start(run: Run, before: Manifest | None, settings: Settings, prompts: Prompts) -> None:
    """Write run.yaml without counts: the folder is a run, and it is not finished.

    A grown run keeps its earlier counts until the new ones stand.
    """
    manifest.write(
        run,
        Manifest(
            settings,
            used_prompts(prompts, settings),
            before.counts if before else {},
            before.cost if before else {},
        ),
    )


def finish(
    run: Run, settings: Settings, prompts: Prompts, counted: dict[str, Json], cost: dict[str, Json]
) -> Manifest:
    """Write run.yaml with its counts, last of all files, and return what it says."""
    done = Manifest(settings, used_prompts(prompts, settings), counted, cost)
    manifest.write(run, done)
    return done


class Show(Protocol):
    """Makes the watcher of one generation: articles needed, and what it has cost so far in words."""

    def __call__(self, needed: int, spent: Callable[[], str]) -> Shown:
        """Return a watcher."""
        ...


class Shown(Watcher, Protocol):
    """A watcher that can be closed."""

    def close(self) -> None:
        """Show the last state."""
        ...


@dataclass(frozen=True)
class Generated:
    """What a generation did, for the last lines on the terminal and for `--json`."""

    run: Run
    settings: Settings
    counts: dict[str, Json]
    cost: dict[str, Json]
    recipes: tuple[str, ...]

    def to_json(self) -> dict[str, Json]:
        """Return the summary as plain values."""
        return {
            "run": str(self.run.folder),
            "settings": plain(self.settings),
            "counts": self.counts,
            "cost": self.cost,
            "recipes": list(self.recipes),
        }

    def in_words(self) -> str:
        """Return the summary for a person, at most 80 columns where paths allow."""
        facts = self.counts["facts"]
        rate = facts["grounded"] / facts["stated"] if facts["stated"] else 0.0
        records = ", ".join(f"{count} {task}" for task, count in self.counts["records"].items())
        lost = {
            reason: count for reason, count in self.counts["rejected"].items() if " grounding: " in reason
        }
        rejected = sum(self.counts["rejected"].values()) - sum(lost.values())
        lines = [
            f"{self.counts['articles']} articles, records: {records}",
            f"grounding: {facts['grounded']} of {facts['stated']} facts stand in their article ({rate:.1%})",
            f"rejected: {rejected}" + (f", see {self.run.rejected}" if rejected else ""),
        ]
        why = sorted(self.counts["rejected"].items() - lost.items(), key=lambda item: (-item[1], item[0]))
        lines += [f"  {count} × {reason}" for reason, count in why[:5]]
        if lost:
            lines.append(f"dropped: facts of {sum(lost.values())} records, see {self.run.rejected}")
        if self.cost.get("requests"):
            lines.append(money_in_words(self.cost))
        largest = f"-{max(self.settings.plan.sizes)}-s"
        first = next((name for name in self.recipes if name.startswith("train") and largest in name), None)
        if first:
            lines += [
                "Next: train and predict all of it, or one recipe by hand:",
                f"  etlch-data run {shlex.quote(str(self.run.folder))}",
                f"  cd {shlex.quote(str(self.run.folder))} && llamafactory-cli train recipes/{first}.yaml",
            ]
        return "\n".join(lines)


def _with_human(
    run: Run,
    before: Manifest | None,
    collected: AcceptedData,
    added: RunData | None,
    say: Callable[[str], None],
) -> tuple[AcceptedData, dict[str, Json]]:
    """Return the data with the labels that people corrected and what was imported, and the counts of run.yaml."""
    collected, corrected = _corrected(run, collected, added, say)
    counted = counts(collected) | corrected | ({"imported": before.imported} if before and added else {})
    return with_imported(collected, added), counted


def _corrected(
    run: Run, collected: AcceptedData, added: RunData | None, say: Callable[[str], None]
) -> tuple[AcceptedData, dict[str, Json]]:
    """Return the data with the labels that people corrected, and how many records carry one.

    Imported records come from records.jsonl, with their corrections.
    """
    imported = {record.id for record in added.records} if added else set()
    corrections = read_corrections(run)
    if not corrections:
        return collected, {}
    open_ = [record for record in corrections if record.id not in imported]
    made = with_corrections(collected.records, open_)
    if made.unused:
        say(
            "corrections that are not used, because no record has their text and instruction: "
            f"{len(made.unused)} ({', '.join(made.unused[:5])})"
        )
    grounded, stated = collected.grounded + made.facts, collected.stated + made.facts
    done = collected._replace(records=made.records, grounded=grounded, stated=stated)
    return done, {"corrected": made.changed + len(corrections) - len(open_)}


async def generate(
    settings: Settings, run: Run, show: Show, say: Callable[[str], None], *, retry_rejected: bool = False
) -> Generated:
    """Bring a run folder to what the settings promise, paying only for what is not on file.

    Args:
        settings: what is asked for; an existing run's sizes and tasks are added to it.
        run: the folder, new or old.
        show: makes the progress display.
        say: takes the lines that come before the progress, e.g. the estimate.
        retry_rejected: ask again for what the checks refused in an earlier session.

    Raises:
        EtlchError: see the parts; nothing that was paid for is lost.
    """
    before = earlier(run)
    settings = resume(run, before, with_schema(settings))
    plan, needed = settings.plan, settings.needed
    prompts, tasks = chosen_prompts(plan), chosen_tasks(plan)
    refuse_impossible(settings)
    refuse_unusable(run, settings.export)
    added = imported_part(run, before)
    refuse_mix(settings, before)
    texts = documents.own_texts(plan) if plan.articles else None
    article_bytes = texts.mean_bytes(plan, needed) if texts else 0
    if texts:
        say(texts.told)
    for line in export_warnings(settings.export, plan.language):
        say(line)
    if retry_rejected:
        say(await set_rejected_aside(settings, run, prompts, tasks, texts.candidates if texts else None))
    async with open_teacher(settings, prompts, run) as (teacher, bill):
        on_file = bill.cost()["requests"]
        for line in bill.forecast(needed, tasks, changed(before, prompts, settings), article_bytes):
            say(line)
        start(run, before, settings, prompts)
        watcher = show(needed, bill.in_words)
        builder = RecordBuilder(
            teacher, prompts, tasks, settings.check, plan.ner_types, watcher.note, bill.judge
        )
        try:
            collected = await collect_with_holdout(
                builder,
                plan,
                BATCH_MOST if settings.teacher.batch else settings.teacher.concurrency,
                lambda: iter(texts.candidates) if texts else planned(teacher),
                watcher,
                added and not_to_copy(run, added),
            )
        except Exhausted as failure:
            write_jsonl(run.rejected, (*failure.rejected, *(added.rejected if added else ())))
            if on_file and bill.cost()["requests"] == on_file:
                failure.hint += "\nAll of these answers were on file. Once the endpoint is mended: --retry-rejected asks again."
            raise
        finally:
            watcher.close()
        cost = bill.cost()
    collected, counted = _with_human(run, before, collected, added, say)
    return _written(run, settings, prompts, collected, counted, cost)


def _written(
    run: Run,
    settings: Settings,
    prompts: Prompts,
    collected: AcceptedData,
    counted: dict[str, Json],
    cost: dict[str, Json],
) -> Generated:
    """Write every file of a run from what was collected."""
    write(run, collected)
    exported = export(run, settings, collected.records)
    done = finish(run, settings, prompts, counted, cost)
    # Imported after the requests: these draw, and the first request shall wait for no plot.
    from etlch.quality import card, page

    data = RunData(done, collected.articles, collected.records, collected.rejected)
    card.write(run, done, page.write(run, data))
    return Generated(run, settings, done.counts, cost, exported.recipes)
