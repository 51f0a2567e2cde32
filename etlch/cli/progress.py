"""The progress of a generation on stderr: one line a stage, redrawn on a terminal, plain elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping

import click

REDRAW = 0.2
PLAIN = 10.0
"""Seconds between two drawings, on a terminal and elsewhere."""

_REASONS = 3
"""Reasons of rejection that are shown, the most frequent first."""


class Progress:
    """Counts what happens and draws it.

    Args:
        needed: articles that the run promises.
        spent: returns what the teacher has cost so far, e.g. "12,300 tokens, $0.0123"; may be empty.
    """

    def __init__(self, needed: int, spent: Callable[[], str]) -> None:
        self.needed = needed
        self.spent = spent
        self.events: dict[str, Counter[str]] = {}
        self.why: Counter[str] = Counter()
        self.accepted = self.lost = 0
        self.began = self.drawn = time.monotonic()
        self.height = 0
        self.terminal = sys.stderr.isatty()

    def note(self, stage: str, event: str) -> None:
        """Count an event of a stage: asked, again, done or rejected."""
        self.events.setdefault(stage, Counter())[event] += 1
        self._draw()

    def rejected(self, why: Mapping[str, int]) -> None:
        """Count the reasons for which a candidate was rejected."""
        self.why.update(why)

    def settled(self, accepted: int, rejected: int) -> None:
        """Take the number of accepted and rejected articles so far."""
        self.accepted, self.lost = accepted, rejected
        self._draw()

    def close(self) -> None:
        """Draw the last state."""
        self._draw(last=True)

    def lines(self, now: float) -> list[str]:
        """Return the lines of one drawing."""
        passed = max(now - self.began, 1e-9)
        rate = self.accepted / passed
        left = (
            f", {_duration((self.needed - self.accepted) / rate)} left"
            if rate and self.accepted < self.needed
            else ""
        )
        spent = self.spent()
        head = f"accepted {self.accepted}/{self.needed}, rejected {self.lost}, {rate * 60:.0f}/min{left}"
        why = "; ".join(f"{count} × {reason}" for reason, count in self.why.most_common(_REASONS))
        return [
            head + (f", {spent}" if spent else ""),
            *([f"  rejected: {why}"] if why else []),
            *(f"  {stage}: {_words(seen)}" for stage, seen in self.events.items()),
        ]

    def _draw(self, last: bool = False) -> None:
        now = time.monotonic()
        if not last and now - self.drawn < (REDRAW if self.terminal else PLAIN):
            return
        self.drawn = now
        lines = self.lines(now)
        if self.terminal:
            width = shutil.get_terminal_size().columns
            up = f"\x1b[{self.height}F" if self.height else ""
            click.echo(up + "".join(f"\x1b[2K{line[: width - 1]}\n" for line in lines), nl=False, err=True)
            self.height = len(lines)
        else:
            click.echo("\n".join(lines), err=True)


def _words(seen: Counter[str]) -> str:
    """Return a stage's counts; what is zero is not worth a word."""
    flying = seen["asked"] - seen["done"] - seen["rejected"]
    counts = {"in flight": flying, "asked again": seen["again"], "rejected": seen["rejected"]}
    return ", ".join(
        [f"{seen['done']} done", *(f"{count} {what}" for what, count in counts.items() if count)]
    )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return (
        f"{minutes // 60} h {minutes % 60} min"
        if minutes >= 60
        else f"{minutes} min {rest} s"
        if minutes
        else f"{rest} s"
    )
