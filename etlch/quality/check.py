"""Read a run folder, return every problem of its files with file, line and reason.

The files written for LlamaFactory are read again as LlamaFactory reads them, and compared with
the task's format, the row's own input, the keys, the records, the promised sizes and the test set.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from etlch.core import manifest
from etlch.core.errors import EtlchError
from etlch.core.files import load_yaml, read_jsonl
from etlch.core.locale import _
from etlch.core.manifest import Manifest
from etlch.core.records import HUMAN, Key, Record
from etlch.core.run_folder import Run
from etlch.core.settings import PlanSettings, Settings
from etlch.dataset.corrections import told
from etlch.dataset.dedup import Deduplicator
from etlch.dataset.prompt_forms import forms_of
from etlch.dataset.splits import FOLD, few_shot
from etlch.export.data_files import turn
from etlch.quality.check_info import check_info, expected, training_sizes
from etlch.quality.check_rows import (
    CheckRules,
    DataProblem,
    DataRow,
    fingerprint,
    placed_facts,
    read_rows,
    row_problems,
)
from etlch.quality.check_sources import ReadLine, RunSources, read_jsonl_lines
from etlch.tasks import Task, find_task


@dataclass(frozen=True)
class CheckReport:
    """What was read, and what is wrong with it.

    Attributes:
        problems: in the order of the files.
        files: data files read.
        rows: rows read; a row that stands in two files counts twice.
        notes: what may be right and often is not, such as records that all have one type.
    """

    problems: tuple[DataProblem, ...]
    files: int
    rows: int
    notes: tuple[str, ...] = ()


@dataclass
class _State:
    """What was read of the data files so far, as 64-bit fingerprints: memory does not grow with their texts.

    Attributes:
        stored: what run.yaml says.
        files, rows: as in CheckReport.
        checked: rows without a problem.
        test: test articles, to find near copies.
        test_inputs: test article → where it stands.
        test_groups: topics or domains of test articles, if `split_by` names one.
        clean: training articles that are not in the test set.
    """

    run: Run
    stored: Manifest
    tasks: Mapping[str, Task]
    sources: RunSources
    files: int = 0
    rows: int = 0
    checked: set[int] = field(default_factory=set)
    test: Deduplicator = field(default_factory=Deduplicator)
    test_inputs: dict[int, str] = field(default_factory=dict)
    test_groups: set[str] = field(default_factory=set)
    clean: set[int] = field(default_factory=set)

    @property
    def settings(self) -> Settings:
        """The settings of the run."""
        return self.stored.settings


def check_run(run: Run, stored: Manifest | None = None) -> CheckReport:
    """Return the problems of every file of a run.

    Args:
        run: the folder.
        stored: what run.yaml says; read where it is not handed on.

    Raises:
        EtlchError: the folder is no run or was renamed, or a task of the user's own cannot be loaded.
    """
    stored = stored or manifest.read(run)
    settings = stored.settings
    _refuse_renamed(run, settings.plan)
    task_file = Path(settings.plan.task_file) if settings.plan.task_file else None
    tasks = {name: find_task(name, task_file) for name in settings.plan.tasks}
    rules = CheckRules(
        settings.check.policies,
        may_be_empty=settings.teacher.name == HUMAN,
        may_repeat=settings.teacher.name == HUMAN or bool(stored.imported),
        may_be_ungrounded=settings.check.ungrounded == "keep",
    )
    state = _State(
        run, stored, tasks, RunSources(run, tasks, settings.plan.split_by, rules, forms_of(settings))
    )
    wanted = expected(run, stored)
    problems = (
        *state.sources.read(stored),
        *check_info(run, wanted),
        *_tests(state),
        *(problem for task in tasks for problem in _sizes(state, task)),
        *_recipes(run, wanted),
    )
    corrected = told(run, read_jsonl(run.records, Record)) if run.corrections.exists() else []
    return CheckReport(problems, state.files, state.rows, (*state.sources.notes(), *corrected))


def _refuse_renamed(run: Run, plan: PlanSettings) -> None:
    """Refuse a renamed folder once, instead of reporting every file as missing.

    Raises:
        EtlchError: the data files carry the name of another folder, and run.yaml, of an earlier release, none.
    """
    end = run.stem(plan.tasks[0], "train", min(plan.sizes)).removeprefix(run.name) + ".json"
    named = sorted(path.name.removesuffix(end) for path in run.llamafactory.glob(f"*{end}"))
    if named and run.name not in named:
        raise EtlchError(
            _("{folder} was copied or renamed: its data sets carry the name '{named}'").format(
                folder=run.folder, named=named[0]
            ),
            _("Say so in {settings}, which an earlier release wrote without it: name: {named}").format(
                settings=run.settings, named=named[0]
            ),
            code=1,
        )


def _tests(state: _State) -> Iterator[DataProblem]:
    """Check every test file and remember its inputs for the leakage check."""
    for name in state.stored.tests():
        task, _rest, test = name.partition("@")
        stem = state.run.test_stem(name)
        marks = []
        for item in _data_set(state, task, stem, keyed=True):
            if isinstance(item, DataProblem):
                yield item
                continue
            marks.append(fingerprint(*item.texts))
            mark = fingerprint(item.input)
            if mark not in state.test_inputs:
                where = f"{stem}.json:{item.line}"
                state.test_inputs[mark] = where
                state.test.add(where, item.input)
                state.test_groups.add(state.sources.groups.get(mark, where))
        own = not test or name in state.settings.forms
        promised = state.settings.plan.test if own else state.stored.imported[task][test]
        yield from _count(state.run, stem, len(marks), promised)
        if state.settings.export.shots:
            yield from _shots(state, task, stem, marks)


def _shots(state: _State, task: str, tested: str, test: list[int]) -> Iterator[DataProblem]:
    """Check that a few-shot test file has the rows of the test file, and before each the promised examples.

    Args:
        state: what was read so far.
        task: its task.
        tested: stem of the test file.
        test: fingerprints of its rows.
    """
    run, shots = state.run, state.settings.export.shots
    source = run.stem(task, "train", min(state.settings.plan.sizes))
    stem = few_shot(tested, shots)
    taken = [item for item in islice(read_rows(run.data(source), source), shots) if isinstance(item, DataRow)]
    examples = tuple((turn(row.instruction, row.input), row.output) for row in taken)
    marks = []
    for item in _data_set(state, task, stem, keyed=True, history=True):
        if isinstance(item, DataProblem):
            yield item
            continue
        marks.append(fingerprint(*item.texts))
        if item.history != examples:
            reason = f"its examples are not the first {shots} rows of {source}.json"
            yield DataProblem(_name(run, stem), item.line, reason)
    if marks != test and run.data(stem).is_file():
        reason = f"its rows are not those of {tested}.json, in the same order"
        yield DataProblem(_name(run, stem), None, reason)


def _sizes(state: _State, task: str) -> Iterator[DataProblem]:
    """Check the train and val files of a task: their rows, counts, nesting and leaks.

    Training and validation articles are compared over all sizes and sources, because `mix` trains on several.
    """
    used: dict[str, set[int]] = {"train": set(), "val": set()}
    for source, sizes in training_sizes(state.stored, task):
        before: dict[str, set[int]] = {"train": set(), "val": set()}
        for size in sizes:
            for use, promised in (("train", size - size // FOLD), ("val", size // FOLD)):
                if promised:
                    stem = state.run.stem(task, f"{use}{source}", size)
                    yield from _part(state, task, stem, promised, use, before, used)


def _part(
    state: _State,
    task: str,
    stem: str,
    promised: int,
    use: str,
    before: dict[str, set[int]],
    used: dict[str, set[int]],
) -> Iterator[DataProblem]:
    """Check one train or val file.

    Args:
        state: what was read so far.
        task: its task.
        stem: its name.
        promised: rows that it must have.
        use: train or val.
        before: rows of the next smaller size by use; becomes this size's.
        used: articles of all files so far by use; those of this one are added.
    """
    rows, marks, other = 0, set(), used["val" if use == "train" else "train"]
    for item in _data_set(state, task, stem, keyed=use == "val"):
        if isinstance(item, DataProblem):
            yield item
            continue
        rows += 1
        marks.add(fingerprint(*item.texts))
        yield from (DataProblem(_name(state.run, stem), item.line, why) for why in _leaks(state, item))
        article = fingerprint(item.input)
        used[use].add(article)
        if article in other:
            what = "training" if use == "val" else "validation"
            yield DataProblem(_name(state.run, stem), item.line, f"its article is in the {what} file too")
    yield from _count(state.run, stem, rows, promised)
    if lost := len(before[use] - marks):
        reason = f"{lost} rows of the next smaller size are not in it: sizes must nest"
        yield DataProblem(_name(state.run, stem), None, reason)
    before[use] = marks


def _data_set(
    state: _State, task: str, stem: str, *, keyed: bool, history: bool = False
) -> Iterator[DataProblem | DataRow]:
    """Yield the rows of a data file, and before each what is wrong with it or with its key."""
    name = _name(state.run, stem)
    keys = read_jsonl_lines(state.run.keys(stem), Key) if keyed else None
    pairs: set[int] = set()
    state.files += 1
    for item in read_rows(state.run.data(stem), name, history=history):
        if keys is not None:
            yield from _key_problems(state.run.keys(stem), item, next(keys, None))
        if isinstance(item, DataProblem):
            yield item
            continue
        state.rows += 1
        pair = fingerprint(item.instruction, item.input)
        if pair in pairs and not state.sources.rules.may_repeat:
            yield DataProblem(name, item.line, "a second row with the same instruction and input")
        pairs.add(pair)
        yield from (DataProblem(name, item.line, reason) for reason in _reasons(state, task, item))
        yield item
    if keys is not None and (further := sum(1 for _ in keys)):
        yield DataProblem(
            _name(state.run, f"{stem}.keys"), None, f"{further} lines more than rows in {stem}.json"
        )


def _reasons(state: _State, task: str, row: DataRow) -> list[str]:
    """Return what is wrong with a row; a row that passed in a smaller size is not checked again."""
    mark = fingerprint(task, *row.texts)
    if mark in state.checked:
        return []
    if state.sources.in_form(task, row) == row.output:
        state.checked.add(mark)
        return []
    record = state.sources.record(task, row)
    schema = None if record is None else record.schema
    language = state.settings.plan.language if record is None else record.language
    placed = placed_facts(record, state.tasks[task]) if record else ()
    rules = state.sources.rules_for(record)
    reasons = row_problems(row, state.tasks[task], language, schema, rules, placed)
    if record is None:
        reasons.append("no record of records.jsonl has this instruction and input")
    elif record.output != row.output:
        reasons.append(f"the target is not the output of record {record.id}")
    if not reasons:
        state.checked.add(mark)
    return reasons


def _key_problems(path: Path, item: DataRow | DataProblem, placed: ReadLine | None) -> Iterator[DataProblem]:
    """Check that a key says what its row says."""
    name = f"{path.parent.name}/{path.name}"
    if placed is None:
        yield DataProblem(name, None, f"no line for the row at line {item.line} of the data file")
    elif not isinstance(placed.value, Key):
        yield DataProblem(name, placed.number or None, str(placed.value))
    elif isinstance(item, DataRow):
        key = placed.value
        for what, in_key, in_row in (
            ("instruction", key.instruction, item.instruction),
            ("input", key.input, item.input),
            ("gold", key.gold, item.output),
        ):
            if in_key != in_row:
                yield DataProblem(name, placed.number, f"{what} is not that of the row at line {item.line}")


def _leaks(state: _State, row: DataRow) -> list[str]:
    """Return how the article of a train or val row leaks from the test set; empty if it does not."""
    mark = fingerprint(row.input)
    if mark in state.clean:
        return []
    if mark in state.test_inputs:
        return [f"its article is in the test set ({state.test_inputs[mark]})"]
    if (duplicate := state.test.find(row.input)) is not None:
        return [f"its article is a near copy of one in the test set ({duplicate})"]
    if (group := state.sources.groups.get(mark)) in state.test_groups:
        return [f"its {state.settings.plan.split_by} '{group}' is in the test set too"]
    state.clean.add(mark)
    return []


def _count(run: Run, stem: str, rows: int, promised: int) -> Iterator[DataProblem]:
    if rows != promised and run.data(stem).is_file():
        yield DataProblem(_name(run, stem), None, f"{rows} sound rows where {promised} are promised")


def _recipes(run: Run, known: Collection[str]) -> Iterator[DataProblem]:
    """Check that recipes name data sets that exist."""
    paths = sorted(run.recipes.glob("*.yaml"))
    if not paths:
        yield DataProblem(run.recipes.name, None, "no recipes: run `etlch-data export` on this folder")
    for path in paths:
        name = f"{run.recipes.name}/{path.name}"
        try:
            recipe = load_yaml(path)
        except EtlchError as error:
            yield DataProblem(name, None, error.what)
            continue
        for setting in ("dataset", "eval_dataset"):
            for stem in str((recipe or {}).get(setting) or "").split(","):
                if stem.strip() and stem.strip() not in known:
                    yield DataProblem(name, None, f"{setting} names '{stem.strip()}', which does not exist")


def _name(run: Run, stem: str) -> str:
    return f"{run.llamafactory.name}/{stem}.json" + ("l" if stem.endswith(".keys") else "")
