"""Read labelled data, write it as a run: its splits are kept, its facts are located."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from etlch.core import manifest
from etlch.core.config import changed
from etlch.core.errors import EtlchError
from etlch.core.files import write_jsonl
from etlch.core.locale import _
from etlch.core.manifest import Manifest
from etlch.core.prompts import Prompts
from etlch.core.records import HUMAN, Json, Rejected
from etlch.core.run_data import RunData
from etlch.core.run_folder import Run
from etlch.core.settings import Settings
from etlch.dataset.readers.choose import Chosen, by_reason, in_order, without_unusable
from etlch.dataset.readers.events import EVENT
from etlch.dataset.readers.find import Source, read_path
from etlch.dataset.readers.labelled import LabelledText
from etlch.dataset.readers.records import Labelled, build_labelled
from etlch.dataset.readers.rows import RowOptions
from etlch.export.write import export, refuse_unusable
from etlch.pipeline.setup import chosen_tasks, with_schema
from etlch.tasks import Task
from etlch.text.article_text import is_mostly_in


@dataclass(frozen=True)
class ImportRequest:
    """What is to be imported.

    Attributes:
        paths: files or folders whose names may say their split.
        train, validation, test: files or folders of official splits.
        test_size: records of the test set; None takes all of an official one, else a fifth of the documents.
        sizes: training sizes; empty takes one of all records that are left.
        only_test: all texts are a test set.
        options: columns and words that mean "none".
    """

    paths: tuple[Path, ...] = ()
    train: Path | None = None
    validation: Path | None = None
    test: Path | None = None
    test_size: int | None = None
    sizes: tuple[int, ...] = ()
    only_test: bool = False
    options: RowOptions = field(default_factory=RowOptions)


class Imported(NamedTuple):
    """What an import did, in words for the terminal and as values for --json."""

    run: Run
    counts: dict[str, Json]
    lines: tuple[str, ...]


def import_labels(
    request: ImportRequest, settings: Settings, run: Run, say: Callable[[str], None]
) -> Imported:
    """Write a run of labelled data: records, LlamaFactory files, recipes, card and quality page.

    Args:
        request: what to read, and how much of it.
        settings: one task, the language, policies, preset.
        run: a new folder.
        say: takes lines for the terminal.

    Raises:
        EtlchError: nothing readable, too few records for the sizes, or a folder that holds a run already.
    """
    if run.settings.exists():
        raise EtlchError(
            _("{folder} is a run already, and an import does not overwrite it").format(folder=run.folder),
            _("Name another --out."),
        )
    settings = with_schema(settings)
    task, *others = chosen_tasks(settings.plan).values()
    if others:
        tasks = _(" and ").join(settings.plan.tasks)
        raise EtlchError(
            _("labels are of one task, and {tasks} are named").format(tasks=tasks),
            _("Say --task or --schema, not both."),
        )
    refuse_unusable(run, settings.export)
    chosen, left_out, lines = choose(request, task, settings)
    left = len(chosen.texts) - chosen.test
    sizes = request.sizes or (left,)
    if max(sizes) > left or left < 1:
        told = _("{left} training records are too few for a size of {sizes}")
        raise EtlchError(
            told.format(left=left, sizes=max(sizes)),
            _("Name smaller --sizes, or a smaller --test-size (the test set has {test}).").format(
                test=chosen.test
            ),
        )
    kept = chosen.texts[: chosen.test + max(sizes)]
    named = request.paths or tuple(path for path in (request.train, request.test) if path)
    policies = settings.check.policies
    if any(fact.fact[0] == EVENT for text in kept for fact in text.facts):
        policies = {EVENT: "derived", **policies}
    settings = changed(
        settings,
        teacher=HUMAN,
        policies=policies,
        test=chosen.test,
        sizes=list(sizes),
        articles=", ".join(map(str, named)),
    )
    prompts = Prompts(Path(settings.plan.prompts) if settings.plan.prompts else None)
    made = build_labelled(kept, task, settings, prompts)
    made.rejected.extend(left_out)
    lines.append(made.told)
    for line in lines:
        say(line)
    return _write(run, settings, made, tuple(lines))


_SAMPLE = 100
"""Texts whose language is looked at."""


def _cure(reason: str) -> str:
    """Return what to do where no text of an import can be used, for the reason of the first."""
    if reason == "none of its labels stands in the text":
        return _(
            "Are these labels of another --task, or offsets of another text? Labels that do not copy the text are "
            "kept by the setting `ungrounded: keep`."
        )
    if reason == "near copy of a text of the run":
        return _("The run has these texts already: correct their labels with --update.")
    return _("Is the column of the labels named otherwise? Name it with --column label=NAME.")


def choose(
    request: ImportRequest,
    task: Task,
    settings: Settings,
    known: Callable[[str, LabelledText], bool] = lambda split, text: False,
) -> tuple[Chosen, list[Rejected], list[str]]:
    """Return the texts that can be records in the order of the run, the others, and what was read in words.

    Args:
        request: what to read.
        task: whose facts the labels are.
        settings: language, policies, and whether labels that are not in their text are kept.
        known: tells whether the run holds a text of an official split ("" is none) already.

    Raises:
        EtlchError: no text can be used.
    """
    read, lines = _read(request, task)
    if request.only_test:
        read = {"test": [text for texts in read.values() for text in texts]}
    splits, left_out = without_unusable(read, task, settings)
    for split, texts in splits.items():
        copies = [known(split, text) for text in texts]
        left_out += [
            Rejected(text.name, task.name, "import", ("near copy of a text of the run",), text.text)
            for text, copy in zip(texts, copies, strict=True)
            if copy
        ]
        splits[split] = [text for text, copy in zip(texts, copies, strict=True) if not copy]
    if not any(splits.values()):
        raise EtlchError(
            _("none of {count:,} texts can be used: {by_reason}").format(
                count=len(left_out), by_reason=by_reason(left_out)
            ),
            _cure(left_out[0].reasons[0]),
        )
    chosen = in_order(splits, request.test_size)
    left_out += [
        Rejected(text.name, task.name, "import", ("near copy of a test text",), text.text)
        for text in chosen.leaking
    ]
    if left_out:
        lines.append(f"left out: {len(left_out):,} texts ({by_reason(left_out)})")
    language, sample = settings.plan.language, chosen.texts[:_SAMPLE]
    if 2 * sum(is_mostly_in(text.text, language) for text in sample) < len(sample):
        lines.append(f"note: most texts do not look like {language}; is --language right?")
    if not chosen.test and not request.sizes and not request.only_test:
        lines.append("note: no test set, so nothing can be scored; --test-size N draws one of N texts")
    return chosen, left_out, lines


def _read(request: ImportRequest, task: Task) -> tuple[dict[str, list[LabelledText]], list[str]]:
    """Return texts by split, and what was read in words."""
    given: list[tuple[Path, str | None]] = [(path, None) for path in request.paths]
    for split in ("train", "validation", "test"):
        path = getattr(request, split)
        if path is not None:
            given.append((path, split))
    if not given:
        raise EtlchError(_("nothing to import was named"), _("Name files or folders, or --train and --test."))
    sources = [(path, read_path(path, task, request.options, split)) for path, split in given]
    splits: dict[str, list[LabelledText]] = {}
    for _rest, source in sources:
        for split, texts in source.texts.items():
            splits.setdefault(split, []).extend(texts)
    return splits, [_told(path, source) for path, source in sources]


def _told(path: Path, source: Source) -> str:
    texts = [text for of_split in source.texts.values() for text in of_split]
    facts = sum(len(text.facts) for text in texts)
    labelled = sum(bool(text.facts) for text in texts)
    formats = ", ".join(
        f"{name} ({count} {'file' if count == 1 else 'files'})" for name, count in source.formats.items()
    )
    parts = ", ".join(
        f"{split or 'no split'} {len(of_split):,} with {sum(len(text.facts) for text in of_split):,}"
        for split, of_split in source.texts.items()
    )
    line = f"{path}: {formats}: {len(texts):,} texts, {labelled:,} with labels, {facts:,} facts ({parts})"
    reasons = Counter(reason for text in texts for reason in text.dropped)
    if reasons:
        line += "; dropped: " + ", ".join(f"{count:,} × {reason}" for reason, count in reasons.most_common(6))
    if source.unread:
        line += "; not read: " + ", ".join(f"{count} {ending}" for ending, count in source.unread.items())
    return line


def _write(run: Run, settings: Settings, made: Labelled, lines: tuple[str, ...]) -> Imported:
    counts: dict[str, Json] = {
        "articles": len(made.articles),
        "records": dict(Counter(record.task for record in made.records)),
        "rejected": dict(
            Counter(
                f"{item.task} {item.stage}: {'texts left out' if item.stage == 'import' else 'labels dropped'}"
                for item in made.rejected
            )
        ),
        "facts": {"grounded": made.grounded, "stated": made.stated},
    }
    write_jsonl(run.articles, made.articles)
    write_jsonl(run.records, made.records)
    write_jsonl(run.rejected, made.rejected)
    cost: dict[str, Json] = {"requests": 0, "input_tokens": 0, "output_tokens": 0, "usd": 0.0}
    exported = export(run, settings, made.records)
    done = Manifest(settings, {}, counts, cost)
    manifest.write(run, done)
    from etlch.quality import card, page

    card.write(run, done, page.write(run, RunData(done, made.articles, made.records, made.rejected)))
    told = f"{len(made.records):,} records in {run.folder}: test {settings.plan.test:,}, sizes {', '.join(map(str, settings.plan.sizes))}"
    return Imported(run, counts, (*lines, told, f"{len(exported.recipes)} recipes in {run.recipes}"))
