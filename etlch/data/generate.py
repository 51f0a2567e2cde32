"""Settings walk in; a run folder with articles, records, LlamaFactory files and recipes stands on disk."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from etlch.config import Settings, plain
from etlch.data import manifest, own_texts
from etlch.data.apart import collect_sides
from etlch.data.collect import Collected, Exhausted, Watcher, reasons
from etlch.data.export import doubts, export
from etlch.data.forecast import Known, forecast, in_words, known
from etlch.data.make import Candidate, Workshop
from etlch.data.manifest import Manifest
from etlch.data.plan import read_tree, tree_topics
from etlch.data.replies import Store
from etlch.data.teacher import Teacher
from etlch.data.teachers import Free, open_teacher
from etlch.errors import EtlchError
from etlch.files import Run, write_nouns
from etlch.prompts import Prompts
from etlch.records import TASKS, Json
from etlch.tasks import Task, find_task


def planned(teacher: Teacher) -> Iterator[Candidate]:
    """Yield the candidates of a teacher's plan; ids come from the plan position."""
    for topic in teacher.topics():
        yield Candidate(f"a{topic.position:05d}", topic, f"teacher:{teacher.name}")


def chosen_tasks(settings: Settings) -> dict[str, Task]:
    """Return the tasks of a run, in the order in which its files list them.

    Raises:
        EtlchError: there is no such task.
    """
    path = Path(settings.task_file) if settings.task_file else None
    ordered = sorted(
        settings.tasks, key=lambda name: (TASKS.index(name) if name in TASKS else len(TASKS), name)
    )
    return {name: find_task(name, path) for name in ordered}


def chosen_prompts(settings: Settings) -> Prompts:
    """Return the prompts of a run, checked.

    Raises:
        EtlchError: an override matches no prompt or uses an undefined variable.
    """
    # Two folders may hold files without a shipped twin: own tasks, and domains of the offline teacher.
    own_tasks = ("offline", *(name for name in settings.tasks if name not in TASKS))
    prompts = Prompts(Path(settings.prompts) if settings.prompts else None, own_tasks)
    prompts.check()
    return prompts


def resume(run: Run, settings: Settings) -> Settings:
    """Return the settings for a run folder that may exist: earlier tasks stay, and sizes that were finished.

    Raises:
        EtlchError: what the folder was made with does not fit what is asked for now.
    """
    if not run.settings.exists():
        if run.folder.is_file():
            raise EtlchError(f"{run.folder} is a file", "Name a folder with --out.")
        return settings
    held = manifest.read(run)
    before = held.settings
    for name in ("teacher", "language", "seed", "test", "articles", "ner_types", "split_by", "label_first"):
        if name == "test" and not held.counts:
            continue  # no test set stands yet
        was, now = getattr(before, name), getattr(settings, name)
        if was != now:
            option = f"--{name} {was}" if name in _OPTIONS else f"{name}: {was} in the settings file"
            raise EtlchError(
                f"{run.folder} was made with {name} {was}, not {now}",
                f"Repeat it ({option}), or name another folder with --out.",
            )
    sizes = tuple(sorted({*settings.sizes, *(before.sizes if held.counts else ())}))
    tasks = tuple(dict.fromkeys((*before.tasks, *settings.tasks)))
    return dataclasses.replace(settings, sizes=sizes, tasks=tasks)


_OPTIONS = ("teacher", "language", "seed", "test", "articles")


def write(run: Run, collected: Collected) -> None:
    """Write articles.jsonl, records.jsonl and rejected.jsonl."""
    write_nouns(run.articles, collected.articles)
    write_nouns(run.records, collected.records)
    write_nouns(run.rejected, collected.rejected)


def counts(collected: Collected) -> dict[str, Json]:
    """Return the counts that run.yaml keeps."""
    return {
        "articles": len(collected.articles),
        "records": dict(Counter(record.task for record in collected.records)),
        "rejected": dict(sorted(reasons(collected.rejected).items())),
        "facts": {"grounded": collected.grounded, "stated": collected.stated},
    }


def start(run: Run, settings: Settings, prompts: Prompts) -> None:
    """Write run.yaml without counts: the folder is a run, and it is not finished.

    A grown run keeps its earlier counts until the new ones stand.
    """
    before = manifest.read(run) if run.settings.exists() else None
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
    run: Run, settings: Settings, prompts: Prompts, collected: Collected, cost: dict[str, Json]
) -> None:
    """Write run.yaml with its counts, last of all files."""
    manifest.write(run, Manifest(settings, used_prompts(prompts, settings), counts(collected), cost))


def used_prompts(prompts: Prompts, settings: Settings) -> dict[str, str]:
    """Return name → hash of the prompt files that this run can use."""
    if settings.teacher == "offline" or settings.label_first:
        wanted = [
            "offline",
            *(f"{task}/{part}" for task in settings.tasks for part in ("instruction", "types")),
        ]
    else:
        wanted = [*settings.tasks]
    if settings.teacher != "offline":
        wanted.append("common/again")
        if settings.label_first:
            wanted.append("article/around")
        elif not settings.articles:
            wanted += ["article/write", f"topics/{settings.language}"]
    return prompts.fingerprint(wanted, settings.language)


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
        largest = f"-{max(self.settings.sizes)}-s"
        first = next((name for name in self.recipes if name.startswith("train") and largest in name), None)
        if first:
            lines += [
                "Next: train and predict all of it, or one recipe by hand:",
                f"  etlch-data run {self.run.folder}",
                f"  cd {self.run.folder} && llamafactory-cli train recipes/{first}.yaml",
            ]
        return "\n".join(lines)


