"""What one reservation holds of its file, in small examples. Random schedules are in tests/integration/admission."""

from __future__ import annotations

import pytest

from pipeline.core.admission import AdmissionModel, DiskReading
from pipeline.core.reservation import Reader, Reservation, WindowShares

pytestmark = pytest.mark.unit

SEGMENT = 10
SHARES = WindowShares(SEGMENT, 3)
NOBODY = Reader(active=False)


def window(segments: int = 5, file_bytes: int = 200) -> Reservation:
    size = segments * SEGMENT
    return Reservation(size, 0, 1, 0, window_bytes=size, file_bytes=file_bytes, rest_bytes=file_bytes)


def whole(size: int = 40) -> Reservation:
    return Reservation(size, 0, 1, 0, backed_bytes=size, confirmed=True)


def take(one: Reservation, number: int, reader: Reader = NOBODY, room: int = 0, size: int = SEGMENT) -> bool:
    return one.take(number, size, SHARES, reader, room, now_ms=5)


def give(one: Reservation, *numbers: int, stored: bool = True, reader: Reader = NOBODY) -> None:
    one.give(dict.fromkeys(numbers, SEGMENT), stored=stored, reader=reader)


# A window


def test_three_segments_of_a_window_are_kept_for_the_reader() -> None:
    one, reader = window(5), Reader({1, 20})
    assert [take(one, number, reader) for number in (2, 3, 4)] == [True, True, False]
    assert [take(one, number, reader) for number in (1, 20)] == [True, True]
    assert not take(one, 4, reader), "the reader may still request a third segment"
    assert take(one, 4, Reader({1, 4, 20})), "which is this one"
    assert not take(one, 5, Reader({1, 4, 20, 5})), "the window is full"


def test_all_of_a_window_is_for_others_once_the_reader_needs_no_more() -> None:
    one = window(5)
    assert [take(one, number) for number in range(1, 7)] == [True] * 5 + [False]
    give(one, 3)
    assert take(one, 6)


def test_taking_twice_is_one_segment_and_gives_it_time() -> None:
    one = window(2)
    assert take(one, 1)
    assert one.take(1, SEGMENT, SHARES, NOBODY, 0, now_ms=99)
    assert (one.taken_bytes, one.taken[1].since_ms) == (SEGMENT, 99)


def test_a_window_shrinks_to_what_remains_of_the_file() -> None:
    one = window(5, file_bytes=65)
    for number in range(1, 4):
        assert take(one, number)
        one.back(number)
        give(one, number)
    assert (one.size_bytes, one.rest_bytes, one.backed_bytes) == (35, 35, 0)
    assert [take(one, number, size=size) for number, size in ((4, 10), (5, 10), (6, 10), (7, 5))] == [True] * 4
    give(one, 4, 5, 6, 7)
    assert (one.size_bytes, one.rest_bytes) == (0, 0)


def test_a_window_keeps_its_size_while_the_reader_may_request_segments() -> None:
    one, reader = window(5, file_bytes=65), Reader({1})
    for number in range(2, 7):
        assert take(one, number, reader)
        give(one, number, reader=reader)
    assert (one.size_bytes, one.rest_bytes) == (50, 15)
    give(one, 2)
    assert one.size_bytes == 15


def test_a_failed_body_gives_its_room_back_and_the_window_keeps_its_size() -> None:
    one = window(2, file_bytes=30)
    assert take(one, 1)
    assert one.back(1)
    give(one, 1, stored=False)
    assert (one.size_bytes, one.rest_bytes, one.backed_bytes, one.given) == (20, 30, 0, {})
    assert take(one, 1)


def test_only_segments_that_are_taken_are_backed_and_only_once() -> None:
    one = window(2)
    assert not one.back(1)
    take(one, 1)
    assert [one.back(1), one.back(1)] == [True, False]
    assert one.backed_bytes == SEGMENT
    give(one, 1)
    give(one, 1)
    assert (one.backed_bytes, one.rest_bytes) == (0, 190)


