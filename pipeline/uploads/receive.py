"""Receive: a segment's body goes from the socket to its offset in the upload's temp file.

Guarantee: a segment is recorded only when all of its bytes have been written and every digest that came with it holds.
Whatever goes wrong before that leaves it missing, to be sent again. What is recorded never changes: the same bytes
again are harmless, others are refused. Two senders of one segment take turns.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial

import google_crc32c

from pipeline.core.errors import DependencyUnavailable, RequestError, SluiceError, TempVolumeError
from pipeline.core.journal import Received
from pipeline.core.lifecycle import ENDED, Status
from pipeline.core.model import ClientDigest, NewUpload, Upload
from pipeline.core.transports import Transport
from pipeline.ports import ReservationLedger, SegmentBoard, StageQueue, TempVolume, UploadBoard, UploadJournals
from pipeline.telemetry import RECEIVED_BYTES, RECEIVING, SEGMENTS_RECEIVED
from pipeline.uploads.incoming_segment import IncomingSegment, ReceiveRules, wrong_length
from pipeline.uploads.lookup import ended_error, find_upload, why_not_found
from pipeline.uploads.receive_buffer import ReceiveBuffer

_RETRY_AFTER_WAITING_SECONDS = 2


@dataclass(frozen=True, slots=True)
class SegmentSlot:
    """Leave to send one segment, checked before its body is read."""

    upload: Upload
    number: int
    size_bytes: int
    offset: int


@dataclass(frozen=True, slots=True)
class SegmentReceipt:
    """A segment that is here. `repeated`: it was here before."""

    number: int
    size_bytes: int
    crc32c: int
    repeated: bool
    status: Status


class Receiver:
    """Receives segments into one temp volume."""

    def __init__(
        self,
        board: UploadBoard,
        segments: SegmentBoard,
        ledger: ReservationLedger,
        queue: StageQueue,
        volume: TempVolume,
        journals: UploadJournals,
        buffer: ReceiveBuffer,
        rules: ReceiveRules,
    ) -> None:
        self._board = board
        self._segments = segments
        self._ledger = ledger
        self._queue = queue
        self._volume = volume
        self._journals = journals
        self._buffer = buffer
        self._rules = rules
        self._turns: dict[tuple[str, int], tuple[asyncio.Lock, int]] = {}

    async def open(self, upload_id: str, number: int, declared_bytes: int | None) -> SegmentSlot:
        """May this segment be sent now? `declared_bytes` is the Content-Length, None where there is none.

        Raises RequestError UPLOAD_NOT_FOUND, TRANSPORT_DIFFERS, UPLOAD_WAITING, SEGMENT_OUT_OF_RANGE,
        SEGMENT_LENGTH_WRONG; UploadEnded UPLOAD_ENDED.
        """
        upload = await find_upload(self._board, self._journals, upload_id)
        if upload.transport is not Transport.GATEWAY:
            raise RequestError("TRANSPORT_DIFFERS", transport=str(upload.transport))
        expected = upload.plan.length(number)
        if upload.status is Status.WAITING:
            standing = await self._ledger.standing(upload_id)
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
        return SegmentSlot(upload, number, expected, upload.plan.offset(number))

    async def receive(
        self, slot: SegmentSlot, body: AsyncIterator[bytes], digests: Sequence[ClientDigest]
    ) -> SegmentReceipt:
        """Take a segment in. `body` raises ConnectionError when its sender is gone.

        Raises RequestError SEGMENT_LENGTH_WRONG, SEGMENT_DIGEST_WRONG, SEGMENT_DIFFERS, SEGMENT_STALLED,
        SEGMENT_CUT_OFF; UploadEnded; TempVolumeError; DependencyUnavailable.
        """
        with RECEIVING.track_inprogress():
            try:
                async with self._turn(slot):
                    receipt = await self._receive(slot, body, digests)
            except SluiceError as error:
                why = await why_not_found(self._journals, slot.upload.upload_id, error)
                SEGMENTS_RECEIVED.labels(why.code).inc()
                raise why from error
        SEGMENTS_RECEIVED.labels("repeated" if receipt.repeated else "received").inc()
        return receipt

    async def _receive(
        self, slot: SegmentSlot, body: AsyncIterator[bytes], digests: Sequence[ClientDigest]
    ) -> SegmentReceipt:
        upload_id, number = slot.upload.upload_id, slot.number
        known = (await self._segments.received(upload_id, [number])).get(number)
        write = partial(self._write, slot) if known is None else _only_check
        crc32c = await IncomingSegment(number, slot.size_bytes, digests, write, self._buffer, self._rules).drain(body)
        if known is None:
            # In this order: what Redis knows, the temp volume knows too, and what is acknowledged, both.
            await self._volume.flush(upload_id)
            await self._journals.note(upload_id, Received(number, crc32c))
            verdict, _ = await asyncio.gather(
                self._segments.record_received(upload_id, number, slot.size_bytes, crc32c),
                self._ledger.renew(upload_id),
            )
            with suppress(DependencyUnavailable):  # it is recorded: the list of overdue stages brings the jobs back
                for job in verdict.jobs:
                    await self._queue.enqueue(job)
            if verdict.accepted:
                RECEIVED_BYTES.inc(slot.size_bytes)
                return SegmentReceipt(number, slot.size_bytes, crc32c, repeated=False, status=verdict.status)
            known = (await self._segments.received(upload_id, [number])).get(number)
        upload = await find_upload(self._board, self._journals, upload_id)
        if known is None or (upload.status in ENDED and upload.status is not Status.READY):
            raise ended_error(upload) if upload.status in ENDED else RequestError("SEGMENT_CUT_OFF")
        if known != crc32c:
            raise RequestError("SEGMENT_DIFFERS", number=number)
        return SegmentReceipt(number, slot.size_bytes, crc32c, repeated=True, status=upload.status)

    async def _write(self, slot: SegmentSlot, offset: int, blocks: Sequence[bytes], crc32c: int) -> int:
        """Write to the temp file; made anew when it is gone though the upload lives (its volume was emptied)."""
        upload = slot.upload
        try:
            return await self._volume.write(upload.upload_id, slot.offset + offset, blocks, crc32c)
        except TempVolumeError as error:
            if error.code != "TEMP_FILE_MISSING":
                raise
        current = await self._board.get(upload.upload_id)
        if current.status in ENDED:
            raise ended_error(current)
        await self._volume.allocate(upload.upload_id, upload.size_bytes)
        await self._journals.begin(NewUpload.of(upload))
        return await self._volume.write(upload.upload_id, slot.offset + offset, blocks, crc32c)

    @asynccontextmanager
    async def _turn(self, slot: SegmentSlot) -> AsyncIterator[None]:
        """One sender of a segment at a time. Across gateways the crc32c finds what mixed senders might leave."""
        key = (slot.upload.upload_id, slot.number)
        lock, users = self._turns.get(key, (asyncio.Lock(), 0))
        self._turns[key] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._turns[key]
            if users == 1:
                del self._turns[key]
            else:
                self._turns[key] = (lock, users - 1)


async def _only_check(offset: int, blocks: Sequence[bytes], crc32c: int) -> int:
    """In place of writing, for a segment that is here already."""
    return await asyncio.to_thread(_extend, crc32c, blocks)


def _extend(crc32c: int, blocks: Sequence[bytes]) -> int:
    for block in blocks:
        crc32c = google_crc32c.extend(crc32c, block)
    return crc32c
