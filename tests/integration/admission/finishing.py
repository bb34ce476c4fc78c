"""The end of each random schedule: every upload finishes.

Its client sends what is missing, stored segments are given back, and no upload may wait for another one that waits too.
"""

from __future__ import annotations

from pipeline.core.reservation import Reader, Reservation
from tests.integration.admission.machine import UPLOADS
from tests.integration.admission.windows import WindowMachine


class FinishingMachine(WindowMachine):
    def teardown(self) -> None:
        if hasattr(self, "model"):
            self.finish_all()
        super().teardown()

    def finish_all(self) -> None:
        self.others_bytes = -(10**9)  # the disk is large: whether uploads finish is up to the ledger alone
        for upload in sorted(self.doomed):
            self.release(upload)
        for _ in range(10 * len(UPLOADS) * 60):
            self.read_disk()
            self.run_pass("run", None, None)
            if not self.model.reservations:
                break
            moved = [self.finish_some(upload) for upload in list(self.model.reservations)]
            assert any(moved), "every upload waits for another one"
        assert not self.model.reservations
        assert not self.model.queue

    def finish_some(self, upload: str) -> bool:
        """Send what has room of a file, in the worst order for the reader; whether anything has changed."""
        item = self.model.reservations[upload]
        changed = not item.confirmed
        self.confirm(upload, 1.0)
        self.renew(upload)
        plan, reader = self.plan(upload), self.reader(upload)
        lost = {number for number, size in item.given.items() if item.wish_bytes and size <= item.wish_bytes}
        for number in sorted(lost) + list(range(plan.count, 0, -1)):
            if number in item.taken or (number in item.given and number not in lost):
                continue
            if not self.has_taken(upload, number):
                continue
            changed = True
            lost.discard(number)
        for number in list(item.taken):
            self.back(upload, number)
        if reader.active and all(self.readable(item, number) for number in reader.segments):
            self.set_reader(upload, Reader(reader.segments, active=False))
            changed = True
        reader = self.reader(upload)
        for number in list(item.taken):
            if not reader.active or number not in reader.segments:
                self.give(upload, number, stored=True)
                changed = True
        if item.window_bytes is None:
            for number in set(range(1, plan.count + 1)) - set(item.given):
                self.give(upload, number, stored=True)
                changed = True
        if len(item.given) == plan.count and not item.wish_bytes:
            self.release(upload)
            changed = True
        return changed

    def readable(self, item: Reservation, number: int) -> bool:
        """Whether the reader has its bytes: on the temp volume, or in the store."""
        return number in item.taken or number in item.given
