"""Receive: a segment's body goes from the socket to its offset in the upload's temp file.

Guarantee: a segment is recorded only when all of its bytes are written and every digest sent with it matches, except a
Content-MD5 that the store is to compare: that one is recorded with the segment. Any failure before that leaves the
segment missing, to be sent again. A recorded segment never changes: sending the same
bytes again has no effect, other bytes are refused, also when the store has lost the segment and it is sent again. Two
requests for one segment are handled one after the other. A segment that needs room (`uploads.room`) has it before the
first byte of its body is read.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from pipeline.core.errors import RequestError, SluiceError
from pipeline.core.lifecycle import ENDED, Status
from pipeline.core.model import ClientDigest, Upload
from pipeline.core.stored_objects import COMPARES_MD5
from pipeline.core.transports import Transport
from pipeline.telemetry import RECEIVING, SEGMENTS_RECEIVED
from pipeline.uploads.cell import CellState
from pipeline.uploads.incoming_bytes import ReceiveRules
from pipeline.uploads.incoming_segment import IncomingSegment, wrong_length
from pipeline.uploads.lookup import ended_error, naming_a_loss, why_not_found
from pipeline.uploads.progress import Progress
from pipeline.uploads.receive_buffer import ReceiveBuffer
from pipeline.uploads.room import SegmentRoom, new_token
from pipeline.uploads.segment_write import SegmentWrite, only_check

_RETRY_AFTER_WAITING_SECONDS = 2


@dataclass(frozen=True, slots=True)
class SegmentSlot:
    """Permission to send one segment, checked before its body is read. `known`: the crc32c of the segment, if it had
    arrived when the receiver had recorded `recorded` segments."""

    upload: Upload
    number: int
    size_bytes: int
    offset: int
    known: int | None
    recorded: int


@dataclass(frozen=True, slots=True)
class SegmentReceipt:
    """A segment that has arrived. `repeated`: it had arrived before. `wanted`: segments that the reader needs next."""

    number: int
    size_bytes: int
    crc32c: int
    repeated: bool
    status: Status
    wanted: Sequence[int] = ()


class Receiver:
    """Receives segments into one temp volume."""

    def __init__(self, cell: CellState, buffer: ReceiveBuffer, rules: ReceiveRules, room: SegmentRoom) -> None:
        self._cell = cell
        self._room = room
        self._buffer = buffer
        self._rules = rules
        self._segments = SegmentWrite(cell, room)
        self._locks: dict[tuple[str, int], tuple[asyncio.Lock, int]] = {}
        self._recorded = 0
        """Segments that this process has recorded."""

    async def open(self, upload_id: str, number: int, declared_bytes: int | None) -> SegmentSlot:
        """Check that this segment may be sent now. `declared_bytes` is the Content-Length, None where there is none.

        Raises RequestError UPLOAD_NOT_FOUND, TRANSPORT_DIFFERS, UPLOAD_WAITING, SEGMENT_OUT_OF_RANGE,
        SEGMENT_LENGTH_WRONG, UPLOAD_LENGTH_REQUIRED; UploadEnded UPLOAD_ENDED.
        """
        recorded = self._recorded
        async with naming_a_loss(self._cell.journals, upload_id):
            upload, known = await self._cell.uploads.get_with_segment(upload_id, number)
        if upload.transport is not Transport.GATEWAY:
            raise RequestError("TRANSPORT_DIFFERS", transport=str(upload.transport))
        if upload.deferred is not None:  # its segments are appended in order: which one is the last is not known
            raise RequestError("UPLOAD_LENGTH_REQUIRED")
        expected = upload.plan.length(number)
        if upload.status is Status.WAITING:
            standing = await self._cell.ledger.standing(upload_id)
            raise RequestError(
                "UPLOAD_WAITING",
                upload_id=upload_id,
                queue_position=max(1, standing.queue_position) if standing else 1,
                retry_after_seconds=_RETRY_AFTER_WAITING_SECONDS,
            )
        if upload.status in ENDED and upload.status is not Status.READY:
            raise ended_error(upload)
        if declared_bytes is not None and declared_bytes != expected:
            raise wrong_length(number, expected, declared_bytes)
        return SegmentSlot(upload, number, expected, upload.plan.offset(number), known, recorded)

    async def receive(
        self,
        slot: SegmentSlot,
        body: AsyncIterator[bytes],
        digests: Sequence[ClientDigest],
        *,
        defers_md5: bool = False,
    ) -> SegmentReceipt:
        """Receive a segment. `body` raises ConnectionError when the client disconnects. `defers_md5`: where the store
        compares the MD5 among `digests`, it is not compared here.

        Raises RequestError SEGMENT_WINDOW_FULL (before it reads the body), SEGMENT_LENGTH_WRONG, SEGMENT_DIGEST_WRONG,
        SEGMENT_DIFFERS, SEGMENT_STALLED, SEGMENT_CUT_OFF; UploadEnded; TempVolumeError; DependencyUnavailable.
        """
        with RECEIVING.track_inprogress():
            try:
                async with self._locked(slot):
                    receipt = await self._receive(slot, body, digests, defers_md5)
            except SluiceError as error:
                why = await why_not_found(self._cell.journals, slot.upload.upload_id, error)
                SEGMENTS_RECEIVED.labels(why.code).inc()
                raise why from error
        SEGMENTS_RECEIVED.labels("repeated" if receipt.repeated else "received").inc()
        return receipt

    async def _receive(
        self,
        slot: SegmentSlot,
        body: AsyncIterator[bytes],
        digests: Sequence[ClientDigest],
        defers_md5: bool,
    ) -> SegmentReceipt:
        """Receive a segment that has not arrived yet, and only check one that has."""
        cell, upload_id, number = self._cell, slot.upload.upload_id, slot.number
        upload, token = slot.upload, new_token()
        if upload.takes_room and upload.status is not Status.READY:
            known = await self._room.take(upload, number, token)
        elif slot.recorded == self._recorded:
            known = slot.known
        else:  # perhaps this segment, by a request that was faster
            known = (await cell.segments.received(upload_id, [number])).get(number)
        md5 = next((item for item in digests if item.algorithm == "md5"), None)
        deferred = md5 is not None and defers_md5 and known is None and upload.defers_md5
        if deferred:
            digests = [item for item in digests if item is not md5]
        write = partial(self._segments.write, upload, number) if known is None else only_check
        incoming = IncomingSegment(number, slot.size_bytes, digests, write, self._buffer, self._rules)
        receipt: SegmentReceipt | None = None
        try:
            progress = None
            if known is None:
                progress = Progress(slot.size_bytes, partial(cell.ledger.note_progress, upload_id))
            crc32c = await incoming.drain(body, progress)
            if known is None:
                receipt = await self._record(slot, crc32c, token, md5)
        finally:
            if known is None and receipt is None:
                await asyncio.shield(self._room.abandon(upload, number, token, taken=upload.takes_room))
        if receipt:
            return receipt
        if known is None and not deferred:
            known = (await cell.segments.received(upload_id, [number])).get(number)
        async with naming_a_loss(cell.journals, upload_id):
            snapshot = await cell.uploads.snapshot(upload_id)
        upload = snapshot.upload
        if upload.status in ENDED and (upload.status is not Status.READY or (known is None and not deferred)):
            raise ended_error(upload)
        if known is None:  # also deferred: another request was faster, and this one's MD5 has not been compared
            raise RequestError("SEGMENT_CUT_OFF")
        if known != crc32c:
            raise RequestError("SEGMENT_DIFFERS", number=number)
        wanted = sorted(snapshot.wanted)  # the first response may have been lost
        return SegmentReceipt(number, slot.size_bytes, crc32c, repeated=True, status=upload.status, wanted=wanted)

    async def _record(
        self, slot: SegmentSlot, crc32c: int, token: str, md5: ClientDigest | None
    ) -> SegmentReceipt | None:
        """Record a segment whose bytes are written. None: it had arrived before, or the upload takes no segments."""
        md5_hex = md5.value.hex() if md5 and slot.upload.store in COMPARES_MD5 else ""
        verdict = await self._segments.record(slot.upload, slot.number, crc32c, token, md5_hex=md5_hex)
        if not verdict.accepted:
            return None
        self._recorded += 1
        return SegmentReceipt(
            slot.number, slot.size_bytes, crc32c, repeated=False, status=verdict.status, wanted=verdict.wanted
        )

    @asynccontextmanager
    async def _locked(self, slot: SegmentSlot) -> AsyncIterator[None]:
        """One request per segment at a time in this process. Across gateways the crc32c finds mixed bytes."""
        key = (slot.upload.upload_id, slot.number)
        lock, users = self._locks.get(key, (asyncio.Lock(), 0))
        self._locks[key] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks[key]
            if users == 1:
                del self._locks[key]
            else:
                self._locks[key] = (lock, users - 1)
