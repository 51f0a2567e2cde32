"""Decide when the next request may be sent: in-flight limit, pauses, and per-minute limits.

Reads the status, duration and headers of responses; admits waiting requests first come, first served.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from etlch.core.settings import TeacherSettings

BATCH_MOST = 50_000
"""Requests of one batch: OpenAI's limit."""

SPACING = 0.002
"""Seconds between two sends at the start, about what a request takes of this side's processor.
Requests that leave in one volley come back in one and wait for each other here, round after round."""

START = 4
"""In flight at the start. The limit doubles with each round of answers until something is refused or slow, so that
a server with one slot is not sent what it can only let wait (the slow start of TCP, RFC 5681)."""
QUEUED = 1.8
"""Times the fastest answer's seconds per token, from which on a slow answer has waited in a queue."""
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass
class Bucket:
    """A limit per minute that refills steadily.

    Attributes:
        capacity: the most it holds.
        rate: refill per second.
        level: what is left now; may fall below 0 when an answer took more than was expected.
        at: the time of `level`; None before the first request.
    """

    capacity: float
    rate: float
    level: float
    at: float | None

    def wait(self, amount: float, now: float) -> float:
        """Return the seconds until `amount` may be taken; 0 is now. More than all is all."""
        if self.at is None:
            # Empty but for the first request: endpoints count what is sent in any minute, the first one included.
            self.level, self.at = min(amount, self.capacity), now
        self.level = min(self.capacity, self.level + (now - self.at) * self.rate)
        self.at = now
        missing = min(amount, self.capacity) - self.level
        return max(0.0, missing / self.rate)


