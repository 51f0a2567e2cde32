"""Candidates in plan order walk in; exactly the articles needed walk out, in plan order.

Candidates are worked on concurrently and accepted strictly in plan order, so neither order
nor content depends on the concurrency or on where an earlier run stopped.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from etlch.core.errors import EtlchError
from etlch.core.records import Article, Record, Rejected
from etlch.core.settings import PlanSettings
from etlch.dataset.build_record import Candidate, Outcome, Workshop
from etlch.dataset.dedup import Copies

HEADROOM = 20
"""Candidates allowed beyond `plan.candidates` times the articles needed, so that small runs can refill."""


class Watcher(Protocol):
    """Whoever shows progress. Called from the event loop; must return at once."""

    def note(self, stage: str, event: str) -> None:
        """Something was asked, asked again, done or rejected at a stage."""
        ...

    def rejected(self, why: Mapping[str, int]) -> None:
        """A candidate was rejected: its reasons, as `reasons` counts them."""
        ...

    def settled(self, accepted: int, rejected: int) -> None:
        """So many articles are accepted and rejected by now."""
        ...


class Collected(NamedTuple):
    """What a run keeps: in plan order, records of one article together."""

    articles: tuple[Article, ...]
    records: tuple[Record, ...]
    rejected: tuple[Rejected, ...]
    grounded: int
    stated: int


@dataclass
class _Line:
    """The candidates between the plan and acceptance."""

    workshop: Workshop
    needed: int
    waiting: deque[asyncio.Task[Outcome]] = field(default_factory=deque)
    running: set[asyncio.Task[Outcome]] = field(default_factory=set)
    hopeful: int = 0
    launched: int = 0

    def launch(self, candidate: Candidate) -> None:
        task = asyncio.create_task(self.workshop.make(candidate))
        self.waiting.append(task)
        self.running.add(task)
        self.hopeful += 1
        self.launched += 1

    def launch_next(self, supply: Iterator[Candidate]) -> bool:
        """Launch the next candidate; tell whether there was one."""
        candidate = next(supply, None)
        if candidate is not None:
            self.launch(candidate)
        return candidate is not None

    async def step(self) -> None:
        """Wait until something is done. Raises what ended a candidate, e.g. transport trouble."""
        done, self.running = await asyncio.wait(self.running, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            if task.result().article is None:
                self.hopeful -= 1

    async def stop(self) -> None:
        for task in self.running:
            task.cancel()
        await asyncio.gather(*self.waiting, return_exceptions=True)


async def collect(
    workshop: Workshop,
    plan: PlanSettings,
    concurrency: int,
    candidates: Iterable[Candidate],
    needed: int,
    watcher: Watcher,
    copies: Copies | None = None,
) -> Collected:
    """Return exactly `needed` accepted articles with their records, and all that was rejected before them.

    No more candidates are in work than can still be needed, so nothing is paid for in vain
    while nothing is rejected. `copies` holds what was accepted before, if anything.

    Raises:
        EtlchError: the candidates ran out, or too many were refused; says why, by reason.
    """
    most = int(needed * plan.candidates) + HEADROOM
    supply = iter(candidates)
    line = _Line(workshop, needed)
    accepted: list[Outcome] = []
    rejected: list[Rejected] = []
    copies = Copies() if copies is None else copies
    dry = False
    try:
        while len(accepted) < needed:
            while (
                not dry and line.hopeful < needed and len(line.running) < concurrency and line.launched < most
            ):
                dry = not line.launch_next(supply)
            if not line.waiting:
                raise _exhausted(len(accepted), needed, line.launched, dry, rejected)
            if not line.waiting[0].done():
                await line.step()
            while line.waiting and line.waiting[0] not in line.running and len(accepted) < needed:
                outcome = line.waiting.popleft().result()
                rejected.extend(outcome.rejected)
                if outcome.article is None:
                    watcher.rejected(reasons(outcome.rejected))
                if outcome.article is not None:
                    twin = _near_copy(outcome.article, copies)
                    if twin is None:
                        accepted.append(outcome)
                    else:
                        line.hopeful -= 1
                        watcher.rejected(reasons([twin]))
                        workshop.judge(twin.article_id, False, twin.reasons)
                        rejected.append(twin)
                watcher.settled(len(accepted), line.launched - line.hopeful)
    finally:
        await line.stop()
    return Collected(
        tuple(outcome.article for outcome in accepted if outcome.article is not None),
        tuple(record for outcome in accepted for record in outcome.records),
        tuple(rejected),
        sum(outcome.grounded for outcome in accepted),
        sum(outcome.stated for outcome in accepted),
    )


def _near_copy(article: Article, copies: Copies) -> Rejected | None:
    """Remember an article, or reject it if it nearly copies an earlier one."""
    twin = copies.add(article.id, article.text)
    return (
        None if twin is None else Rejected(article.id, "", "copies", (f"near copy of {twin}",), article.text)
    )


def reasons(rejected: Iterable[Rejected]) -> Counter[str]:
    """Count what was rejected by stage and kind of reason; what is quoted in a reason is left out."""
    return Counter(
        f"{item.task + ' ' if item.task else ''}{item.stage}: {re.sub(r'[0-9]+', 'N', reason.split(':')[0].split(chr(39))[0]).strip()}"
        for item in rejected
        for reason in item.reasons[:1]
    )


class Exhausted(EtlchError):
    """Too few candidates passed.

    Args:
        what, hint, code: as EtlchError.
        rejected: all of it, to be kept on file.
    """

    def __init__(self, what: str, hint: str, *, code: int, rejected: tuple[Rejected, ...]) -> None:
        super().__init__(what, hint, code=code)
        self.rejected = rejected


def _exhausted(accepted: int, needed: int, tried: int, dry: bool, rejected: list[Rejected]) -> Exhausted:
    why = (
        "; ".join(f"{count} × {reason}" for reason, count in reasons(rejected).most_common(5))
        or "nothing was rejected"
    )
    if dry:
        return Exhausted(
            f"only {accepted} of {needed} articles could be accepted: the texts are used up ({why})",
            f"Bring more texts, or ask for less: test plus the largest size may be {accepted} at most.",
            code=2,
            rejected=tuple(rejected),
        )
    return Exhausted(
        f"only {accepted} of {needed} articles were accepted after {tried} candidates ({why})",
        "rejected.jsonl holds every answer with its reasons. Choose another teacher, or raise `candidates`.",
        code=1,
        rejected=tuple(rejected),
    )


EVERY = 5
"""Every fifth group is the test set's, the first included."""

