"""Predict a test set with a dictionary of the training labels.

The row of the table that needs no model: what was labelled once is labelled again wherever it
stands. It is made from what a task says of itself, so it serves a task of the user's own too:

- A fact is predicted where its grounded parts stand in the article, as they are written there.
- Of facts with the same grounded parts the most frequent is taken: one type for a mention.
- What stands only inside a longer known phrase is passed over.
- Where a record's schema requires fields (json), each is looked up alone, by its name without
  case, spaces and underscores; what no training label says of it stays empty.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from etlch.baselines.test_set import Predicted, read_test, read_training, write_card, write_rows
from etlch.core.records import Fact, Json, Key, Model, Span, task_of
from etlch.core.run_folder import Run
from etlch.core.settings import Settings
from etlch.dataset.grounding import Policy, ground
from etlch.tasks import Task, find_task
from etlch.text.locate import standing
from etlch.text.normalize import fact_form

NAME = "dictionary"
"""What `etlch-data predict --model` calls it; its folders are `dictionary-<size>`."""
_APART = re.compile(r"[\W_]+")


@dataclass(frozen=True)
class Entries:
    """A dictionary.

    Attributes:
        facts: grounded parts → the fact they stand for.
        phrases: all that is looked for in an article.
    """

    facts: Mapping[tuple[str, ...], Fact]
    phrases: frozenset[str]


@dataclass(frozen=True)
class Dictionary:
    """The facts of a task's training labels: all of them, and by the plain name of their field."""

    task: Task
    whole: Entries
    fields: Mapping[str, Entries]


def predict(run: Run, settings: Settings, tests: Sequence[str]) -> list[Predicted]:
    """Write the predictions and the model.json of a dictionary for each size of a run. Nothing is asked.

    Raises:
        EtlchError: no test set or training set, or other predictions in the folder.
    """
    task_file = Path(settings.plan.task_file) if settings.plan.task_file else None
    done = []
    for size in sorted(settings.plan.sizes):
        model = Model(NAME, size, None, "baseline", None, None)
        for name in tests:
            keys, task = read_test(run, name), find_task(task_of(name), task_file)
            dictionary = build(training_facts(run, settings.plan.language, task, size), task)
            texts = [answer(dictionary, key, settings.check.policies) for key in keys]
            done.append(write_rows(run, model.folder, name, keys, texts))
        write_card(run, model)
    return done


def training_facts(run: Run, language: str, task: Task, size: int) -> list[Fact]:
    """Return the facts of all labels of a training file, repeats kept.

    Raises:
        EtlchError: the file is missing, or not what `etlch-data export` writes.
    """
    return [
        fact
        for _, output in read_training(run, task.name, size)
        for fact in task.parse(output, language, True).facts
    ]


def build(facts: Iterable[Fact], task: Task) -> Dictionary:
    """Return the dictionary of training facts. Of equally frequent facts the first seen counts."""
    ordered = [fact for fact, _ in Counter(facts).most_common()]
    fields: dict[str, list[Fact]] = {}
    for fact in ordered:
        fields.setdefault(field_form(fact[0]), []).append(fact)
    return Dictionary(
        task, _entries(ordered, task), {name: _entries(of_field, task) for name, of_field in fields.items()}
    )


def _entries(ordered: Iterable[Fact], task: Task) -> Entries:
    facts: dict[tuple[str, ...], Fact] = {}
    for fact in ordered:
        facts.setdefault(tuple(fact[place] for place in task.grounded), fact)
    return Entries(facts, frozenset(phrase for phrases in facts for phrase in phrases))


def answer(dictionary: Dictionary, key: Key, policies: Mapping[str, Policy]) -> str:
    """Return the label text that the dictionary gives for one row of the test set."""
    asked = _names(key.schema, "required")
    if asked:
        facts = [
            (field, *fact[1:])
            for field in asked
            if (entries := dictionary.fields.get(field_form(field))) is not None
            for fact in find(entries, key.input)
        ]
    else:
        facts = find(dictionary.whole, key.input)
    located = ground(facts, dictionary.task, key.input, policies).located
    return dictionary.task.render(
        [item.fact for item in located], _names(key.schema, "properties"), key.language
    )


def find(entries: Entries, article: str) -> list[Fact]:
    """Return the facts whose grounded parts stand in an article."""
    places = {
        phrase: spans
        for phrase in entries.phrases
        if phrase in article and (spans := list(standing(phrase, article)))
    }
    every = [span for spans in places.values() for span in spans]
    known = {phrase for phrase, spans in places.items() if any(not _inside(span, every) for span in spans)}
    return [fact for phrases, fact in entries.facts.items() if known.issuperset(phrases)]


def _inside(span: Span, others: Iterable[Span]) -> bool:
    """Tell whether a span is part of a longer one."""
    return any(other[0] <= span[0] and span[1] <= other[1] and other != span for other in others)


def field_form(name: str) -> str:
    """Return a field's name as it is compared: `Year founded`, `year_founded` and `yearFounded` are one."""
    return _APART.sub("", fact_form(name).casefold())


def _names(schema: Json, what: str) -> tuple[str, ...]:
    """Return the names under `required` or `properties` of an object's schema; none of another schema."""
    return tuple(schema.get(what, ())) if isinstance(schema, dict) else ()
