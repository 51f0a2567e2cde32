"""Draw the progress of a generation or a training queue on stderr: redrawn on a terminal, plain lines elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from etlch.training.process import Standing
    from etlch.training.queue import Outcome, View

REDRAW, PLAIN = 0.2, 10.0
"""Seconds between two drawings of a generation, on a terminal and elsewhere."""

QUEUE_REDRAW, QUEUE_PLAIN = 0.5, 15.0
"""Seconds between two drawings of the training queue."""

_REASONS = 3
"""Reasons of rejection that are shown, the most frequent first."""


class Redrawer:
    """Writes lines to stderr: on a terminal over the ones before, elsewhere one drawing below the other.

    Args:
        terminal: whether lines can be drawn over.
        redraw, plain: seconds between two drawings, on a terminal and elsewhere.
    """

    def __init__(self, terminal: bool, redraw: float, plain: float) -> None:
        self.terminal = terminal
        self.every = redraw if terminal else plain
        self.drawn = float("-inf")
        self.height = 0

    def due(self) -> bool:
        """Tell whether it is time for another drawing."""
        return time.monotonic() - self.drawn >= self.every

    def draw(self, lines: list[str], *, stays: bool = False) -> None:
        """Write lines; the next drawing goes over them, or below where they stay."""
        self.drawn = time.monotonic()
        up = f"\x1b[{self.height}F\x1b[J" if self.height else ""
        # A line that wraps would take two rows, and the next drawing would begin a row too low.
        most = shutil.get_terminal_size().columns - 1 if self.terminal and not stays else None
        click.echo(
            up + "".join(f"{line[:most]}\n" for line in lines), nl=False, err=True, color=self.terminal
        )
        self.height = len(lines) if self.terminal and not stays else 0


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
        self.began = time.monotonic()
        self.redrawer = Redrawer(sys.stderr.isatty(), REDRAW, PLAIN)
        self.redrawer.drawn = self.began  # nothing has happened yet

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
        self.redrawer.draw(self.lines(time.monotonic()))

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

    def _draw(self) -> None:
        if self.redrawer.due():
            self.redrawer.draw(self.lines(time.monotonic()))


def _words(seen: Counter[str]) -> str:
    """Return a stage's counts; zeros are left out."""
    in_flight = seen["asked"] - seen["done"] - seen["rejected"]
    counts = {"in flight": in_flight, "asked again": seen["again"], "rejected": seen["rejected"]}
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


class Board:
    """Draws the queue.

    Args:
        terminal: whether lines can be drawn over.
    """

    def __init__(self, terminal: bool) -> None:
        self.redrawer = Redrawer(terminal, QUEUE_REDRAW, QUEUE_PLAIN)
        self.began = time.monotonic()
        self.told = 0

    def show(self, view: View) -> None:
        """Say what has ended since the last call, and draw what is running when it is time."""
        new = [outcome for outcome in view.outcomes[self.told :] if outcome.state != "skipped"]
        self.told = len(view.outcomes)
        if not new and not self.redrawer.due():
            return
        for outcome in new:
            self.redrawer.draw([ended(outcome)], stays=True)
        drawing = lines(view, time.monotonic() - self.began)
        # In a log file each state is one line.
        self.redrawer.draw(drawing if self.redrawer.terminal else [" | ".join(drawing)])


def lines(view: View, seconds: float) -> list[str]:
    """Return the lines of one drawing."""
    counts = {name: sum(outcome.state == name for outcome in view.outcomes) for name in ("done", "failed")}
    skipped = sum(outcome.state == "skipped" for outcome in view.outcomes)
    head = (
        f"{int(seconds) // 60}:{int(seconds) % 60:02d}  {counts['done']} done, {len(view.running)} running, "
        f"{view.waiting} waiting"
    )
    head += f", {counts['failed']} failed" if counts["failed"] else ""
    head += f", {skipped} skipped" if skipped else ""
    return [head, *(f"  {job.stem}: {_where(standing)}" for job, standing in view.running)]


def _where(standing: Standing) -> str:
    if not standing.steps:
        return "loading"
    loss = "" if standing.loss is None else f", loss {standing.loss:.4f}"
    left = f", {standing.left} left" if standing.left else ""
    return f"{standing.step} of {standing.steps} steps{loss}{left}"


def ended(outcome: Outcome) -> str:
    """Return the line, or with a failed one the lines, that say how a job ended."""
    if outcome.state == "done":
        took = outcome.made.seconds if outcome.made and outcome.made.seconds is not None else 0.0
        return f"{outcome.job.stem}: done in {took:.0f} s"
    if outcome.state == "elsewhere":
        return f"{outcome.job.stem}: another process is at work on {outcome.job.model}"
    return f"{outcome.job.stem}: {'not run' if outcome.state == 'waiting' else 'failed'}: " + (
        outcome.why.replace("\n", "\n    ")
    )