PATIENCE = 10_000
"""Candidates of the other side in a row before the plan is held to have no group for this one."""


@dataclass(frozen=True, slots=True)
class _Further:
    """A watcher that counts on from what came before."""

    watcher: Watcher
    accepted: int
    lost: int

    def note(self, stage: str, event: str) -> None:
        self.watcher.note(stage, event)

    def rejected(self, why: Mapping[str, int]) -> None:
        self.watcher.rejected(why)

    def settled(self, accepted: int, rejected: int) -> None:
        self.watcher.settled(self.accepted + accepted, self.lost + rejected)


async def collect_sides(
    workshop: Workshop,
    plan: PlanSettings,
    concurrency: int,
    supply: Callable[[], Iterator[Candidate]],
    watcher: Watcher,
) -> Collected:
    """Return the test set's articles and then those of the largest size, as `collect` does.

    Args:
        workshop: makes records.
        plan: how many, and what is kept apart (`split_by`).
        concurrency: candidates in work at a time.
        supply: starts the plan from its beginning.
        watcher: shows progress.

    Raises:
        EtlchError: as `collect` says, or there is no group for one of the sides.
    """
    test, size = plan.test, max(plan.sizes)
    if plan.split_by == "article" or not test:
        return await collect(workshop, plan, concurrency, supply(), test + size, watcher)
    copies = Copies()
    tested = await collect(
        workshop, plan, concurrency, side(supply(), plan.split_by, test=True), test, watcher, copies
    )
    further = _Further(watcher, len(tested.articles), len(tested.rejected))
    trained = await collect(
        workshop, plan, concurrency, side(supply(), plan.split_by, test=False), size, further, copies
    )
    return Collected(
        tested.articles + trained.articles,
        tested.records + trained.records,
        tested.rejected + trained.rejected,
        tested.grounded + trained.grounded,
        tested.stated + trained.stated,
    )


def side(candidates: Iterator[Candidate], by: str, *, test: bool) -> Iterator[Candidate]:
    """Yield the candidates whose topic or domain is on one side, in plan order.

    Args:
        candidates: the plan from its beginning.
        by: "topic" or "domain".
        test: which side.

    Raises:
        EtlchError: no candidate of this side came for PATIENCE places.
    """
    groups: dict[str, int] = {}
    waited = 0
    for candidate in candidates:
        name = candidate.topic.domain if by == "domain" else candidate.topic.subject
        if (groups.setdefault(name, len(groups)) % EVERY == 0) == test:
            waited = 0
            yield candidate
        else:
            waited += 1
        if waited == PATIENCE:
            raise EtlchError(
                f"split_by: {by}: the plan has only {len(groups)} of them, none for the "
                f"{'test set' if test else 'training data'}",
                f"Add {by}s, or set split_by: article.",
            )
