"""Read data sets of the library `datasets`: folders that it saved, and names that it loads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from etlch.core.errors import EtlchError
from etlch.core.extras import need
from etlch.core.locale import _
from etlch.core.records import Json


def is_saved(path: Path) -> bool:
    """Tell whether a folder was written by `save_to_disk`."""
    return (path / "dataset_dict.json").is_file() or (path / "state.json").is_file()


def splits_of(place: str) -> dict[str, Iterator[dict[str, Json]]]:
    """Return the rows of each split of a data set, class numbers replaced by their names.

    Args:
        place: a folder that `datasets` saved, or NAME or NAME:CONFIGURATION.

    Raises:
        EtlchError: neither a folder nor a data set that loads.
    """
    what = (
        f"{place}, which the library datasets saved,"
        if Path(place).is_dir()
        else (f"{place} is no file or folder here; a data set of this name")
    )
    need("datasets", what, "datasets")
    from datasets import DatasetDict, disable_progress_bars, load_dataset, load_from_disk
    from datasets.exceptions import DatasetsError

    disable_progress_bars()
    name, _rest, configuration = place.partition(":")
    try:
        loaded = load_from_disk(place) if Path(place).is_dir() else load_dataset(name, configuration or None)
    except (DatasetsError, OSError, ValueError) as error:
        raise EtlchError(
            _("{place}: neither a file, a folder nor a data set that loads ({error})").format(
                place=place, error=error
            ),
            _("Check the path, or the data set's name and the network."),
        ) from error
    splits = loaded if isinstance(loaded, DatasetDict) else {"": loaded}
    return {split: _named(rows) for split, rows in splits.items()}


def _named(rows: Any) -> Iterator[dict[str, Json]]:
    """Yield rows with the names of classes, which the library stores as numbers."""
    names = {column: found for column, feature in rows.features.items() if (found := _classes(feature))}
    for row in rows:
        yield {
            column: _name(value, names[column]) if column in names else value for column, value in row.items()
        }


def _classes(feature: Any) -> Mapping[int, str]:
    """Return number → name of a column of classes, or of lists of them; empty for other columns."""
    names = getattr(getattr(feature, "feature", feature), "names", None)
    return dict(enumerate(names)) if isinstance(names, list) else {}


def _name(value: Json, names: Mapping[int, str]) -> Json:
    if isinstance(value, list):
        return [_name(item, names) for item in value]
    return names.get(value, value) if isinstance(value, int) else value
