"""Prepare what every command needs before it starts: tasks, prompts, settings of an existing run."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from etlch.core import manifest
from etlch.core.config import changed as changed_settings
from etlch.core.config import plain
from etlch.core.errors import EtlchError, nearest
from etlch.core.manifest import Manifest
from etlch.core.prompts import Prompts
from etlch.core.records import TASKS, Json
from etlch.core.run_folder import Run
from etlch.core.settings import PlanSettings, Settings
from etlch.dataset.build_record import Candidate
from etlch.tasks import Task, find_task
from etlch.tasks.own_schema import schema_task
from etlch.tasks.schema_file import leaf_types, read_schema
from etlch.teachers.base import Teacher


def planned(teacher: Teacher) -> Iterator[Candidate]:
    """Yield the candidates of a teacher's plan; ids come from the plan position."""
    for topic in teacher.topics():
        yield Candidate(f"a{topic.position:05d}", topic, f"teacher:{teacher.name}")


def chosen_tasks(plan: PlanSettings) -> dict[str, Task]:
    """Return the tasks of a run, in the order in which its files list them.

    Raises:
        EtlchError: there is no such task.
    """
    path = Path(plan.task_file) if plan.task_file else None
    ordered = sorted(plan.tasks, key=lambda name: (TASKS.index(name) if name in TASKS else len(TASKS), name))
    return {name: _own_schema(plan) if name == "schema" else find_task(name, path) for name in ordered}


def _own_schema(plan: PlanSettings) -> Task:
    if plan.schema is None:
        return find_task("schema")
    return schema_task(read_schema(plan.schema), in_prompt=plan.schema_in_prompt)


def with_schema(settings: Settings) -> Settings:
    """Return settings that follow a schema of the user's own: its task and a policy for each of its leaves.

    The schema's task takes the place of the default ones, and joins those that were named. The policies are kept in
    run.yaml, so that checking and scoring need no schema.

    Raises:
        EtlchError: the schema cannot be read, or a task or policy does not fit it.
    """
    plan, policies = settings.plan, settings.check.policies
    if plan.schema is None:
        if "schema" in plan.tasks:
            raise EtlchError("the task 'schema' needs a schema", "Name it with --schema FILE.")
        return settings
    own = read_schema(plan.schema)
    kinds = leaf_types(own.answer)
    for path, policy in policies.items():
        if kinds.get(path) in ("integer", "number") and policy not in ("number", "derived"):
            raise EtlchError(
                f"policies: {path} is a number in {plan.schema}, which cannot be {policy}",
                f"Write {path}: number (it stands in the article in any form) or {path}: derived.",
            )
        if "." in path and path not in kinds:
            raise EtlchError(
                f"policies: {plan.schema} has no leaf '{path}'.{nearest(path, list(kinds))}",
                f"Leaves: {', '.join(kinds)}.",
            )
    tasks = ("schema",) if plan.tasks == TASKS else tuple(dict.fromkeys((*plan.tasks, "schema")))
    return changed_settings(settings, tasks=tasks, policies={**own.policies, **policies})


def chosen_prompts(plan: PlanSettings) -> Prompts:
    """Return the prompts of a run, checked.

    Raises:
        EtlchError: an override matches no prompt or uses an undefined variable.
    """
    # Two folders may hold files without a shipped twin: own tasks, and domains of the offline teacher.
    own_tasks = ("offline", *(name for name in plan.tasks if name not in TASKS))
    prompts = Prompts(Path(plan.prompts) if plan.prompts else None, own_tasks)
    prompts.check()
    return prompts


def earlier(run: Run) -> Manifest | None:
    """Return what run.yaml says of a run folder that may exist.

    Raises:
        EtlchError: a file stands where the folder should, or run.yaml cannot be read.
    """
    if run.folder.is_file():
        raise EtlchError(f"{run.folder} is a file", "Name a folder with --out.")
    return manifest.read(run) if run.settings.exists() else None


