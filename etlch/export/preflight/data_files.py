"""Check a data set that a recipe names: return what LlamaFactory's loader would do to it.

The loader drops rows with a line in its log, ignores columns that are not named and keys that it
does not know, and trains on what is left.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from etlch.core.errors import EtlchError, nearest
from etlch.core.files import read_lines, read_text
from etlch.core.records import Json
from etlch.core.run_folder import Run
from etlch.export.data_files import COLUMNS, INFO
from etlch.export.jobs import names
from etlch.export.preflight.values import Problem
from etlch.text.json_text import loads

SUFFIXES = (".json", ".jsonl", ".csv", ".parquet", ".arrow", ".txt")
_ELSEWHERE = ("hf_hub_url", "ms_hub_url", "om_hub_url", "script_url", "cloud_file_name")
ENTRY = {
    *_ELSEWHERE,
    "file_name",
    "formatting",
    "ranking",
    "subset",
    "folder",
    "split",
    "num_samples",
    "columns",
}
ENTRY |= {"tags"}
NAMED = {
    *("prompt", "query", "response", "history", "messages", "system", "tools", "images", "videos", "audios"),
    *("chosen", "rejected", "kto_tag"),
}
TAGS = {"role_tag", "content_tag", "user_tag", "assistant_tag", "system_tag"}
SPECIAL = re.compile(r"<\|[A-Za-z_0-9]+\|>|</?s>|<(?:start|end)_of_turn>|\[/?INST\]")
"""What tokenizers take for control tokens. In a text they end the turn for real."""


def problems(run: Run, name: str) -> Iterator[Problem]:
    """Yield what is wrong with a data set of a run."""
    path = run.llamafactory / INFO
    info, reason = loads(read_text(path)) if path.is_file() else (None, "there is no such file")
    if not isinstance(info, dict):
        yield Problem("error", f"{INFO} cannot be read: {reason}", "`etlch-data export RUN` writes it.")
        return
    if not read_text(path).isascii():
        yield Problem("warning", f"{INFO} is not ASCII; LlamaFactory opens it in the machine's own encoding")
    entry = info.get(name)
    if not isinstance(entry, dict):
        hint = nearest(name, list(info)).strip()
        yield Problem("error", f"{INFO} has no data set {name}", hint or "`etlch-data export RUN` writes it.")
        return
    found = list(_entry(entry))
    yield from found
    if any(problem.level == "error" for problem in found) or not entry.get("file_name"):
        return
    yield from _file(run.llamafactory / str(entry["file_name"]), entry)


def across(run: Run, values: dict[str, Json]) -> Iterator[Problem]:
    """Yield what is wrong between the data sets of one recipe."""
    train, held_out = (set(names(values.get(key))) for key in ("dataset", "eval_dataset"))
    for name in sorted(train & held_out):
        yield Problem("error", f"{name} is trained on and evaluated on", "Name the validation set.")
    tests = sorted(name for name in train if name.endswith("_test"))
    if tests:
        yield Problem("error", f"{', '.join(tests)} is trained on", "The test set is for predicting only.")


def rows(run: Run, name: str) -> int | None:
    """Return how many rows of a data set there are; None where they cannot be counted here."""
    path = run.llamafactory / INFO
    info, _ = loads(read_text(path)) if path.is_file() else (None, "")
    entry = info.get(name) if isinstance(info, dict) else None
    if not isinstance(entry, dict) or not entry.get("file_name"):
        return None
    found = read_rows(run.llamafactory / str(entry["file_name"]))
    if found is None:
        return None
    return int(entry["num_samples"]) if entry.get("num_samples") else len(found)


def _entry(entry: dict[str, Json]) -> Iterator[Problem]:
    """Yield what is wrong with an entry of dataset_info.json."""
    for key in sorted(set(entry) - ENTRY):
        hint = nearest(key, sorted(ENTRY)).strip()
        yield Problem("warning", f"LlamaFactory ignores the key {key} of {INFO}", hint or "Remove it.")
    formatting = entry.get("formatting", "alpaca")
    if formatting == "openai":
        yield Problem(
            "error",
            "formatting openai adds 'detailed thinking off' to every system prompt",
            "Take alpaca, or sharegpt with role and content tags.",
        )
    elif formatting not in ("alpaca", "sharegpt"):
        yield Problem("error", f"LlamaFactory has no formatting {formatting}", "Take alpaca or sharegpt.")
    if entry.get("ranking"):
        yield Problem("error", "ranking: true is for preference data, not for stage sft", "Remove it.")
    if not entry.get("file_name") and not any(entry.get(key) for key in _ELSEWHERE):
        yield Problem("error", f"{INFO} names no file_name", "Name the file.")
    if entry.get("file_name") and not str(entry.get("split", "train")).startswith("train"):
        yield Problem("error", f"split {entry['split']}: a file has only the split train", "Remove it.")
    if entry.get("num_samples"):
        yield Problem(
            "warning",
            f"num_samples {entry['num_samples']} draws rows at random, repeated where they are fewer",
        )
    yield from _columns(entry, formatting)


def _columns(entry: dict[str, Json], formatting: str) -> Iterator[Problem]:
    columns, tags = entry.get("columns"), entry.get("tags")
    if isinstance(columns, dict):
        for key in sorted(set(columns) - NAMED):
            hint = nearest(key, sorted(NAMED)).strip() or "The input's column is named by query."
            yield Problem("error", f"columns: LlamaFactory knows no '{key}' and ignores it", hint)
        missing = [key for key in COLUMNS if key not in columns] if formatting == "alpaca" else []
        if missing:
            yield Problem(
                "error",
                f"columns leaves out {', '.join(missing)}: what stands there is missing from training",
                "Once `columns` is there, every column must be named.",
            )
        if formatting == "sharegpt" and "messages" not in columns:
            yield Problem("error", "columns leaves out messages", "Name it.")
    if isinstance(tags, dict) and (missing_tags := sorted(TAGS - set(tags))):
        yield Problem(
            "error",
            f"tags leaves out {', '.join(missing_tags)}: rows are dropped",
            "Once `tags` is there, every tag must be named.",
        )


def _file(path: Path, entry: dict[str, Json]) -> Iterator[Problem]:
    if path.is_dir():
        yield Problem("warning", f"{path.name} is a folder: its files are read in no fixed order")
        return
    if not path.is_file():
        yield Problem("error", f"there is no file {path.name}", "`etlch-data export RUN` writes it.")
        return
    if path.suffix not in SUFFIXES:
        yield Problem("error", f"LlamaFactory reads no {path.suffix} files", f"Take {', '.join(SUFFIXES)}.")
        return
    if path.suffix not in (".json", ".jsonl"):
        yield Problem("note", f"rows of {path.suffix} files are not looked at")
        return
    rows = read_rows(path)
    if rows is None:
        yield Problem("error", f"{path.name} is not a JSON array or JSON lines of objects", "Write it anew.")
    elif not rows:
        yield Problem("error", f"{path.name} has no rows", "`etlch-data export RUN` writes it.")
    else:
        yield from _types(rows)
        turns = entry.get("formatting") == "sharegpt"
        yield from _turns(rows, entry) if turns else _alpaca(rows, entry)


def read_rows(path: Path) -> list[dict[str, Json]] | None:
    """Return the rows of a JSON array or of JSON lines; None if they are neither."""
    try:
        state = path.stat()
    except OSError:
        return None
    return _read_rows(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=256)
def _read_rows(path: Path, changed: int, size: int) -> list[dict[str, Json]] | None:
    try:
        if path.suffix == ".jsonl":
            return [line.value for line in read_lines(path)]
        value, _ = loads(read_text(path))
    except EtlchError:
        return None
    whole = isinstance(value, list) and all(isinstance(row, dict) for row in value)
    return value if whole else None


def _types(rows: list[dict[str, Json]]) -> Iterator[Problem]:
    """Yield columns with values of several types: the loader fails on them, used or not."""
    seen: dict[str, set[str]] = {}
    for row in rows:
        for column, value in row.items():
            if value is not None:
                seen.setdefault(column, set()).add(type(value).__name__)
    for column, types in seen.items():
        if len(types) > 1:
            yield Problem(
                "error",
                f"the column {column} holds {' and '.join(sorted(types))}: loading fails",
                "Keep data files to strings; other columns belong beside them.",
            )


def _alpaca(rows: list[dict[str, Json]], entry: dict[str, Json]) -> Iterator[Problem]:
    columns = entry.get("columns") or COLUMNS
    prompt, query, response = (columns[key] for key in COLUMNS)
    absent = [column for column in (prompt, query, response) if not any(column in row for row in rows)]
    if absent:
        yield Problem(
            "error",
            f"no row has the column {', '.join(absent)}: loading fails",
            "Name the file's own columns.",
        )
        return
    if not entry.get("columns", {}).get("system") and any(row.get("system") for row in rows):
        yield Problem("warning", "rows have a system prompt, and `columns` does not name it: it is ignored")
    counts: Counter[str] = Counter()
    for row in rows:
        answer = row.get(response)
        asked = [row.get(column) for column in (prompt, query)]
        counts["dropped"] += not isinstance(answer, str)
        counts["empty"] += answer == ""
        counts["unasked"] += not any(asked)
        counts["special"] += any(isinstance(text, str) and SPECIAL.search(text) for text in (*asked, answer))
    yield from _counted(counts, len(rows), response)


def _counted(counts: Counter[str], total: int, response: str) -> Iterator[Problem]:
    told = {
        "dropped": (f"have no text in {response}: LlamaFactory drops them", "Write labels as text."),
        "empty": (f"have an empty {response}: they teach to answer nothing", "Remove them."),
        "unasked": ("have neither instruction nor input", "Remove them."),
    }
    for name, (what, fix) in told.items():
        if counts[name]:
            yield Problem("error", f"{counts[name]} of {total} rows {what}", fix)
    if counts["special"]:
        yield Problem(
            "warning",
            f"{counts['special']} of {total} rows hold what the tokenizer may take for control tokens",
            "Remove tokens such as <|eot_id|> from texts.",
        )


def _turns(rows: list[dict[str, Json]], entry: dict[str, Json]) -> Iterator[Problem]:
    """Yield rows whose turns do not alternate, user first and assistant last: they are dropped."""
    tags = entry.get("tags") or {}
    role, user, answer = (
        str(tags.get(key, default))
        for key, default in (("role_tag", "from"), ("user_tag", "human"), ("assistant_tag", "gpt"))
    )
    column = (entry.get("columns") or {}).get("messages", "conversations")
    bad = 0
    for row in rows:
        turns = row.get(column)
        roles = (
            [turn.get(role) for turn in turns if isinstance(turn, dict)] if isinstance(turns, list) else []
        )
        if roles[:1] == [tags.get("system_tag", "system")]:
            roles = roles[1:]
        bad += not roles or len(roles) % 2 == 1 or roles != [user, answer] * (len(roles) // 2)
    if bad:
        yield Problem(
            "error",
            f"{bad} of {len(rows)} rows do not alternate {user} and {answer}: LlamaFactory drops them",
            "Begin with the user and end with the assistant.",
        )
