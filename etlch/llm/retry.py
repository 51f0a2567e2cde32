"""Decide how long a request that failed on its way waits, and when an outage has lasted too long."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

_FIRST_BACKOFF, _LONGEST_BACKOFF = 0.5, 30.0
"""Seconds before the second send, and the most between two sends."""
OUTAGE = 10.0
"""Seconds without any answer after which the user is told that the endpoint is waited for."""
_MOST_TRIES = 4
"""Times `tries`: a request that fails so often while others are answered is at fault itself."""


@dataclass
class RetryPolicy:
    """The patience of one client.

    Attributes:
        tries: sends of one request that are always made.
        patience: seconds without any answer until an outage ends the run.
        last_answer: when the last answer came, or the first request left; None before it.
        answered: whether any answer came, in this session or an earlier one.
    """

    tries: int
    patience: float
    last_answer: float | None = None
    answered: bool = False
    _told: bool = False
    _jitter: random.Random = field(default_factory=random.Random)

    def sent(self, now: float) -> None:
        """Count an outage from the first send on."""
        if self.last_answer is None:
            self.last_answer = now

    def succeed(self, now: float) -> None:
        """Note that the endpoint answers."""
        self.last_answer, self.answered, self._told = now, True, False

    def is_over(self, failures: int, now: float, *, busy: bool) -> bool:
        """Tell whether a request has failed too often.

        An outage is shared: what counts is how long nobody was answered. An endpoint that never answered is not
        waited for, as its URL may be wrong, unless it says itself that it, or what stands behind it, is not ready.

        Args:
            failures: of this request in a row.
            now: the loop's time in seconds.
            busy: the endpoint said 429, or 502 to 504.
        """
        if failures < self.tries:
            return False
        waited = 0.0 if self.last_answer is None else now - self.last_answer
        waits = (self.answered or busy) and waited < self.patience
        return not waits or failures >= _MOST_TRIES * self.tries

    def is_outage(self, now: float, *, busy: bool) -> bool:
        """Tell, once an outage that is waited for, that nobody was answered for OUTAGE seconds."""
        lasts = self.last_answer is not None and now - self.last_answer >= OUTAGE and (self.answered or busy)
        news = lasts and not self._told
        self._told = self._told or lasts
        return news

    def backoff(self, failures: int) -> float:
        """Return the seconds until a request is sent again: twice as long each time, with jitter."""
        longest = min(_LONGEST_BACKOFF, _FIRST_BACKOFF * 2.0 ** (failures - 1))
        return longest * self._jitter.uniform(0.5, 1.0)
