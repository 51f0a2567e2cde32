"""Turn entities of articles into tags of tokens and back, and predict a test set with a model that writes tags.

Article: Ann Bell left Paris.
Tokens:  Ann       Bell      left  Paris       .
Tags:    B-Person  I-Person  O     B-Location  O

A token is a CJK character, a run of letters or of digits, or one symbol. A mention is tagged wherever it stands as a
word of its own, not only where the label places it first. A token has one tag: of mentions that overlap the longest is
taken, of equally long ones the one that the record places there. What serves ner serves every task whose facts are a
type and a mention.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from etlch.baselines.test_set import Predicted, read_test, read_training, write_card, write_rows
from etlch.core.errors import EtlchError
from etlch.core.files import read_jsonl
from etlch.core.locale import _
from etlch.core.records import Fact, Key, Located, Model, Record, Span, task_of
from etlch.core.run_folder import Run
from etlch.core.settings import CheckSettings, Settings
from etlch.dataset.grounding import Policy, ground
from etlch.tasks import Task, find_task
from etlch.text.locate import one_line, standing
from etlch.text.normalize import fact_form, hybrid_spans

OUTSIDE = "O"


class Mention(NamedTuple):
    """A typed stretch of an article."""

    kind: str
    span: Span


class Sentence(NamedTuple):
    """An article for a tagger: its text, where its tokens stand, and their tags (none where they are to be found)."""

    text: str
    tokens: tuple[Span, ...]
    tags: tuple[str, ...] = ()

    @property
    def words(self) -> list[str]:
        """The tokens as written."""
        return [self.text[start:end] for start, end in self.tokens]


Tagger = Callable[[Sequence[Sentence]], list[list[str]]]
"""Sentences → a tag for each token of each."""

Train = Callable[[Sequence[Sentence], Model], Tagger]
"""(tagged sentences, the model's name, size and seed) → a tagger."""


def predict(
    run: Run,
    settings: Settings,
    tests: Sequence[str],
    models: Iterable[Model],
    train: Train,
    note: Callable[[str], None],
) -> list[Predicted]:
    """Train taggers on a run's training sets; write their predictions of the test sets and their model.json.

    Args:
        run: with LlamaFactory files.
        settings: of the run.
        tests: test sets, as `taggable` returns them.
        models: one for each size, and for each seed where training has one.
        train: makes a tagger.
        note: takes a line before each training.

    Raises:
        EtlchError: no test set or training set, or other predictions in the folder.
    """
    task_file = Path(settings.plan.task_file) if settings.plan.task_file else None
    tasks = [find_task(name, task_file) for name in dict.fromkeys(map(task_of, tests))]
    records = read_jsonl(run.records, Record)
    done = []
    for model in models:
        for task in tasks:
            samples = training(run, records, task, model.size or 0, settings.plan.language, settings.check)
            note(f"{model.folder}: {task.name}, {len(samples)} training articles")
            tagger = train(samples, model)
            for name in (test for test in tests if task_of(test) == task.name):
                keys = read_test(run, name)
                found = tagger([sentence(key.input) for key in keys])
                texts = [
                    answer(tags, key, task, settings.check.policies)
                    for tags, key in zip(found, keys, strict=True)
                ]
                done.append(write_rows(run, model.folder, name, keys, texts))
        write_card(run, model)
    return done


def taggable(settings: Settings, tests: Sequence[str], named: bool) -> tuple[str, ...]:
    """Return those test sets whose tasks a tagger can do: facts of a type and a mention that stands in the article.

    Args:
        settings: of the run.
        tests: such as `ner` and `ner@human`.
        named: whether the user named them; a task whose fields differ from record to record has too many types, and
            is done only then.

    Raises:
        EtlchError: none of them, or one that was named, has another task.
    """
    task_file = Path(settings.plan.task_file) if settings.plan.task_file else None
    found = {name: find_task(task_of(name), task_file) for name in tests}
    fit = tuple(
        name
        for name, task in found.items()
        if len(task.parts) == 2 and len(task.grounded) == 1 and (named or not task.asks_fields)
    )
    if not fit or (named and len(fit) < len(tests)):
        unfit = ", ".join(name for name in tests if name not in fit)
        raise EtlchError(
            _("a tagger does not do {unfit}: it finds typed mentions in an article, as ner asks for").format(
                unfit=unfit
            ),
            _("Name tasks that it does with --tasks, such as ner."),
        )
    return fit


def training(
    run: Run, records: Iterable[Record], task: Task, size: int, language: str, check: CheckSettings
) -> list[Sentence]:
    """Return the tagged articles of a training file.

    Mentions stand where the record of the same article and label has them; a row that was written by hand has no
    record, and its label is searched in its article.

    Raises:
        EtlchError: the file is missing, or not what `etlch-data export` writes.
    """
    placed = {(record.input, record.output): record.facts for record in records if record.task == task.name}
    found = []
    for article, output in read_training(run, task.name, size):
        facts = placed.get((article, output))
        if facts is None:
            stated = task.parse(output, language, True).facts
            facts = ground(stated, task, article, check.policies).located
        found.append(sentence(article, mentions(facts, task, article)))
    return found


def mentions(facts: Iterable[Located], task: Task, article: str) -> list[Mention]:
    """Return the mentions of facts without overlap, in the order of the article."""
    candidates: dict[tuple[int, int, int], Mention] = {}
    for place, fact in enumerate(facts):
        span = fact.spans[task.grounded[0]]
        if span is None:
            continue
        kind = fact.fact[task.type_part]
        for other in (span, *standing(article[slice(*span)], article)):
            rank = (span[0] - span[1], 0 if other == span else 1 + place, other[0])
            candidates.setdefault(rank, Mention(kind, other))
    kept: list[Mention] = []
    for _rest, one in sorted(candidates.items()):
        if not any(_overlap(one.span, other.span) for other in kept):
            kept.append(one)
    return sorted(kept, key=lambda one: one.span)


def sentence(article: str, marked: Iterable[Mention] = ()) -> Sentence:
    """Return an article with its tokens, and their tags; a token that a mention cuts belongs to it."""
    tokens = hybrid_spans(article)
    tags = [OUTSIDE] * len(tokens)
    for kind, span in marked:
        inside = [
            place for place, token in enumerate(tokens) if _overlap(token, span) and tags[place] == OUTSIDE
        ]
        for place in inside:
            tags[place] = f"{'B' if place == inside[0] else 'I'}-{kind}"
    return Sentence(article, tuple(tokens), tuple(tags))


def tagged(tokens: Sequence[Span], tags: Sequence[str]) -> Iterator[Mention]:
    """Yield the mentions that tags say. An I- that continues no mention of its type begins one."""
    kind, start, end = "", 0, 0
    for token, tag in zip(tokens, tags, strict=True):
        begins, _rest, named = tag.partition("-")
        if named and begins == "I" and named == kind:
            end = token[1]
            continue
        if kind:
            yield Mention(kind, (start, end))
        kind, (start, end) = named, token
    if kind:
        yield Mention(kind, (start, end))


def answer(tags: Sequence[str], key: Key, task: Task, policies: Mapping[str, Policy]) -> str:
    """Return the label text of an article whose tokens were tagged, each fact once."""
    facts: dict[Fact, Fact] = {}
    for kind, span in tagged(hybrid_spans(key.input), tags):
        parts = [kind, kind]
        parts[task.grounded[0]] = one_line(key.input[slice(*span)])
        facts.setdefault(tuple(map(fact_form, parts)), tuple(parts))
    found = list(facts.values())
    if policies:
        found = [item.fact for item in ground(found, task, key.input, policies).located]
    known = tuple(key.schema.get("properties", ())) if isinstance(key.schema, dict) else ()
    return task.render(
        [fact for fact in found if not known or fact[task.type_part] in known], known, key.language
    )


def _overlap(one: Span, other: Span) -> bool:
    return one[0] < other[1] and other[0] < one[1]
