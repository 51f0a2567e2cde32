"""When the next request may leave, worked out by hand on a clock of the test's own."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Awaitable, Callable
from email.utils import format_datetime
from typing import Any

import pytest

from etlch.llm.rate_limit import RateLimiter, retry_after


class Clock(asyncio.SelectorEventLoop):
    """An event loop whose time jumps to the next timer instead of waiting for it."""

    def __init__(self) -> None:
        super().__init__()
        self._at = 1000.0
        select = self._selector.select  # type: ignore[attr-defined]

        def jump(timeout: float | None) -> Any:
            self._at += timeout or 0.0
            return select(0)

        self._selector.select = jump  # type: ignore[attr-defined]

    def time(self) -> float:
        return self._at


def run(main: Callable[[], Awaitable[Any]]) -> Any:
    loop = Clock()
    try:
        return loop.run_until_complete(main())
    finally:
        loop.close()


async def send_all(
    limiter: RateLimiter, count: int, seconds: float, tokens: int = 0, taken: int = 0
) -> list[float]:
    """Send `count` requests of `seconds` each; return when each left, counted from now."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    left = []

    async def one() -> None:
        await limiter.enter(tokens)
        left.append(round(loop.time() - began, 3))
        await asyncio.sleep(seconds)
        limiter.leave(tokens, taken)
        limiter.succeed()

    await asyncio.gather(*(one() for _ in range(count)))
    return left


def test_as_many_fly_as_the_limit_allows() -> None:
    async def main() -> list[float]:
        return await send_all(RateLimiter(2, spacing=0), 5, 1.0)

    assert run(main) == [0, 0, 1, 1, 2]


def test_the_first_ones_leave_one_after_another() -> None:
    async def main() -> list[float]:
        return await send_all(RateLimiter(4, spacing=0.05), 6, 1.0)

    # The fourth leaves after 0.15 s; what comes back goes out again at once.
    assert run(main) == [0, 0.05, 0.1, 0.15, 1, 1.05]


def test_requests_per_minute_refill_steadily() -> None:
    async def main() -> list[float]:
        return await send_all(RateLimiter(100, requests=60, spacing=0), 63, 0.1)

    # One at once, then one each second: no minute has more than 60, the first one included.
    assert run(main)[-4:] == [59, 60, 61, 62]


def test_tokens_that_were_foreseen_and_not_taken_come_back() -> None:
    async def main() -> list[float]:
        return await send_all(RateLimiter(100, tokens=6000, spacing=0), 4, 1.0, tokens=3000, taken=600)

    # 6,000 a minute are 100 a second. One leaves at once; a second later 100 are refilled and it gives
    # 2,400 back: 2,500, and the next one lacks 500, which are 5 s. So each leaves 6 s after the one before.
    assert run(main) == [0, 6, 12, 18]


def test_a_pause_holds_new_ones_and_is_not_added_up() -> None:
    async def main() -> list[float]:
        limiter = RateLimiter(3, spacing=0)
        for _ in range(3):
            limiter.pause(4.0)
        return await send_all(limiter, 4, 1.0)

    assert run(main) == [4, 4, 4, 5]


def test_the_limit_falls_by_what_is_refused_and_grows_by_one_a_round() -> None:
    limiter = RateLimiter(32, spacing=0, start=32)
    for _ in range(32):  # a volley of which nothing passes
        limiter.slow_down()
    assert limiter.limit == 16
    for _ in range(16):  # a round of answers
        limiter.succeed()
    assert 16.9 < limiter.limit <= 17
    limiter.slow_down()  # one of seventeen
    assert 16.4 < limiter.limit <= 16.5


def test_the_limit_starts_low_and_doubles_with_each_round_until_something_is_refused() -> None:
    limiter = RateLimiter(32, spacing=0)
    assert limiter.limit == 4
    for _ in range(4 + 8):
        limiter.succeed()
    assert limiter.limit == 16
    limiter.slow_down()
    limiter.succeed()
    assert 15.5 < limiter.limit < 15.6  # half a place less, and one of 15.5 more


