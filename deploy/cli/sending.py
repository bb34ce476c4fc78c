"""Sends the missing segments of one upload: those that the server wants first, and no faster than its window allows.

Guarantee: every segment is accepted once, or the round ends because the upload's status has changed or an error is
final. What the server loses meanwhile is sent again. While there is no room on the server for any segment, this upload
holds neither a slot nor a turn, so it never keeps another upload from making room.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import aclosing, suppress
from types import TracebackType
from typing import Final, Self

from deploy.cli.client import ENDED, OnRetry, SluiceClient
from deploy.cli.errors import ApiError, ClientError
from deploy.cli.segment_body import SegmentBody
from deploy.cli.segment_file import DigestName, SegmentFile
from deploy.cli.segment_queue import SegmentQueue
from deploy.cli.upload_progress import Observe, UploadProgress
from schemas.uploads import SegmentView

# A segment refused with one of these says that the upload's status changed: fetch the upload and continue from there.
_STATUS_CHANGED: Final = frozenset(
    {"UPLOAD_WAITING", "UPLOAD_ENDED", "UPLOAD_EXPIRED", "UPLOAD_DEADLINE", "UPLOAD_CANCELLED"}
)
_DEFAULT_RETRY_SECONDS: Final = 1.0


class _StatusChangedError(Exception):
    """The upload has ended, or waits for room."""


class Turn:
    """One of a limited number of turns, which may be given back for a while. A context manager that ends it."""

    def __init__(self, turns: asyncio.Semaphore) -> None:
        self._turns = turns
        self._is_held = False

    async def __aenter__(self) -> Self:
        await self.take()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.give_back()

    async def take(self) -> None:
        """Return when it is held. Idempotent."""
        if not self._is_held:
            await self._turns.acquire()
            self._is_held = True

    def give_back(self) -> None:
        """Idempotent."""
        if self._is_held:
            self._is_held = False
            self._turns.release()


class SegmentRound:
    """One round: sends every segment that is missing, and that becomes missing meanwhile.

    `slots` limits how many segments are sent at once, `turn` how many uploads. `follows`: the upload's events are
    followed meanwhile, so that wanted segments, room and a failure are known at once.
    """

    def __init__(
        self,
        client: SluiceClient,
        file: SegmentFile,
        progress: UploadProgress,
        digest: DigestName,
        *,
        slots: asyncio.Semaphore,
        turn: Turn,
        follows: bool,
        observe: Observe,
        on_retry: OnRetry,
    ) -> None:
        self._client, self._file, self._progress, self._digest = client, file, progress, digest
        self._slots, self._turn, self._follows = slots, turn, follows
        self._observe, self._on_retry = observe, on_retry
        self._queue = SegmentQueue(progress.view, live=follows)
        self._digests: dict[int, Mapping[str, str]] = {}
        self._changed = asyncio.Event()
        self._now = asyncio.get_running_loop().time

    async def run(self) -> bool:
        """Send until every segment was accepted. False: the upload's status has changed meanwhile. Raises the first
        error that is final."""
        try:
            async with asyncio.TaskGroup() as group:
                watch = group.create_task(self._watch()) if self._follows else None
                while (number := await self._next()) is not None:
                    group.create_task(self._send(number)).add_done_callback(lambda _: self._slots.release())
                if watch is not None:
                    watch.cancel()
        except ExceptionGroup as group:
            final = next((error for error in group.exceptions if not _is_status_change(error)), None)
            if final is not None:
                raise final from None
            return False
        return True

    async def _next(self) -> int | None:
        """The next segment, in flight and with a slot; None: all were accepted."""
        while not self._queue.is_done:
            self._changed.clear()
            if self._queue.peek(self._now()) is not None:
                await self._turn.take()
                await self._slots.acquire()
                number = self._queue.claim(self._now())
                if number is not None:
                    return number
                self._slots.release()
                continue
            if not self._queue.in_flight:
                self._turn.give_back()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._queue.pause_seconds(self._now())):
                    await self._changed.wait()
        return None

    async def _send(self, number: int) -> None:
        file, plan = self._file, self._queue.plan
        offset, length = plan.offset(number), plan.length(number)

        def sent(sent_bytes: int) -> None:
            self._progress.under_way[number] = sent_bytes
            self._observe("bytes", self._progress, {})

        file.check_unchanged()
        digest = self._digests.pop(number, None) or await file.digest_header(offset, length, self._digest)
        try:
            received = await self._client.put_segment(
                self._progress.view,
                number,
                length,
                lambda: SegmentBody(file, offset, length, sent),
                digest,
                self._on_retry,
                may_be_refused=self._queue.was_refused,
            )
        except ApiError as error:
            if error.code != "SEGMENT_WINDOW_FULL":
                raise
            self._digests[number] = digest
            self._refused(number, error.retry_after_seconds or _DEFAULT_RETRY_SECONDS)
        else:
            file.check_unchanged()
            self._accepted(number, length, received)
        self._changed.set()

    def _refused(self, number: int, seconds: float) -> None:
        self._queue.refused(number, self._now() + seconds)
        self._progress.under_way.pop(number, None)
        self._observe("window_full", self._progress, {"number": number, "after_seconds": seconds})

    def _accepted(self, number: int, length: int, received: SegmentView) -> None:
        self._queue.accepted(number, self._now(), received.wanted_segments)
        self._progress.under_way[number] = length
        self._observe(
            "segment", self._progress, {"number": number, "size_bytes": length, "repeated": received.repeated}
        )

    async def _watch(self) -> None:
        """Follow the upload. Raises _StatusChangedError. Without a connection, the round goes on without it."""
        with suppress(ClientError):
            async with aclosing(self._client.follow(self._progress.view)) as views:
                async for view in views:
                    self._progress.update(view)
                    self._progress.report_media(self._observe)
                    if view.status in ENDED or view.status == "waiting":
                        raise _StatusChangedError
                    if lost := self._queue.update(view, self._now()):
                        self._observe("lost", self._progress, {"missing_segments": [(n, n) for n in lost]})
                    self._changed.set()
        self._queue.live = False
        self._changed.set()


def _is_status_change(error: Exception) -> bool:
    return isinstance(error, _StatusChangedError) or (isinstance(error, ApiError) and error.code in _STATUS_CHANGED)
