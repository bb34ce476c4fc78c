"""Which reservations the tasks of one process allocate at the moment, so that many creations at once do not repeat each
other's work.

Guarantee: no two tasks of a process allocate one reservation at the same time. Every run of admission receives all
reservations that are not confirmed yet. Without this, each of n creations at once would allocate those of all others,
and a response would take longer than the lease of an upload that is admitted already. A request takes its own
reservation first, and at most `_OTHERS` of the rest, so that its response does not wait for all of them; a run of
upkeep takes all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from pipeline.ports import Allocation

_OTHERS: Final = 8


class Allocating:
    """The claims of one process."""

    def __init__(self) -> None:
        self._claims: dict[str, asyncio.Event] = {}

    @contextmanager
    def claimed(self, found: Sequence[Allocation], own: str | None) -> Iterator[Sequence[Allocation]]:
        """Those of `found` that the caller is to allocate inside this block; `own` is the upload that it requests room
        for."""
        free = [one for one in found if one.upload_id not in self._claims]
        if own is not None:
            free.sort(key=lambda one: one.upload_id != own)
            free = free[: _OTHERS + 1]
        ended = asyncio.Event()
        self._claims |= dict.fromkeys((one.upload_id for one in free), ended)
        try:
            yield free
        finally:
            for one in free:
                del self._claims[one.upload_id]
            ended.set()

    async def wait(self, upload_id: str) -> None:
        """Return when no task allocates this reservation any more."""
        if (ended := self._claims.get(upload_id)) is not None:
            await ended.wait()
