"""Read and write the files of a run. Every file is written whole: to a temporary neighbour, then moved into place."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from importlib.resources import files as package_files
from pathlib import Path
from typing import NamedTuple, TypeVar

from etlch.core.errors import EtlchError
from etlch.core.extras import need
from etlch.core.locale import _
from etlch.core.records import Json, from_dict, to_dict

T = TypeVar("T")

LONGEST_LINE = 16 * 1024 * 1024
"""Bytes. A longer line in a JSONL file is refused before it is parsed."""


class Line(NamedTuple):
    """One parsed line of a JSONL file, with its number (from 1) for messages."""

    number: int
    value: dict[str, Json]


def shipped(folder: str) -> Path:
    """Return `prompts` or `llamafactory_configs`: in the wheel, or at the root of a checkout."""
    package = Path(str(package_files("etlch")))
    inside = package / "_shipped" / folder
    return inside if inside.is_dir() else package.parent / folder


def read_text(path: Path) -> str:
    """Return a file's text as UTF-8, without a byte order mark.

    Raises:
        EtlchError: missing, a folder, unreadable, or not UTF-8 (with the byte's place).
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise EtlchError(
            _("cannot read {path}: {strerror}").format(path=path, strerror=error.strerror),
            _("Check the path and its permissions."),
        ) from error
    except UnicodeDecodeError as error:
        raise EtlchError(
            _("{path} is not UTF-8 (byte {start})").format(path=path, start=error.start),
            _("Save the file as UTF-8."),
        ) from error


def read_lines(path: Path) -> Iterator[Line]:
    """Yield the objects of a JSONL file; blank lines are passed over. Any line ending, BOM allowed.

    Raises:
        EtlchError: a line is not UTF-8, not a JSON object, or over LONGEST_LINE; names file and line.
    """
    try:
        handle = path.open("rb")
    except OSError as error:
        raise EtlchError(
            _("cannot read {path}: {strerror}").format(path=path, strerror=error.strerror),
            _("Check the path and its permissions."),
        ) from error
    with handle:
        number = 0
        while raw := handle.readline(LONGEST_LINE + 1):
            number += 1
            if len(raw) > LONGEST_LINE:
                raise EtlchError(
                    _("{path}, line {number}: longer than 16 MiB").format(path=path, number=number),
                    _("Split or remove this line."),
                )
            value = parse_line(raw, path, number)
            if value is not None:
                yield Line(number, value)


def parquet_rows(path: Path) -> Iterator[dict[str, Json]]:
    """Yield the rows of a Parquet file; memory holds a thousand.

    Raises:
        EtlchError: the extra `datasets` is not installed, or the file is not Parquet.
    """
    need("datasets", str(path), "pyarrow")
    import pyarrow.parquet as pq

    try:
        for batch in pq.ParquetFile(path).iter_batches(batch_size=1000):
            yield from batch.to_pylist()
    except (OSError, ValueError) as error:  # pyarrow's own errors are ValueErrors
        raise EtlchError(
            _("{path} is not Parquet ({error})").format(path=path, error=error), _("Check the file.")
        ) from error


def parse_line(raw: bytes, path: Path, number: int) -> dict[str, Json] | None:
    """Return the object on one raw line, or None for a blank one.

    Raises:
        EtlchError: as read_lines says.
    """
    try:
        text = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip()
        if not text:
            return None
        value = json.loads(text)
    except UnicodeDecodeError as error:
        raise EtlchError(
            _("{path}, line {number}: not UTF-8").format(path=path, number=number),
            _("Save the file as UTF-8."),
        ) from error
    except (ValueError, RecursionError) as error:
        raise EtlchError(
            _("{path}, line {number}: not JSON ({error})").format(path=path, number=number, error=error),
            _("One JSON object per line is expected."),
        ) from error
    if not isinstance(value, dict):
        raise EtlchError(
            _("{path}, line {number}: a JSON {name} where an object belongs").format(
                path=path, number=number, name=type(value).__name__
            ),
            _("One JSON object per line is expected."),
        )
    return value


def read_jsonl(path: Path, kind: type[T]) -> list[T]:
    """Return the rows of a JSONL file that this package wrote, as values of a record type.

    Raises:
        EtlchError: a line lacks a field or has one too many; names file, line and field.
    """
    rows = []
    for number, value in read_lines(path):
        try:
            rows.append(from_dict(kind, value))
        except (KeyError, TypeError, IndexError) as error:
            reason = error.args[0] if error.args else str(error)
            raise EtlchError(
                _("{path}, line {number}: not a {lower}: {reason}").format(
                    path=path, number=number, lower=kind.__name__.lower(), reason=reason
                ),
                _("Delete the file and run `etlch-data generate` again; no answer is paid twice."),
            ) from error
    return rows


def write_jsonl(path: Path, rows: Iterable[object]) -> None:
    """Write one JSON object a line, atomically. Chinese stays readable; lone surrogates are escaped."""
    write_text(path, "".join(dumps(to_dict(row)) + "\n" for row in rows))


def dumps(value: Json, indent: int | None = None) -> str:
    """Return JSON text as data files hold it: non-ASCII kept, what UTF-8 cannot hold escaped."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, ensure_ascii=True, indent=indent)
    return text


def write_text(path: Path, text: str, *, durable: bool = True) -> None:
    """Write a file so that a reader, or a power cut, sees the old one or the new one.

    Args:
        path: the file; its folder is made.
        text: all of it, written as UTF-8.
        durable: wait until it is on the disk. What is made again in a moment, such as hundreds
            of recipes, need not wait.

    Raises:
        EtlchError: the folder cannot be made or written to.
    """
    write_bytes(path, text.encode("utf-8"), durable=durable)


def write_bytes(path: Path, content: bytes, *, durable: bool = True) -> None:
    """As write_text, for bytes.

    Raises:
        EtlchError: the folder cannot be made or written to.
    """
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            if durable:
                stream.flush()
                os.fsync(stream.fileno())
        if sys.platform != "win32":
            os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise EtlchError(
            _("cannot write {path}: {strerror}").format(path=path, strerror=error.strerror),
            _("Check the disk and the folder's permissions."),
        ) from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def digest(content: str | bytes) -> str:
    """Return the SHA-256 of a text (as UTF-8) or bytes, in hexadecimal."""
    return hashlib.sha256(
        content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    ).hexdigest()


def dump_yaml(value: Json) -> str:
    """Return YAML that both PyYAML and LlamaFactory's OmegaConf read the same way.

    Floats are always written with a dot (`1.0e-07`): PyYAML reads `1e-7` as a string.
    Keys keep their order; non-ASCII stays readable.
    """
    import yaml

    # The C emitter writes the same text several times faster, where libyaml is there.
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    return str(yaml.dump(value, Dumper=dumper, sort_keys=False, allow_unicode=True, width=100))


def load_yaml(path: Path) -> Json:
    """Return a YAML file's value.

    Raises:
        EtlchError: not readable or not YAML, with the line.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return yaml.load(read_text(path), Loader=loader)  # the safe loader, in C where libyaml is there
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise EtlchError(
            _("{path}{where}: not YAML ({problem})").format(path=path, where=where, problem=problem),
            _("Fix this line."),
        ) from error