class RateLimiter:
    """Admission of requests: what may be in flight doubles, then grows by one a round, and falls by what is refused.

    Args:
        most: the most in flight.
        requests, tokens: limits per minute that the settings name; None learns them from headers.
        spacing: seconds between the first sends, until all places have been taken once.
        start: in flight at the start; not more than `most`.
        slow: seconds from which on an answer may have waited for a slot at the server.
    """

    def __init__(
        self,
        most: int,
        requests: int | None = None,
        tokens: int | None = None,
        *,
        spacing: float = SPACING,
        start: int = START,
        slow: float = 60.0,
    ) -> None:
        self.most = most
        self._spacing = spacing
        self._began: float | None = None
        self.limit = float(min(start, most))
        self._doubling = True
        self._slow = slow
        self._pace = float("inf")
        self.in_flight = 0
        self.resume_at = 0.0
        self._waiting: deque[tuple[asyncio.Future[None], int]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._fixed = {"requests": requests, "tokens": tokens}
        self._buckets = {name: _starting(limit) for name, limit in self._fixed.items() if limit is not None}

    async def enter(self, tokens: int, *, retry: bool = False) -> None:
        """Wait until a request may leave; it then counts as in flight.

        Args:
            tokens: about how many it will take.
            retry: it was sent before, so it goes to the head of the queue: nothing is refused
                time after time while others pass.
        """
        if not self._waiting and self._delay(tokens) == 0.0:
            self._admit(tokens)
            return
        turn = asyncio.get_running_loop().create_future()
        (self._waiting.appendleft if retry else self._waiting.append)((turn, tokens))
        self._pump()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave()
            raise

    def leave(self, expected: int = 0, taken: int | None = None) -> None:
        """Count a request as completed; give back the tokens that were expected and not taken."""
        self.in_flight -= 1
        if taken is not None and "tokens" in self._buckets:
            self._buckets["tokens"].level += expected - taken
        self._pump()

    def succeed(self, seconds: float = 0.0, tokens: int = 0) -> None:
        """Admit one more per round of answers, up to the most; at the start, one more per answer.

        Args:
            seconds: that the answer took.
            tokens: of the answer. One that is slow, and slower per token than the fastest was by QUEUED, waited at
                the server for others: it counts as refused.
        """
        pace = seconds / max(tokens, 1)
        self._pace = min(self._pace, pace)
        queued = pace > QUEUED * self._pace
        if queued and seconds > self._slow:
            self.slow_down()
            return
        self._doubling = self._doubling and not (queued and seconds > self._slow / 2)
        self.limit = min(float(self.most), self.limit + (1.0 if self._doubling else 1.0 / self.limit))

    def slow_down(self) -> None:
        """Lower the limit by half a place for a refused request.

        A volley of which a share s is refused so leaves 1 - s/2 of the limit, as in DCTCP
        (RFC 8257): halved when all are refused, hardly touched by a single refusal.
        """
        self._doubling = False
        self.limit = max(1.0, self.limit - 0.5)

    def pause(self, seconds: float) -> None:
        """Let no new request leave for so long; what is in flight goes on."""
        self.resume_at = max(self.resume_at, _now() + seconds)

    def learn(self, headers: Mapping[str, str]) -> None:
        """Take the limits that an answer states (x-ratelimit-limit-*, -remaining-*, -reset-*)."""
        for name, fixed in self._fixed.items():
            limit, left = (
                _number(headers.get(f"x-ratelimit-{part}-{name}")) for part in ("limit", "remaining")
            )
            if limit is None or left is None or limit <= 0:
                continue
            bucket = self._buckets.get(name)
            if bucket is None:
                bucket = self._buckets[name] = Bucket(limit, limit / 60, left, _now())
            if fixed is None:
                bucket.capacity = limit
                bucket.rate = _rate(limit, left, headers.get(f"x-ratelimit-reset-{name}", ""))
            if bucket.at is None:
                bucket.level, bucket.at = min(left, bucket.capacity), _now()
            bucket.wait(0, _now())  # brings its level up to date
            bucket.level = min(bucket.level, left)

    def _delay(self, tokens: int) -> float:
        """Return seconds until the next may go; infinity while only a completed request can make room."""
        if self.in_flight >= int(self.limit):
            return float("inf")
        now = _now()
        if self._began is None:
            self._began = now
        waits = [self.resume_at - now, self._began + self._spacing * self.in_flight - now]
        for name, bucket in self._buckets.items():
            waits.append(bucket.wait(1 if name == "requests" else tokens, now))
        return max(0.0, *waits)

    def _admit(self, tokens: int) -> None:
        self.in_flight += 1
        for name, bucket in self._buckets.items():
            bucket.level -= 1 if name == "requests" else tokens

    def _pump(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting:
            turn, tokens = self._waiting[0]
            if turn.done():
                self._waiting.popleft()
                continue
            delay = self._delay(tokens)
            if delay == 0.0:
                self._waiting.popleft()
                self._admit(tokens)
                turn.set_result(None)
            else:
                if delay != float("inf"):
                    self._timer = asyncio.get_running_loop().call_later(delay, self._pump)
                return


def limiter(teacher: TeacherSettings) -> RateLimiter:
    """Return the limiter of a teacher. A batch holds all requests at once, and its answers are never slow."""
    minute = teacher.requests_per_minute, teacher.tokens_per_minute
    if teacher.batch:
        return RateLimiter(BATCH_MOST, spacing=0.0, start=BATCH_MOST, slow=float("inf"))
    return RateLimiter(teacher.concurrency, *minute, slow=teacher.timeout / 2)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that an answer asks to wait, or None. Seconds, milliseconds or a date."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return max(0.0, milliseconds / 1000)
    text = headers.get("retry-after")
    if text is None:
        return None
    seconds = _number(text)
    if seconds is not None:
        return max(0.0, seconds)
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())


def _now() -> float:
    return asyncio.get_running_loop().time()


def _starting(limit: int) -> Bucket:
    return Bucket(limit, limit / 60, 0.0, None)


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _rate(limit: float, left: float, reset: str) -> float:
    """Return the refill per second: reset is the time until all is back, so it shows per-day limits too."""
    seconds = sum(float(amount) * _SECONDS[unit] for amount, unit in _DURATION.findall(reset))
    return (limit - left) / seconds if seconds > 0 and left < limit else limit / 60
