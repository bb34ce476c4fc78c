"""Appending: bytes that follow an upload's offset, in requests of any size, for protocols that resume at a byte (tus).

Guarantee: the offset that a client receives counts only bytes that Sluice has. Completed segments are transferred at
once; what remains is the tail (`core.tail`), which is recorded when a request ends, however it ends. Two requests never
record bytes at the same time (`uploads.append_turn`).

While an upload waits for admission, or its window is full, a request is held without reading its body, for up to
`hold_seconds`. Then it gets APPEND_NO_ROOM, which clients retry a few times, and for ever as long as the offset grows.
Therefore Redis holds one byte more for each such request from the fourth one in a row on. (tus-js-client 4.3 and Uppy
try five times, TUSKit three times and at the same offset.)
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from functools import partial

import google_crc32c

from pipeline.core.digests import BodyDigest
from pipeline.core.errors import RequestError
from pipeline.core.lifecycle import ENDED, Status
from pipeline.core.model import Upload
from pipeline.core.tail import MOST_HELD_BYTES, Tail, offset_of
from pipeline.core.transports import Transport
from pipeline.core.windows import reader_segments
from pipeline.ports import AppendReader, EventFeed
from pipeline.telemetry import APPENDS
from pipeline.uploads.append_body import AppendBody, BodyBlocks, SegmentClaims
from pipeline.uploads.append_length import set_length
from pipeline.uploads.append_turn import AppendTurns, Turn
from pipeline.uploads.cell import CellState
from pipeline.uploads.changes import changes_of
from pipeline.uploads.deferred import announced_length
from pipeline.uploads.incoming_bytes import ReceiveRules
from pipeline.uploads.lookup import ended_error, find_upload
from pipeline.uploads.progress import Progress
from pipeline.uploads.receive_buffer import ReceiveBuffer
from pipeline.uploads.room import SegmentRoom

_RETRY_AFTER_SECONDS = 1
# Refused requests in a row, for want of room, after which each further one has a byte taken.
_PATIENT_WAITS = 3
_BYTE_SECONDS = 2.0
_POLL_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Position:
    """How far an upload has come: `offset` bytes without a gap. `complete`: all of its bytes have arrived."""

    upload: Upload
    offset: int

    @property
    def complete(self) -> bool:
        return self.upload.deferred is None and self.offset == self.upload.size_bytes


class Appender:
    """Appends to uploads of one cell. A request waits for room for up to `hold_seconds`."""

    def __init__(
        self,
        cell: CellState,
        room: SegmentRoom,
        buffer: ReceiveBuffer,
        rules: ReceiveRules,
        reader: AppendReader,
        feed: EventFeed,
        hold_seconds: float,
    ) -> None:
        self._cell = cell
        self._room = room
        self._buffer = buffer
        self._rules = rules
        self._feed = feed
        self._hold_seconds = hold_seconds
        self._turns = AppendTurns(cell, reader, feed)

    async def position(self, upload_id: str) -> Position:
        """The offset of an upload. A request that is appending to it is ended first, so that the offset holds.

        Raises RequestError UPLOAD_NOT_FOUND, TRANSPORT_DIFFERS, APPEND_SUPERSEDED; UploadEnded; DependencyUnavailable
        UPLOAD_RECOVERING; and of an append that died when it had set the length, what recording its last segment
        raises."""
        return await self._append(upload_id, None, _nothing(), 0, None)

    async def append(
        self,
        upload_id: str,
        offset: int,
        body: AsyncIterator[bytes],
        body_bytes: int | None = None,
        digest: BodyDigest | None = None,
        *,
        size_bytes: int | None = None,
        ends: bool = False,
    ) -> Position:
        """Append a body at the upload's offset. `body_bytes`: its length, if that is known; `digest`: of the body.
        `size_bytes`: the length of the file, if the request names it; `ends`: the body ends the file. Both are for a
        file whose length is not known; otherwise `ends` counts for nothing. The body is not read before there is room
        for its first byte; it raises ConnectionError when the client disconnects.

        Raises as `position`, and RequestError APPEND_OFFSET_WRONG, APPEND_TOO_LONG, APPEND_TOO_LARGE, APPEND_NO_ROOM,
        APPEND_DIGEST_WRONG, APPEND_STALLED, APPEND_CUT_OFF, SEGMENT_DIFFERS, UPLOAD_LENGTH_DIFFERS; TempVolumeError;
        what `digest.read` raises; while the length is not known also DEFERRED_TOO_LARGE, VALIDATION_FAILED for an empty
        file, and as `append_length.set_length`."""
        try:
            position = await self._append(upload_id, offset, body, body_bytes, digest, size_bytes, ends=ends)
        except RequestError as error:
            APPENDS.labels(error.code).inc()
            raise
        APPENDS.labels("appended").inc()
        return position

    async def _append(
        self,
        upload_id: str,
        offset: int | None,
        body: AsyncIterator[bytes],
        body_bytes: int | None,
        digest: BodyDigest | None,
        size_bytes: int | None = None,
        *,
        ends: bool = False,
    ) -> Position:
        """`offset`: None where the request only asks for it."""
        upload = await self._find(upload_id)
        async with AsyncExitStack() as exits:
            claims = SegmentClaims(self._room)
            exits.push_async_callback(claims.close)  # after the turn: the tail of a segment keeps its room
            turn = await exits.enter_async_context(self._turns.take(upload_id))
            found = await self._position(upload, turn)
            if offset not in (None, found.offset):
                raise RequestError("APPEND_OFFSET_WRONG", offset=found.offset, sent_offset=offset)
            upload = found.upload
            length = _length(found, body_bytes, size_bytes, ends=ends)
            if _is_done(found, turn) or (body_bytes == 0 and length is None and not found.complete):
                return found
            progress = Progress(upload.segment_bytes, partial(self._cell.ledger.note_progress, upload_id))
            blocks = exits.enter_context(BodyBlocks(body, turn, self._rules, progress))
            try:
                await self._until_admitted(upload, turn, blocks)
            except RequestError:
                if digest is not None:  # the byte that was kept has not been compared with it
                    turn.tail = turn.found.tail
                raise
            upload = await self._find(upload_id)
            if upload.deferred is not None and length is not None:
                upload = await set_length(self._cell, upload, turn, length)
            if body_bytes == 0 and found.offset < upload.plan.size_bytes:
                return Position(upload, found.offset)
            blocks.limit_bytes = _most_bytes(upload, turn, body_bytes, digest)
            appended = AppendBody(self._cell, claims, self._buffer, self._rules, turn, upload, digest)
            try:
                reached = await self._receive(upload, turn, blocks, appended, claims)
                await appended.finish()
            except BaseException:
                appended.discard()
                raise
            if upload.deferred is not None and ends:
                length = announced_length(reached, 0, None, ends=True, most=upload.most_bytes) or 0
                upload = await set_length(self._cell, upload, turn, length)
                last = AppendBody(self._cell, claims, self._buffer, self._rules, turn, upload, None)
                await last.segment(blocks, upload.plan.count, known=None)
            return Position(upload, reached)

    async def _receive(
        self, upload: Upload, turn: Turn, blocks: BodyBlocks, appended: AppendBody, claims: SegmentClaims
    ) -> int:
        """Append segment by segment until the body ends; the offset then."""
        number = turn.found.number or 1
        while True:
            known = await self._claim(upload, turn, blocks, number, claims)
            length = await appended.segment(blocks, number, known=known)
            if length < upload.plan.length(number) or await blocks.at_end():
                return upload.plan.offset(number) + length
            if number == upload.plan.count and upload.deferred is not None:
                raise RequestError("DEFERRED_TOO_LARGE", limit_bytes=upload.most_bytes)
            if number == upload.plan.count:
                raise RequestError("APPEND_TOO_LONG", size_bytes=upload.size_bytes, end_bytes=upload.size_bytes + 1)
            number += 1

    async def _claim(
        self, upload: Upload, turn: Turn, blocks: BodyBlocks, number: int, claims: SegmentClaims
    ) -> int | None:
        """Claim room for a segment, waiting for it; its crc32c if it has arrived already. Raises RequestError
        APPEND_NO_ROOM, and as `append`."""
        if not upload.takes_room:
            return (await self._cell.segments.received(upload.upload_id, [number])).get(number)
        loop = asyncio.get_running_loop()
        end = loop.time() + self._hold_seconds
        while True:
            turn.require()
            try:
                return await claims.take(upload, number)
            except RequestError as error:
                if error.code != "SEGMENT_WINDOW_FULL":
                    raise
            if loop.time() >= end:
                raise await self._no_room(turn, blocks, number)

    async def _until_admitted(self, upload: Upload, turn: Turn, blocks: BodyBlocks) -> None:
        """Wait until an upload is admitted. Raises RequestError APPEND_NO_ROOM; UploadEnded."""
        if turn.found.status is not Status.WAITING:
            return
        loop = asyncio.get_running_loop()
        end = loop.time() + self._hold_seconds
        async with changes_of(self._feed, upload.upload_id) as changed:
            while True:
                turn.require()
                current = await self._cell.uploads.get(upload.upload_id)
                if current.status is not Status.WAITING:
                    return
                left = end - loop.time()
                if left <= 0:
                    raise await self._no_room(turn, blocks, turn.found.number or 1)
                await changed(min(left, _POLL_SECONDS))

    async def _no_room(self, turn: Turn, blocks: BodyBlocks, number: int) -> RequestError:
        """The error for a request that was held in vain. After several in a row, one byte of its body is kept."""
        turn.waited = True
        tail = turn.tail if turn.tail and turn.tail.number == number else None
        on_disk = tail is not None and not tail.held
        held = tail.held if tail else b""
        if turn.found.waits >= _PATIENT_WAITS and not on_disk and len(held) < MOST_HELD_BYTES:
            with suppress(RequestError, TimeoutError):
                async with asyncio.timeout(_BYTE_SECONDS):
                    held += await blocks.take(1)
                turn.tail = Tail(number, len(held), google_crc32c.value(held), held) if held else None
        return RequestError("APPEND_NO_ROOM", retry_after_seconds=_RETRY_AFTER_SECONDS)

    async def _find(self, upload_id: str) -> Upload:
        upload = await find_upload(self._cell.uploads, self._cell.journals, upload_id)
        if upload.transport not in (Transport.GATEWAY, Transport.PARTIAL):
            raise RequestError("TRANSPORT_DIFFERS", transport=str(upload.transport))
        if upload.status in ENDED and upload.status is not Status.READY:
            raise ended_error(upload)
        return upload

    async def _position(self, upload: Upload, turn: Turn) -> Position:
        if not turn.found.takes:  # every byte has arrived, or the upload has ended since it was looked up
            return Position(await self._find(upload.upload_id), upload.size_bytes)
        return Position(upload, offset_of(upload.plan, turn.found.number, turn.found.tail))


def _length(found: Position, body_bytes: int | None, size_bytes: int | None, *, ends: bool) -> int | None:
    """The length of a file that was not known and is announced now."""
    upload, offset = found.upload, found.offset
    if upload.deferred is not None:
        return announced_length(offset, body_bytes, size_bytes, ends=ends, most=upload.most_bytes)
    if size_bytes not in (None, upload.size_bytes):
        raise RequestError("UPLOAD_LENGTH_DIFFERS", size_bytes=upload.size_bytes, announced_bytes=size_bytes)
    if body_bytes is not None and offset + body_bytes > upload.size_bytes:
        raise RequestError("APPEND_TOO_LONG", size_bytes=upload.size_bytes, end_bytes=offset + body_bytes)
    return None


def _is_done(found: Position, turn: Turn) -> bool:
    """Whether every segment is recorded. The last one may still be the tail, if a process died when it had set the
    length of the file."""
    return found.complete and not (turn.found.takes and turn.found.number is not None)


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""


def _most_bytes(upload: Upload, turn: Turn, body_bytes: int | None, digest: BodyDigest | None) -> int | None:
    """How long the body may be. One with a digest counts only when all of it has arrived: until then its bytes stay on
    the temp volume, so they must fit into the window beside the segments that the reader holds. Raises RequestError
    APPEND_TOO_LARGE."""
    if digest is None or upload.window_bytes is None:
        return None
    number, segment = turn.found.number or 1, upload.segment_bytes
    rest = upload.plan.offset(number) + upload.plan.length(number) - offset_of(upload.plan, number, turn.tail)
    free = upload.window_bytes // segment - reader_segments(upload.window_bytes, segment) - 1
    limit = max(rest, free * segment)
    if body_bytes is not None and body_bytes > limit:
        raise RequestError("APPEND_TOO_LARGE", limit_bytes=limit)
    return limit
