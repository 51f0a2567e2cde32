"""Send requests to an OpenAI-compatible endpoint; return paid replies, each committed to the store first.

The rate limiter and the account (budget) admit each send. Transport failures are retried; a final refusal ends
the run, or rejects this one record. The content of a reply is not judged here.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, NamedTuple, NoReturn

from etlch.core.errors import EtlchError, warn_user
from etlch.core.locale import _, sentences
from etlch.core.run_folder import Run
from etlch.core.settings import Price, TeacherSettings
from etlch.llm import chat_completions, pricing
from etlch.llm.batch import connect
from etlch.llm.chat_client import ClientStats
from etlch.llm.endpoint import Endpoint, find_endpoint
from etlch.llm.group_commit import GroupCommit
from etlch.llm.rate_limit import limiter
from etlch.llm.refusals import GO_ON, Refused, ending, is_about_request, is_too_long, refused
from etlch.llm.retry import OUTAGE, RetryPolicy
from etlch.llm.store import Reply, Request, Store, as_kept, is_locked, locked
from etlch.llm.transport import NoAnswer, NotSent, Transport

__all__ = ["ClientStats", "LLMClient", "is_locked", "open_client"]

GRACE = 1.0
"""Seconds that requests in flight have to complete when a run is stopped."""


class _Reservation(NamedTuple):
    """One admitted send: the amount reserved, its row in the store (None without a price), and the tokens expected."""

    amount: float
    row: int | None
    expected_tokens: int


@asynccontextmanager
async def open_client(teacher: TeacherSettings, run: Run) -> AsyncIterator[LLMClient]:
    """Open a run's store and the connection to its teacher.

    On leaving, requests in flight have GRACE seconds to complete; the store keeps what came.

    Raises:
        EtlchError: no key; a budget without a price; another process works on this run; a
            damaged store.
    """
    endpoint = find_endpoint(teacher)
    price = pricing.find_price(teacher)
    with locked(run):
        store = Store(run.replies)
        try:
            client = LLMClient(teacher, store, connect(teacher, endpoint, store), endpoint, price)
            try:
                yield client
            finally:
                await client.close()
        finally:
            store.close()


class LLMClient:
    """Asks an endpoint, through a store.

    Args:
        teacher: its name, concurrency, limits, tries, timeout, budget.
        store: where replies are kept.
        transport: the connection to the endpoint.
        endpoint: its URL, for messages.
        price: of the teacher; None counts no money.
    """

    def __init__(
        self,
        teacher: TeacherSettings,
        store: Store,
        transport: Transport,
        endpoint: Endpoint,
        price: Price | None,
    ) -> None:
        self.store = store
        self._teacher = teacher
        self._transport = transport
        self._endpoint = endpoint
        self._price = price
        self._account = pricing.Account(store.spent(), teacher.budget)
        self._limiter = limiter(teacher)
        self._in_flight: dict[str, asyncio.Task[Reply]] = {}
        self._sending: set[asyncio.Task[Any] | None] = set()
        self._settled = asyncio.Event()
        self._stopped: EtlchError | None = None
        self._commit = GroupCommit(store, self._note_stop)
        self._name = f"{teacher.name} at {endpoint.url}"
        known = store.profile(self._name)
        self._profile = self._remembered = chat_completions.EndpointProfile(**(known or {}))
        self._retry = RetryPolicy(teacher.tries, teacher.patience, answered=known is not None)
        self._served, self._noticed = store.profile(f"{self._name} served") or "", False
        usage = store.usage().values()
        self._count: Counter[str] = Counter(
            input=sum(used.input for used in usage), output=sum(used.output for used in usage)
        )

    def stats(self) -> ClientStats:
        """Return what was done so far."""
        count = self._count
        return ClientStats(
            requested=count["requested"],
            replayed=count["replayed"],
            replied=count["replied"],
            in_flight=self._limiter.in_flight,
            resent=count["resent"],
            input_tokens=count["input"],
            output_tokens=count["output"],
            spent=self._account.spent,
        )

    async def ask(self, request: Request, purpose: str = "") -> Reply:
        """Return the reply to a request: from the store, or paid for and committed.

        Args:
            request: everything that is sent.
            purpose: what it is for, e.g. "ner/label"; kept for estimates, no part of the key.

        Raises:
            BadContent: the endpoint refuses this one request (HTTP 400, 413, 422).
            EtlchError: the run cannot go on: wrong key, spent quota or budget, endpoint out of reach.
        """
        self._count["requested"] += 1
        reply = self.store.get(request.key)
        if reply is not None:
            self._count["replayed"] += 1
            return reply
        task = self._in_flight.get(request.key)
        if task is None:
            # A task of its own: when the asker is cancelled, what was paid for is still kept.
            task = asyncio.create_task(self._request_with_retries(request, purpose))
            self._in_flight[request.key] = task
            task.add_done_callback(lambda done: self._on_done(request.key, done))
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Wait GRACE seconds for requests in flight, cancel the rest, close the connection."""
        if self._stopped is None:
            self._stopped = EtlchError(_("the run was stopped"), _(GO_ON))
        tasks = set(self._in_flight.values())
        for task in tasks - self._sending:
            task.cancel()
        if tasks & self._sending:
            await asyncio.wait(tasks & self._sending, timeout=GRACE)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.store.commit()
        await self._transport.close()

    def _on_done(self, key: str, task: asyncio.Task[Reply]) -> None:
        del self._in_flight[key]
        if not task.cancelled():
            task.exception()  # looked at, so that an abandoned task does not log it

    async def _request_with_retries(self, request: Request, purpose: str) -> Reply:
        """Send a request until it is answered, refused for good, or out of tries."""
        fallback: chat_completions.EndpointProfile | None = None
        failures = 0
        while True:
            reservation = await self._admit(request, retry=failures > 0)
            profile, left = fallback or self._profile, _now()
            busy = False
            self._retry.sent(left)
            try:
                answer = await self._send(request, profile)
            except Refused as refusal:
                self._slow_down(refusal)
                self._settle(reservation, 0.0)
                problem, wait = f"HTTP {refusal.status}: {refusal}", refusal.wait
                busy = refusal.busy
                if is_about_request(refusal):
                    fallback = self._downgrade(request, profile, refusal, own=fallback is not None)
                    continue
                self._stop_on_final(refusal, failures)
            except (NoAnswer, NotSent, chat_completions.Broken, chat_completions.NotJson) as trouble:
                self._limiter.slow_down()
                self._give_up(reservation, trouble)
                problem, wait = str(trouble), None
            except BaseException:
                self._settle(reservation, reservation.amount, release=False)
                raise
            else:
                self._limiter.succeed(_now() - left, answer.output_tokens or 0)
                return await self._keep(request, purpose, profile, reservation, answer)
            failures += 1
            self._stop_if_over(failures, problem, busy=busy)
            self._count["resent"] += 1
            if not wait:  # else the limiter pauses everyone
                await asyncio.sleep(self._retry.backoff(failures))

    def _stop_on_final(self, refusal: Refused, failures: int) -> None:
        """Stop the run on a refusal that waiting does not change."""
        final = ending(refusal, self._endpoint.url, self._teacher.name)
        # Gateways with several keys or servers refuse one request now and then that the next one takes.
        stray = refusal.status == 401 and self._retry.answered and failures == 0
        if final is not None and not stray:
            self._stop(final.what, final.hint)

    def _stop_if_over(self, failures: int, problem: str, *, busy: bool) -> None:
        """Stop the run where a request failed too often; else tell the user, once an outage, that it is waited for."""
        if self._retry.is_over(failures, _now(), busy=busy):
            self._stop(
                f"{self._endpoint.url} failed {failures} times in a row for one request, last: {problem}",
                sentences(_(GO_ON), _("More patience: the settings tries, patience and timeout.")),
            )
        if self._retry.is_outage(_now(), busy=busy):
            warn_user(
                f"no answer from {self._endpoint.url} for {OUTAGE:.0f} s, last: {problem};"
                f" waiting for {self._teacher.patience:.0f} s in all (setting patience)"
            )

    async def _admit(self, request: Request, *, retry: bool) -> _Reservation:
        """Wait until the limiter and the account admit a request; commit its reserve to the store.

        Raises:
            EtlchError: the run was stopped meanwhile, or the budget is used up.
        """
        size = pricing.size(request)
        expected_tokens = size // 3 + request.max_tokens
        await self._limiter.enter(expected_tokens, retry=retry)
        try:
            reserve = pricing.cost(self._price, size, request.max_tokens) or 0.0
            await self._hold(reserve)
        except BaseException:
            self._limiter.leave(expected_tokens, 0)
            raise
        row = None
        try:
            if self._price is not None:
                row = self.store.reserve(request.key, reserve)
                await self._commit.committed()
        except BaseException:
            self._settle(_Reservation(reserve, row, expected_tokens), 0.0)
            raise
        return _Reservation(reserve, row, expected_tokens)

    async def _hold(self, amount: float) -> None:
        while self._stopped is None and not self._account.take(amount):
            if self._account.open == 0:
                self._stop(
                    f"the budget of {self._account.budget} USD does not cover the next request:"
                    f" {self._account.spent:.4f} USD are spent, it may cost {amount:.4f} USD",
                    f"Run again with a larger budget to go on, {pricing.cents(self._account.spent + amount):.2f} at"
                    " least; what is answered is not paid again.",
                )
            self._settled.clear()
            await self._settled.wait()
        if self._stopped is not None:
            raise self._stopped

    def _give_up(self, reservation: _Reservation, trouble: Exception) -> None:
        """Book all that a request may have cost, or nothing where it never left."""
        if isinstance(trouble, NotSent | chat_completions.NotJson):
            self._settle(reservation, 0.0)
        else:
            self._settle(reservation, reservation.amount, release=False)

    def _settle(
        self, reservation: _Reservation, paid: float, *, release: bool = True, taken: int = 0
    ) -> None:
        """Close a reservation: give back its place, turn what was held into what was paid."""
        self._limiter.leave(reservation.expected_tokens, taken)
        self._account.settle(reservation.amount, paid)
        self._settled.set()
        if release and reservation.row is not None:
            self.store.release(reservation.row)

    async def _send(
        self, request: Request, profile: chat_completions.EndpointProfile
    ) -> chat_completions.Answer:
        """Send once and return the answer.

        Raises:
            NotSent, NoAnswer, Refused, chat_completions.Broken: there is none.
        """
        task = asyncio.current_task()
        self._sending.add(task)
        try:
            sent = await self._transport.send(chat_completions.body(request, profile), request.key)
        finally:
            self._sending.discard(task)
        self._limiter.learn(sent.headers)
        return self._transport.read(sent)

    async def _keep(
        self,
        request: Request,
        purpose: str,
        profile: chat_completions.EndpointProfile,
        reservation: _Reservation,
        answer: chat_completions.Answer,
    ) -> Reply:
        """Store an answer; return it once it is committed."""
        used = (answer.input_tokens or 0, answer.output_tokens or 0)
        counted = answer.input_tokens is not None and answer.output_tokens is not None
        # An endpoint that counts no tokens is booked at the reserve.
        known = counted or self._price is None
        paid = pricing.cost(self._price, *used, answer.cached_tokens) if known else reservation.amount
        reply = as_kept(Reply(request.key, answer.text, answer.finish, *used, paid))
        self.store.put(reply, purpose, request.model)
        self._settle(reservation, paid or 0.0, taken=sum(used))
        self._retry.succeed(_now())
        self._learn(request, profile)
        self._notice(answer.model)
        self._count.update(replied=1, input=used[0], output=used[1])
        await self._commit.committed()
        return reply

    def _learn(self, request: Request, profile: chat_completions.EndpointProfile) -> None:
        """Remember what the endpoint took. The first accepted rung of the ladder stays."""
        learned = replace(self._profile, seed=profile.seed, limit=profile.limit, greedy=profile.greedy)
        if request.schema is not None and not learned.proven:
            learned = replace(learned, format=profile.format, proven=True)
        self._profile = learned
        if learned != self._remembered:
            self._remembered = learned
            self.store.remember(self._name, chat_completions.profile_value(learned))

    def _notice(self, served: str) -> None:
        """Remember the name under which the endpoint answers; tell the user, once a session, where it has changed."""
        if not served or self._served == served or self._noticed:
            return
        self._noticed = True
        if self._served:
            warn_user(
                f"{self._endpoint.url} answers as '{served}' now, and earlier answers of this run came from"
                f" '{self._served}'; what the checks refused of those is asked again with --retry-rejected"
            )
        self._served = served
        self.store.remember(f"{self._name} served", served)

    def _downgrade(
        self, request: Request, profile: chat_completions.EndpointProfile, refusal: Refused, *, own: bool
    ) -> chat_completions.EndpointProfile | None:
        """Return what to send a refused request with; None is with what all are sent with by now.

        What a refusal names holds for all that follow, what it may mean for this request only.

        Args:
            request: the refused request.
            profile: what it was sent with.
            refusal: the answer.
            own: the profile were this request's own and not everyone's.

        Raises:
            BadContent: the record itself is refused.
        """
        proven = self._profile.proven
        too_long = refusal.status == 413 or is_too_long(refusal.fault)
        fallback = None if too_long else chat_completions.downgrade(profile, request, refusal.fault, proven)
        if fallback is None:
            first = not self._retry.answered and pricing.size(request) // 3 < request.max_tokens
            problem = refused(
                refusal, max_tokens=request.max_tokens, temperature=request.temperature, first=first
            )
            if isinstance(problem, EtlchError):
                self._stop(problem.what, problem.hint)
            raise problem
        if own or proven or not fallback.named:
            return fallback.profile
        if profile == self._profile:  # else others were refused meanwhile, and have changed them
            self._profile = fallback.profile
        return None

    def _slow_down(self, refusal: Refused) -> None:
        """Lower the in-flight limit, and pause where the endpoint asks for it."""
        if refusal.status in (429, 503):
            self._limiter.slow_down()
        if refusal.wait is not None:
            self._limiter.pause(refusal.wait)

    def _stop(self, what: str, hint: str) -> NoReturn:
        """End the run: nothing new is sent, everyone who asks gets the same error."""
        self._note_stop(EtlchError(what, hint))
        assert self._stopped is not None
        raise self._stopped

    def _note_stop(self, error: EtlchError) -> None:
        self._stopped = self._stopped or error


def _now() -> float:
    return asyncio.get_running_loop().time()
