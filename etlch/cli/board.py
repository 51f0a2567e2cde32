"""What the runner tells walks in; one progress view on stderr walks out, redrawn on a terminal."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from etlch.data.process import Standing
    from etlch.data.runner import Outcome, View

REDRAW, PLAIN = 0.5, 15.0
"""Seconds between two drawings, on a terminal and elsewhere."""


class Board:
    """Draws the queue.

    Args:
        terminal: whether lines can be drawn over.
    """

    def __init__(self, terminal: bool) -> None:
        self.terminal = terminal
        self.began = time.monotonic()
        self.drawn = float("-inf")
        self.height = 0
        self.told = 0

    def show(self, view: View) -> None:
        """Say what has ended since the last call, and draw what is running when it is time."""
        new = [outcome for outcome in view.outcomes[self.told :] if outcome.state != "there"]
        self.told = len(view.outcomes)
        now = time.monotonic()
        if not new and now - self.drawn < (REDRAW if self.terminal else PLAIN):
            return
        self.drawn = now
        for outcome in new:
            self._write([ended(outcome)], stays=True)
        self._write(lines(view, now - self.began), stays=False)

    def close(self) -> None:
        """Leave the last drawing where it is."""
        self.height = 0

    def _write(self, drawing: list[str], *, stays: bool) -> None:
        if not self.terminal:
            click.echo("\n".join(drawing) if stays else " | ".join(drawing), err=True)
            return
        width = shutil.get_terminal_size().columns
        up = f"\x1b[{self.height}F\x1b[J" if self.height else ""
        shown = drawing if stays else [line[: width - 1] for line in drawing]
        click.echo(up + "".join(f"{line}\n" for line in shown), nl=False, err=True)
        self.height = 0 if stays else len(drawing)


def lines(view: View, seconds: float) -> list[str]:
    """Return the lines of one drawing."""
    counts = {name: sum(outcome.state == name for outcome in view.outcomes) for name in ("done", "failed")}
    there = sum(outcome.state == "there" for outcome in view.outcomes)
    head = (
        f"{int(seconds) // 60}:{int(seconds) % 60:02d}  {counts['done']} done, {len(view.running)} running, "
        f"{view.waiting} waiting"
    )
    head += f", {counts['failed']} failed" if counts["failed"] else ""
    head += f", {there} were there" if there else ""
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
    return f"{outcome.job.stem}: {'not run' if outcome.state == 'waiting' else 'failed'}: " + (
        outcome.why.replace("\n", "\n    ")
    )
