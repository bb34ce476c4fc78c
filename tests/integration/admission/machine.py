"""Random schedules of admission: the script in a real Redis and the pure model, compared after each step.

The machine plays clients that request room, gateways that allocate reservations or die before, upkeep, another program
that fills the disk, and the clock. What neither may ever do is checked independently of both.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from tests.integration.admission.books import OWNERS, check_books
from tests.integration.admission.pair import LEASE_MS, VOLUME, PairMachine
from tests.integration.admission.volumes import UNIT, units

UPLOADS = tuple(f"u{number}" for number in range(10))

uploads = st.sampled_from(UPLOADS)
owners = st.sampled_from(OWNERS)
sizes = units(1, 60) | units(1, 15)
journals = st.sampled_from((0, 0, UNIT, 5 * UNIT))


class AdmissionMachine(PairMachine):
    # -- what callers do

    @rule(upload=uploads, size_bytes=sizes, owner=owners, journal_bytes=journals, fresh=st.booleans())
    def request(self, upload: str, size_bytes: int, owner: str, journal_bytes: int, fresh: bool) -> None:
        assume(size_bytes + journal_bytes <= self.volume.largest_bytes)
        if fresh:
            self.read_disk()
        self.run_pass("request", upload, size_bytes, owner=owner, journal_bytes=journal_bytes)

    @rule(fresh=st.booleans())
    def run(self, fresh: bool) -> None:
        if fresh:
            self.read_disk()
        self.run_pass("run", None, None)

    @rule(upload=uploads, part=st.sampled_from((1.0, 1.0, 0.5, 0.0)))
    def confirm(self, upload: str, part: float) -> None:
        """A reservation is allocated, possibly for the second time; a filesystem may allocate less than it should."""
        item = self.model.reservations.get(upload)
        if item is not None and upload not in self.doomed:
            before = self.files.get(upload, 0)
            wanted = before if self.by_segment(upload) else max(int(item.size_bytes * part), before)
            journal_bytes = item.journal_bytes - self.journals.get(upload, 0)
            if wanted - before + journal_bytes > self.free_bytes and (wanted > before or journal_bytes):
                self.postpone(upload)
                return
            if wanted or not self.by_segment(upload):
                self.files[upload] = wanted
            self.journals[upload] = item.journal_bytes
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

    @rule(upload=uploads, size_bytes=sizes, owner=owners, journal_bytes=journals)
    def adopt(self, upload: str, size_bytes: int, owner: str, journal_bytes: int) -> None:
        """Redis has lost a reservation whose file is found on the disk; or it has not, and this is a repeated call."""
        assume(size_bytes + journal_bytes <= min(self.volume.largest_bytes, self.free_bytes))
        whose: dict[str, Any] = {"owner": owner, "journal_bytes": journal_bytes}
        if upload not in self.model.reservations:
            self.begin_adopting(upload, size_bytes, size_bytes, journal_bytes)
        backed_bytes = self.files.get(upload, 0)
        facts: dict[str, Any] = {"size_bytes": size_bytes, "backed_bytes": backed_bytes, "taken": {}, "given": {}}
        assert self.call("adopt", upload, **facts, **whose)["known"]
        self.model.adopt(upload, size_bytes, backed_bytes, self.now_ms, LEASE_MS, **whose)

    def begin_adopting(self, upload: str, file_bytes: int, reserved_bytes: int, journal_bytes: int) -> None:
        waiting = next((item for item in self.model.queue if item.upload_id == upload), None)
        self.files[upload] = file_bytes
        self.journals[upload] = journal_bytes if waiting is None else waiting.journal_bytes
        self.grown_bytes += reserved_bytes + self.journals[upload]
        self.adopting = True
        self.order.setdefault(upload, next(self.turns))

    @rule(upload=uploads)
    def postpone(self, upload: str) -> None:
        """The disk could not back it, and no file is left; unless another process has confirmed it."""
        known = upload in self.model.pending_allocations
        assert self.call("postpone", upload)["known"] == self.model.postpone(upload) == known
        if known:
            self.drop_file(upload)
            self.doomed.discard(upload)

    @rule(mode=st.sampled_from(("all", "new", None)))
    def drain(self, mode: str | None) -> None:
        """Nothing is admitted while everything is drained. New uploads are refused elsewhere."""
        assert self.call("drain", None, mode=mode)["known"]
        self.model.draining = mode == "all"

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
        self.journals.pop(upload, None)

    def forget(self, upload: str) -> None:
        """The upload has ended."""

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
            item.held_bytes - self.files.get(who, 0) - self.journals.get(who, 0)
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
        for turn in self.model.queue.turns.values():
            own = [item.upload_id for item in turn.entries]
            assert own == sorted(own, key=self.order.__getitem__)
        assert not set(waiting) & set(self.model.reservations)
        assert all(item.overtaken <= self.volume.max_overtakes for item in self.model.queue)

    @invariant()
    def clients_see_their_positions(self) -> None:
        for upload in UPLOADS[:3] if hasattr(self, "model") else ():
            place, item = self.model.position(upload), self.model.reservations.get(upload)
            standing = self.call("standing", upload).get("standing")
            held = {"queue_position": 0, "lease_until_ms": item.lease_until_ms} if item else None
            assert standing == ({"queue_position": place} if place else held)

    # -- the end: no upload starves, nothing leaks

    def teardown(self) -> None:
        if not hasattr(self, "model"):
            return
        self.others_bytes = 0
        self.drain(None)
        while self.model.queue:
            first = next(iter(self.model.queue)).upload_id
            runs_left = len(self.model.reservations) + len(self.model.queue) + self.volume.max_overtakes
            while True:
                self.read_disk()
                self.run_pass("run", None, None)
                if first in self.model.reservations:
                    break
                assert runs_left > 0, f"{first} starves"
                runs_left -= 1
                self.release(next(iter(self.model.reservations)))
                self.both_keep_the_same_books()
        for upload in UPLOADS:
            self.release(upload)
        facts, *rest = self.books.dump(f"{self.prefix}volume:{VOLUME}", UPLOADS)
        assert not any(rest), f"left behind: {json.dumps(rest, default=list)}"
        assert int(facts.get("reserved_bytes", 0)) == int(facts.get("backed_bytes", 0)) == 0
        self.books.forget(self.prefix)
