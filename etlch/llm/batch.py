"""Send requests through the Batch API: write them to a file, submit it, wait, and hand out the answers.

`BatchTransport` stands where the transport does, so retries, account and store are those of single requests, and a run
ends in the same bytes. Submitted batches are remembered in the store: a later session waits for them instead of paying
again, after seconds or days.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, TypeVar

from etlch.core.errors import EtlchError, warn_user
from etlch.core.records import Json
from etlch.core.settings import TeacherSettings
from etlch.llm.endpoint import Endpoint
from etlch.llm.rate_limit import BATCH_MOST
from etlch.llm.store import Store
from etlch.llm.transport import HttpResponse, NoAnswer, NotSent, Transport

QUIET = 1.0
"""Seconds without a new request after which those that wait are submitted together."""
FIRST_POLL, LONGEST_POLL = 0.2, 60.0
"""Seconds between two looks at a batch: half as long again each time."""
MOST_BYTES = 190_000_000
"""Of one file; OpenAI takes 200 MB."""
Done = TypeVar("Done")
_OVER = ("completed", "failed", "expired", "cancelled")


@dataclass
class _Batch:
    """A batch as the store remembers it: its input file, its id once it was made, and the keys of its requests."""

    file: str
    id: str
    keys: list[str]


def connect(teacher: TeacherSettings, endpoint: Endpoint, store: Store) -> Transport:
    """Return the connection for single requests, or for batches where the settings say so."""
    if teacher.batch:
        return BatchTransport(endpoint, teacher.timeout, store)
    return Transport(endpoint, teacher.timeout)


class BatchTransport(Transport):
    """The connection to an endpoint's files and batches.

    Args:
        endpoint: its URL and key.
        timeout: seconds for one exchange over HTTP; batches themselves are waited for without end.
        store: remembers batches that were submitted. What is reserved for their requests is released: these are
            reserved again when they are asked, and paid when their answers come.
    """

    def __init__(self, endpoint: Endpoint, timeout: float, store: Store) -> None:
        super().__init__(endpoint, timeout)
        self._store = store
        self._place = f"batches at {endpoint.url}"
        self._batches = [_Batch(**item) for item in store.profile(self._place) or []]
        self._of = {key: batch for batch in self._batches for key in batch.keys}
        self._left = {batch.file: len(batch.keys) for batch in self._batches}
        self._ready: dict[str, HttpResponse | Exception] = {}  # answers that nobody has asked for yet
        self._wanted: dict[str, asyncio.Future[HttpResponse]] = {}
        self._new: dict[str, Json] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._watched: set[str] = set()
        store.release_requests(list(self._of))

    async def send(self, body: Json, key: str) -> HttpResponse:
        """Return the answer to a request, once the batch that it went into has it.

        Raises:
            NotSent: it was not processed: no connection, or the batch expired.
            NoAnswer: the batch ended without it.
            EtlchError: the endpoint refuses the batch.
        """
        answer = self._wanted[key] = asyncio.get_running_loop().create_future()
        known = self._of.get(key)
        if key in self._ready:
            self._give({key: self._ready.pop(key)})
        elif known is not None:
            if known.file not in self._watched:
                self._start(known)
        else:
            self._new[key] = body
            if self._timer is not None:
                self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_later(QUIET, self._submit)
        try:
            found: HttpResponse = await answer
            return found
        finally:
            self._wanted.pop(key, None)
            self._new.pop(key, None)
            if answer.done() and not answer.cancelled():
                self._hand_out(key)

    async def close(self) -> None:
        """Stop waiting; batches that were submitted go on, and a later session fetches them."""
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await super().close()

    def _submit(self) -> None:
        waiting, self._new = list(self._new.items()), {}
        for part in _files(waiting):
            self._start(None, part)

    def _start(self, batch: _Batch | None, part: Sequence[tuple[str, str]] = ()) -> None:
        if batch is not None:
            self._watched.add(batch.file)
        task = asyncio.create_task(self._serve(batch, part))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, batch: _Batch | None, part: Sequence[tuple[str, str]]) -> None:
        """Submit a file unless it was, wait for its batch, and answer its requests."""
        import openai

        keys = [key for key, _ in part] if batch is None else batch.keys
        try:
            if batch is None:
                batch = await self._upload(part)
            answers = await self._patiently(partial(self._answers_of, batch))
        except openai.APIStatusError as error:
            response = error.response
            said = HttpResponse(response.status_code, response.headers, response.content)
            self._give({key: said for key in keys})
        except (openai.APIConnectionError, OSError) as error:
            self._give({key: NotSent(self._endpoint.redact(str(error))) for key in keys})
        except EtlchError as error:
            self._give({key: error for key in keys})
        else:
            missing = NoAnswer(f"batch {batch.id} ended without an answer to this request")
            self._give({key: answers.get(key, missing) for key in keys})

    async def _answers_of(self, batch: _Batch) -> dict[str, HttpResponse | Exception]:
        if not batch.id:
            await self._create(batch)
        return await self._fetch(batch, await self._wait(batch))

    async def _upload(self, part: Sequence[tuple[str, str]]) -> _Batch:
        content = "".join(line for _, line in part).encode("utf-8")
        file = await self._client.files.create(
            file=("etlch.jsonl", content), purpose="batch", extra_headers=self._headers
        )
        batch = _Batch(file.id, "", [key for key, _ in part])
        self._batches.append(batch)
        self._of |= dict.fromkeys(batch.keys, batch)
        self._left[batch.file] = len(batch.keys)
        self._watched.add(batch.file)
        self._remember()  # before the batch is made, so that a kill in between finds it by its file
        return batch

    async def _create(self, batch: _Batch) -> None:
        """Make the batch of an uploaded file, or find the one that a killed session made of it."""
        async for made in self._client.batches.list(limit=100, extra_headers=self._headers):
            if made.input_file_id == batch.file:
                batch.id = made.id
                break
        else:
            made = await self._client.batches.create(
                input_file_id=batch.file,
                endpoint="/v1/chat/completions",
                completion_window="24h",
                extra_headers=self._headers,
            )
            batch.id = made.id
        self._remember()
        warn_user(
            f"batch {batch.id}: {len(batch.keys):,} requests are submitted and may take a day;"
            " stopped, the same command waits for them again"
        )

    async def _wait(self, batch: _Batch) -> Any:
        pause = FIRST_POLL
        while True:
            state = await self._client.batches.retrieve(batch.id, extra_headers=self._headers)
            if state.status in _OVER:
                return state
            await asyncio.sleep(pause)
            pause = min(LONGEST_POLL, pause * 1.5)

    async def _patiently(self, step: Callable[[], Awaitable[Done]]) -> Done:
        """Return what a step returns; without a connection, or while the endpoint is busy, take it again.

        What was submitted goes on meanwhile, and is paid for: it is waited for until somebody stops the run.
        """
        import openai

        pause = FIRST_POLL
        while True:
            try:
                return await step()
            except (openai.APIConnectionError, openai.RateLimitError, openai.InternalServerError) as error:
                if pause < LONGEST_POLL <= pause * 1.5:
                    said = self._endpoint.redact(str(error))
                    warn_user(
                        f"{self._endpoint.url} does not answer about its batches ({said}); still trying"
                    )
            await asyncio.sleep(pause)
            pause = min(LONGEST_POLL, pause * 1.5)

    async def _fetch(self, batch: _Batch, state: Any) -> dict[str, HttpResponse | Exception]:
        """Return the answers of a batch that is over, by key.

        Raises:
            EtlchError: the endpoint refused the whole batch.
        """
        if state.status == "failed":
            said = "; ".join(str(one.message) for one in (state.errors.data or ())) if state.errors else ""
            raise EtlchError(
                f"the endpoint refuses batch {batch.id}: {self._endpoint.redact(said) or 'no reason given'}",
                "Run again later, with a smaller --sizes, or without --batch.",
            )
        found: dict[str, HttpResponse | Exception] = {}
        for file in (state.output_file_id, state.error_file_id):
            if file:
                content = await self._client.files.content(file, extra_headers=self._headers)
                found |= dict(_answers(content.content))
        if state.status in ("expired", "cancelled"):
            late = NotSent(f"batch {batch.id} {state.status} before this request was processed")
            found = {key: late for key in batch.keys} | found
        return found

    def _give(self, answers: Mapping[str, HttpResponse | Exception]) -> None:
        for key, answer in answers.items():
            wanted = self._wanted.get(key)
            if wanted is None or wanted.done():
                self._ready[key] = answer
            elif isinstance(answer, Exception):
                wanted.set_exception(answer)
            else:
                wanted.set_result(answer)

    def _hand_out(self, key: str) -> None:
        """Take a request off its batch, and a batch off the list with its last one.

        The client stores the answer in the same turn of the loop, so one commit holds both.
        """
        batch = self._of.pop(key, None)
        if batch is None:
            return
        self._left[batch.file] -= 1
        if not self._left[batch.file]:
            self._batches.remove(batch)
            self._store.remember(self._place, [asdict(one) for one in self._batches])

    def _remember(self) -> None:
        self._store.remember(self._place, [asdict(one) for one in self._batches])
        self._store.commit()


def _files(requests: Sequence[tuple[str, Json]]) -> Iterator[list[tuple[str, str]]]:
    """Yield (key, line) of requests, a list for each file: at most so many requests and bytes."""
    part: list[tuple[str, str]] = []
    size = 0
    for key, body in requests:
        asked = {"custom_id": key, "method": "POST", "url": "/v1/chat/completions", "body": body}
        line = json.dumps(asked, ensure_ascii=False) + "\n"
        length = len(line.encode("utf-8"))
        if part and (len(part) == BATCH_MOST or size + length > MOST_BYTES):
            yield part
            part, size = [], 0
        part.append((key, line))
        size += length
    if part:
        yield part


def _answers(content: bytes) -> Iterator[tuple[str, HttpResponse | Exception]]:
    """Yield (key, answer) of an output or error file; what the batch did not process counts as not sent."""
    for line in content.splitlines():
        if not line.strip():
            continue
        row = json.loads(line)
        response, error = row.get("response"), row.get("error")
        if response:
            body = json.dumps(response.get("body"), ensure_ascii=False).encode("utf-8")
            yield row["custom_id"], HttpResponse(int(response.get("status_code") or 200), {}, body)
        else:
            yield row["custom_id"], NotSent(str((error or {}).get("message") or "the batch left it out"))
