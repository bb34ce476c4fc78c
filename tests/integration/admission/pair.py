"""The script in a real Redis and the pure model, called side by side on one disk with one clock.

Guarantee: each run of admission does the same in both, and nothing that neither may do.
"""

from __future__ import annotations

import itertools
from dataclasses import asdict
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from pipeline.core.admission import AdmissionModel, DiskReading
from pipeline.core.fair_queue import Waiting
from tests.integration.admission.books import OWNERS, Books
from tests.integration.admission.volumes import Volume, units, volumes

LEASE_MS = 1_000
PAUSE_MS = 1_500
VOLUME = "v"
_prefixes = (f"admission-{number}:" for number in itertools.count())


class PairMachine(RuleBasedStateMachine):
    def __init__(self, books: Books) -> None:
        super().__init__()
        self.books = books
        self.prefix = next(_prefixes)
        self.now_ms = 1_700_000_000_000
        self.files: dict[str, int] = {}  # upload -> bytes that its temp file takes from the disk
        self.journals: dict[str, int] = {}  # the same of its journal
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
        self.model = AdmissionModel(
            volume.budget_bytes,
            max_overtakes=volume.max_overtakes,
            lookahead=volume.lookahead,
            pause_ms=PAUSE_MS,
            share=volume.share,
        )
        self.call("open", None, run="run")
        self.read_disk()

    # -- the disk and the clock

    @property
    def free_bytes(self) -> int:
        return self.volume.disk_bytes - self.others_bytes - sum(self.files.values()) - sum(self.journals.values())

    @rule()
    def read_disk(self) -> None:
        """As `uploads.admission` does: first the epoch, then the disk. A reading may be used late."""
        self.reading = DiskReading(self.free_bytes, self.volume.headroom_bytes, self.model.epoch)

    @rule(count_bytes=units(1, 80))
    def another_program_fills_the_disk(self, count_bytes: int) -> None:
        grown = min(count_bytes, self.free_bytes)
        self.others_bytes += grown
        self.grown_bytes += grown

    @rule(count_bytes=units(1, 80))
    def another_program_frees_the_disk(self, count_bytes: int) -> None:
        self.others_bytes -= min(count_bytes, self.others_bytes)

    @rule(milliseconds=st.integers(0, 200) | st.integers(LEASE_MS - 1, 2 * LEASE_MS))
    def time_passes(self, milliseconds: int) -> None:
        self.now_ms += milliseconds

    def call(self, op: str, upload: str | None, **more: Any) -> dict[str, Any]:
        arguments = {"volume": VOLUME, "upload_id": upload, "lease_ms": LEASE_MS, "pause_ms": PAUSE_MS}
        return self.books.call(f"volume_{op}", self.prefix, arguments | {"now_ms": self.now_ms} | more)

    def run_pass(
        self,
        op: str,
        upload: str | None,
        size_bytes: int | None,
        window_bytes: int | None = None,
        *,
        owner: str = OWNERS[0],
        journal_bytes: int = 0,
    ) -> None:
        """One run of both, with the latest reading of the disk; compared, and judged by what it must never do."""
        reading, volume, model = self.reading, self.volume, self.model
        answer = self.call(
            op,
            upload,
            size_bytes=size_bytes,
            window_bytes=window_bytes,
            owner=owner,
            journal_bytes=journal_bytes,
            budget_bytes=volume.budget_bytes,
            max_overtakes=volume.max_overtakes,
            lookahead=volume.lookahead,
            owner_bytes=volume.share.reserved_bytes,
            owner_uploads=volume.share.uploads,
            **asdict(reading),
        )
        assert answer.get("stale", False) == (reading.epoch != model.epoch)
        if upload is not None and size_bytes is not None:
            model.request(upload, size_bytes, window_bytes, owner=owner, journal_bytes=journal_bytes)
            self.order.setdefault(upload, next(self.turns))
        if answer.get("stale"):
            return
        model.lapse(self.now_ms)
        admitted = model.admit(reading, self.now_ms, LEASE_MS)
        assert admitted is not None
        to_allocate = {who: size for who, size, _ in answer["to_allocate"] or ()}
        assert to_allocate == model.pending_allocations
        assert set(answer["lapsed"] or ()) == {who for who, item in model.reservations.items() if item.lapsed}
        assert answer["queue_position"] == (model.position(upload) if upload else 0)
        self.judge_run(admitted)

    def judge_run(self, admitted: list[str]) -> None:
        reading, volume, model = self.reading, self.volume, self.model
        if admitted:
            assert model.unbacked_bytes <= reading.free_bytes - reading.headroom_bytes, "more than the disk has"
            wishes = sum(item.needed_bytes for item in model.reservations.values())
            assert model.reserved_bytes + wishes <= volume.budget_bytes, "admitted into the room that another wishes"
        for owner in {model.reservations[who].owner for who in admitted}:
            held = [item.held_bytes for item in model.reservations.values() if item.owner == owner]
            limit, uploads = volume.share.reserved_bytes, volume.share.uploads
            assert len(held) == 1 or limit is None or sum(held) <= limit, f"{owner} holds more than its share"
            assert len(held) == 1 or uploads is None or len(held) <= uploads, f"{owner} holds too many"
        head = self.head()
        if head is not None:
            turn = (model.queue.tag_of(head), head.owner)
            starts = [(model.reservations[who].place[1], model.reservations[who].owner) for who in admitted]
            backed_bytes = model.reserved_bytes - model.unbacked_bytes
            if head.requested_bytes <= reading.free_bytes - reading.headroom_bytes + backed_bytes:
                first = head.upload_id
                self.overtaken[first] = self.overtaken.get(first, 0) + sum(start > turn for start in starts)
                assert self.overtaken[first] <= volume.max_overtakes, f"{first} was overtaken too often"

    def head(self) -> Waiting | None:
        """The upload that is served next: the first one whose owner is not at its share."""
        held = list(self.model.reservations.values())
        for owner in self.model.queue.owners():
            entry, own = self.model.queue.first_of(owner), [item.held_bytes for item in held if item.owner == owner]
            limit, uploads = self.volume.share.reserved_bytes, self.volume.share.uploads
            within = limit is None or sum(own) + entry.requested_bytes <= limit
            if not own or (within and (uploads is None or len(own) < uploads)):
                return entry
        return None
