"""Read a run, write it as Parquet files or push it to the Hugging Face hub, one configuration per task.

The splits are those of the largest size. A row holds everything that a record is, its article's
topic, domain and source, and the smaller sizes it belongs to; schema and facts are JSON text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from etlch.core.errors import EtlchError
from etlch.core.extras import need
from etlch.core.files import dumps
from etlch.core.locale import _
from etlch.core.records import TRAIN, Article, Json, Record, to_dict
from etlch.core.run_data import RunData
from etlch.dataset.splits import Splits, split

_KEPT = ("id", "article_id", "language", "instruction", "input", "output")
COLUMNS = (*_KEPT, "schema", "facts", "topic", "domain", "source", "sizes")
"""Of a row, in their order."""


def write_parquet(run: RunData, folder: Path) -> list[Path]:
    """Write <folder>/<task>/<split>.parquet and return the paths.

    Raises:
        EtlchError: the extra `datasets` is not installed, or the folder cannot be written.
    """
    need("datasets", "--parquet", "datasets")
    written = []
    for task, splits in data_sets(run).items():
        for name, rows_of_split in splits.items():
            path = folder / task / f"{name}.parquet"
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                rows_of_split.to_parquet(str(path))
            except OSError as error:
                raise EtlchError(
                    _("cannot write {path}: {strerror}").format(path=path, strerror=error.strerror),
                    _("Check the folder."),
                ) from error
            written.append(path)
    return written


def push(run: RunData, card: Path, name: str, *, public: bool = False) -> None:
    """Push a run to the hub as NAME, one configuration per task, and its card as README.md.

    Raises:
        EtlchError: the extra `datasets` is not installed, no token, or the hub refuses.
    """
    need("datasets", "--push-to-hub", "datasets", "huggingface_hub", "httpx")
    from httpx import HTTPError
    from huggingface_hub import DatasetCard, DatasetCardData, HfApi
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

    try:
        for task, splits in data_sets(run).items():
            splits.push_to_hub(name, config_name=task, private=not public)
        mine, theirs = DatasetCard(card.read_text(encoding="utf-8")), DatasetCard.load(name)
        merged: dict[str, Json] = {**vars(theirs.data), **vars(mine.data)}
        theirs.data = DatasetCardData(**{key: value for key, value in merged.items() if value is not None})
        theirs.text = mine.text
        # The card's own push asks huggingface.co to validate it, whatever hub is in use.
        HfApi().upload_file(
            path_or_fileobj=str(theirs).encode(), path_in_repo="README.md", repo_id=name, repo_type="dataset"
        )
    except (HfHubHTTPError, HTTPError, LocalTokenNotFoundError, OSError, ValueError) as error:
        raise EtlchError(
            _("the hub did not take {name}: {error}").format(name=name, error=error),
            _("Run `hf auth login` with a token that may write, and name it OWNER/NAME."),
        ) from error


def data_sets(run: RunData) -> dict[str, Any]:
    """Return task → `datasets.DatasetDict` with train, validation and test, as far as they have rows."""
    from datasets import Dataset, DatasetDict, Features, Value, disable_progress_bars
    from datasets import Sequence as ListOf

    disable_progress_bars()

    plan = run.manifest.settings.plan
    parts = split([article.id for article in run.articles], plan.test, plan.sizes)
    made: dict[str, Any] = {}
    for task in plan.tasks:
        splits: dict[str, list[dict[str, Json]]] = {}
        for name, row in rows(run.records, {article.id: article for article in run.articles}, parts, task):
            splits.setdefault(name, []).append(row)
        # Named, because the empty `sizes` of test rows say nothing of their kind.
        kinds = Features(dict.fromkeys(COLUMNS, Value("string")) | {"sizes": ListOf(Value("int64"))})
        made[task] = DatasetDict(
            {name: Dataset.from_list(rows_of_split, features=kinds) for name, rows_of_split in splits.items()}
        )
    return made


def rows(
    records: Sequence[Record], articles: dict[str, Article], parts: Splits, task: str
) -> Iterator[tuple[str, dict[str, Json]]]:
    """Yield (split, row) of each record of a task, in file order.

    What was imported into the run has splits of its own: `human`, and `test_NAME`.
    """
    largest = max(parts.train)
    places = [("test", parts.test), ("train", parts.train[largest]), ("validation", parts.val[largest])]
    split_of = {article_id: name for name, ids in places for article_id in ids}
    sizes = {size: {*parts.train[size], *parts.val[size]} for size in sorted(parts.train)}
    for record in records:
        if record.split:
            named = "human" if record.split == TRAIN else f"test_{record.split}".replace("-", "_")
        else:
            named = split_of.get(record.article_id, "")
        if record.task != task or not named:
            continue
        article = articles[record.article_id]
        values = to_dict(record)
        yield (
            named,
            {
                **{name: values[name] for name in _KEPT},
                "schema": dumps(record.schema),
                "facts": dumps(values["facts"]),
                "topic": article.topic,
                "domain": article.domain,
                "source": article.source,
                "sizes": [size for size, ids in sizes.items() if record.article_id in ids],
            },
        )