def test_a_lost_segment_grows_a_window_that_had_shrunk() -> None:
    one = window(4, file_bytes=60)
    for number in range(1, 7):
        assert take(one, number)
        give(one, number)
    assert one.size_bytes == 0
    assert not take(one, 2, room=SEGMENT - 1)
    assert (one.wish_bytes, one.needed_bytes) == (SEGMENT, SEGMENT)
    assert take(one, 3, room=25), "another one may have the room"
    assert (one.size_bytes, one.rest_bytes, one.wish_bytes, one.needed_bytes) == (10, 10, 0, 0)


def test_a_wish_that_is_granted_keeps_its_room_until_the_segment_comes() -> None:
    one = window(4, file_bytes=60)
    for number in range(1, 7):
        take(one, number)
        give(one, number)
    assert not take(one, 2)
    one.grant_wish()
    assert (one.size_bytes, one.needed_bytes) == (SEGMENT, 0)
    give(one, 5)
    assert one.size_bytes == SEGMENT
    assert take(one, 2)
    assert one.wish_bytes == 0
    give(one, 2)
    assert one.size_bytes == 0


# A whole file


def test_a_whole_file_gives_back_what_is_stored() -> None:
    one = whole(40)
    assert take(one, 2), "it has its room already"
    assert one.taken == {}
    give(one, 1, 2)
    give(one, 1, 2)
    assert (one.size_bytes, one.backed_bytes, sorted(one.given)) == (20, 20, [1, 2])
    give(one, 3, stored=False)
    assert (one.size_bytes, one.backed_bytes) == (20, 20), "a segment that is sent again keeps its room"


def test_a_lost_segment_of_a_whole_file_needs_room_again() -> None:
    one = whole(40)
    give(one, 1, 2)
    assert not take(one, 1, room=9)
    assert one.needed_bytes == SEGMENT
    assert take(one, 2, room=10)
    assert (one.size_bytes, one.backed_bytes, one.needed_bytes, sorted(one.given)) == (30, 20, 0, [1])
    assert one.back(2)
    assert one.backed_bytes == 30
    give(one, 2, stored=False)
    assert (one.size_bytes, one.backed_bytes, sorted(one.given)) == (20, 20, [1, 2]), "its room has to be taken again"


def test_a_wish_of_a_whole_file() -> None:
    one = whole(45)
    give(one, 1)
    one.give({5: 5}, stored=True, reader=NOBODY)
    assert not take(one, 5)
    assert one.needed_bytes == 5
    one.grant_wish()
    assert (one.size_bytes, one.needed_bytes) == (35, 0)
    assert not take(one, 1), "it is longer than what was granted"
    assert one.needed_bytes == 5
    one.grant_wish()
    assert one.size_bytes == 40
    assert take(one, 5), "another one may have the room"
    assert (one.size_bytes, one.wish_bytes, one.granted_bytes) == (35, 0, 0)


# Several


def ledger(budget: int = 100) -> AdmissionModel:
    return AdmissionModel(budget, max_overtakes=2, lookahead=10, pause_ms=10**9)


def admit(one: AdmissionModel, free: int = 10_000) -> list[str] | None:
    return one.admit(DiskReading(free, 0, one.epoch), 0, 1_000)


def test_a_giant_reserves_its_window_and_blocks_nobody() -> None:
    one = ledger()
    one.request("giant", 10_000, window_bytes=40)
    one.request("small", 60)
    assert admit(one) == ["giant", "small"]
    assert one.reserved_bytes == 100


def test_wishes_come_true_before_the_queue_in_the_order_of_the_uploads() -> None:
    one = ledger(budget=30)
    for upload in ("a", "b", "c"):
        one.request(upload, 10)
    assert admit(one) == ["a", "b", "c"]
    for upload in ("a", "b"):
        one.confirm(upload, 10, 0, 1_000)
        one.give(upload, {1: 10}, stored=True, reader=NOBODY)
    one.request("d", 20)
    assert admit(one) == ["d"]
    assert not one.take("b", 1, 10, SHARES, NOBODY, 0)
    assert not one.take("a", 1, 10, SHARES, NOBODY, 0)
    one.request("e", 5)
    one.release("c")
    assert admit(one) == []
    assert one.reservations["a"].size_bytes == 10
    assert one.take("a", 1, 10, SHARES, NOBODY, 0)
    assert not one.take("b", 1, 10, SHARES, NOBODY, 0)
    one.release("d")
    assert admit(one) == ["e"], "after b has what it wishes, there is room for it"
    assert one.take("b", 1, 10, SHARES, NOBODY, 0)


