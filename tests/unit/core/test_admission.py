"""Each rule of the admission model, in small examples. Random schedules are in tests/integration/admission."""

from __future__ import annotations

import pytest

from pipeline.core.admission import AdmissionModel, DiskReading

pytestmark = pytest.mark.unit

LEASE_MS = 1_000


def model(budget: int = 100, max_overtakes: int = 2, lookahead: int = 10) -> AdmissionModel:
    return AdmissionModel(budget, max_overtakes=max_overtakes, lookahead=lookahead, pause_ms=10**9)


def admit(one: AdmissionModel, free: int = 10_000, now_ms: int = 0, headroom: int = 0) -> list[str] | None:
    return one.admit(DiskReading(free, headroom, one.epoch), now_ms, LEASE_MS)


def queue(one: AdmissionModel, **sizes: int) -> AdmissionModel:
    for upload, size in sizes.items():
        one.request(upload, size)
    return one


def test_first_come_first_served_while_they_fit() -> None:
    one = queue(model(), a=60, b=40, c=1)
    assert admit(one) == ["a", "b"]
    assert one.reserved_bytes == 100
    assert [item.upload_id for item in one.queue] == ["c"]
    assert one.release("a") == 60
    assert admit(one) == ["c"]


def test_the_head_is_overtaken_at_most_max_overtakes_times() -> None:
    one = queue(model(max_overtakes=2), a=50, head=80, b=10, c=10, d=10)
    assert admit(one) == ["a", "b", "c"]
    assert admit(one) == [], "there is room for d, but the head was overtaken twice"
    for upload in ("a", "b", "c"):
        one.release(upload)
    assert admit(one) == ["head", "d"]


def test_only_lookahead_uploads_are_considered() -> None:
    one = queue(model(lookahead=3), a=50, head=80, b=80, c=80, small=10)
    assert admit(one) == ["a"]
    one.lookahead = 4
    assert admit(one) == ["small"]


def test_the_disk_limits_admission_too_and_each_byte_counts_once() -> None:
    one = queue(model(budget=1_000), a=100, b=100, c=100)
    assert admit(one, free=260, headroom=50) == ["a", "b"]
    assert one.confirm("a", 100, 0, LEASE_MS)  # the bytes of a are no longer free, and no longer unbacked
    assert admit(one, free=160, headroom=50) == []
    assert admit(one, free=250, headroom=50) == ["c"]


def test_a_disk_reading_from_before_a_preallocation_is_not_used() -> None:
    one = queue(model(), a=10)
    old = DiskReading(1_000, 0, one.epoch)
    assert admit(one) == ["a"]
    one.confirm("a", 10, 0, LEASE_MS)
    queue(one, b=10)
    assert one.admit(old, 0, LEASE_MS) is None
    assert admit(one) == ["b"]


def test_a_lease_starts_at_confirmation_and_a_lapsed_reservation_keeps_its_bytes() -> None:
    one = queue(model(), a=100, b=1)
    admit(one, now_ms=0)
    assert one.lapse(10 * LEASE_MS) == [], "the caller that should have allocated it died; the next one will"
    assert one.pending_allocations == {"a": 100}
    one.confirm("a", 100, 10 * LEASE_MS, LEASE_MS)
    assert one.lapse(11 * LEASE_MS - 1) == []
    assert one.lapse(11 * LEASE_MS) == ["a"]
    assert admit(one, now_ms=12 * LEASE_MS) == [], "its temp file is still on the disk"
    assert one.renew("a", 12 * LEASE_MS, LEASE_MS)
    assert one.lapse(12 * LEASE_MS) == []
    one.release("a")
    assert admit(one) == ["b"]


def test_a_reservation_that_could_not_be_allocated_goes_back_to_its_place() -> None:
    one = queue(model(max_overtakes=1), a=40, head=80, b=30, c=40)
    assert admit(one) == ["a", "b"]
    for upload in ("b", "a"):
        assert one.postpone(upload)
    assert [item.upload_id for item in one.queue] == ["a", "head", "b", "c"]
    assert admit(one) == ["a"], "the head has been overtaken once already"


def test_a_confirmed_reservation_is_not_postponed() -> None:
    one = queue(model(), a=40)
    assert admit(one) == ["a"]
    assert one.confirm("a", 40, 0, LEASE_MS)
    assert not one.postpone("a")
    assert (list(one.queue), one.reserved_bytes) == ([], 40)


def test_every_call_is_idempotent() -> None:
    one = queue(queue(model(), a=10), a=99)
    assert [item.size_bytes for item in one.queue] == [10]
    admit(one)
    queue(one, a=99)
    assert (list(one.queue), one.reserved_bytes) == ([], 10)
    assert [one.confirm("a", 10, 0, LEASE_MS) for _ in range(2)] == [True, True]
    assert [one.release("a") for _ in range(2)] == [10, 0]
    assert (one.confirm("a", 10, 0, LEASE_MS), one.postpone("a"), one.renew("a", 0, LEASE_MS)) == (False,) * 3


def test_leases_are_extended_over_a_pause_between_runs() -> None:
    one = AdmissionModel(100, max_overtakes=2, lookahead=10, pause_ms=500)
    queue(one, a=10)
    admit(one)
    one.confirm("a", 10, now_ms=0, lease_ms=LEASE_MS)
    assert one.lapse(0) == []
    assert one.lapse(5_000) == [], "no client could renew"
    assert [one.lapse(now_ms) for now_ms in (5_400, 5_800, 6_000)] == [[], [], ["a"]]


def test_adopted_files_are_counted_even_above_the_budget() -> None:
    one = queue(model(budget=100), a=60)
    admit(one)
    one.adopt("lost", 70, backed_bytes=70, now_ms=0, lease_ms=100)
    one.adopt("lost", 70, backed_bytes=70, now_ms=0, lease_ms=100)
    assert one.reserved_bytes == 130
    queue(one, b=10)
    assert admit(one) == []
    one.release("a")
    assert admit(one) == ["b"]
