"""Read a student's answers on validation sets, return where it errs more than elsewhere, as weights of a growth."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from etlch.core.errors import EtlchError
from etlch.core.growth import Growth
from etlch.core.prompts import Prompts
from etlch.core.records import Key, Model, Record, Topic, from_dict
from etlch.core.run_data import RunData
from etlch.core.run_folder import Run
from etlch.core.settings import PlanSettings
from etlch.metrics.facts import FactPair, comparable_fact
from etlch.metrics.predictions import read_aligned
from etlch.metrics.reading import ParseConfig, read_pair
from etlch.pipeline.session import offline_teacher
from etlch.pipeline.setup import chosen_tasks
from etlch.tasks import Task
from etlch.tasks.base import type_of
from etlch.teachers.topic_plan import read_tree, tree_topics
from etlch.training import best_checkpoint, weights

PRIOR = 10
"""Facts at the mean rate of errors that are added to each kind, so that a few facts move no weight far."""
MOST = 4.0
"""A weight is at most this, and at least its inverse: the growth keeps something of everything."""

ANSWERS = "generated_predictions.jsonl"


@dataclass(frozen=True)
class Student:
    """A trained model and its answers on the validation sets of its size: task → prediction file."""

    card: Model
    files: dict[str, Path]

    @property
    def name(self) -> str:
        """The model's folder; of answers that the user named, where they lie."""
        return self.card.folder if self.card.recipe else self.card.name


class Answer(NamedTuple):
    """A student's answer to one validation record: the record's key, and the facts of both sides."""

    key: Key
    pair: FactPair


def students(run: Run, plan: PlanSettings, size: int) -> list[Student]:
    """Return the tuned models of a size whose kept checkpoint answered every validation set of the run."""
    found = []
    for path in sorted(run.predictions.glob("*/model.json")):
        card = from_dict(Model, json.loads(path.read_text(encoding="utf-8")))
        checkpoint = _checkpoint(run.models / card.folder)
        if card.role != "tuned" or card.size != size or checkpoint is None:
            continue
        files = {task: checkpoint / run.stem(task, "val", size) / ANSWERS for task in plan.tasks}
        if all(file.is_file() for file in files.values()):
            found.append(Student(card, files))
    return found


def _checkpoint(model: Path) -> Path | None:
    """Return the checkpoint whose weights a model has; where none was chosen, its last one."""
    best = model / best_checkpoint.NAME
    if best.is_file():
        return model / str(json.loads(best.read_text(encoding="utf-8"))["chosen"])
    return max(weights.checkpoints(model), key=lambda path: int(path.name.rpartition("-")[2]), default=None)


def given_student(run: Run, plan: PlanSettings, size: int, path: Path) -> Student:
    """Return a student whose validation answers the user names: a prediction file, or a folder of them.

    Raises:
        EtlchError: there are none, one belongs to no validation set of this size, or a task has none.
    """
    files = sorted(path.rglob(ANSWERS)) if path.is_dir() else [path]
    if not path.exists() or not files:
        raise EtlchError(f"{path}: no predictions here", f"Name {ANSWERS} of the validation sets.")
    found: dict[str, Path] = {}
    for file in files:
        task = next((task for task in plan.tasks if _fits(file, run.keys(run.stem(task, "val", size)))), None)
        if task is None:
            raise EtlchError(
                f"{file} holds no predictions of a validation set of size {size}",
                "A run grows by mistakes on validation alone; predictions of the test set are not looked at.",
            )
        found[task] = file
    if lacking := [task for task in plan.tasks if task not in found]:
        raise EtlchError(
            f"{path}: no validation predictions of {', '.join(lacking)}", "Name a folder with all of them."
        )
    return Student(Model(str(path), size, None, "tuned", None, None), found)


def _fits(predictions: Path, keys: Path) -> bool:
    if not keys.is_file():
        return False
    try:
        return all(True for _ in read_aligned(predictions, keys))
    except EtlchError:
        return False


def answers(run: Run, plan: PlanSettings, student: Student) -> dict[str, Answer]:
    """Return a student's answers by record id, read as etlch-score reads them.

    Raises:
        EtlchError: a file does not fit its keys.
    """
    tasks = chosen_tasks(plan)
    found = {}
    for name, file in student.files.items():
        config = ParseConfig(tasks[name])
        keys = run.keys(run.stem(name, "val", student.card.size))
        for row in read_aligned(file, keys):
            pair = read_pair(row.key.gold, row.text, row.key.language, config, row.key.input).best
            found[row.key.id] = Answer(row.key, pair)
    return found


@dataclass
class _Counts:
    """Errors and facts looked at, by name."""

    wrong: Counter[str | int] = field(default_factory=Counter)
    seen: Counter[str | int] = field(default_factory=Counter)

    def add(self, name: str | int, wrong: int, seen: int) -> None:
        self.wrong[name] += wrong
        self.seen[name] += seen

    def weights(self) -> dict[str | int, float]:
        """Return each name's rate of errors over the mean rate, drawn towards 1 where little was seen."""
        total = self.seen.total()
        if not self.wrong.total():
            return {}
        rate = self.wrong.total() / total
        raw = {
            name: (self.wrong[name] + PRIOR * rate) / (self.seen[name] + PRIOR) / rate for name in self.seen
        }
        cut = {name: round(min(MOST, max(1 / MOST, value)), 2) for name, value in raw.items()}
        return {name: value for name, value in sorted(cut.items(), key=str) if value != 1}