def test_a_server_with_one_slot_is_found_by_growing_and_never_made_to_time_out() -> None:
    """Each answer takes 10 s of the one slot: 12 in flight would wait for the timeout of 120 s."""

    async def main() -> tuple[int, float]:
        loop = asyncio.get_running_loop()
        limiter = RateLimiter(32, spacing=0, slow=60.0)
        slot = asyncio.Lock()
        most, longest = 0, 0.0

        async def one() -> None:
            nonlocal most, longest
            await limiter.enter(0)
            most, left = max(most, limiter.in_flight), loop.time()
            async with slot:
                await asyncio.sleep(10.0)
            longest = max(longest, loop.time() - left)
            limiter.succeed(loop.time() - left, 100)
            limiter.leave()

        await asyncio.gather(*(one() for _ in range(100)))
        return most, longest

    most, longest = run(main)
    assert most < 12 and longest < 120


def test_a_server_that_answers_all_at_once_is_used_to_the_full_however_slow_it_is() -> None:
    limiter = RateLimiter(32, spacing=0, slow=60.0)
    for number in range(40):
        limiter.succeed(70.0 + number % 3, 500)
    assert limiter.limit == 32


def test_one_may_always_fly_and_never_more_than_the_setting() -> None:
    limiter = RateLimiter(4, spacing=0)
    for _ in range(20):
        limiter.slow_down()
    assert limiter.limit == 1
    for _ in range(100):
        limiter.succeed()
    assert limiter.limit == 4


def test_limits_are_learned_from_headers() -> None:
    async def main() -> list[float]:
        limiter = RateLimiter(100, spacing=0)
        limiter.learn(
            {
                "x-ratelimit-limit-requests": "60",
                "x-ratelimit-remaining-requests": "2",
                "x-ratelimit-reset-requests": "58s",
            }
        )
        return await send_all(limiter, 4, 0.1)

    # Two are left; 58 come back in 58 s.
    assert run(main) == [0, 0, 1, 2]


def test_a_limit_per_day_is_seen_by_its_reset() -> None:
    async def main() -> list[float]:
        limiter = RateLimiter(100, spacing=0)
        limiter.learn(
            {
                "x-ratelimit-limit-requests": "200",
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": "24h0m0s",
            }
        )
        return await send_all(limiter, 1, 0.1)

    assert run(main) == [432]  # 86,400 s / 200


def test_a_setting_outranks_the_headers_limit_but_not_what_is_left() -> None:
    async def main() -> list[float]:
        limiter = RateLimiter(100, requests=30, spacing=0)
        limiter.learn({"x-ratelimit-limit-requests": "6000", "x-ratelimit-remaining-requests": "1"})
        return await send_all(limiter, 2, 0.1)

    assert run(main) == [0, 2]


def test_one_that_gave_up_waiting_leaves_its_place_to_the_next() -> None:
    async def main() -> int:
        limiter = RateLimiter(1, spacing=0)
        await limiter.enter(0)
        first, second = (asyncio.create_task(limiter.enter(0)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        limiter.leave()
        await second
        await asyncio.gather(first, return_exceptions=True)
        return limiter.in_flight

    assert run(main) == 1


def test_what_was_sent_before_goes_first() -> None:
    async def main() -> list[str]:
        limiter = RateLimiter(1, spacing=0)
        await limiter.enter(0)
        order = []

        async def one(name: str, again: bool) -> None:
            await limiter.enter(0, retry=again)
            order.append(name)
            limiter.leave()

        waiting = [asyncio.create_task(one(name, name == "again")) for name in ("a", "b", "again")]
        await asyncio.sleep(0)
        limiter.leave()
        await asyncio.gather(*waiting)
        return order

    assert run(main) == ["again", "a", "b"]


def test_one_cancelled_at_the_moment_of_its_turn_gives_it_back() -> None:
    async def main() -> int:
        limiter = RateLimiter(1, spacing=0)
        await limiter.enter(0)
        first, second = (asyncio.create_task(limiter.enter(0)) for _ in range(2))
        await asyncio.sleep(0)
        limiter.leave()  # it is the first one's turn now
        first.cancel()
        await second
        await asyncio.gather(first, return_exceptions=True)
        return limiter.in_flight

    assert run(main) == 1


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, 0.0),
    ],
)
def test_retry_after_is_read_in_seconds(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_retry_after_may_be_a_date() -> None:
    when = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=30)
    seconds = retry_after({"retry-after": format_datetime(when, usegmt=True)})
    assert seconds is not None and 28 < seconds <= 30
    zoneless = retry_after({"retry-after": when.strftime("%a, %d %b %Y %H:%M:%S -0000")})
    assert zoneless is not None and 28 < zoneless <= 30
