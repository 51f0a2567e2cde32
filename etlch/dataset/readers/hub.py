"""Read data sets of the library `datasets`: folders that it saved, and names that it loads."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from etlch.core.errors import EtlchError
from etlch.core.extras import need
from etlch.core.locale import _
from etlch.core.records import Json


def saved(folder: Path) -> Any:
    """Return what `datasets` saved in a folder.

    Raises:
        EtlchError: it cannot be read.
    """
    need("datasets", f"{folder}, which the library datasets saved,", "datasets")
    from datasets import load_from_disk

    try:
        return load_from_disk(str(folder))
    except (OSError, ValueError) as error:
        raise EtlchError(
            _("{place}: the data set does not load ({error})").format(place=folder, error=error),
            _("Save it again with save_to_disk."),
        ) from error


def is_saved(path: Path) -> bool:
    """Tell whether a folder was written by `save_to_disk`."""
    return (path / "dataset_dict.json").is_file() or (path / "state.json").is_file()


_NAME = re.compile(r"[\w.-]+/[\w.-]+(:[\w.-]+)?", re.ASCII)


def load(place: str, **options: str) -> Any:
    """Return a data set given as OWNER/NAME or OWNER/NAME:CONFIGURATION.

    Args:
        place: the name; a path that does not exist has to be one to be asked for, so that no hub is asked for a
            mistyped path.
        options: of `datasets.load_dataset`.

    Raises:
        EtlchError: no such name, or no data set of this name loads.
    """
    if not _NAME.fullmatch(place):
        raise EtlchError(
            _("{place} does not exist").format(place=place),
            _("Check the path. A data set of the hub is named OWNER/NAME or OWNER/NAME:CONFIGURATION."),
        )
    need("datasets", f"{place} is no file or folder here; a data set of this name", "datasets")
    from datasets import disable_progress_bars, load_dataset
    from datasets.exceptions import DatasetsError

    disable_progress_bars()
    name, _rest, configuration = place.partition(":")
    try:
        return load_dataset(name, configuration or None, **options)
    except (DatasetsError, OSError, ValueError) as error:
        raise EtlchError(
            _("{place}: neither a file, a folder nor a data set that loads ({error})").format(
                place=place, error=str(error).strip().splitlines()[0][:200]
            ),
            _("Check the path, or the data set's name and the network."),
        ) from error


def splits_of(place: str) -> dict[str, Iterator[dict[str, Json]]]:
    """Return the rows of each split of a data set, class numbers replaced by their names.

    Args:
        place: a folder that `datasets` saved, or OWNER/NAME or OWNER/NAME:CONFIGURATION.

    Raises:
        EtlchError: neither a folder nor a data set that loads.
    """
    loaded = saved(Path(place)) if Path(place).is_dir() else load(place)
    from datasets import DatasetDict

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