@dataclass(frozen=True)
class Mistakes:
    """What a student got wrong on validation.

    Attributes:
        wrong, seen: facts missed or spurious, and all facts of gold and spurious ones.
        growth: the weights that follow.
    """

    wrong: int
    seen: int
    growth: Growth


def mistakes(
    data: RunData, prompts: Prompts, found: Sequence[Mapping[str, Answer]], position: int
) -> Mistakes:
    """Count the errors of one or more trainings by kind of fact, topic and sentence, and weigh them.

    An error is a fact missed or spurious. A weight is the rate of errors of a kind over the mean rate of its task.

    Args:
        data: the run.
        prompts: of the run; the offline teacher's phrase data tell the sentence of a fact.
        found: the answers of each training.
        position: from which place of the plan on the weights shall hold.
    """
    plan = data.manifest.settings.plan
    tasks, records = chosen_tasks(plan), {record.id: record for record in data.records}
    topics = _topics(data, prompts, {one.key.article_id for each in found for one in each.values()})
    facts: dict[str, _Counts] = defaultdict(_Counts)
    domains, genres, lengths, forms = _Counts(), _Counts(), _Counts(), _Counts()
    for each in found:
        for one in each.values():
            task, pair = tasks[one.key.task], one.pair
            topic = topics[one.key.article_id]
            _count_facts(facts[task.name], task, records[one.key.id], pair)
            wrong = len(pair.missed) + len(pair.spurious)
            seen = len(pair.gold) + len(pair.spurious)
            for counted, name in ((domains, topic.domain), (genres, topic.genre), (lengths, topic.length)):
                counted.add(name, wrong, seen)
    for form, is_wrong in _forms(data, prompts, found, topics):
        forms.add(form, is_wrong, 1)
    merged: dict[str, list[float]] = defaultdict(list)
    for counted in facts.values():
        for name, value in counted.weights().items():
            merged[str(name)].append(value)
    growth = Growth(
        position,
        _texts(domains.weights()),
        _texts(genres.weights()),
        {int(name): value for name, value in lengths.weights().items()},
        {name: round(sum(values) / len(values), 2) for name, values in sorted(merged.items())},
        _texts(forms.weights()),
    )
    return Mistakes(domains.wrong.total(), domains.seen.total(), growth)


def _texts(weights: Mapping[str | int, float]) -> dict[str, float]:
    return {str(name): value for name, value in weights.items()}


def _count_facts(counted: _Counts, task: Task, record: Record, pair: FactPair) -> None:
    """Count a record's errors by type, relation or field, under the names that its labels write."""
    names = {type_of(comparable_fact(one.fact), task): type_of(one.fact, task) for one in record.facts}
    missed = set(pair.missed)
    for fact in pair.gold:
        kind = type_of(fact, task)
        counted.add(names.get(kind, kind), int(fact in missed), 1)
    for fact in pair.spurious:
        # A kind that only the student knows is none that a teacher could write more of.
        if (kind := type_of(fact, task)) in names:
            counted.add(names[kind], 1, 1)


def _topics(data: RunData, prompts: Prompts, wanted: set[str]) -> dict[str, Topic]:
    """Return the topics of articles of the run's own plan."""
    settings = data.manifest.settings
    plan = settings.plan
    if settings.teacher.name == "offline" or plan.label_first:
        every = offline_teacher(plan, prompts).topics()
    else:
        tree = read_tree(prompts, plan.language, plan.domains, plan.genres, plan.lengths)
        every = tree_topics(tree, plan.language, plan.seed, plan.growth)
    places = {place_of(name) for name in wanted}
    return {
        f"a{topic.position:05d}": topic
        for topic in islice(every, max(places, default=-1) + 1)
        if topic.position in places
    }


def place_of(article_id: str) -> int:
    """Return the place of the plan that an article's id names."""
    return int(article_id.removeprefix("a"))


def _forms(
    data: RunData, prompts: Prompts, found: Sequence[Mapping[str, Answer]], topics: Mapping[str, Topic]
) -> Iterator[tuple[str, bool]]:
    """Yield, for each gold fact that a sentence of the offline teacher states, the sentence's form and whether it was missed."""
    if data.manifest.settings.teacher.name != "offline":
        return
    teacher = offline_teacher(data.manifest.settings.plan, prompts)
    records = {record.id: record for record in data.records}
    written = {
        one.key.article_id: teacher.find(topics[one.key.article_id], records[one.key.id].input).forms
        for each in found
        for one in each.values()
    }
    for each in found:
        for one in each.values():
            missed = set(one.pair.missed)
            for located in records[one.key.id].facts:
                place = max((span[0] for span in located.spans if span), default=-1)
                for (start, end), form in written[one.key.article_id]:
                    if start <= place < end:
                        yield form, comparable_fact(located.fact) in missed
