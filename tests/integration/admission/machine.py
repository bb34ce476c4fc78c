"""Random schedules of admission: the script in a real Redis and the pure model, compared after each step.

The machine plays clients that request room, gateways that allocate reservations or die before, upkeep, another program
that fills the disk, and the clock. What neither may ever do is checked independently of both.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import asdict
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pipeline.core.admission import AdmissionModel, DiskReading
from tests.integration.admission.books import Books, check_books
from tests.integration.admission.volumes import Volume, volumes

LEASE_MS = 1_000
PAUSE_MS = 1_500
UPLOADS = tuple(f"u{number}" for number in range(10))
VOLUME = "v"
_prefixes = (f"admission-{number}:" for number in itertools.count())

uploads = st.sampled_from(UPLOADS)
sizes = st.integers(1, 60) | st.integers(1, 15)


class AdmissionMachine(RuleBasedStateMachine):
    def __init__(self, books: Books) -> None:
        super().__init__()
        self.books = books
        self.prefix = next(_prefixes)
        self.now_ms = 1_700_000_000_000
        self.files: dict[str, int] = {}  # upload -> bytes that its temp file takes from the disk
        self.doomed: set[str] = set()  # uploads whose temp file is removed and that will be released
        self.others_bytes = 0  # bytes of another program on the disk
        self.grown_bytes = 0  # how much of that came after a reservation may have counted on it
        self.adopting = False  # the last step adopted a file, which may exceed the budget
        self.reserved_bytes = 0  # before the last step
        self.order: dict[str, int] = {}  # upload that waits or holds bytes -> when it first requested them
        self.overtaken: dict[str, int] = {}
        self.turns = itertools.count()

    @initialize(volume=volumes)
    def set_up(self, volume: Volume) -> None:
        self.volume = volume
        self.model = AdmissionModel(volume.budget_bytes, volume.max_overtakes, volume.lookahead, PAUSE_MS)
        self.call("open", None, run="run")
        self.read_disk()

    # -- the disk and the clock

    @property
    def free_bytes(self) -> int:
        return self.volume.disk_bytes - self.others_bytes - sum(self.files.values())

    @rule()
    def read_disk(self) -> None:
        """As `uploads.admission` does: first the epoch, then the disk. A reading may be used late."""
        self.reading = DiskReading(self.free_bytes, self.volume.headroom_bytes, self.model.epoch)

    @rule(count_bytes=st.integers(1, 80))
    def another_program_fills_the_disk(self, count_bytes: int) -> None:
        grown = min(count_bytes, self.free_bytes)
        self.others_bytes += grown
        self.grown_bytes += grown

    @rule(count_bytes=st.integers(1, 80))
    def another_program_frees_the_disk(self, count_bytes: int) -> None:
        self.others_bytes -= min(count_bytes, self.others_bytes)

    @rule(milliseconds=st.integers(0, 200) | st.integers(LEASE_MS - 1, 2 * LEASE_MS))
    def time_passes(self, milliseconds: int) -> None:
        self.now_ms += milliseconds

    # -- what callers do

    @rule(upload=uploads, size_bytes=sizes, fresh=st.booleans())
    def request(self, upload: str, size_bytes: int, fresh: bool) -> None:
        assume(size_bytes <= self.volume.largest_bytes)
        if fresh:
            self.read_disk()
        self.run_pass("request", upload, size_bytes)

    @rule(fresh=st.booleans())
    def run(self, fresh: bool) -> None:
        if fresh:
            self.read_disk()
        self.run_pass("run", None, None)

    @rule(upload=uploads, part=st.sampled_from((1.0, 1.0, 0.5, 0.0)))
    def confirm(self, upload: str, part: float) -> None:
        """A reservation is allocated, possibly for the second time; a filesystem may allocate less than it should."""
        item = self.model.reservations.get(upload)
        if item is not None and upload not in self.doomed and not self.by_segment(upload):
            wanted = max(int(item.size_bytes * part), self.files.get(upload, 0))
            if wanted - self.files.get(upload, 0) > self.free_bytes:
                self.postpone(upload)
                return
            self.files[upload] = wanted
        backed_bytes = self.files.get(upload, 0)
        answer = self.call("confirm", upload, backed_bytes=backed_bytes)
        assert answer["known"] == self.model.confirm(upload, backed_bytes, self.now_ms, LEASE_MS)

    @rule(upload=uploads)
    def preallocate_and_die(self, upload: str) -> None:
        """The file is allocated, and its process dies before it confirms that."""
        size_bytes = self.model.pending_allocations.get(upload)
        if size_bytes is None or self.by_segment(upload) or upload in self.doomed:
            return
        if size_bytes - self.files.get(upload, 0) <= self.free_bytes:
            self.files[upload] = size_bytes

    @rule(upload=uploads, size_bytes=sizes)
    def adopt(self, upload: str, size_bytes: int) -> None:
        """Redis has lost a reservation whose file is found on the disk; or it has not, and this is a repeated call."""
        assume(size_bytes <= min(self.volume.largest_bytes, self.free_bytes))
        if upload not in self.model.reservations:
            self.files[upload] = size_bytes
            self.grown_bytes += size_bytes
            self.adopting = True
            self.order.setdefault(upload, next(self.turns))
        backed_bytes = self.files.get(upload, 0)
        adopted = self.call("adopt", upload, size_bytes=size_bytes, backed_bytes=backed_bytes, taken={}, given={})
        assert adopted["known"]
        self.model.adopt(upload, size_bytes, backed_bytes, self.now_ms, LEASE_MS)

    @rule(upload=uploads)
    def postpone(self, upload: str) -> None:
        """The disk could not back it, and no file is left; unless another process has confirmed it."""
        known = upload in self.model.pending_allocations
        assert self.call("postpone", upload)["known"] == self.model.postpone(upload) == known
        if known:
            self.drop_file(upload)
            self.doomed.discard(upload)

    @rule(upload=uploads)
    def renew(self, upload: str) -> None:
        assert self.call("renew", upload)["known"] == self.model.renew(upload, self.now_ms, LEASE_MS)

    @rule(upload=uploads)
    def remove_file(self, upload: str) -> None:
        """The first step of cleanup."""
        if upload in self.model.reservations:
            self.doomed.add(upload)
            self.drop_file(upload)

    @rule(upload=uploads)
    def release(self, upload: str) -> None:
        self.remove_file(upload)
        assert self.call("release", upload)["bytes"] == self.model.release(upload)
        for book in (self.order, self.overtaken):
            book.pop(upload, None)
        self.doomed.discard(upload)
        self.forget(upload)

    @precondition(lambda self: any(item.lapsed for item in self.model.reservations.values()))
    @rule()
    def reap(self) -> None:
        for upload in [upload for upload, item in self.model.reservations.items() if item.lapsed]:
            self.release(upload)

    def by_segment(self, upload: str) -> bool:
        """Whether the bytes of an upload are allocated by segment; `windows.WindowMachine` has such uploads."""
        return False

    def drop_file(self, upload: str) -> None:
        self.files.pop(upload, None)

    def forget(self, upload: str) -> None:
        """The upload has ended."""

    def call(self, op: str, upload: str | None, script: str = "volume_admission", **more: Any) -> dict[str, Any]:
        arguments = {"op": op, "volume": VOLUME, "upload_id": upload, "lease_ms": LEASE_MS, "pause_ms": PAUSE_MS}
        return self.books.call(script, self.prefix, arguments | {"now_ms": self.now_ms} | more)

    def run_pass(self, op: str, upload: str | None, size_bytes: int | None, window_bytes: int | None = None) -> None:
        """One pass of both, with the latest reading of the disk; compared, and judged by what it must never do."""
        reading, volume, model = self.reading, self.volume, self.model
        answer = self.call(
            op,
            upload,
            size_bytes=size_bytes,
            window_bytes=window_bytes,
            budget_bytes=volume.budget_bytes,
            max_overtakes=volume.max_overtakes,
            lookahead=volume.lookahead,
            **asdict(reading),
        )
        assert answer.get("stale", False) == (reading.epoch != model.epoch)
        if answer.get("stale"):
            return
        if upload is not None and size_bytes is not None:
            model.request(upload, size_bytes, window_bytes)
            self.order.setdefault(upload, next(self.turns))
        model.lapse(self.now_ms)
        admitted = model.admit(reading, self.now_ms, LEASE_MS)
        assert admitted is not None
        to_allocate = {who: size for who, size, _ in answer["to_allocate"] or ()}
        assert to_allocate == model.pending_allocations
        assert set(answer["lapsed"] or ()) == {who for who, item in model.reservations.items() if item.lapsed}
        waiting = [item.upload_id for item in model.queue]
        assert answer["queue_position"] == (waiting.index(upload) + 1 if upload in waiting else 0)
        if admitted:
            assert model.unbacked_bytes <= reading.free_bytes - reading.headroom_bytes, "more than the disk has"
            wishes = sum(item.needed_bytes for item in model.reservations.values())
            assert model.reserved_bytes + wishes <= volume.budget_bytes, "admitted into the room that another wishes"
        if waiting:
            first = min(waiting, key=self.order.__getitem__)
            passed_by = [who for who in admitted if self.order[who] > self.order[first]]
            backed_bytes = model.reserved_bytes - model.unbacked_bytes
            if model.queue[0].size_bytes <= reading.free_bytes - reading.headroom_bytes + backed_bytes:
                self.overtaken[first] = self.overtaken.get(first, 0) + len(passed_by)
            assert self.overtaken.get(first, 0) <= volume.max_overtakes, f"{first} was passed too often"

    # -- what must hold after each step

    @invariant()
    def both_keep_the_same_books(self) -> None:
        if not hasattr(self, "model"):
            return
        check_books(self.books.dump(f"{self.prefix}volume:{VOLUME}", tuple(self.model.reservations)), self.model)

    @invariant()
    def nothing_is_promised_twice(self) -> None:
        if not hasattr(self, "model"):
            return
        grows = self.model.reserved_bytes > self.reserved_bytes and not self.adopting
        assert not grows or self.model.reserved_bytes <= self.volume.budget_bytes
        self.reserved_bytes, self.adopting = self.model.reserved_bytes, False
        owed = sum(
            item.size_bytes - self.files.get(who, 0)
            for who, item in self.model.reservations.items()
            if who not in self.doomed
        )
        # Bytes that a sparse file lacks stay owed; only bytes that another program has taken since can be missing.
        assert owed == 0 or owed + self.volume.headroom_bytes <= self.free_bytes + self.grown_bytes

    @invariant()
    def first_come_first_served(self) -> None:
        if not hasattr(self, "model"):
            return
        waiting = [item.upload_id for item in self.model.queue]
        assert waiting == sorted(waiting, key=self.order.__getitem__)
        assert not set(waiting) & set(self.model.reservations)
        assert all(item.overtaken <= self.volume.max_overtakes for item in self.model.queue)

    # -- the end: no upload starves, nothing leaks

    def teardown(self) -> None:
        if not hasattr(self, "model"):
            return
        self.others_bytes = 0
        while self.model.queue:
            head = self.model.queue[0].upload_id
            runs_left = len(self.model.reservations) + self.volume.max_overtakes
            while True:
                self.read_disk()
                self.run_pass("run", None, None)
                if head in self.model.reservations:
                    break
                assert runs_left > 0, f"{head} starves"
                runs_left -= 1
                self.release(next(iter(self.model.reservations)))
                self.both_keep_the_same_books()
        for upload in UPLOADS:
            self.release(upload)
        facts, *rest = self.books.dump(f"{self.prefix}volume:{VOLUME}", UPLOADS)
        assert not any(rest), f"left behind: {json.dumps(rest, default=list)}"
        assert int(facts.get("reserved_bytes", 0)) == int(facts.get("backed_bytes", 0)) == 0
        self.books.forget(self.prefix)
