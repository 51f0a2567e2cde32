"""Candidates walk in; articles whose test set shares no topic, or no domain, with the training data walk out.

Groups (topics or domains) take sides by the order in which the plan first names them: every fifth
is the test set's. So the sides are known before anything is asked for, stay the same when a run
grows, and nothing is paid for on the wrong side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from etlch.data.collect import Collected, Watcher, collect
from etlch.data.copies import Copies
from etlch.data.make import Candidate, Workshop
from etlch.errors import EtlchError

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
    workshop: Workshop, supply: Callable[[], Iterator[Candidate]], watcher: Watcher
) -> Collected:
    """Return the test set's articles and then those of the largest size, as `collect` does.

    Args:
        workshop: makes records; its settings say how many and what is kept apart (`split_by`).
        supply: starts the plan from its beginning.
        watcher: shows progress.

    Raises:
        EtlchError: as `collect` says, or there is no group for one of the sides.
    """
    settings = workshop.settings
    test, size = settings.test, max(settings.sizes)
    if settings.split_by == "article" or not test:
        return await collect(workshop, supply(), test + size, watcher)
    copies = Copies()
    tested = await collect(workshop, side(supply(), settings.split_by, test=True), test, watcher, copies)
    further = _Further(watcher, len(tested.articles), len(tested.rejected))
    trained = await collect(workshop, side(supply(), settings.split_by, test=False), size, further, copies)
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
