"""What a cell keeps of its uploads, as one bundle: every service for uploads works with these."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.ports import JournalReader, ReservationLedger, SegmentReader, StageQueue, TempVolume, UploadReader
from pipeline.uploads.record import UploadRecord


@dataclass(frozen=True, slots=True)
class CellState:
    """One temp volume, its ledger and queues, and the records of its uploads: readers, and `record` to change them."""

    uploads: UploadReader
    segments: SegmentReader
    journals: JournalReader
    record: UploadRecord
    ledger: ReservationLedger
    queue: StageQueue
    volume: TempVolume
