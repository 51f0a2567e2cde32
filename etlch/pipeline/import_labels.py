"""Make a run of labelled data: read it, keep its splits, locate its facts, write what any run has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from etlch.core import manifest
from etlch.core.config import changed
from etlch.core.errors import EtlchError
from etlch.core.files import digest, write_jsonl
from etlch.core.manifest import Manifest
from etlch.core.prompts import Prompts
from etlch.core.records import Article, Json, Located, Record, Rejected
from etlch.core.run_data import RunData
from etlch.core.run_folder import Run
from etlch.core.settings import Settings
from etlch.dataset.dedup import Deduplicator
from etlch.dataset.readers.events import EVENT
from etlch.dataset.readers.find import Source, read_path
from etlch.dataset.readers.ground import ground_labelled
from etlch.dataset.readers.labelled import LabelledText
from etlch.dataset.readers.rows import RowOptions
from etlch.dataset.splits import FOLD
from etlch.export.write import export, refuse_unusable
from etlch.tasks import Task, find_task
from etlch.text.normalize import special_tokens

SHARE, MOST = 5, 300
"""Without an official test set every fifth document, at most 300 of them, becomes it."""


@dataclass(frozen=True)
class ImportRequest:
    """What is to be imported.

    Attributes:
        paths: files or folders whose names may say their split.
        train, validation, test: files or folders of official splits.
        test_size: records of the test set; None takes all of an official one, else a fifth of the documents.
        sizes: training sizes; empty takes one of all records that are left.
        options: columns and words that mean "none".
    """

    paths: tuple[Path, ...] = ()
    train: Path | None = None
    validation: Path | None = None
    test: Path | None = None
    test_size: int | None = None
    sizes: tuple[int, ...] = ()
    options: RowOptions = field(default_factory=RowOptions)


class Imported(NamedTuple):
    """What an import did, in words for the terminal and as values for --json."""

    run: Run
    counts: dict[str, Json]
    lines: tuple[str, ...]


class _Chosen(NamedTuple):
    """Texts in the order of the run: the test set, then the training texts with validation at every tenth place.

    Texts that nearly copy one of a test set that was drawn here are `leaking`, and left out. Official splits stay.
    """

    texts: list[LabelledText]
    test: int
    leaking: list[LabelledText]


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
            f"{run.folder} is a run already, and an import does not overwrite it", "Name another --out."
        )
    (name,) = settings.plan.tasks
    task = find_task(name, Path(settings.plan.task_file) if settings.plan.task_file else None)
    refuse_unusable(run, settings.export)
    chosen, left_out, lines = _chosen(request, task)
    left = len(chosen.texts) - chosen.test
    sizes = request.sizes or (left,)
    if max(sizes) > left or left < 1:
        raise EtlchError(
            f"{left} training records are too few for a size of {max(sizes)}",
            f"Name smaller --sizes, or a smaller --test-size (the test set has {chosen.test}).",
        )
    kept = chosen.texts[: chosen.test + max(sizes)]
    named = request.paths or tuple(path for path in (request.train, request.test) if path)
    policies = settings.check.policies
    if any(fact.fact[0] == EVENT for text in kept for fact in text.facts):
        policies = {EVENT: "derived", **policies}
    settings = changed(
        settings,
        teacher="human",
        policies=policies,
        test=chosen.test,
        sizes=list(sizes),
        articles=", ".join(map(str, named)),
    )
    made = _records(
        kept, task, settings, Prompts(Path(settings.plan.prompts) if settings.plan.prompts else None)
    )
    made.rejected.extend(left_out)
    if made.lost:
        lines.append(made.lost)
    for line in lines:
        say(line)
    return _write(run, settings, made, tuple(lines))


def _chosen(request: ImportRequest, task: Task) -> tuple[_Chosen, list[Rejected], list[str]]:
    """Return the texts that can be records in the order of the run, the others, and what was read in words.

    Raises:
        EtlchError: no text can be used.
    """
    read, lines = _read(request, task)
    splits, left_out = without_unusable(read, task)
    if not any(splits.values()):
        raise EtlchError(
            f"none of {len(left_out):,} texts can be used: {_by_reason(left_out)}",
            "Is the column of the labels named otherwise? Name it with --column label=NAME.",
        )
    chosen = _order(splits, request)
    left_out += [
        Rejected(text.name, task.name, "import", ("near copy of a test text",), text.text)
        for text in chosen.leaking
    ]
    if left_out:
        lines.append(f"left out: {len(left_out):,} texts ({_by_reason(left_out)})")
    return chosen, left_out, lines


def _read(request: ImportRequest, task: Task) -> tuple[dict[str, list[LabelledText]], list[str]]:
    """Return texts by split, and what was read in words."""
    given: list[tuple[Path, str | None]] = [(path, None) for path in request.paths]
    for split in ("train", "validation", "test"):
        path = getattr(request, split)
        if path is not None:
            given.append((path, split))
    if not given:
        raise EtlchError("nothing to import was named", "Name files or folders, or --train and --test.")
    sources = [(path, read_path(path, task, request.options, split)) for path, split in given]
    splits: dict[str, list[LabelledText]] = {}
    for _, source in sources:
        for split, texts in source.texts.items():
            splits.setdefault(split, []).extend(texts)
    return splits, [_told(path, source) for path, source in sources]


def _told(path: Path, source: Source) -> str:
    texts = [text for held in source.texts.values() for text in held]
    facts = sum(len(text.facts) for text in texts)
    labelled = sum(bool(text.facts) for text in texts)
    formats = ", ".join(
        f"{name} ({count} {'file' if count == 1 else 'files'})" for name, count in source.formats.items()
    )
    parts = ", ".join(
        f"{split or 'no split'} {len(held):,} with {sum(len(text.facts) for text in held):,}"
        for split, held in source.texts.items()
    )
    line = f"{path}: {formats}: {len(texts):,} texts, {labelled:,} with labels, {facts:,} facts ({parts})"
    reasons = Counter(reason for text in texts for reason in text.dropped)
    if reasons:
        line += "; dropped: " + ", ".join(f"{count:,} × {reason}" for reason, count in reasons.most_common(6))
    if source.unread:
        line += "; not read: " + ", ".join(f"{count} {ending}" for ending, count in source.unread.items())
    return line


def _order(splits: Mapping[str, list[LabelledText]], request: ImportRequest) -> _Chosen:
    """Return the texts in the order of the run, drawn by a hash of their names."""
    unnamed = _by_hash(splits.get("", []))
    test = _by_hash(splits.get("test", []))
    train = _by_hash(splits.get("train", []))
    validation = _by_hash(splits.get("validation", []))
    leaking: list[LabelledText] = []
    if not test:
        test, rest = _held_out(unnamed or train, request.test_size)
        rest, leaking = _without_copies(rest, test)
        train = rest if unnamed and not train else [*train, *rest] if unnamed else rest
    else:
        train += unnamed
    if request.test_size is not None:
        test = test[: request.test_size]
    return _Chosen([*test, *_interleaved(train, validation)], len(test), leaking)


def _by_hash(texts: Sequence[LabelledText]) -> list[LabelledText]:
    """Return texts in an order that depends on their names alone; those of one document stay together."""
    return sorted(texts, key=lambda text: (digest(text.document), text.document, digest(text.name)))


def _held_out(
    texts: Sequence[LabelledText], wanted: int | None
) -> tuple[list[LabelledText], list[LabelledText]]:
    """Return a test set of whole documents, and the rest."""
    documents = list(dict.fromkeys(text.document for text in texts))
    share = min(MOST, len(documents) // SHARE)
    if wanted is not None:
        sizes = Counter(text.document for text in texts)
        share, total = 0, 0
        while share < len(documents) and total < wanted:
            total += sizes[documents[share]]
            share += 1
    held = set(documents[:share])
    return [text for text in texts if text.document in held], [
        text for text in texts if text.document not in held
    ]


def _without_copies(
    texts: Sequence[LabelledText], test: Sequence[LabelledText]
) -> tuple[list[LabelledText], list[LabelledText]]:
    """Return the texts that are no near copies of a test text, and those that are."""
    tested = Deduplicator()
    for text in test:
        tested.add(text.name, text.text)
    leaking = [tested.find(text.text) is not None for text in texts]
    pairs = list(zip(texts, leaking, strict=True))
    return [text for text, leaks in pairs if not leaks], [text for text, leaks in pairs if leaks]


def _interleaved(train: list[LabelledText], validation: list[LabelledText]) -> list[LabelledText]:
    """Return training texts with an official validation text at every place that splits takes for validation."""
    if not validation:
        return train
    mixed: list[LabelledText] = []
    sources = {False: iter(train), True: iter(validation)}
    while True:
        text = next(sources[len(mixed) % FOLD == FOLD - 1], None)
        if text is None:
            return mixed
        mixed.append(text)


_UNREAD = ("label that cannot be read", "no label", "no annotation")
"""How reasons begin that tell that nobody knows the label; to train on it as empty would teach to answer nothing."""


def without_unusable(
    splits: Mapping[str, list[LabelledText]], task: Task
) -> tuple[dict[str, list[LabelledText]], list[Rejected]]:
    """Return the texts that can be records, by split, and the others with their reasons."""
    kept: dict[str, list[LabelledText]] = {split: [] for split in splits}
    left_out = []
    for split, texts in splits.items():
        for text in texts:
            reason = _unusable(text)
            if reason:
                left_out.append(Rejected(text.name, task.name, "import", (reason,), text.text))
            else:
                kept[split].append(text)
    return kept, left_out


def _unusable(text: LabelledText) -> str:
    """Return why a text cannot be a record; empty where it can."""
    if not text.text.strip():
        return "no text"
    if not text.facts and (unread := [reason for reason in text.dropped if reason.startswith(_UNREAD)]):
        return unread[0].partition(":")[0]
    tokens = special_tokens(text.text)
    return f"the text contains the control text {tokens[0]}" if tokens else ""


def _by_reason(rejected: Sequence[Rejected]) -> str:
    counts = Counter(item.reasons[0] for item in rejected)
    return ", ".join(f"{count:,} × {reason}" for reason, count in counts.most_common(6))


class _Made(NamedTuple):
    articles: list[Article]
    records: list[Record]
    rejected: list[Rejected]
    grounded: int
    stated: int
    lost: str


def _records(texts: Sequence[LabelledText], task: Task, settings: Settings, prompts: Prompts) -> _Made:
    """Return articles and records of labelled texts; what cannot be one is rejected with its reasons."""
    language = settings.plan.language
    keys = _keys(texts, task)
    asked = (
        prompts.render(f"given/{task.name}", language, types=list(keys))
        if prompts.has(f"given/{task.name}", language)
        else ""
    )
    made = _Made([], [], [], 0, 0, "")
    grounded = stated = 0
    reasons: Counter[str] = Counter()
    for place, text in enumerate(texts):
        identity = f"h{place:05d}"
        article = Article(identity, text.document, text.document, language, "human", text.text)
        located, ungrounded = ground_labelled(text, task, language, settings.check.policies)
        stated += len(located) + len(ungrounded)
        grounded += len(located)
        lost = [*text.dropped, *(f"not in the text: {' – '.join(item.fact)}" for item in ungrounded)]
        if settings.check.ungrounded == "keep":
            writable = [item for item in ungrounded if not task.problems([item.fact], language)]
            located += [Located(item.fact, item.spans) for item in writable]
        reasons.update("label not in the text" for _ in ungrounded)
        if lost:
            made.rejected.append(Rejected(identity, task.name, "grounding", tuple(lost), text.name))
        made.articles.append(article)
        made.records.append(_record(identity, text, located, task, keys, text.instruction or asked, language))
    kept = "kept" if settings.check.ungrounded == "keep" else "dropped"
    share = f"{grounded / stated:.1%}" if stated else "no"
    told = f"grounding: {grounded:,} of {stated:,} facts stand in their text ({share}); "
    told += (
        f"{kept}: " + ", ".join(f"{count:,} × {reason}" for reason, count in reasons.items())
        if reasons
        else "none dropped"
    )
    return made._replace(grounded=grounded, stated=stated, lost=told)


def _keys(texts: Sequence[LabelledText], task: Task) -> tuple[str, ...]:
    """Return the types, relations or fields of all labels, in the order in which they first occur."""
    named = (
        name for text in texts for name in (*text.fields, *(fact.fact[task.type_part] for fact in text.facts))
    )
    return tuple(dict.fromkeys(named))


def _record(
    identity: str,
    text: LabelledText,
    located: Sequence[Located],
    task: Task,
    keys: tuple[str, ...],
    instruction: str,
    language: str,
) -> Record:
    own = tuple(text.fields) if text.instruction and text.fields else keys
    return Record(
        id=f"{identity}-{task.name}",
        article_id=identity,
        task=task.name,
        language=language,
        instruction=instruction,
        input=text.text,
        output=task.render([item.fact for item in located], own, language),
        schema=task.label_schema(own) if task.json_label else None,
        facts=tuple(located),
    )


def _write(run: Run, settings: Settings, made: _Made, lines: tuple[str, ...]) -> Imported:
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