def money_in_words(cost: dict[str, Json]) -> str:
    """Return one line about requests, tokens and dollars."""
    usd = cost.get("usd")
    price = "price unknown" if usd is None else f"${usd:.4f}"
    return f"teacher: {cost['requests']:,} requests, {cost['input_tokens']:,} + {cost['output_tokens']:,} tokens, {price}"


async def generate(settings: Settings, run: Run, show: Show, say: Callable[[str], None]) -> Generated:
    """Bring a run folder to what the settings promise, paying only for what is not on file.

    Args:
        settings: what is asked for; an existing run's sizes and tasks are added to it.
        run: the folder, new or old.
        show: makes the progress display.
        say: takes the lines that come before the progress, e.g. the estimate.

    Raises:
        EtlchError: see the parts; nothing that was paid for is lost.
    """
    settings = resume(run, settings)
    prompts, tasks = chosen_prompts(settings), chosen_tasks(settings)
    needed = settings.test + max(settings.sizes)
    _refuse(settings)
    article_bytes = own_texts.mean_bytes(settings, needed) if settings.articles else 0
    for line in doubts(settings):
        say(line)
    async with open_teacher(settings, prompts, run) as (teacher, bill):
        for line in bill.forecast(needed, tasks, changed(run, prompts, settings), article_bytes):
            say(line)
        start(run, settings, prompts)
        watcher = show(needed, bill.in_words)
        workshop = Workshop(teacher, prompts, tasks, settings, watcher.note, bill.judge)
        try:
            collected = await collect_sides(
                workshop,
                lambda: own_texts.candidates(settings) if settings.articles else planned(teacher),
                watcher,
            )
        except Exhausted as failure:
            write_nouns(run.rejected, failure.rejected)
            raise
        finally:
            watcher.close()
        cost = bill.cost()
    write(run, collected)
    exported = export(run, settings)
    finish(run, settings, prompts, collected, cost)
    # Imported after the requests: these draw, and the first request shall wait for no plot.
    from etlch.data import card, quality_page

    card.write(run, quality_page.write(run))
    return Generated(run, settings, counts(collected), cost, exported.recipes)


def _refuse(settings: Settings) -> None:
    """Stop before anything is written on what no teacher can do."""
    if settings.articles and settings.teacher == "offline":
        raise EtlchError(
            "the offline teacher cannot label foreign text",
            "Use a model for --articles, e.g. --teacher gpt-4o-mini, or leave --articles out.",
        )
    if settings.articles and settings.label_first:
        raise EtlchError(
            "label_first writes an article around drawn facts, and --articles brings articles",
            "Leave one of them out.",
        )
    own = [name for name in settings.tasks if name not in TASKS]
    if own and settings.teacher == "offline":
        raise EtlchError(
            f"the offline teacher knows the tasks {', '.join(TASKS)}, not '{own[0]}'",
            "Use a model for a task of your own, e.g. --teacher gpt-4o-mini.",
        )


def forecast_lines(settings: Settings, run: Run, options: dict[str, Json] | None = None) -> list[str]:
    """Return what `generate` would still cost, in words. Nothing is sent or written.

    Args:
        settings: what is asked for.
        run: whose replies are the pilot, if it exists.
        options: given, the settings are the run's own, changed by the options that are not None.
    """
    if options is not None:
        kept = manifest.read(run).settings
        settings = dataclasses.replace(
            kept, **{name: value for name, value in options.items() if value is not None}
        )
    settings = resume(run, settings)
    prompts, tasks = chosen_prompts(settings), chosen_tasks(settings)
    needed = settings.test + max(settings.sizes)
    if settings.teacher == "offline":
        return Free().forecast(needed, tasks)
    held = Known()
    if run.replies.exists():
        store = Store(run.replies, read_only=True)
        try:
            held = known(store)
        finally:
            store.close()
    tree = read_tree(prompts, settings.language, settings.domains, settings.genres, settings.lengths)
    topics = tree_topics(tree, settings.language, settings.seed)
    article_bytes = own_texts.mean_bytes(settings, needed) if settings.articles else 0
    anew = changed(run, prompts, settings)
    return in_words(forecast(settings, prompts, tasks, topics, needed, held, anew, article_bytes), settings)


def changed(run: Run, prompts: Prompts, settings: Settings) -> list[str]:
    """Return the prompt files whose requests are not those of the run's replies on file.

    They are those with another text; all of them where every request has another key.
    """
    if not run.settings.exists():
        return []
    before = manifest.read(run)
    now = used_prompts(prompts, settings)
    if any(
        getattr(before.settings, name) != getattr(settings, name) for name in ("max_tokens", "temperature")
    ):
        return list(now)
    return [name for name, mark in now.items() if name in before.prompts and before.prompts[name] != mark]
