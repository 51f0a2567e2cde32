"""Commit a store once for everything that was written in one turn of the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from etlch.core.errors import EtlchError
from etlch.llm.store import Store


class GroupCommit:
    """Commits shared by all writers of one turn.

    Args:
        store: what is committed.
        failed: takes the error of a commit that failed, before the writers get it.
    """

    def __init__(self, store: Store, failed: Callable[[EtlchError], None]) -> None:
        self._store = store
        self._failed = failed
        self._waiting: list[asyncio.Future[None]] = []

    async def committed(self) -> None:
        """Wait for the commit that covers everything written so far.

        Raises:
            EtlchError: it cannot be written.
        """
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_soon(self._flush)
        await turn

    def _flush(self) -> None:
        turns, self._waiting = self._waiting, []
        error: EtlchError | None = None
        try:
            self._store.commit()
        except EtlchError as problem:
            error = problem
            self._failed(problem)
        for turn in turns:
            if turn.done():
                continue
            if error is None:
                turn.set_result(None)
            else:
                turn.set_exception(error)
