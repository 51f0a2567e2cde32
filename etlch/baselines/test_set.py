"""Read what a run trains and tests on, write predictions as LlamaFactory writes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from etlch.core.errors import EtlchError
from etlch.core.files import dumps, read_jsonl, read_lines, read_text, write_text
from etlch.core.locale import _
from etlch.core.records import Json, Key, Model, to_dict
from etlch.core.run_folder import Run
from etlch.export.data_files import COLUMNS, turn
from etlch.text.json_text import loads
from etlch.text.model_text import without_thoughts


@dataclass(frozen=True, slots=True)
class Predicted:
    """What the prediction file of one test set holds.

    Attributes:
        task: the test set, such as `ner` or `ner@human`.
        path: the file, relative to the run folder.
        rows: predictions, one for each key.
        cut: answers that reached the limit of tokens.
        refused: rows without an answer, because the endpoint refused them (HTTP 400).
        empty: answers without a word beside the thoughts.
        stored: answers on file from before. A question that a model of this name answered, at
            whatever endpoint, is not sent again.
        usd: what was paid for them in this session and before; None without a price.
    """

    task: str
    path: str
    rows: int
    cut: int
    refused: int
    empty: int
    stored: int
    usd: float | None


def read_test(run: Run, task: str) -> list[Key]:
    """Return the keys of a test set, such as `ner` or `ner@human`.

    Raises:
        EtlchError: there is none, or it is empty.
    """
    path = run.keys(run.test_stem(task))
    if not path.is_file():
        raise EtlchError(
            _("{folder} has no test set for {task}: there is no {path}").format(
                folder=run.folder, task=task, path=path.relative_to(run.folder)
            ),
            _("Write it with `etlch-data export {folder}`.").format(folder=run.folder),
        )
    keys = read_jsonl(path, Key)
    if not keys:
        raise EtlchError(
            _("{path} is empty").format(path=path), _("A run with --test 0 has nothing to predict.")
        )
    return keys


def read_training(run: Run, task: str, size: int) -> list[tuple[str, str]]:
    """Return (input, output) of the rows of a training file, in order.

    Raises:
        EtlchError: the file is missing, or not what `etlch-data export` writes.
    """
    path = run.data(run.stem(task, "train", size))
    fix = f"Write it with `etlch-data export {run.folder}`."
    if not path.is_file():
        raise EtlchError(_("{path}: the file is missing").format(path=path), fix)
    rows, problem = loads(read_text(path))
    named = (COLUMNS["query"], COLUMNS["response"])
    if problem or not isinstance(rows, list):
        raise EtlchError(f"{path}: {problem or 'no JSON array'}", fix)
    found: list[tuple[str, str]] = []
    for place, row in enumerate(rows, 1):
        article, output = (row.get(column) if isinstance(row, dict) else None for column in named)
        if not (isinstance(article, str) and isinstance(output, str)):
            raise EtlchError(
                _("{path}: row {place} has no text under {named}").format(
                    path=path, place=place, named=" and ".join(named)
                ),
                fix,
            )
        found.append((article, output))
    return found


def prompt(key: Key) -> str:
    """Return what a user would say."""
    return turn(key.instruction, key.input)


def write_rows(run: Run, folder: str, task: str, keys: Sequence[Key], texts: Sequence[str]) -> Predicted:
    """Write a prediction file: one text for each key, in order. Thoughts are cut; the column `raw` keeps them.

    Raises:
        EtlchError: the file holds predictions of another origin.
    """
    path = run.prediction_file(folder, task)
    refuse_foreign(path, keys)
    write_text(path, "".join(_row(key, text) for key, text in zip(keys, texts, strict=True)))
    return Predicted(task, path.relative_to(run.folder).as_posix(), len(keys), 0, 0, 0, 0, 0.0)


def write_card(run: Run, model: Model) -> None:
    """Write a model's model.json where there is none."""
    card = run.model_card(model.folder)
    if not card.exists():
        write_text(card, dumps(to_dict(model), indent=2) + "\n")


def _row(key: Key, text: str) -> str:
    said = without_thoughts(text)
    said = text if said == text else said.strip()
    row: dict[str, Json] = {"prompt": prompt(key), "predict": said, "label": key.gold}
    if said != text:
        row["raw"] = text
    return dumps(row) + "\n"


def refuse_foreign(path: Path, keys: Sequence[Key]) -> None:
    """Refuse to write over predictions that something else made, or of another test set."""
    if not path.exists():
        return
    first = next(read_lines(path), None)
    if first is not None and first.value.get("prompt") != prompt(keys[0]):
        raise EtlchError(
            _("{path} holds predictions that `etlch-data predict` did not make for this test set").format(
                path=path
            ),
            _("Name another folder with --as, or move them away."),
        )
