"""The ledger of a temp volume as a pure model: uploads that wait for bytes, and uploads that hold some.

Guarantee: every call is idempotent, and each byte is counted once. `core.admission` decides which uploads are admitted,
and has the rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.core.access import DEFAULT_OWNER
from pipeline.core.fair_queue import FairQueue, Waiting
from pipeline.core.reservation import Reader, Reservation, TakenSegment, WindowShares

_IDLE = Reader(active=False)


@dataclass(slots=True)
class LedgerModel:
    """Times are milliseconds, sizes bytes. `usable_bytes`: what all reservations
    together could hold on the disk, when it was last read."""

    budget_bytes: int
    reservations: dict[str, Reservation] = field(default_factory=dict)
    queue: FairQueue = field(default_factory=FairQueue)
    epoch: int = 0
    tickets: int = 0
    usable_bytes: int = 0

    @property
    def reserved_bytes(self) -> int:
        return sum(item.held_bytes for item in self.reservations.values())

    @property
    def unbacked_bytes(self) -> int:
        """Reserved bytes that are not preallocated yet."""
        return sum(item.held_bytes - item.on_disk_bytes for item in self.reservations.values())

    @property
    def pending_allocations(self) -> dict[str, int]:
        """Reservations whose allocation is not confirmed yet: upload id -> bytes."""
        return {key: item.size_bytes for key, item in self.reservations.items() if not item.confirmed}

    def request(
        self,
        upload_id: str,
        size_bytes: int,
        window_bytes: int | None = None,
        *,
        journal_bytes: int = 0,
        owner: str = DEFAULT_OWNER,
    ) -> None:
        """Add an upload to the queue, unless it is in the queue or admitted already."""
        if upload_id not in self.reservations and self._waiting(upload_id) is None:
            self._enqueue(upload_id, size_bytes, window_bytes, journal_bytes, owner)

    def _enqueue(
        self, upload_id: str, size_bytes: int, window_bytes: int | None, journal_bytes: int, owner: str
    ) -> Waiting:
        self.tickets += 1
        file_bytes = None if window_bytes is None else size_bytes
        entry = Waiting(upload_id, window_bytes or size_bytes, self.tickets, 0, file_bytes, journal_bytes, owner)
        self.queue.add(entry)
        return entry

    def _waiting(self, upload_id: str) -> Waiting | None:
        return next((entry for entry in self.queue if entry.upload_id == upload_id), None)

    def position(self, upload_id: str) -> int:
        """Its position in the queue, from 1; 0: it does not wait."""
        return next((number for number, entry in enumerate(self.queue, 1) if entry.upload_id == upload_id), 0)

    def _wishes(self) -> list[Reservation]:
        return sorted((item for item in self.reservations.values() if item.wish_bytes), key=lambda item: item.ticket)

    def _reserve(self, entry: Waiting, now_ms: int, lease_ms: int, admitted: list[str]) -> int:
        self.queue.serve(entry)
        item = Reservation(entry.size_bytes, now_ms + lease_ms, entry.ticket, entry.overtaken)
        item.owner, item.journal_bytes, item.place = entry.owner, entry.journal_bytes, (entry.offset, entry.start)
        if entry.file_bytes is not None:
            item.window_bytes = entry.size_bytes
            item.file_bytes = item.rest_bytes = entry.file_bytes
        self.reservations[entry.upload_id] = item
        admitted.append(entry.upload_id)
        return entry.requested_bytes

    def renew(self, upload_id: str, now_ms: int, lease_ms: int) -> bool:
        """Prolong a lease, never shorten it. A lapsed reservation that is not released yet becomes valid again. False:
        there is no such reservation."""
        item = self.reservations.get(upload_id)
        if item is None:
            return False
        item.lapsed = False
        item.lease_until_ms = max(item.lease_until_ms, now_ms + lease_ms)
        return True

    def confirm(self, upload_id: str, backed_bytes: int, now_ms: int, lease_ms: int) -> bool:
        """Record that the temp file is allocated, with `backed_bytes` preallocated on the disk. The bytes of a window,
        or of a file that has given segments back, are counted by segment instead. The lease starts now. False: there
        is no such reservation."""
        item = self.reservations.get(upload_id)
        if item is None:
            return False
        if item.window_bytes is None and not item.taken and not item.given:
            before, item.backed_bytes = item.backed_bytes, min(backed_bytes, item.size_bytes)
            self._left_disk(before - item.backed_bytes)
        self.epoch += 1
        if not item.confirmed:
            item.confirmed = True
            self.renew(upload_id, now_ms, lease_ms)
        return True

    def adopt(
        self,
        upload_id: str,
        size_bytes: int,
        backed_bytes: int,
        now_ms: int,
        lease_ms: int,
        window_bytes: int | None = None,
        *,
        journal_bytes: int = 0,
        owner: str = DEFAULT_OWNER,
        taken: Mapping[int, int] | None = None,
        given: Mapping[int, int] | None = None,
        reader: Reader = _IDLE,
    ) -> None:
        """Reserve the bytes of a temp file that exists already, even if there is no room for them."""
        if upload_id not in self.reservations:
            entry = self._waiting(upload_id)
            if entry is None:
                entry = self._enqueue(upload_id, size_bytes, window_bytes, journal_bytes, owner)
            self._reserve(entry, now_ms, lease_ms, [])
            item = self.reservations[upload_id]
            item.given = dict(given or {})
            rest = max(0, size_bytes - sum(item.given.values()))
            item.window_bytes = window_bytes
            if window_bytes is not None:
                item.file_bytes, item.rest_bytes = size_bytes, rest
                item.taken = {key: TakenSegment(size, now_ms, backed=True) for key, size in (taken or {}).items()}
                backed_bytes = item.taken_bytes
                rest = max(item.taken_bytes, window_bytes if reader.active else min(window_bytes, rest))
            item.size_bytes = rest
            item.backed_bytes = min(rest, backed_bytes)
        self.confirm(upload_id, backed_bytes, now_ms, lease_ms)

    def take(
        self, upload_id: str, number: int, size_bytes: int, shares: WindowShares, reader: Reader, now_ms: int
    ) -> bool:
        """Take room for a segment; see `Reservation.take`. False also if there is no such reservation."""
        item = self.reservations.get(upload_id)
        if item is None:
            return False
        room = min(self.budget_bytes, self.usable_bytes) - self.reserved_bytes
        room -= sum(other.needed_bytes for other in self._wishes() if other.ticket < item.ticket)
        return item.take(number, size_bytes, shares, reader, max(0, room), now_ms)

    def back(self, upload_id: str, number: int) -> None:
        """Record that the disk has allocated the bytes of a segment that was taken."""
        item = self.reservations.get(upload_id)
        if item is not None and item.back(number):
            self.epoch += 1

    def give(self, upload_id: str, segments: Mapping[int, int], *, stored: bool, reader: Reader) -> None:
        """Give back the room of segments whose bytes are no longer on the disk; see `Reservation.give`."""
        item = self.reservations.get(upload_id)
        if item is None:
            return
        before = item.backed_bytes
        item.give(segments, stored=stored, reader=reader)
        if item.backed_bytes != before:
            self._left_disk(before - item.backed_bytes)
            self.epoch += 1

    def _left_disk(self, size_bytes: int) -> None:
        """These bytes may have been read as free already: until the disk is read again, nothing grows into them."""
        self.usable_bytes = max(0, self.usable_bytes - max(0, size_bytes))

    def postpone(self, upload_id: str) -> bool:
        """Put an upload whose bytes the disk could not allocate back to its old place in the queue. False: there is no
        such reservation, or another caller has confirmed it."""
        item = self.reservations.get(upload_id)
        if item is None or item.confirmed:
            return False
        del self.reservations[upload_id]
        self._left_disk(item.on_disk_bytes)
        windowed = item.window_bytes is not None
        size_bytes = item.window_bytes if item.window_bytes is not None else item.size_bytes
        file_bytes = item.file_bytes if windowed else None
        entry = Waiting(upload_id, size_bytes, item.ticket, item.overtaken, file_bytes, item.journal_bytes, item.owner)
        entry.offset, entry.start = item.place
        self.queue.put_back(entry)
        return True

    def release(self, upload_id: str) -> int:
        """Remove an upload from the queue and free its reserved bytes; returns how many were freed."""
        entry = self._waiting(upload_id)
        if entry is not None:
            self.queue.cancel(entry)
        item = self.reservations.pop(upload_id, None)
        if item is None:
            return 0
        self._left_disk(item.on_disk_bytes)
        return item.held_bytes
