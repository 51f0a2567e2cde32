"""Read labelled data, add it to a run as training records beside its own, or as further test sets by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from etlch.core import manifest
from etlch.core.config import changed
from etlch.core.errors import EtlchError
from etlch.core.files import write_jsonl
from etlch.core.locale import _
from etlch.core.manifest import Manifest
from etlch.core.records import HUMAN, TRAIN, Json, Record, is_form
from etlch.core.run_data import RunData, read_run
from etlch.core.run_folder import Run
from etlch.core.settings import Settings
from etlch.dataset.dedup import Deduplicator
from etlch.dataset.readers.events import EVENT
from etlch.dataset.readers.labelled import LabelledText
from etlch.dataset.readers.records import Labelled, build_labelled
from etlch.export.write import export, reexported
from etlch.pipeline.import_labels import Imported, ImportRequest, choose
from etlch.pipeline.setup import chosen_prompts, chosen_tasks
from etlch.tasks import Task
from etlch.tasks.base import type_of

TEST = "human"
"""Name of the test set of imported records unless another is given."""
_NAME = re.compile(r"(?!(train|test|val|validation)$)[A-Za-z0-9][A-Za-z0-9_-]*")
_ID = re.compile(r"h(\d+)")


def import_into(
    run: Run,
    request: ImportRequest,
    task_name: str | None,
    test: str | None,
    file: Path | None,
    say: Callable[[str], None],
) -> Imported:
    """Add labelled texts to a run and write its files again; what the run held stays as it is.

    Nothing leaks between sources: a text that nearly copies one of the run is left out; one of a test set only if it
    is trained on.

    Args:
        run: generated or imported. An imported one takes test sets only: its own records are human already.
        request: what to read; `only_test` makes all of it a test set, `sizes` are those of the training sets.
        task_name: of the labels; None for runs of one task.
        test: name of the test set; None is TEST.
        file: YAML settings that an export can change, such as `mix`. Without any, the training sets are all human
            records, and these together with the largest size of the run's own.
        say: takes lines for the terminal.

    Raises:
        EtlchError: no finished run, a test set of this name, nothing readable, or nothing left.
    """
    finished = manifest.read_finished(run)
    settings = reexported(finished.settings, file, {})
    task = _task(settings, task_name)
    name = _test(finished, task, test or TEST)
    if settings.teacher.name == HUMAN and not request.only_test:
        raise EtlchError(
            _("{folder} is imported itself, and takes further test sets only").format(folder=run.folder),
            _("Say --as-test NAME. To mix, generate a run and import both corpora into it."),
        )
    data = read_run(run.folder)
    chosen, left_out, lines = choose(request, task, settings, _known(data, settings.plan.test))
    tested, trained = chosen.test, len(chosen.texts) - chosen.test
    settings = _with_mix(_with_events(settings, chosen.texts), request.sizes, trained)
    own = next((record for record in data.records if record.task == task.name and not record.split), None)
    first = 1 + max((int(found[1]) for a in data.articles if (found := _ID.fullmatch(a.id))), default=-1)
    made = build_labelled(chosen.texts, task, settings, chosen_prompts(settings.plan), first, own)
    records = [
        replace(record, split=name if place < tested else TRAIN) for place, record in enumerate(made.records)
    ]
    lines += [made.told, *_new_types(records, data.records, task)]
    for line in lines:
        say(line)
    made = made._replace(records=records, rejected=[*made.rejected, *left_out])
    counts = _counts(finished, task.name, {name: tested, TRAIN: trained})
    lines.append(
        f"{len(records):,} human records into {run.folder}: "
        f"{tested:,} in the test set {name}, {trained:,} for training"
    )
    return _write(run, replace(finished, settings=settings, counts=counts), data, made, lines)


def _task(settings: Settings, name: str | None) -> Task:
    tasks = chosen_tasks(settings.plan)
    if name is None and len(tasks) > 1:
        raise EtlchError(
            _("the run has the tasks {tasks}").format(tasks=", ".join(tasks)),
            _("Name the one of the labels with --task."),
        )
    if name is not None and name not in tasks:
        raise EtlchError(
            _("the run has no records of the task {name}").format(name=name),
            _("Its tasks are {tasks}.").format(tasks=", ".join(tasks)),
        )
    return tasks[name or next(iter(tasks))]


def _test(finished: Manifest, task: Task, name: str) -> str:
    """Return the name of the new test set.

    Raises:
        EtlchError: it is taken, or cannot be part of a file's name.
    """
    if not _NAME.fullmatch(name) or is_form(name):
        raise EtlchError(
            _("'{name}' cannot name a test set").format(name=name),
            _("Letters, digits, '-' and '_', and not train, val, test, or form1 as prompt forms are named."),
        )
    if name in finished.imported.get(task.name, {}):
        raise EtlchError(
            _("the run has a test set '{name}' for {name2} already").format(name=name, name2=task.name),
            _("Name another with --as-test NAME, or take all texts for training with --test-size 0."),
        )
    return name


def _known(data: RunData, tested: int) -> Callable[[str, LabelledText], bool]:
    """Return what tells whether a text of an official split nearly copies one that it must not share.

    Args:
        data: the run.
        tested: how many of its first articles are its test set.
    """
    further = {record.article_id for record in data.records if record.split not in ("", TRAIN)}
    trained, every = Deduplicator(), Deduplicator()
    for place, article in enumerate(data.articles):
        every.add(article.id, article.text)
        if place >= tested and article.id not in further:
            trained.add(article.id, article.text)
    return lambda split, text: (trained if split == "test" else every).find(text.text) is not None


def _with_events(settings: Settings, texts: Sequence[LabelledText]) -> Settings:
    if any(fact.fact[0] == EVENT for text in texts for fact in text.facts):
        return changed(settings, policies={EVENT: "derived", **settings.check.policies})
    return settings


def _with_mix(settings: Settings, sizes: Sequence[int], records: int) -> Settings:
    """Return settings with training sets of the imported records: alone, and with the largest size of the run's own.

    Raises:
        EtlchError: a size that the imported records do not reach.
    """
    if sizes and max(sizes) > records:
        raise EtlchError(
            _("{records} imported training records are too few for a size of {sizes}").format(
                records=records, sizes=max(sizes)
            ),
            _("Name smaller --sizes, or a smaller --test-size."),
        )
    if not sizes and (settings.export.mix or not records):
        return settings
    own = max(settings.plan.sizes)
    made = [mix for size in sizes or (records,) for mix in ({HUMAN: size}, {HUMAN: size, "synthetic": own})]
    mixes = [dict(mix) for mix in settings.export.mix]
    return changed(settings, mix=[*mixes, *(mix for mix in made if mix not in mixes)])


def _new_types(records: Sequence[Record], known: Sequence[Record], task: Task) -> list[str]:
    """Return a line that names types of the imported labels that the run's own do not have."""
    had = {type_of(item.fact, task) for record in known if record.task == task.name for item in record.facts}
    came = dict.fromkeys(type_of(item.fact, task) for record in records for item in record.facts)
    fresh = [name for name in came if name not in had]
    if not fresh:
        return []
    more = f", and {len(fresh) - 10} more" if len(fresh) > 10 else ""
    return [f"types that no record of the run had: {', '.join(fresh[:10])}{more}; instructions name them"]


def _counts(finished: Manifest, task: str, added: dict[str, int]) -> dict[str, Json]:
    imported = {name: dict(counts) for name, counts in finished.imported.items()}
    for split, records in added.items():
        if records:
            counts = imported.setdefault(task, {})
            counts[split] = counts.get(split, 0) + records
    return {**finished.counts, "imported": imported}


def _write(run: Run, done: Manifest, data: RunData, made: Labelled, lines: Sequence[str]) -> Imported:
    from etlch.quality import card, page

    articles, records = [*data.articles, *made.articles], [*data.records, *made.records]
    whole = RunData(done, articles, records, [*data.rejected, *made.rejected])
    exported = export(run, done.settings, records)
    write_jsonl(run.articles, articles)
    write_jsonl(run.records, records)
    write_jsonl(run.rejected, whole.rejected)
    manifest.write(run, done)
    card.write(run, done, page.write(run, whole))
    mixes = (" + ".join(f"{n} {source}" for source, n in mix.items()) for mix in done.settings.export.mix)
    sets = f"; training sets besides the run's own: {', '.join(mixes)}" if done.settings.export.mix else ""
    return Imported(
        run, dict(done.counts), (*lines, f"{len(exported.recipes)} recipes in {run.recipes}{sets}")
    )
