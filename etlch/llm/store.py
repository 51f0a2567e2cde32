"""Keep every paid reply of a run in one SQLite file: read a request's key, return its reply.

Beside the replies stand the reserves of requests that were sent and not yet answered, the verdicts of the checks,
and what parameters an endpoint accepts. Only the reserve of an answered request is ever deleted.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from etlch.core.errors import EtlchError
from etlch.core.files import digest
from etlch.core.locale import _
from etlch.core.records import Json
from etlch.core.run_folder import Run

APPLICATION = 0x65746C63
"""SQLite's application_id of these files ("etlc"); what has another is not ours."""
VERSION = 1

# The tables `bookings` (reserves) and `manners` (endpoint profiles) keep their first names: existing stores must open.
_TABLES = """
CREATE TABLE replies (key TEXT PRIMARY KEY, purpose TEXT NOT NULL, model TEXT NOT NULL, text TEXT NOT NULL,
  finish TEXT NOT NULL, input INTEGER NOT NULL, output INTEGER NOT NULL, cost REAL);
CREATE TABLE bookings (id INTEGER PRIMARY KEY, key TEXT NOT NULL, cost REAL NOT NULL);
CREATE TABLE verdicts (key TEXT, version TEXT, ok INTEGER NOT NULL, reasons TEXT NOT NULL,
  PRIMARY KEY (key, version)) WITHOUT ROWID;
CREATE TABLE manners (model TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


class Message(NamedTuple):
    """One message of a chat. role: system, user or assistant."""

    role: str
    content: str


@dataclass(frozen=True)
class Request:
    """Everything that is asked for, and nothing else.

    Attributes:
        model: its name at the endpoint.
        messages: the chat so far.
        max_tokens: the longest answer; always sent.
        temperature: None is not sent.
        schema: the JSON schema of the answer; None asks for plain text.
        sample: sent as `seed`; the only source of variety between equal requests.
        extra: further parameters of the body; None sends none.
    """

    model: str
    messages: tuple[Message, ...]
    max_tokens: int
    temperature: float | None = None
    schema: Json = None
    sample: int = 0
    extra: Json = None

    @cached_property
    def key(self) -> str:
        """SHA-256, in hexadecimal, of the canonical JSON of what is sent.

        Keys are not sorted below the first level: the order of a schema's properties is sent too.
        """
        sent: dict[str, Json] = {
            "model": self.model,
            "messages": self.messages,
            "max_tokens": self.max_tokens,
            "seed": self.sample,
        }
        if self.temperature is not None:
            sent["temperature"] = self.temperature
        if self.schema is not None:
            sent["schema"] = self.schema
        if self.extra:
            sent["extra"] = self.extra
        return digest(json.dumps(sent, ensure_ascii=False, separators=(",", ":")))


@dataclass(frozen=True, slots=True)
class Reply:
    """One paid answer.

    Attributes:
        key: of its request.
        text: as the endpoint sent it; a refusal's words, or empty.
        finish: stop, length, content_filter, refusal, or empty (no choice came).
        input_tokens, output_tokens: as the endpoint counted them; 0 where it does not say.
        cost: in US dollars; None where no price is known.
        stored: it came from the store, so nothing was sent.
    """

    key: str
    text: str
    finish: str
    input_tokens: int
    output_tokens: int
    cost: float | None
    stored: bool = False


class Verdict(NamedTuple):
    """What one version of the checks said about something."""

    ok: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Usage:
    """What the replies of one purpose took: count, and sums and sums of squares of tokens."""

    purpose: str
    calls: int
    input: int
    output: int
    input_squares: int
    output_squares: int
    cost: float


class Store:
    """The open file. Writes stand in one transaction until `commit`; reads see them at once.

    Raises (on any method):
        EtlchError: the file is damaged, foreign, or cannot be written. It is never deleted.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        with self._guarded():
            self._link = _connect(path, read_only)
            try:
                self._prepare(read_only)
            except BaseException:
                self._link.close()
                raise

    def _prepare(self, read_only: bool) -> None:
        application = self._link.execute("PRAGMA application_id").fetchone()[0]
        tables = self._link.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if application == APPLICATION:
            version = self._link.execute("PRAGMA user_version").fetchone()[0]
            if version != VERSION:
                raise EtlchError(
                    _("{path} is of format {version}, this release reads {version2}").format(
                        path=self.path, version=version, version2=VERSION
                    ),
                    _("Use the release that wrote it, or another folder with --out."),
                )
        elif tables or application:
            raise EtlchError(
                _("{path} is a database, but not one of etlch").format(path=self.path),
                _("Move it away, or name another folder with --out. Nothing was changed."),
            )
        elif not read_only:
            self._link.execute("PRAGMA journal_mode = WAL")
            self._link.executescript(
                f"BEGIN; {_TABLES} PRAGMA application_id = {APPLICATION};"
                f" PRAGMA user_version = {VERSION}; COMMIT;"
            )
        if not read_only:
            # A killed process loses nothing that was committed. A power cut may lose the last
            # commits, never the file: NORMAL syncs at checkpoints only.
            self._link.execute("PRAGMA synchronous = NORMAL")

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.OperationalError, OSError) as error:
            raise EtlchError(
                _("cannot use {path}: {error}").format(path=self.path, error=error),
                _("Check the disk and the folder's permissions."),
            ) from error
        except sqlite3.DatabaseError as error:
            raise EtlchError(
                _("{path} is damaged or not a database: {error}").format(path=self.path, error=error),
                _(
                    "Nothing was changed. Put a copy back, or save what is left with `sqlite3 FILE .recover`; "
                    "moving the file away pays for every answer again."
                ),
            ) from error

    def commit(self) -> None:
        """Make everything written so far outlast a kill."""
        with self._guarded():
            self._link.commit()

    def close(self) -> None:
        """Commit and close."""
        with self._guarded():
            self._link.commit()
            self._link.close()

    def get(self, key: str) -> Reply | None:
        """Return the reply to a request, marked as stored, or None."""
        with self._guarded():
            row = self._link.execute(
                "SELECT text, finish, input, output, cost FROM replies WHERE key = ?", (key,)
            ).fetchone()
        if row is None:
            return None
        text, finish, input_tokens, output_tokens, cost = row
        return Reply(key, text, finish, input_tokens, output_tokens, cost, stored=True)

    def put(self, reply: Reply, purpose: str, model: str) -> None:
        """Keep a reply. It may be used after the next `commit`."""
        with self._guarded():
            self._link.execute(
                "INSERT OR IGNORE INTO replies VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    reply.key,
                    purpose,
                    model,
                    _storable(reply.text),
                    reply.finish,
                    reply.input_tokens,
                    reply.output_tokens,
                    reply.cost,
                ),
            )

    def set_aside(self, key: str) -> None:
        """Keep a reply and what it cost, but give it to nobody again: its request is then sent anew."""
        with self._guarded():
            self._link.execute(
                "UPDATE replies SET key = key || '/' || (SELECT count(*) FROM replies WHERE key LIKE ? || '/%')"
                " WHERE key = ?",
                (key, key),
            )

    def reserve(self, key: str, cost: float) -> int:
        """Write down the most that a request can cost, before it is sent; return its row."""
        with self._guarded():
            return int(
                self._link.execute("INSERT INTO bookings (key, cost) VALUES (?, ?)", (key, cost)).lastrowid
                or 0
            )

    def release(self, row: int) -> None:
        """Delete a reserve: its request was answered, or refused unpaid."""
        with self._guarded():
            self._link.execute("DELETE FROM bookings WHERE id = ?", (row,))

    def release_requests(self, keys: Sequence[str]) -> None:
        """Delete all reserves of requests, by their keys."""
        with self._guarded():
            self._link.executemany("DELETE FROM bookings WHERE key = ?", ((key,) for key in keys))

    def spent(self) -> float:
        """Return the account in US dollars: all replies, and all reserves that got no answer.

        Rounded far below any price, so that the order in which answers came does not show.
        """
        with self._guarded():
            row = self._link.execute(
                "SELECT round((SELECT total(cost) FROM replies) + (SELECT total(cost) FROM bookings), 12)"
            ).fetchone()
        return float(row[0])

    def usage(self) -> dict[str, Usage]:
        """Return purpose → what its replies took, for estimates and reports."""
        with self._guarded():
            rows = self._link.execute(
                "SELECT purpose, count(*), sum(input), sum(output), sum(input * input),"
                " sum(output * output), round(total(cost), 12) FROM replies GROUP BY purpose ORDER BY purpose"
            ).fetchall()
        return {row[0]: Usage(*row) for row in rows}

    def verdict(self, key: str, version: str) -> Verdict | None:
        """Return what this version of the checks said, or None where it was not asked."""
        with self._guarded():
            row = self._link.execute(
                "SELECT ok, reasons FROM verdicts WHERE key = ? AND version = ?", (key, version)
            ).fetchone()
        return None if row is None else Verdict(bool(row[0]), tuple(json.loads(row[1])))

    def judge(self, key: str, version: str, ok: bool, reasons: tuple[str, ...] = ()) -> None:
        """Keep a verdict; the latest of a version counts."""
        with self._guarded():
            self._link.execute(
                "INSERT OR REPLACE INTO verdicts VALUES (?, ?, ?, ?)",
                (key, version, int(ok), json.dumps(reasons)),
            )

    def verdicts(self, version: str) -> dict[str, Verdict]:
        """Return everything that a version of the checks judged, by key."""
        with self._guarded():
            rows = self._link.execute(
                "SELECT key, ok, reasons FROM verdicts WHERE version = ? ORDER BY key", (version,)
            ).fetchall()
        return {key: Verdict(bool(ok), tuple(json.loads(reasons))) for key, ok, reasons in rows}

    def judged(self, version: str) -> tuple[int, int]:
        """Return how many a version of the checks accepted, and how many it judged."""
        with self._guarded():
            row = self._link.execute(
                "SELECT total(ok), count(*) FROM verdicts WHERE version = ?", (version,)
            ).fetchone()
        return int(row[0]), int(row[1])

    def profile(self, model: str) -> Json:
        """Return what is remembered about a model at an endpoint, or None."""
        with self._guarded():
            row = self._link.execute("SELECT value FROM manners WHERE model = ?", (model,)).fetchone()
        return None if row is None else json.loads(row[0])

    def remember(self, model: str, value: Json) -> None:
        """Remember what a model at an endpoint takes."""
        with self._guarded():
            self._link.execute("INSERT OR REPLACE INTO manners VALUES (?, ?)", (model, json.dumps(value)))


