"""Read candidates in plan order, return exactly as many accepted articles as needed, in plan order.

Candidates are processed concurrently and accepted strictly in plan order, so neither order
nor content depends on the concurrency or on where an earlier run stopped.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from etlch.core.errors import EtlchError
from etlch.core.locale import _
from etlch.core.records import Article, Record, Rejected
from etlch.core.settings import PlanSettings
from etlch.dataset.build_record import Candidate, CandidateResult, RecordBuilder
from etlch.dataset.dedup import Deduplicator
from etlch.llm.refusals import TOO_LONG
from etlch.teachers.offline.held_out import is_held_out

HEADROOM = 20
"""Candidates allowed beyond `plan.candidates` times the articles needed, so that small runs can refill."""


class Watcher(Protocol):
    """Shows progress. Called from the event loop, so its methods must not block."""

    def note(self, stage: str, event: str) -> None:
        """Report an event of a stage: asked, again, done or rejected."""
        ...

    def rejected(self, why: Mapping[str, int]) -> None:
        """Report why a candidate was rejected, as counted by `reasons`."""
        ...

    def settled(self, accepted: int, rejected: int) -> None:
        """Report the number of articles accepted and rejected so far."""
        ...


class AcceptedData(NamedTuple):
    """Accepted articles and their records in plan order, what was rejected, and counts of facts.

    Attributes:
        grounded: facts of accepted articles that stand in them.
        stated: all facts that the teacher stated for them.
    """

    articles: tuple[Article, ...]
    records: tuple[Record, ...]
    rejected: tuple[Rejected, ...]
    grounded: int
    stated: int


@dataclass
class _Queue:
    """Candidates taken from the plan and not yet accepted or rejected.

    Attributes:
        waiting: all of them, in plan order.
        running: those that are not done.
        pending: those that may still be accepted, done or not.
        launched: how many were taken from the plan so far.
    """

    builder: RecordBuilder
    waiting: deque[asyncio.Task[CandidateResult]] = field(default_factory=deque)
    running: set[asyncio.Task[CandidateResult]] = field(default_factory=set)
    pending: int = 0
    launched: int = 0

    def launch(self, candidate: Candidate) -> None:
        task = asyncio.create_task(self.builder.build(candidate))
        self.waiting.append(task)
        self.running.add(task)
        self.pending += 1
        self.launched += 1

    def launch_next(self, candidates: Iterator[Candidate]) -> bool:
        """Launch the next candidate; return False if the plan has no more."""
        candidate = next(candidates, None)
        if candidate is not None:
            self.launch(candidate)
        return candidate is not None

    async def step(self) -> None:
        """Wait until at least one candidate is done; raises its exception, such as a transport error."""
        done, self.running = await asyncio.wait(self.running, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            if task.result().article is None:
                self.pending -= 1

    async def stop(self) -> None:
        for task in self.running:
            task.cancel()
        await asyncio.gather(*self.waiting, return_exceptions=True)


async def collect(
    builder: RecordBuilder,
    plan: PlanSettings,
    concurrency: int,
    candidates: Iterable[Candidate],
    needed: int,
    watcher: Watcher,
    deduplicator: Deduplicator | None = None,
) -> AcceptedData:
    """Return exactly `needed` accepted articles with their records, and all that was rejected before them.

    No more candidates are launched than can still be needed, so no reply is paid for and thrown away
    while nothing is rejected.

    Args:
        builder: builds the article and records of a candidate.
        plan: its setting `candidates` bounds how many are tried.
        concurrency: candidates processed at a time.
        candidates: in plan order.
        needed: articles to accept.
        watcher: shows progress.
        deduplicator: holds the articles accepted before, if any; accepted ones are added.

    Raises:
        EtlchError: the candidates ran out, or too many were rejected; says why, by reason.
    """
    most = int(needed * plan.candidates) + HEADROOM
    remaining = iter(candidates)
    queue = _Queue(builder)
    accepted: list[CandidateResult] = []
    rejected: list[Rejected] = []
    deduplicator = Deduplicator() if deduplicator is None else deduplicator
    exhausted = False
    try:
        while len(accepted) < needed:
            room = min(concurrency - len(queue.running), needed - queue.pending, most - queue.launched)
            while room > 0 and not exhausted:
                room -= 1
                exhausted = not queue.launch_next(remaining)
            if not queue.waiting:
                raise _exhausted(len(accepted), needed, queue.launched, exhausted, rejected)
            if not queue.waiting[0].done():
                await queue.step()
            while queue.waiting and queue.waiting[0] not in queue.running and len(accepted) < needed:
                result = queue.waiting.popleft().result()
                duplicate = _reject_near_copy(result.article, deduplicator)
                lost = result.rejected if duplicate is None else (duplicate,)
                rejected.extend(result.rejected if duplicate is None else (*result.rejected, duplicate))
                if duplicate is not None:
                    queue.pending -= 1
                    builder.judge(duplicate.article_id, False, duplicate.reasons)
                if result.article is None or duplicate is not None:
                    watcher.rejected(reasons(lost))
                    _stop_if_hopeless(accepted, rejected)
                else:
                    accepted.append(result)
                watcher.settled(len(accepted), queue.launched - queue.pending)
    finally:
        await queue.stop()
    return _gathered(accepted, rejected)


def _gathered(accepted: Sequence[CandidateResult], rejected: Sequence[Rejected]) -> AcceptedData:
    return AcceptedData(
        tuple(result.article for result in accepted if result.article is not None),
        tuple(record for result in accepted for record in result.records),
        tuple(rejected),
        sum(result.grounded for result in accepted),
        sum(result.stated for result in accepted),
    )


def _reject_near_copy(article: Article | None, deduplicator: Deduplicator) -> Rejected | None:
    """Remember an article and return None, or return its rejection if it is a near copy of an earlier one."""
    if article is None or (earlier := deduplicator.add(article.id, article.text)) is None:
        return None
    return Rejected(article.id, "", "copies", (f"near copy of {earlier}",), article.text)


def reasons(rejected: Iterable[Rejected]) -> Counter[str]:
    """Count rejections by task, stage and kind of reason."""
    return Counter(
        f"{item.task + ' ' if item.task else ''}{item.stage}: {kind_of(reason)}"
        for item in rejected
        for reason in item.reasons[:1]
    )


def kind_of(reason: str) -> str:
    """Return a reason without the values in it, so that reasons of one kind group."""
    head, colon, detail = reason.partition(": ")
    # What breaks a schema says it after the colon; elsewhere values stand there.
    told = f"{head}: {detail}" if colon and head == "the answer" else head
    return re.sub(r"'[^']*'|[0-9]+", "…", told).strip()


class Exhausted(EtlchError):
    """Too few candidates were accepted.

    Args:
        what, hint, code: as EtlchError.
        rejected: everything rejected, to be written to rejected.jsonl.
    """

    def __init__(self, what: str, hint: str, *, code: int, rejected: tuple[Rejected, ...]) -> None:
        super().__init__(what, hint, code=code)
        self.rejected = rejected


HOPELESS = 10
"""Candidates rejected for one and the same reason before any is accepted, after which a run stops."""


def _stop_if_hopeless(accepted: Sequence[CandidateResult], rejected: Sequence[Rejected]) -> None:
    """Stop a run whose first candidates all fail alike: more money would buy more of the same.

    Raises:
        Exhausted: names the reason, and the setting that would help where one is known.
    """
    # Texts of the user's own may say nothing that is asked for, and a later one may.
    failed = [item for item in rejected if item.stage != "copies" and "fact" not in "".join(item.reasons[:1])]
    if accepted or len({item.article_id for item in failed}) < HOPELESS:
        return
    reason, count = reasons(failed).most_common(1)[0]
    if count < HOPELESS:
        return
    spoken = next(text for item in failed for text in item.reasons[:1] if reasons([item])[reason])
    if TOO_LONG in spoken:
        hint = "Lower `max_tokens` in the settings file, or `chunk` of your own texts."
    elif re.search("max_tokens|cut off|reasoning", spoken):
        hint = "Raise `max_tokens` in the settings file, or turn the model's reasoning off (setting `extra_body`)."
    else:
        hint = "rejected.jsonl holds every answer. Try another teacher, or `etlch-data preview` to see what it is asked."
    raise Exhausted(
        f"the first {count} candidates were rejected alike, and none was accepted: {spoken[:300]}",
        hint,
        code=1,
        rejected=tuple(rejected),
    )


def _exhausted(
    accepted: int, needed: int, tried: int, exhausted: bool, rejected: list[Rejected]
) -> Exhausted:
    why = (
        "; ".join(f"{count} × {reason}" for reason, count in reasons(rejected).most_common(5))
        or "nothing was rejected"
    )
    if exhausted:
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


TEST_GROUP_EVERY = 5
"""Every fifth group, the first included, belongs to the test set."""

MAX_SKIPPED = 10_000
"""Candidates of the other groups in a row after which the plan is taken to have no group for this split."""


@dataclass(frozen=True, slots=True)
class _OffsetWatcher:
    """A watcher whose counts start at those of an earlier collection."""

    watcher: Watcher
    accepted: int
    earlier_rejected: int

    def note(self, stage: str, event: str) -> None:
        self.watcher.note(stage, event)

    def rejected(self, why: Mapping[str, int]) -> None:
        self.watcher.rejected(why)

    def settled(self, accepted: int, rejected: int) -> None:
        self.watcher.settled(self.accepted + accepted, self.earlier_rejected + rejected)


async def collect_with_holdout(
    builder: RecordBuilder,
    plan: PlanSettings,
    concurrency: int,
    all_candidates: Callable[[], Iterator[Candidate]],
    watcher: Watcher,
    known: Deduplicator | None = None,
) -> AcceptedData:
    """Return the articles of the test set and then those of the largest size, without a shared group.

    With `split_by: article` and without `hold_out_forms` there are no groups, and this is one `collect`.

    Args:
        builder: builds the article and records of a candidate.
        plan: how many, and the group that test and training may not share (`split_by`).
        concurrency: candidates processed at a time.
        all_candidates: returns the candidates from the beginning of the plan.
        watcher: shows progress.
        known: holds texts that no article may copy, such as imported ones; accepted articles are added.

    Raises:
        EtlchError: as `collect` says, or one of the splits gets no group.
    """
    test, size = plan.test, max(plan.sizes)
    by = "form" if plan.hold_out_forms else plan.split_by
    if by == "article" or not test:
        return await collect(builder, plan, concurrency, all_candidates(), test + size, watcher, known)
    deduplicator = Deduplicator() if known is None else known
    test_data = await collect(
        builder,
        plan,
        concurrency,
        holdout_by_group(all_candidates(), by, test=True),
        test,
        watcher,
        deduplicator,
    )
    further = _OffsetWatcher(watcher, len(test_data.articles), len(test_data.rejected))
    train_data = await collect(
        builder,
        plan,
        concurrency,
        holdout_by_group(all_candidates(), by, test=False),
        size,
        further,
        deduplicator,
    )
    return AcceptedData(
        test_data.articles + train_data.articles,
        test_data.records + train_data.records,
        test_data.rejected + train_data.rejected,
        test_data.grounded + train_data.grounded,
        test_data.stated + train_data.stated,
    )


def holdout_by_group(candidates: Iterator[Candidate], by: str, *, test: bool) -> Iterator[Candidate]:
    """Yield the candidates of the test groups, or those of all other groups, in plan order.

    Args:
        candidates: the plan from its beginning.
        by: the group, "topic" or "domain"; "form" is whether the offline teacher writes in held-out forms.
        test: whether the test groups are wanted.

    Raises:
        EtlchError: MAX_SKIPPED candidates in a row belong to the other groups.
    """
    groups: dict[str, int] = {}
    skipped = 0
    for candidate in candidates:
        name = candidate.topic.domain if by == "domain" else candidate.topic.subject
        number = groups.setdefault(name, len(groups))
        in_test = is_held_out(candidate.topic.position) if by == "form" else number % TEST_GROUP_EVERY == 0
        if in_test == test:
            skipped = 0
            yield candidate
        else:
            skipped += 1
        if skipped == MAX_SKIPPED:
            raise EtlchError(
                (
                    _("split_by: {by}: the plan has only {count} of them, none for the test set")
                    if test
                    else _("split_by: {by}: the plan has only {count} of them, none for the training data")
                ).format(by=by, count=len(groups)),
                _("Add {by}s, or set split_by: article.").format(by=by),
            )
