"""What every command does with settings before it starts: tasks, prompts, an existing run's settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from etlch.core import manifest
from etlch.core.config import Settings
from etlch.core.errors import EtlchError
from etlch.core.prompts import Prompts
from etlch.core.records import TASKS, Json
from etlch.core.run_folder import Run
from etlch.dataset.build_record import Candidate
from etlch.tasks import Task, find_task
from etlch.teachers.base import Teacher


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


def money_in_words(cost: dict[str, Json]) -> str:
    """Return one line about requests, tokens and dollars."""
    usd = cost.get("usd")
    price = "price unknown" if usd is None else f"${usd:.4f}"
    return f"teacher: {cost['requests']:,} requests, {cost['input_tokens']:,} + {cost['output_tokens']:,} tokens, {price}"


def refuse_impossible(settings: Settings) -> None:
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