def _connect(path: Path, read_only: bool) -> sqlite3.Connection:
    if read_only:
        return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    return sqlite3.connect(path)


def _storable(text: str) -> str:
    """Replace lone surrogates, which SQLite cannot hold (and which no training file could)."""
    return text.encode("utf-8", "replace").decode("utf-8")


def as_kept(reply: Reply) -> Reply:
    """Return the reply as the store will give it back, so that first use and replay agree."""
    return replace(reply, text=_storable(reply.text))


@contextmanager
def locked(run: Run) -> Iterator[None]:
    """Keep every other process from working on a run; the lock dies with its process.

    Raises:
        EtlchError: another process holds it, or the folder cannot be written to.
    """
    import filelock

    lock = filelock.FileLock(run.folder / ".lock")
    try:
        run.folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except filelock.Timeout as error:
        raise EtlchError(
            _("another process is working on {folder}").format(folder=run.folder),
            _("Wait until it is done, or name another folder with --out."),
        ) from error
    except OSError as error:
        raise EtlchError(
            _("cannot write to {folder}: {strerror}").format(folder=run.folder, strerror=error.strerror),
            _("Check the path and its permissions."),
        ) from error
    try:
        yield
    finally:
        lock.release()


def is_locked(run: Run) -> bool:
    """Tell whether a process is working on a run."""
    if not (run.folder / ".lock").exists():
        return False
    try:
        with locked(run):
            return False
    except EtlchError:
        return True
