"""Random schedules with windows: segments that take room and give it back, readers, lost segments, crashes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from pipeline.core.reservation import Reader, Reservation, WindowShares
from pipeline.core.segments import SegmentPlan
from pipeline.core.windows import reader_segments
from tests.integration.admission.books import Books
from tests.integration.admission.machine import UPLOADS, AdmissionMachine, journals, owners, sizes, uploads
from tests.integration.admission.pair import LEASE_MS
from tests.integration.admission.volumes import Volume, units, volumes

numbers = st.integers(1, 8)
holders = st.integers(0, len(UPLOADS))
some = precondition(lambda self: self.model.reservations)
segment_lengths = units(1, 8)
files = st.tuples(sizes, segment_lengths, st.integers(2, 6), st.booleans(), owners)


class WindowMachine(AdmissionMachine):
    def __init__(self, books: Books) -> None:
        super().__init__(books)
        self.plans: dict[str, SegmentPlan] = {}
        self.readers: dict[str, Reader] = {}
        self.absent: dict[str, set[int]] = {}  # upload -> segments that are not on the disk

    @initialize(volume=volumes, begun=st.lists(files, max_size=6))
    def set_up(self, volume: Volume, begun: list[tuple[int, int, int, bool, str]]) -> None:
        """Some have begun: (bytes, bytes of a segment, segments of a window, whether it has a window, owner)."""
        super().set_up(volume)
        for upload, (size_bytes, segment, segments, windowed, owner) in zip(UPLOADS, begun, strict=False):
            self.read_disk()
            if windowed and segment * segments < size_bytes:
                self.request_window(upload, size_bytes, segment, segments, owner, 0)
            elif size_bytes <= volume.largest_bytes:
                self.run_pass("request", upload, size_bytes, owner=owner)
            self.confirm(upload, 1.0)

    def holder(self, index: int) -> str:
        """An upload that holds bytes."""
        held = sorted(self.model.reservations)
        return held[index % len(held)]

    def by_segment(self, upload: str) -> bool:
        item = self.model.reservations.get(upload)
        return item is not None and bool(item.window_bytes is not None or item.taken or item.given)

    def drop_file(self, upload: str) -> None:
        super().drop_file(upload)
        self.absent.pop(upload, None)

    def forget(self, upload: str) -> None:
        self.plans.pop(upload, None)
        if self.readers.pop(upload, None) is not None:
            self.books.set_reader(self.prefix, upload, Reader())

    def reader(self, upload: str) -> Reader:
        return self.readers.get(upload, Reader())

    def plan(self, upload: str) -> SegmentPlan:
        """The segments of an upload that holds bytes; a whole file has up to four."""
        item = self.model.reservations[upload]
        if item.window_bytes is None:
            size_bytes = item.size_bytes + sum(item.given.values()) - item.granted_bytes
            return SegmentPlan(size_bytes, -(-size_bytes // 4))
        return self.plans[upload]

    def on_disk(self, upload: str, number: int) -> bool:
        everything = set(range(1, self.plan(upload).count + 1))
        whole = self.model.reservations[upload].window_bytes is None
        return number not in self.absent.setdefault(upload, set() if whole else everything)

    def set_reader(self, upload: str, reader: Reader) -> None:
        self.readers[upload] = reader
        self.books.set_reader(self.prefix, upload, reader)

    # -- what clients, gateways, readers and transfer do

    @rule(
        upload=uploads,
        size_bytes=sizes,
        segment=segment_lengths,
        segments=st.integers(2, 6),
        owner=owners,
        journal_bytes=journals,
    )
    def request_window(
        self, upload: str, size_bytes: int, segment: int, segments: int, owner: str, journal_bytes: int
    ) -> None:
        window = segment * segments
        if window >= size_bytes or -(-size_bytes // segment) <= 4:
            return
        if window + journal_bytes > self.volume.largest_bytes:
            return
        waiting = {item.upload_id for item in self.model.queue}
        if upload not in waiting and upload not in self.model.reservations:
            self.read_disk()
            self.plans[upload] = SegmentPlan(size_bytes, segment)
            self.run_pass("request", upload, size_bytes, window, owner=owner, journal_bytes=journal_bytes)

    @rule(upload=uploads, number=numbers)
    def take(self, upload: str, number: int) -> None:
        """A segment is about to arrive."""
        self.has_taken(upload, number)

    @some
    @rule(index=holders, received=st.sets(numbers), first=numbers)
    def store(self, index: int, received: set[int], first: int) -> None:
        """Segments arrive, are stored, and leave the disk, unless the reader needs them."""
        self.send(self.holder(index), sorted(received, key=lambda number: (number < first, number)))

    @some
    @rule(index=holders, lost=st.sets(holders, min_size=1), read=st.booleans())
    def lose(self, index: int, lost: set[int], read: bool) -> None:
        """The store loses segments of a file that is nearly complete, after others were admitted into its room."""
        upload = self.holder(index)
        if read:
            self.finish_reading(upload)
        self.confirm(upload, 1.0)
        if upload not in self.model.reservations:
            return  # the disk is full, so the upload waits again
        self.send(upload, range(1, self.plan(upload).count + 1))
        self.run(fresh=True)
        if given := sorted(self.model.reservations[upload].given):
            for number in sorted({given[item % len(given)] for item in lost}):
                self.has_taken(upload, number)

    def send(self, upload: str, received: Iterable[int]) -> None:
        for number in received:
            item = self.model.reservations[upload]
            if number <= self.plan(upload).count and number not in item.given:
                self.has_taken(upload, number)
                self.back(upload, number)
                reader = self.reader(upload)
                stored = number in item.taken or item.window_bytes is None
                if stored and not (reader.active and number in reader.segments):
                    self.give(upload, number, stored=True)

    def has_taken(self, upload: str, number: int) -> bool:
        item = self.model.reservations.get(upload)
        if item is None:
            assert not self._take(upload, number, 5, WindowShares(5, 1))
            return False
        plan = self.plan(upload)
        if number > plan.count:
            return False
        readers = reader_segments(item.window_bytes, plan.segment_bytes) if item.window_bytes else 0
        return self._take(upload, number, plan.length(number), WindowShares(plan.segment_bytes, readers))

    def _take(self, upload: str, number: int, size_bytes: int, shares: WindowShares) -> bool:
        answer = self.call(
            "take",
            upload,
            number=number,
            size_bytes=size_bytes,
            budget_bytes=self.volume.budget_bytes,
            segment_bytes=shares.segment_bytes,
            reader_segments=shares.reader_segments,
        )
        taken = self.model.take(upload, number, size_bytes, shares, self.reader(upload), self.now_ms)
        assert answer["taken"] == taken
        item = self.model.reservations.get(upload)
        if item is not None and item.window_bytes is not None:
            assert item.taken_bytes <= item.size_bytes <= max(item.window_bytes, item.taken_bytes)
        return taken

    @rule(upload=uploads, number=numbers)
    def back(self, upload: str, number: int) -> None:
        """The disk allocates a segment that was taken; without room for it, the segment is given back."""
        item = self.model.reservations.get(upload)
        if item is not None and number in item.taken and upload not in self.doomed and not self.on_disk(upload, number):
            size_bytes = item.taken[number].size_bytes
            if size_bytes > self.free_bytes:
                self.give(upload, number, stored=False)
                return
            self.absent[upload].discard(number)
            self.files[upload] = self.files.get(upload, 0) + size_bytes
        self.call("back", upload, number=number)
        self.model.back(upload, number)

    @rule(upload=uploads, number=numbers)
    def punch_and_die(self, upload: str, number: int) -> None:
        """The bytes have left the disk, and their process dies before the ledger knows."""
        item = self.model.reservations.get(upload)
        if item is None or number not in item.taken or not self.on_disk(upload, number):
            return
        self.punch(upload, number)
        self.grown_bytes += item.taken[number].size_bytes  # they are free, and the upload still has room for them

    def punch(self, upload: str, number: int) -> None:
        if upload in self.doomed or not self.on_disk(upload, number):
            return
        self.absent[upload].add(number)
        size_bytes = self.plan(upload).length(number)
        self.files[upload] = max(0, self.files.get(upload, 0) - size_bytes)

    @rule(upload=uploads, number=numbers, stored=st.sampled_from((True, True, False)))
    def give(self, upload: str, number: int, stored: bool) -> None:
        """A segment is stored, or its body failed: its bytes leave the disk, then its room is given back."""
        item = self.model.reservations.get(upload)
        size_bytes = 3
        if item is not None:
            plan = self.plan(upload)
            if number > plan.count or (number not in item.taken and not item.confirmed):
                return
            size_bytes = plan.length(number)
            if number in item.taken or (stored and number not in item.given):
                self.punch(upload, number)
        self.call("give", upload, segments={str(number): size_bytes}, stored=stored)
        self.model.give(upload, {number: size_bytes}, stored=stored, reader=self.reader(upload))
        if item is not None and item.window_bytes is not None and not self.reader(upload).active:
            assert item.size_bytes <= item.rest_bytes + item.wish_bytes, "more than what remains of the file"
        self.last_numbers(item)

    def last_numbers(self, item: Reservation | None) -> None:
        if item is None:
            return
        assert item.backed_bytes <= item.size_bytes
        assert not set(item.taken) & set(item.given)

    @rule(upload=uploads, number=numbers)
    def read(self, upload: str, number: int) -> None:
        """The reader requests a segment; above its share of the window, it waits for the manifest instead."""
        item = self.model.reservations.get(upload)
        if item is None or item.window_bytes is None or not self.reader(upload).active:
            return
        plan = self.plan(upload)
        wanted = {*self.reader(upload).segments, min(number, plan.count)}
        if len(wanted) > reader_segments(item.window_bytes, plan.segment_bytes):
            self.set_reader(upload, Reader(active=False))
        else:
            self.set_reader(upload, Reader(frozenset(wanted)))

    @rule(upload=uploads)
    def read_from_store(self, upload: str) -> None:
        """The store can read segments, so the reader does not hold those that have arrived."""
        item, reader = self.model.reservations.get(upload), self.reader(upload)
        if item is not None and item.window_bytes is not None and reader.active:
            arrived = {number for number in item.taken if self.on_disk(upload, number)}
            self.set_reader(upload, Reader(frozenset(reader.segments) - arrived))

    @rule(upload=uploads)
    def finish_reading(self, upload: str) -> None:
        if upload in self.model.reservations:
            self.set_reader(upload, Reader(self.reader(upload).segments, active=False))

    @rule(
        upload=uploads,
        size_bytes=sizes,
        segment=segment_lengths,
        on_disk=st.sets(numbers),
        gone=st.sets(numbers),
        owner=owners,
    )
    def adopt_window(
        self, upload: str, size_bytes: int, segment: int, on_disk: set[int], gone: set[int], owner: str
    ) -> None:
        """Redis has lost the reservation of a window."""
        plan = SegmentPlan(size_bytes, segment)
        assume(plan.count > 4)
        taken = {number: plan.length(number) for number in on_disk - gone if number <= plan.count}
        given = {number: plan.length(number) for number in gone if number <= plan.count}
        window = 4 * segment
        assume(sum(taken.values()) <= min(window, self.free_bytes))
        if upload not in self.model.reservations:
            self.plans[upload] = plan
            self.absent[upload] = set(range(1, plan.count + 1)) - set(taken)
            held = sum(taken.values())
            self.begin_adopting(upload, held, window + held, 0)
        facts: dict[str, Any] = {"size_bytes": size_bytes, "backed_bytes": 0, "window_bytes": window, "owner": owner}
        self.call("adopt", upload, **facts, taken=taken, given=given)
        reader = self.reader(upload)
        whose: dict[str, Any] = {"taken": taken, "given": given, "reader": reader, "owner": owner}
        self.model.adopt(upload, size_bytes, 0, self.now_ms, LEASE_MS, window, **whose)
