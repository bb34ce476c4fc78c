"""The reservation ledger: who holds bytes of a temp volume."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from pipeline.core.admission import DiskReading


@dataclass(frozen=True, slots=True)
class AdmissionOutcome:
    """What one run of the admission script did. `to_allocate` is every reservation that is not confirmed yet, from this
    run or from one whose caller died; `lapsed` are reservations whose lease ran out; `queue_position` counts from 1, 0
    when the upload holds bytes."""

    to_allocate: tuple[tuple[str, int], ...]
    lapsed: tuple[str, ...]
    queue_position: int


@dataclass(frozen=True, slots=True)
class Standing:
    """`queue_position` counts from 1; 0: it holds bytes, until `lease_until_ms` unless renewed."""

    queue_position: int
    lease_until_ms: int | None


@dataclass(frozen=True, slots=True)
class VolumeSnapshot:
    """A temp volume's books: bytes and counts."""

    budget_bytes: int
    reserved_bytes: int
    backed_bytes: int
    free_bytes: int
    reservations: int
    waiting: int


class ReservationLedger(Protocol):
    """Who holds bytes of a temp volume: `core.admission`'s rules, decided atomically. Errors: DependencyUnavailable.
    All idempotent."""

    async def request(self, upload_id: str, size_bytes: int, disk: DiskReading) -> AdmissionOutcome | None:
        """Join the queue (if `size_bytes` > 0) and admit all that may be. None: `disk.epoch` is stale, read the disk
        again."""

    async def run(self, disk: DiskReading) -> AdmissionOutcome | None:
        """Admit all that may be admitted now, note what lapsed. None as in `request`."""

    async def confirm(self, upload_id: str, backed_bytes: int) -> bool:
        """A grant was carried out and so many of its bytes are preallocated. False: there is no such reservation."""

    async def adopt(self, upload_id: str, size_bytes: int, backed_bytes: int) -> None:
        """A temp file was found that nothing is reserved for: its bytes are counted from now on, whatever the room."""

    async def postpone(self, upload_id: str) -> bool:
        """The disk could not back a grant: back to its old place in the queue."""

    async def renew(self, upload_id: str) -> bool:
        """Prolong the lease. False: there is no such reservation."""

    async def release(self, upload_id: str) -> int:
        """Leave the queue or give the bytes back; returns bytes."""

    async def standing(self, upload_id: str) -> Standing | None:
        """Where an upload stands; None when it neither waits nor holds bytes."""

    async def epoch(self) -> int | None:
        """The count of preallocations, to be read before the disk is. None: Redis does not know this volume, since
        it is new, or since Redis has lost everything."""

    async def open(self) -> None:
        """From now on Redis knows this volume."""

    async def snapshot(self) -> VolumeSnapshot: ...

    async def holders(self) -> Mapping[str, int]:
        """Every reservation: upload id -> bytes."""
