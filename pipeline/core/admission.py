"""Admission, as a pure model: who may hold bytes of a temp volume, and in which order.

This is the specification of `adapters/redis/scripts/admission.lua`; a Hypothesis state machine drives both side by
side.

Rules
1. What is reserved never exceeds the budget, nor, beyond what already lies preallocated, the free bytes on the disk
   less the headroom.
2. First come, first served; an upload behind a head that does not fit may pass it, `max_passes` times per head at the
   most. After that nobody passes, so a head is admitted as soon as enough is released: nobody starves. A grant that
   the disk could not back goes back to its old place, with the passes it has suffered: a disk that fails again and
   again must not wash others past the head.
3. A grant is handed out again until it is confirmed. From then on the reservation lives by its lease. When that
   lapses, its bytes stay counted (its temp file is still on the disk) until `release`, which the reaper calls once the
   file is gone: bytes are never promised twice.
4. Leases stand still while nobody looks: when two passes are further apart than `pause_ms`, everybody was away, or
   Redis was, and nobody could renew.
5. A temp file that is found without a reservation is adopted: it is on the disk, so it is counted, also above the
   budget. Nothing more is granted until there is room again.
6. Every call may come twice.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class DiskReading:
    """What the filesystem says: free bytes, less `headroom_bytes` that are never touched. `epoch` is the ledger's count
    of preallocations when the reading was taken: a reading from before a preallocation would count its bytes as free
    and as backed."""

    free_bytes: int
    headroom_bytes: int
    epoch: int


@dataclass(slots=True)
class Reservation:
    """Bytes held by one upload; `backed_bytes` of them are preallocated on the disk, so no longer part of its free
    bytes. `ticket` and `passes` are its old place in the queue."""

    size_bytes: int
    lease_until_ms: int
    ticket: int
    passes: int
    backed_bytes: int = 0
    confirmed: bool = False
    lapsed: bool = False


@dataclass(slots=True)
class Waiting:
    """An upload in the queue, which is in order of tickets, and how often it was passed while it was the head."""

    upload_id: str
    size_bytes: int
    ticket: int
    passes: int = 0


@dataclass(slots=True)
class AdmissionModel:
    """The ledger of one temp volume. Times are milliseconds, sizes bytes."""

    budget_bytes: int
    max_passes: int
    lookahead: int
    pause_ms: int
    reservations: dict[str, Reservation] = field(default_factory=dict)
    queue: list[Waiting] = field(default_factory=list)
    epoch: int = 0
    tickets: int = 0
    ran_at_ms: int | None = None

    @property
    def reserved_bytes(self) -> int:
        return sum(item.size_bytes for item in self.reservations.values())

    @property
    def unbacked_bytes(self) -> int:
        """Promised, but not yet on the disk."""
        return sum(item.size_bytes - item.backed_bytes for item in self.reservations.values())

    @property
    def granted(self) -> dict[str, int]:
        """What is still to be carried out: upload -> bytes."""
        return {key: item.size_bytes for key, item in self.reservations.items() if not item.confirmed}

    def room_bytes(self, disk: DiskReading) -> int:
        """What can be promised now: each byte is counted once, as promised or as taken."""
        on_disk = disk.free_bytes - disk.headroom_bytes - self.unbacked_bytes
        return max(0, min(self.budget_bytes - self.reserved_bytes, on_disk))

    def request(self, upload_id: str, size_bytes: int) -> None:
        """Join the queue; harmless when already there or already admitted."""
        known = upload_id in self.reservations or any(item.upload_id == upload_id for item in self.queue)
        if not known:
            self.tickets += 1
            self.queue.append(Waiting(upload_id, size_bytes, self.tickets))

    def lapse(self, now_ms: int) -> list[str]:
        """Mark reservations whose lease has run out; they keep their bytes until `release`."""
        if self.ran_at_ms is not None and now_ms - self.ran_at_ms > self.pause_ms:
            for item in self.reservations.values():
                if not item.lapsed:
                    item.lease_until_ms += now_ms - self.ran_at_ms
        self.ran_at_ms = now_ms
        lapsed = [
            key
            for key, item in self.reservations.items()
            if item.confirmed and not item.lapsed and item.lease_until_ms <= now_ms
        ]
        for key in lapsed:
            self.reservations[key].lapsed = True
        return lapsed

    def admit(self, disk: DiskReading, now_ms: int, lease_ms: int) -> list[str] | None:
        """Admit all that may be admitted now, in order; None when the disk reading is older than a preallocation."""
        if disk.epoch != self.epoch:
            return None
        admitted: list[str] = []
        room = self.room_bytes(disk)
        while self.queue and self.queue[0].size_bytes <= room:
            room -= self._grant(0, now_ms, lease_ms, admitted)
        index = 1
        looked = 1
        while self.queue and index < len(self.queue) and looked < self.lookahead:
            if self.queue[0].passes >= self.max_passes:
                break
            if self.queue[index].size_bytes <= room:
                room -= self._grant(index, now_ms, lease_ms, admitted)
                self.queue[0].passes += 1
            else:
                index += 1
            looked += 1
        return admitted

    def _grant(self, index: int, now_ms: int, lease_ms: int, admitted: list[str]) -> int:
        entry = self.queue.pop(index)
        self.reservations[entry.upload_id] = Reservation(
            entry.size_bytes, now_ms + lease_ms, entry.ticket, entry.passes
        )
        admitted.append(entry.upload_id)
        return entry.size_bytes

    def renew(self, upload_id: str, now_ms: int, lease_ms: int) -> bool:
        """Prolong a lease, never shorten it; a lapsed reservation that nobody has released yet lives again."""
        item = self.reservations.get(upload_id)
        if item is None:
            return False
        item.lapsed = False
        item.lease_until_ms = max(item.lease_until_ms, now_ms + lease_ms)
        return True

    def confirm(self, upload_id: str, backed_bytes: int, now_ms: int, lease_ms: int) -> bool:
        """Note that a grant was carried out, with `backed_bytes` preallocated on the disk. Its lease starts now."""
        item = self.reservations.get(upload_id)
        if item is None:
            return False
        item.backed_bytes = min(backed_bytes, item.size_bytes)
        self.epoch += 1
        if not item.confirmed:
            item.confirmed = True
            self.renew(upload_id, now_ms, lease_ms)
        return True

    def adopt(self, upload_id: str, size_bytes: int, backed_bytes: int, now_ms: int, lease_ms: int) -> None:
        """A temp file of `size_bytes` is there already: it holds its bytes from now on, whatever the room."""
        if upload_id not in self.reservations:
            self.request(upload_id, size_bytes)
            index = next(i for i, item in enumerate(self.queue) if item.upload_id == upload_id)
            self.queue[index].size_bytes = size_bytes
            self._grant(index, now_ms, lease_ms, [])
        self.confirm(upload_id, backed_bytes, now_ms, lease_ms)

    def postpone(self, upload_id: str) -> bool:
        """Give a reservation back that could not be backed by the disk: to its old place in the queue. Not one that
        somebody else has confirmed meanwhile."""
        item = self.reservations.get(upload_id)
        if item is None or item.confirmed:
            return False
        del self.reservations[upload_id]
        insort(self.queue, Waiting(upload_id, item.size_bytes, item.ticket, item.passes), key=lambda one: one.ticket)
        return True

    def release(self, upload_id: str) -> int:
        """Leave the queue or give the bytes back; returns the bytes that came free."""
        self.queue = [item for item in self.queue if item.upload_id != upload_id]
        item = self.reservations.pop(upload_id, None)
        return item.size_bytes if item else 0