def test_uploads_with_wishes_do_not_wait_for_each_other() -> None:
    """Each has 5 bytes for its last segment, and needs 10 for one that the store has lost."""
    one = ledger(budget=40)
    for upload in ("a", "b"):
        one.request(upload, 25, window_bytes=20)
    assert admit(one) == ["a", "b"]
    for upload in ("a", "b"):
        for number in (1, 2):
            assert one.take(upload, number, 10, SHARES, NOBODY, 0)
        one.give(upload, {1: 10, 2: 10}, stored=True, reader=NOBODY)
    one.request("c", 30)
    assert admit(one) == ["c"]
    for upload in ("a", "b"):
        assert not one.take(upload, 1, 10, SHARES, NOBODY, 0)
        assert one.take(upload, 3, 5, SHARES, NOBODY, 0)
        one.give(upload, {3: 5}, stored=True, reader=NOBODY)
    assert {who: item.size_bytes for who, item in one.reservations.items()} == {"a": 0, "b": 0, "c": 30}
    for upload in ("a", "b"):
        assert admit(one) == []
        assert one.take(upload, 1, 10, SHARES, NOBODY, 0)
        one.give(upload, {1: 10}, stored=True, reader=NOBODY)


def test_a_reservation_grows_only_into_what_the_disk_had_when_it_was_read() -> None:
    one = ledger(budget=100)
    one.request("a", 10)
    admit(one, free=15)
    one.confirm("a", 10, 0, 1_000)
    one.give("a", {1: 10}, stored=True, reader=NOBODY)
    assert not one.take("a", 1, 10, SHARES, NOBODY, 0), "its bytes may have been read as free already"
    admit(one, free=9)
    assert not one.take("a", 1, 10, SHARES, NOBODY, 0)
    admit(one, free=10)
    assert one.take("a", 1, 10, SHARES, NOBODY, 0)


def test_an_upload_larger_than_a_lowered_budget_goes_alone() -> None:
    one = ledger(budget=50)
    one.request("small", 10)
    one.request("large", 80)
    one.request("next", 10)
    assert admit(one) == ["small", "next"]
    one.release("small")
    assert admit(one) == []
    one.release("next")
    assert admit(one, free=79) == []
    assert admit(one, free=80) == ["large"]
    one.request("last", 1)
    assert admit(one) == []


def test_an_upload_larger_than_the_disk_has_become_blocks_nobody() -> None:
    one = ledger(budget=100)
    one.max_overtakes = 0
    one.request("large", 80)
    for upload in ("a", "b", "c"):
        one.request(upload, 10)
    assert admit(one, free=79) == ["a", "b", "c"]
    assert next(iter(one.queue)).overtaken == 0
    for upload in ("a", "b", "c"):
        one.confirm(upload, 10, 0, 1_000)
    one.request("d", 10)
    assert admit(one, free=50) == [], "the disk could hold it again, so it is waited for"
    for upload in ("a", "b", "c"):
        one.release(upload)
    assert admit(one, free=80) == ["large"]


def test_an_adopted_window_holds_what_is_on_the_disk() -> None:
    one = ledger(budget=50)
    one.adopt("a", 100, 0, 0, 100, 40, taken={1: 10, 9: 10}, given={2: 10, 3: 10}, reader=Reader({1}))
    held = one.reservations["a"]
    assert (held.size_bytes, held.rest_bytes, held.backed_bytes, held.taken_bytes) == (40, 80, 20, 20)
    one.adopt("b", 45, 35, 0, 100, given={2: 10})
    held = one.reservations["b"]
    assert (held.size_bytes, held.backed_bytes, one.reserved_bytes) == (35, 35, 75)
    one.adopt("c", 100, 0, 0, 100, 40, given=dict.fromkeys(range(1, 9), 10), reader=NOBODY)
    assert one.reservations["c"].size_bytes == 20
