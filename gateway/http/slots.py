"""Slots for work that lasts as long as its client wants: limits of such work in total and per owner."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pipeline.core.errors import LimitReached, RequestError

_RETRY_SECONDS = 5


def streams_taken(limit: int) -> LimitReached:
    """An owner has all the event streams that it may have on one gateway."""
    return LimitReached("STREAM_LIMIT", limit=limit, retry_after_seconds=_RETRY_SECONDS)


def downloads_taken(limit: int) -> LimitReached:
    """An owner has all the downloads that it may have on one gateway."""
    return LimitReached("DOWNLOAD_LIMIT", limit=limit, retry_after_seconds=_RETRY_SECONDS)


def requests_taken(limit: int) -> LimitReached:
    """An owner has all the requests in progress that it may have on one gateway."""
    return LimitReached("REQUEST_LIMIT", limit=limit, retry_after_seconds=_RETRY_SECONDS)


class OwnerSlots:
    """Counts what is in progress. Belongs to one event loop. `total`: slots of all owners, `each`: of one owner; None:
    no limit. `refusal`: the error for an owner that has them all."""

    def __init__(self, total: int | None, each: int | None, refusal: Callable[[int], LimitReached]) -> None:
        self._refusal = refusal
        self._total = total
        self._each = each
        self._owners: Counter[str] = Counter()

    @contextmanager
    def taken(self, owner: str) -> Iterator[None]:
        """A slot while the block runs. Raises LimitReached; RequestError GATEWAY_BUSY where all slots of
        the gateway are taken."""
        if self._each is not None and self._owners[owner] >= self._each:
            raise self._refusal(self._each)
        if self._total is not None and self._owners.total() >= self._total:
            raise RequestError("GATEWAY_BUSY")
        self._owners[owner] += 1
        try:
            yield
        finally:
            self._owners[owner] -= 1
            if not self._owners[owner]:
                del self._owners[owner]
