"""The store of paid replies: keys, durability, damage, and the two numbers it has to keep."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from etlch.core.errors import EtlchError
from etlch.core.run_folder import Run
from etlch.llm.store import Message, Reply, Request, Store, is_locked, locked

REQUEST = Request("m", (Message("user", "寫一篇文章"),), 100)
REPLY = Reply(REQUEST.key, "好", "stop", 10, 5, 0.25)


def test_a_key_is_the_hash_of_what_is_sent_and_of_nothing_else() -> None:
    sent = '{"model":"m","messages":[["user","寫一篇文章"]],"max_tokens":100,"seed":0}'
    assert REQUEST.key == sha256(sent.encode()).hexdigest()


@pytest.mark.parametrize(
    "changed",
    [
        {"model": "n"},
        {"messages": (Message("system", "寫一篇文章"),)},
        {"max_tokens": 101},
        {"temperature": 0.0},
        {"schema": {"type": "object"}},
        {"sample": 1},
    ],
)
def test_every_part_that_is_sent_changes_the_key(changed: dict[str, object]) -> None:
    assert replace(REQUEST, **changed).key != REQUEST.key  # type: ignore[arg-type]


def test_the_order_of_a_schemas_properties_is_sent_and_so_part_of_the_key() -> None:
    one = replace(REQUEST, schema={"properties": {"a": {}, "b": {}}})
    other = replace(REQUEST, schema={"properties": {"b": {}, "a": {}}})
    assert one.key != other.key


def test_a_reply_comes_back_as_it_was_and_marked(tmp_path: Path) -> None:
    store = Store(tmp_path / "r.sqlite3")
    store.put(REPLY, "ner/label", "m")
    assert store.get(REPLY.key) == replace(REPLY, stored=True)
    assert store.get("0" * 64) is None
    store.close()


def test_the_account_is_replies_and_bookings_without_an_answer(tmp_path: Path) -> None:
    store = Store(tmp_path / "r.sqlite3")
    answered, refused, _lost = (store.reserve(REPLY.key, 1.0) for _ in range(3))
    store.put(REPLY, "ner/label", "m")
    store.release(answered)
    store.release(refused)
    assert store.spent() == 1.25
    store.close()


def test_usage_is_summed_by_purpose(tmp_path: Path) -> None:
    store = Store(tmp_path / "r.sqlite3")
    store.put(REPLY, "ner/label", "m")
    store.put(replace(REPLY, key="b", input_tokens=20), "ner/label", "m")
    used = store.usage()["ner/label"]
    assert (used.calls, used.input, used.output, used.input_squares, used.cost) == (2, 30, 10, 500, 0.5)
    store.close()


def test_verdicts_stand_beside_replies_under_the_version_of_the_checks(tmp_path: Path) -> None:
    store = Store(tmp_path / "r.sqlite3")
    store.judge("a1", "1", False, ("not word for word in the article: 'x'",))
    store.judge("a2", "1", True)
    assert store.verdict("a1", "2") is None
    verdicts = store.verdicts("1")
    assert verdicts["a1"].reasons == ("not word for word in the article: 'x'",)
    assert [key for key, verdict in verdicts.items() if verdict.ok] == ["a2"]
    store.close()


def test_lone_surrogates_are_stored_as_question_marks(tmp_path: Path) -> None:
    store = Store(tmp_path / "r.sqlite3")
    store.put(replace(REPLY, text="a\ud800b"), "p", "m")
    kept = store.get(REPLY.key)
    assert kept is not None and kept.text == "a?b"
    store.close()


def test_what_is_committed_outlasts_a_kill_and_what_is_not_does_not(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite3"
    script = (
        "import os, signal, sys; from pathlib import Path\n"
        "from etlch.llm.store import Reply, Store\n"
        "store = Store(Path(sys.argv[1]))\n"
        "store.put(Reply('a', 'x', 'stop', 1, 1, None), 'p', 'm'); store.commit()\n"
        "store.put(Reply('b', 'y', 'stop', 1, 1, None), 'p', 'm')\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    ended = subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    assert ended.returncode == -signal.SIGKILL
    store = Store(path)
    assert store.get("a") is not None and store.get("b") is None
    store.close()


def test_a_damaged_file_is_reported_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite3"
    path.write_bytes(b"this is no database " * 500)
    before = path.read_bytes()
    with pytest.raises(EtlchError, match="damaged or not a database") as caught:
        Store(path)
    assert "Nothing was changed" in caught.value.hint
    assert path.read_bytes() == before


def test_a_file_cut_in_the_middle_is_reported_when_it_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite3"
    store = Store(path)
    for number in range(200):
        store.put(replace(REPLY, key=str(number), text="文章" * 2000), "p", "m")
    store.close()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(EtlchError, match="damaged"):
        Store(path)
    assert len(path.read_bytes()) == len(whole) // 2


def test_a_foreign_database_is_reported_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite3"
    link = sqlite3.connect(path)
    link.execute("CREATE TABLE recipes (name TEXT)")
    link.commit()
    link.close()
    before = path.read_bytes()
    with pytest.raises(EtlchError, match="not one of etlch"):
        Store(path)
    assert path.read_bytes() == before


def test_a_store_of_a_later_format_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite3"
    Store(path).close()
    link = sqlite3.connect(path)
    link.execute("PRAGMA user_version = 9")
    link.close()
    with pytest.raises(EtlchError, match="format 9"):
        Store(path)


def test_a_run_can_be_read_while_it_is_locked_and_written(tmp_path: Path) -> None:
    run = Run(tmp_path)
    assert not is_locked(run)
    with locked(run):
        assert is_locked(run)
        writer = Store(run.replies)
        writer.put(REPLY, "p", "m")
        writer.commit()
        reader = Store(run.replies, read_only=True)
        assert reader.spent() == 0.25
        reader.close()
        writer.close()
    assert not is_locked(run)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(EtlchError, match="file"):
        Store(tmp_path / "file" / "r.sqlite3")
