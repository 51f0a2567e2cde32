"""Name every file of a run by its path below the run's folder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from etlch.core.errors import EtlchError
from etlch.core.locale import _

_NAME = re.compile(r"""^name: ["']?([\w.-]+)""", re.MULTILINE)
"""The line of run.yaml; read without YAML, because every command needs it and few need the rest."""


@dataclass(frozen=True)
class Run:
    """Where everything of one run stands, below one folder (see the README's tree)."""

    folder: Path

    @cached_property
    def name(self) -> str:
        """The name that data sets and recipes carry: what run.yaml says, so that a run may be copied and renamed.

        Of a new run it is the folder's name, reduced to what LlamaFactory takes as part of a data set's name.
        """
        stored = _NAME.search(self.settings.read_text("utf-8")) if self.settings.is_file() else None
        return stored[1] if stored else re.sub(r"[^\w.-]+", "-", self.folder.resolve().name)

    @property
    def settings(self) -> Path:
        """run.yaml: resolved settings, versions, prompt hashes, counts, cost. Makes a folder a run."""
        return self.folder / "run.yaml"

    @property
    def replies(self) -> Path:
        """replies.sqlite3: every answer ever paid for."""
        return self.folder / "replies.sqlite3"

    @property
    def articles(self) -> Path:
        """articles.jsonl."""
        return self.folder / "articles.jsonl"

    @property
    def records(self) -> Path:
        """records.jsonl."""
        return self.folder / "records.jsonl"

    @property
    def corrections(self) -> Path:
        """corrections.jsonl: records whose labels people corrected; `generate` keeps them."""
        return self.folder / "corrections.jsonl"

    @property
    def rejected(self) -> Path:
        """rejected.jsonl."""
        return self.folder / "rejected.jsonl"

    @property
    def card(self) -> Path:
        """README.md, the data set card."""
        return self.folder / "README.md"

    @property
    def llamafactory(self) -> Path:
        """The folder that recipes name as `dataset_dir`."""
        return self.folder / "llamafactory"

    @property
    def recipes(self) -> Path:
        """Files for `llamafactory-cli train` and `export`, nothing else."""
        return self.folder / "recipes"

    @property
    def models(self) -> Path:
        """Adapters and exports, a folder per model."""
        return self.folder / "models"

    @property
    def predictions(self) -> Path:
        """predictions/<model>/<task>/generated_predictions.jsonl."""
        return self.folder / "predictions"

    @property
    def scores(self) -> Path:
        """What etlch-score writes."""
        return self.folder / "scores"

    def stem(self, task: str, split: str, size: int | None = None) -> str:
        """Name of a data set in dataset_info.json and of its file.

        `split` is train, val or test, for imported records train-human, val-human or test-NAME.
        """
        return f"{self.name}_{task}_{split}" + ("" if size is None else f"_{size}")

    def test_stem(self, name: str) -> str:
        """Name of the data set of a test set: `ner` is the run's own, `ner@human` a further one."""
        task, _rest, test = name.partition("@")
        return self.stem(task, f"test-{test}" if test else "test")

    def data(self, stem: str) -> Path:
        """The data file of a data set."""
        return self.llamafactory / f"{stem}.json"

    def keys(self, stem: str) -> Path:
        """The keys beside a val or test file."""
        return self.llamafactory / f"{stem}.keys.jsonl"

    def prediction_file(self, model: str, task: str) -> Path:
        """Where LlamaFactory writes a model's predictions on a test set, such as `ner` or `ner@human`."""
        return self.predictions / model / task / "generated_predictions.jsonl"

    def model_card(self, model: str) -> Path:
        """model.json: who a model folder is."""
        return self.predictions / model / "model.json"

    def require(self) -> Run:
        """Return self if the folder is a run.

        Raises:
            EtlchError: there is no run.yaml in it.
        """
        if not self.settings.is_file():
            raise EtlchError(
                _("{folder} is not a run folder: it has no run.yaml").format(folder=self.folder),
                _("Name a folder that `etlch-data generate` wrote, such as outputs/offline-en."),
            )
        return self
