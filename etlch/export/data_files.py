"""Write records and splits as LlamaFactory's data files, with their keys and dataset_info.json.

A data file holds strings only, in the alpaca form: LlamaFactory drops a row whose output is
not a string with no more than a log line, and fails on columns of mixed types. Everything
else that scoring needs stands in the keys beside it. A few-shot test file is the test file with
solved examples in a fourth column, as earlier turns of the chat.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from etlch.core.errors import EtlchError
from etlch.core.files import dumps, read_text, write_jsonl, write_text
from etlch.core.locale import _
from etlch.core.records import Json, Key, Record, task_of, test_name
from etlch.core.run_folder import Run
from etlch.dataset.prompt_forms import PromptForms
from etlch.dataset.splits import Imported, Splits, few_shot, imported, portion
from etlch.text.json_text import loads

INFO = "dataset_info.json"
COLUMNS = {"prompt": "instruction", "query": "input", "response": "output"}
"""All three are named: once `columns` is there, LlamaFactory ignores every column it does not name."""
SHOT_COLUMNS = {**COLUMNS, "history": "history"}
"""Those of a few-shot test file. A history is a list of [prompt, response]."""


class DataSet(NamedTuple):
    """One data set: its name, its rows, whether keys stand beside it, and the examples before each row."""

    stem: str
    records: tuple[Record, ...]
    with_keys: bool
    examples: tuple[Record, ...] = ()


def write_data(
    run: Run,
    records: Sequence[Record],
    splits: Splits,
    tasks: Sequence[str],
    shots: int = 0,
    human_sizes: Sequence[int] = (),
    forms: PromptForms | None = None,
) -> list[str]:
    """Write every data set of a run and remove those that an earlier export left behind.

    Args:
        run: where to write.
        records: all records; several tasks per article.
        splits: ids of the run's own articles by use.
        tasks: which tasks to write.
        shots: solved examples before each row of a further file of each test set; 0 writes none.
        human_sizes: sizes of the training sets of imported records.
        forms: prompt forms of training rows and further test sets; None has none.

    Returns:
        The names of the data sets, as in dataset_info.json.

    Raises:
        EtlchError: an article has no record for one of the tasks, or there are too few examples.
    """
    by_article = {(record.article_id, record.task): record for record in records}
    added = imported(records)

    def chosen(task: str, ids: Iterable[str]) -> tuple[Record, ...]:
        return tuple(_record(by_article, article_id, task) for article_id in ids)

    sets = [
        DataSet(stem, chosen(task, ids), with_keys, chosen(task, examples))
        for task in tasks
        for stem, ids, with_keys, examples in (
            *_sets(run, splits, task, shots),
            *(_imported_sets(run, splits, task, added[task], shots, human_sizes) if task in added else ()),
        )
        if ids
    ]
    if forms:
        sets = [*(_trained(made, forms) for made in sets), *_form_sets(run, sets, forms, shots)]
    before = _listed(run)
    for made in sets:
        write_text(run.data(made.stem), data_text(made.records, made.examples))
        if made.with_keys:
            write_jsonl(run.keys(made.stem), map(key, made.records))
    write_text(run.llamafactory / INFO, info_text(sets))
    stems = [made.stem for made in sets]
    for stem in before.difference(stems):
        run.data(stem).unlink(missing_ok=True)
        run.keys(stem).unlink(missing_ok=True)
    return stems


def data_text(records: Iterable[Record], examples: Iterable[Record] = ()) -> str:
    """Return a data file's text: a JSON array of {instruction, input, output}, one row a line.

    With examples each row has a `history` too.
    """
    turns = [[turn(example.instruction, example.input), example.output] for example in examples]
    history: dict[str, Json] = {"history": turns} if turns else {}
    rows = (dumps({name: getattr(record, name) for name in COLUMNS.values()} | history) for record in records)
    return "[\n" + ",\n".join(rows) + "\n]\n"


def turn(instruction: str, article: str) -> str:
    """Return what a user would say: instruction, line break, article, as LlamaFactory joins them."""
    return f"{instruction}\n{article}"


def info_text(sets: Iterable[DataSet]) -> str:
    """Return dataset_info.json. ASCII only: LlamaFactory opens it in the machine's own encoding."""
    entries = {
        made.stem: {
            "file_name": f"{made.stem}.json",
            "formatting": "alpaca",
            "columns": SHOT_COLUMNS if made.examples else COLUMNS,
        }
        for made in sets
    }
    return json.dumps(entries, ensure_ascii=True, indent=2) + "\n"


def key(record: Record) -> Key:
    """Return the gold side of one row."""
    return Key(
        id=record.id,
        article_id=record.article_id,
        task=record.task,
        language=record.language,
        instruction=record.instruction,
        input=record.input,
        gold=record.output,
        schema=record.schema,
    )


def _sets(
    run: Run, splits: Splits, task: str, shots: int
) -> Iterator[tuple[str, tuple[str, ...], bool, tuple[str, ...]]]:
    """Yield (stem, article ids, has keys, article ids of examples) of each data set of a task."""
    yield run.test_stem(task), splits.test, True, ()
    if shots:
        yield few_shot(run.test_stem(task), shots), splits.test, True, splits.examples(shots)
    for size in splits.train:
        yield run.stem(task, "train", size), splits.train[size], False, ()
        yield run.stem(task, "val", size), splits.val[size], True, ()


def _trained(made: DataSet, forms: PromptForms) -> DataSet:
    """Return a data set whose training rows, and solved examples, which are such rows, take their forms."""
    rows = made.records if made.with_keys else forms.training(made.records)
    return made._replace(records=rows, examples=forms.training(made.examples))


def _form_sets(run: Run, sets: Sequence[DataSet], forms: PromptForms, shots: int) -> Iterator[DataSet]:
    """Yield the test set of the task schema again under each prompt form."""
    by_stem = {made.stem: made for made in sets}
    for name, number in forms.tests.items():
        own = run.test_stem(task_of(name))
        for source, stem in (
            (own, run.test_stem(name)),
            (few_shot(own, shots), few_shot(run.test_stem(name), shots)),
        ):
            if made := by_stem.get(source):
                rows = tuple(forms.of(record, number) for record in made.records)
                yield made._replace(stem=stem, records=rows, examples=forms.training(made.examples))


def _imported_sets(
    run: Run, splits: Splits, task: str, added: Imported, shots: int, sizes: Sequence[int]
) -> Iterator[tuple[str, tuple[str, ...], bool, tuple[str, ...]]]:
    """Yield the same of what was imported: further test sets, and training sets of human records."""
    for name, ids in added.tests.items():
        stem = run.test_stem(test_name(task, name))
        yield stem, ids, True, ()
        if shots:
            yield few_shot(stem, shots), ids, True, splits.examples(shots)
    for size in (size for size in sizes if size <= len(added.train)):
        train, val = portion(added.train, size)
        yield run.stem(task, "train-human", size), train, False, ()
        yield run.stem(task, "val-human", size), val, True, ()


def _record(by_article: dict[tuple[str, str], Record], article_id: str, task: str) -> Record:
    record = by_article.get((article_id, task))
    if record is None:
        raise EtlchError(
            _("article {article_id} has no record for the task '{task}'").format(
                article_id=article_id, task=task
            ),
            _("Run `etlch-data generate` on this folder again; it writes only what is missing."),
        )
    return record


def _listed(run: Run) -> set[str]:
    """Return the data sets of the last export whose names are plain file names."""
    path = run.llamafactory / INFO
    value, _rest = loads(read_text(path)) if path.is_file() else ({}, "")
    return {stem for stem in value if "/" not in stem} if isinstance(value, dict) else set()
