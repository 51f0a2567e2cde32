"""A broken byte in an ASCII file is damage; a letter or a sign of Windows-1252 is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from etlch.core.errors import EtlchError, Notice
from etlch.core.files import parse_line
from etlch.metrics.readers.containers import raw_rows
from etlch.text.encodings import is_damaged_ascii


@pytest.mark.parametrize(
    ("content", "damaged"),
    [
        (b"caf\xc3 au lait", True),  # the first half of an e with an accent
        (b"price \xff here", True),
        (b"a \xe4 b", True),  # the first third of a Chinese character
        (b"a \x81 b", True),  # nothing in Windows-1252
        ("caf\u00e9 au lait".encode("cp1252"), False),
        ("\u00c9cole".encode("cp1252"), False),
        ("it\u2019s 5 \u20ac".encode("cp1252"), False),
        ("it\u2019s".encode("cp1252"), False),
        ("5 \u20ac".encode("cp1252"), False),
        (b"plain", False),
    ],
)
def test_one_byte_beyond_ascii(content: bytes, damaged: bool) -> None:
    assert is_damaged_ascii(content) is damaged


def test_the_line_of_a_broken_byte_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"text": "one"}\n' * 200 + b'{"text": "caf\xc3"}\n')
    with pytest.raises(EtlchError, match="line 201"):
        for row in raw_rows(path):
            assert isinstance(row.content, bytes)
            parse_line(row.content, path, row.number)


def test_the_line_of_a_broken_byte_in_a_table_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"text,label\none,a\ncaf\xc3,b\n")
    with pytest.raises(EtlchError, match="line 3: not UTF-8"):
        list(raw_rows(path))


def test_windows_1252_is_read_with_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes('{"text": "caf\u00e9 cr\u00e8me, na\u00efve fa\u00e7ade"}\n'.encode("cp1252") * 20)
    with pytest.warns(Notice, match="was read as Windows-1252"):
        rows = [
            parse_line(row.content, path, row.number)
            for row in raw_rows(path)
            if isinstance(row.content, bytes)
        ]
    assert rows[0] == {"text": "caf\u00e9 cr\u00e8me, na\u00efve fa\u00e7ade"}
