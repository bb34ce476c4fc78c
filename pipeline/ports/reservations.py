"""The reservation ledger of a temp volume: which uploads hold bytes, and which wait for them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pipeline.core.access import DEFAULT_OWNER
from pipeline.core.admission import DiskReading


@dataclass(frozen=True, slots=True)
class Allocation:
    """A reservation to allocate: all of a file, or a window of a file of `file_bytes`. Both are whole blocks of the
    disk; the length of the file is in its upload's record."""

    upload_id: str
    size_bytes: int
    file_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class AdmissionOutcome:
    """The result of one run of the admission script. `to_allocate`: every reservation that is not confirmed yet, from
    this run or from one whose caller died. `lapsed`: uploads whose lease has run out. `queue_position` counts from 1;
    0: the upload holds bytes."""

    to_allocate: tuple[Allocation, ...]
    lapsed: tuple[str, ...]
    queue_position: int


@dataclass(frozen=True, slots=True)
class Standing:
    """The place of an upload in the ledger. `queue_position` counts from 1, in the order in which uploads are served
    if everything fits; with more than 32 owners it is an estimate. 0: it holds bytes, until `lease_until_ms` unless its
    lease is renewed."""

    queue_position: int
    lease_until_ms: int | None


@dataclass(frozen=True, slots=True)
class VolumeSnapshot:
    """The counters of a temp volume: bytes, and numbers of uploads. `usable_bytes`: what all reservations together
    could hold on the disk at the last measurement; None: it was not measured yet."""

    budget_bytes: int
    reserved_bytes: int
    backed_bytes: int
    free_bytes: int
    usable_bytes: int | None
    reservations: int
    waiting: int
    draining: bool

    @property
    def available_bytes(self) -> int:
        """What could be reserved now. 0 before the first measurement."""
        return max(0, min(self.budget_bytes, self.usable_bytes or 0) - self.reserved_bytes)


class ReservationLedger(Protocol):
    """Applies the rules of `core.admission` atomically. Errors: DependencyUnavailable. Every method is idempotent."""

    async def request(
        self,
        upload_id: str,
        size_bytes: int,
        disk: DiskReading,
        window_bytes: int | None = None,
        *,
        owner: str = DEFAULT_OWNER,
        journal_bytes: int = 0,
    ) -> AdmissionOutcome | None:
        """Queue an upload, which reserves its window or all of its `size_bytes`, and `journal_bytes` beside, and admit
        every upload that may be admitted. None: `disk.epoch` is stale, and nothing is admitted; read the disk again. If
        the volume is open, the upload is queued all the same."""

    async def run(self, disk: DiskReading) -> AdmissionOutcome | None:
        """Admit every upload that may be admitted, and mark lapsed leases. None as in `request`."""

    async def confirm(self, upload_id: str, backed_bytes: int) -> bool:
        """Record that the disk has allocated `backed_bytes` of a reservation. Its client has until the lease of a first
        segment to begin, and until its deadline to send every byte. False: there is no such reservation."""

    async def adopt(
        self,
        upload_id: str,
        size_bytes: int,
        backed_bytes: int,
        window_bytes: int | None = None,
        *,
        owner: str = DEFAULT_OWNER,
        journal_bytes: int = 0,
        taken: Mapping[int, int] | None = None,
        given: Mapping[int, int] | None = None,
    ) -> None:
        """Reserve the bytes of a temp file that has no reservation, also above the budget. `taken`: segments of a
        window that are on the disk; `given`: segments that have left it (number -> bytes)."""

    async def take(
        self, upload_id: str, number: int, size_bytes: int, *, segment_bytes: int, reader_segments: int
    ) -> bool:
        """Take room for a segment of a windowed upload, or for a segment whose bytes had been given back. False: there
        is no room now; the wish is kept, and admission leaves room for it. Segments that the reader needs may use all
        of the window, the others leave `reader_segments` of it free. Idempotent. Of a whole reservation, a segment that
        was never given back has its room already."""

    async def back(self, upload_id: str, number: int) -> None:
        """Record that the disk has allocated the bytes of a segment that was taken. Idempotent."""

    async def give(self, upload_id: str, segments: Mapping[int, int], *, stored: bool) -> None:
        """Give back the room of these segments (number -> bytes), whose bytes are no longer on the disk. `stored`: they
        are in the store, so the reservation shrinks unless its window is needed for the rest of the file; otherwise
        they are to be sent again. Idempotent."""

    async def given(self, upload_id: str) -> Collection[int]:
        """Segments whose room was given back as `stored` and is not taken again."""

    async def taken(self, upload_id: str) -> Mapping[int, float]:
        """Segments of a window, or segments taken again, that hold room: number -> seconds since they took it."""

    async def postpone(self, upload_id: str) -> bool:
        """Return an unconfirmed reservation to its place in the queue: the disk could not allocate it."""

    async def renew(self, upload_id: str) -> bool:
        """Extend the lease. False: there is no such reservation."""

    async def note_progress(self, upload_id: str) -> None:
        """A body of this upload arrives: extend its lease by that of a first segment. Does nothing where there is no
        reservation."""

    async def overdue(self, limit: int) -> Sequence[str]:
        """Up to `limit` uploads that are past their deadline, unless every byte of them has arrived."""

    async def release(self, upload_id: str) -> int:
        """Remove an upload from the queue, or release its reservation; returns the bytes released."""

    async def standing(self, upload_id: str) -> Standing | None:
        """The place of an upload; None if it neither waits nor holds bytes."""

    async def epoch(self) -> int | None:
        """The number of allocations so far, to be read before the disk. None: Redis does not know this volume, because
        the volume is new or Redis has lost its data."""

    async def followed_run(self) -> str | None:
        """The run of the Redis server that has been compared with every journal of this volume; None: none has."""

    async def open(self, run: str) -> None:
        """Make this volume known to Redis: this run of the server has been compared with every journal."""

    async def follow(self, run: str) -> None:
        """Record that this run of the server has been compared with every journal, unless the volume is not open."""

    async def snapshot(self) -> VolumeSnapshot: ...

    async def holders(self) -> Mapping[str, int]:
        """Every reservation: upload id -> bytes."""
