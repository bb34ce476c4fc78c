"""Admission as a pure model: which uploads hold bytes of a temp volume, and in which order they are admitted.

This is the specification of `adapters/redis/scripts/admission.lua`; a Hypothesis state machine drives the model
and the script side by side and compares them.

Rules
1. Admission never reserves more than the budget, nor more bytes than the disk has free, less the headroom and what is
   reserved but not yet preallocated.
2. Owners take turns (`core.fair_queue`); within one owner, first come, first served. A smaller upload may overtake a
   head of the queue that does not fit, at most `max_overtakes` times per head. After that nothing overtakes, so the
   head is admitted as soon as enough bytes are released and no upload starves. A reservation that the disk could not
   allocate goes back to its old place with its count of overtakes: repeated disk failures must not let more uploads
   overtake the head. An owner at its share is passed over; it holds up nobody.
3. A reservation is pending until its allocation is confirmed; every run returns all pending ones. From then on it lives
   by its lease. When the lease lapses, the bytes stay counted, because the temp file is still on the disk. `release`,
   which is called once the file is removed, frees them, so no byte is reserved twice.
4. Leases are extended over pauses: when two runs are further apart than `pause_ms`, Redis or every caller was
   unavailable and no client could renew.
5. A temp file without a reservation is adopted: it occupies the disk, so its bytes are counted even above the budget.
   Nothing more is admitted until there is room again.
6. An upload that requests more than the budget, because the budget was larger when it was created, is admitted alone.
   One that requests more than the disk could hold now, were it empty of uploads, is overtaken without limit.
7. The journal of an upload is part of its reservation, which counts its bytes from the confirmation on as backed.
8. Uploads give room back segment by segment, and may wish for room again (`core.reservation`). Wishes come true first.
9. Every call is idempotent.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.core.fair_queue import Waiting
from pipeline.core.ledger import LedgerModel


@dataclass(frozen=True, slots=True)
class DiskReading:
    """Free bytes on the filesystem, and `headroom_bytes` of them that are never reserved. `epoch` is the ledger's count
    of preallocations at the time of the reading. A reading from before a preallocation must not be used: it would count
    the preallocated bytes both as free and as backed."""

    free_bytes: int
    headroom_bytes: int
    epoch: int


@dataclass(frozen=True, slots=True)
class OwnerShare:
    """What one owner may hold at once: reserved bytes and reservations; None: no limit. One upload always may."""

    reserved_bytes: int | None = None
    uploads: int | None = None


@dataclass(slots=True, kw_only=True)
class AdmissionModel(LedgerModel):
    """A ledger with the rules by which its queue is served."""

    max_overtakes: int
    lookahead: int
    pause_ms: int
    ran_at_ms: int | None = None
    draining: bool = False
    share: OwnerShare = OwnerShare()

    def room_bytes(self, disk: DiskReading) -> int:
        """Bytes that can be reserved now. Each byte counts once: as reserved or as used on the disk."""
        on_disk = disk.free_bytes - disk.headroom_bytes - self.unbacked_bytes
        return max(0, min(self.budget_bytes - self.reserved_bytes, on_disk))

    def lapse(self, now_ms: int) -> list[str]:
        """Mark reservations whose lease has run out, and return them; they keep their bytes until `release`."""
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
        """Admit every upload that may be admitted now, and return them in order; None when the disk reading is older
        than the latest preallocation."""
        if disk.epoch != self.epoch:
            return None
        admitted: list[str] = []
        at_share: set[str] = set()
        room = self._grant_wishes(self.room_bytes(disk))
        if self.draining:
            self._measure(disk)
            return admitted
        while head := self._head(at_share):
            self.queue.being_served(head)
            if head.requested_bytes > room and not self._goes_alone(head, disk):
                break
            room -= self._reserve(head, now_ms, lease_ms, admitted)
        usable_bytes = self._measure(disk)
        for owner in at_share:
            self.queue.pass_over(owner)
        if head:
            could_fit = head.requested_bytes <= usable_bytes
            self._overtake(head, room, could_fit, at_share, now_ms, lease_ms, admitted)
        self.queue.forget()
        return admitted

    def _measure(self, disk: DiskReading) -> int:
        """What all reservations together could hold on the disk; less than 0: the disk has less than its headroom."""
        usable_bytes = disk.free_bytes - disk.headroom_bytes + self.reserved_bytes - self.unbacked_bytes
        self.usable_bytes = max(0, usable_bytes)
        return usable_bytes

    def _head(self, at_share: set[str]) -> Waiting | None:
        """The first upload of the owner whose turn it is. Owners at their share are passed over; once in a run they are
        until its end."""
        for owner in self.queue.owners():
            if owner not in at_share:
                entry = self.queue.first_of(owner)
                if self._within_share(entry):
                    return entry
                at_share.add(owner)
        return None

    def _overtake(
        self,
        head: Waiting,
        room: int,
        could_fit: bool,
        at_share: set[str],
        now_ms: int,
        lease_ms: int,
        admitted: list[str],
    ) -> None:
        """Admit uploads behind a head that does not fit. They count if the head could fit into an empty volume."""
        order = [entry for entry in self.queue if entry is not head]
        considered = 1
        for entry in order:
            if considered >= self.lookahead or (could_fit and head.overtaken >= self.max_overtakes):
                break
            if entry.owner in at_share:
                continue
            considered += 1
            if not self._within_share(entry):
                at_share.add(entry.owner)
            elif entry.requested_bytes <= room:
                room -= self._reserve(entry, now_ms, lease_ms, admitted)
                head.overtaken += could_fit

    def _within_share(self, entry: Waiting) -> bool:
        held = [item for item in self.reservations.values() if item.owner == entry.owner]
        if not held:
            return True
        limit, uploads = self.share.reserved_bytes, self.share.uploads
        fits = limit is None or sum(item.held_bytes for item in held) + entry.requested_bytes <= limit
        return fits and (uploads is None or len(held) < uploads)

    def _goes_alone(self, entry: Waiting, disk: DiskReading) -> bool:
        on_disk = disk.free_bytes - disk.headroom_bytes - self.unbacked_bytes
        return (
            entry.requested_bytes > self.budget_bytes and not self.reserved_bytes and entry.requested_bytes <= on_disk
        )

    def _grant_wishes(self, room: int) -> int:
        """Returns the room that remains; less than 0: none, until every wish has come true."""
        for item in self._wishes():
            needed = item.needed_bytes
            if 0 < needed <= room:
                item.grant_wish()
            room -= needed
        return room