def resume(run: Run, before: Manifest | None, settings: Settings) -> Settings:
    """Return settings for a run that may stand already: its tasks stay, and the sizes that were finished.

    Args:
        run: the folder, for messages.
        before: what its run.yaml says; None of a new run.
        settings: what is asked for now.

    Raises:
        EtlchError: what the folder was made with does not fit what is asked for now.
    """
    if before is None:
        return settings
    earlier, wanted = plain(before.settings), plain(settings)
    for name in (
        "teacher",
        "language",
        "seed",
        "test",
        "articles",
        "ner_types",
        "split_by",
        "hold_out_forms",
        "hard_texts",
        "label_first",
        "schema",
    ):
        if name == "test" and not before.counts:
            continue  # no test set stands yet
        was, now = earlier[name], wanted[name]
        if was != now:
            option = (
                f"--{name} {shlex.quote(str(was))}"
                if name in _OPTIONS
                else f"{name}: {was} in the settings file"
            )
            repeat = "Leave it out" if was is None else f"Repeat it ({option})"
            raise EtlchError(
                f"{run.folder} was made with {_said(name, was)}, not {f'no {name}' if now is None else now}",
                f"{repeat}, or name another folder with --out.",
            )
    sizes = sorted({*wanted["sizes"], *(earlier["sizes"] if before.counts else ())})
    tasks = tuple(dict.fromkeys((*earlier["tasks"], *wanted["tasks"])))
    kept = {name: wanted[name] or earlier[name] for name in ("mix", "growth")}
    return changed_settings(settings, sizes=sizes, tasks=tasks, **kept)


def _said(name: str, value: Json) -> str:
    return f"no {name}" if value is None else f"{name} {value}"


_OPTIONS = ("teacher", "language", "seed", "test", "articles", "schema")


def used_prompts(prompts: Prompts, settings: Settings) -> dict[str, str]:
    """Return name → hash of the prompt files that this run can use."""
    if settings.teacher.name == "offline" or settings.plan.label_first:
        wanted = [
            "offline",
            *(f"{task}/{part}" for task in settings.plan.tasks for part in ("instruction", "types")),
        ]
    else:
        wanted = [*settings.plan.tasks]
    if settings.teacher.name != "offline":
        wanted.append("common/again")
        if settings.plan.label_first:
            wanted.append("article/around")
        elif not settings.plan.articles:
            wanted += ["article/write", f"topics/{settings.plan.language}"]
    return prompts.fingerprint(wanted, settings.plan.language)


def changed(before: Manifest | None, prompts: Prompts, settings: Settings) -> list[str]:
    """Return the prompt files whose requests are not those of the run's replies on file.

    They are those with another text; all of them where every request has another key.
    """
    if before is None:
        return []
    now = used_prompts(prompts, settings)
    was, wanted = before.settings.teacher, settings.teacher
    if (was.max_tokens, was.temperature, was.extra_body) != (
        wanted.max_tokens,
        wanted.temperature,
        wanted.extra_body,
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
    if settings.check.ungrounded == "keep":
        raise EtlchError(
            "ungrounded: keep is for labels that people made; a teacher's must stand in their article",
            "Write ungrounded: drop or ungrounded: reject.",
        )
    if settings.plan.articles and settings.teacher.name == "offline":
        raise EtlchError(
            "the offline teacher cannot label foreign text",
            "Use a model for --articles, e.g. --teacher gpt-4o-mini, or leave --articles out.",
        )
    if settings.plan.articles and settings.plan.label_first:
        raise EtlchError(
            "label_first writes an article around drawn facts, and --articles brings articles",
            "Leave one of them out.",
        )
    if settings.plan.hold_out_forms and (
        settings.teacher.name != "offline" or settings.plan.split_by != "article"
    ):
        raise EtlchError(
            "hold_out_forms holds out sentences of the offline teacher, and is a split of its own",
            "Leave it out, or use --teacher offline without split_by.",
        )
    own = [name for name in settings.plan.tasks if name not in TASKS]
    if own and settings.teacher.name == "offline":
        raise EtlchError(
            f"the offline teacher knows the tasks {', '.join(TASKS)}, not '{own[0]}'",
            "Use a model for a task of your own, e.g. --teacher gpt-4o-mini.",
        )
