"""Ask a model for its run's validation set and keep, for each predicted fact, its probability and whether it is right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from etlch.core.errors import EtlchError
from etlch.core.extract_settings import ExtractSettings
from etlch.core.files import read_jsonl
from etlch.core.locale import _
from etlch.core.records import Key
from etlch.core.run_folder import Run
from etlch.extract.card import ExtractorCard, read_card, run_of, write_card
from etlch.extract.confidence import fit
from etlch.extract.extractor import Extractor, without_threshold
from etlch.extract.facts import Source
from etlch.metrics.facts import comparable
from etlch.tasks import find_task


def calibrate(folder: Path, tasks: tuple[str, ...] = ()) -> ExtractorCard:
    """Return a model's card with its calibration, and write it into the model folder.

    Args:
        folder: a model of a run that has validation sets.
        tasks: whose facts are calibrated; empty takes all that the model can be asked for.

    Raises:
        EtlchError: no run or no validation set; nothing was predicted.
    """
    card = read_card(folder)
    run = run_of(folder)
    if run is None:
        raise EtlchError(
            _("{folder} stands in no run folder").format(folder=folder),
            _("Calibrate a model where its validation set is."),
        )
    extractor = Extractor(folder, without_threshold(ExtractSettings(tasks=tasks)), card=card)
    fitted = dict(card.calibration)
    for name in extractor.tasks:
        keys = _validation(run, name, card.model)
        task = find_task(name)
        raw: list[float] = []
        right: list[bool] = []
        found = extractor.extract(Source(key.id, key.input) for key in keys)
        for key, item in zip(keys, found, strict=True):
            gold = set(comparable(task.parse(key.gold, key.language, True).facts))
            for fact in item.facts:
                if fact.task == name and fact.confidence is not None:
                    raw.append(fact.confidence)
                    right.append(comparable([fact.fact])[0] in gold)
        fitted[name] = fit(raw, right)
    calibrated = replace(card, calibration=fitted)
    write_card(folder, calibrated)
    return calibrated


def _validation(run: Run, task: str, model: str) -> list[Key]:
    """Return the keys of the validation set of the model's size, else of the largest."""
    paths = sorted(run.llamafactory.glob(f"*_{task}_val_*.keys.jsonl"), key=lambda path: int(_size(path)))
    if not paths:
        raise EtlchError(
            _("{folder} has no validation set for {task}").format(folder=run.folder, task=task),
            _("Sizes of 10 records or more have one."),
        )
    own = [path for path in paths if f"-{_size(path)}-" in f"{model}-"]
    return read_jsonl((own or paths)[-1], Key)


def _size(path: Path) -> str:
    return path.name.removesuffix(".keys.jsonl").rpartition("_")[2]
