"""Recall: a segment whose bytes have changed on the temp volume is asked for again, alone."""

from __future__ import annotations

from pipeline.core.journal import Lost
from pipeline.ports import ReservationLedger, SegmentBoard, UploadJournals
from pipeline.telemetry import Log, logger


class Recall:
    """Makes segments missing again."""

    def __init__(self, segments: SegmentBoard, ledger: ReservationLedger, journals: UploadJournals) -> None:
        self._segments = segments
        self._ledger = ledger
        self._journals = journals

    async def segment(self, upload_id: str, number: int, crc32c: int) -> None:
        """Segment `number` no longer has the digest that it arrived with. Idempotent; one that was sent again
        meanwhile is left alone."""
        if await self._segments.invalidate(upload_id, number, crc32c):
            await self._journals.note(upload_id, Lost(number, crc32c))
            await self._ledger.renew(upload_id)
            logger(upload_id=upload_id).warning(Log.SEGMENT_LOST, number=number)
