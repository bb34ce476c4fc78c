"""Journals: `read` returns what the intact entries say, whatever a crash did to the rest."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.journal import read, slot, write
from pipeline.core.journal_entries import (
    Announced,
    Begun,
    Completed,
    Ended,
    Entry,
    Gone,
    Lost,
    Planned,
    Received,
    Released,
    Session,
    Stored,
    TailLeft,
    Traced,
    beginning,
)
from pipeline.core.lifecycle import ENDED, Status
from pipeline.core.model import ClientDigest, Deferred, NewUpload
from pipeline.core.segments import SegmentPlan
from pipeline.core.stored_objects import ObjectVersion
from pipeline.core.tail import Tail
from pipeline.core.transports import Transport

pytestmark = pytest.mark.unit

NEW = NewUpload(
    upload_id="u1",
    filename="Ferien \u2603\n.mp4",
    size_bytes=95,
    segment_bytes=10,
    content_type="video/mp4",
    volume="local",
    store="swift",
    digest=ClientDigest("sha-256", bytes(range(32))),
    metadata={"owner": "zoë"},
    idempotency_key="k",
    fingerprint="f",
    transport=Transport.IMPORT,
    source=ObjectVersion("raw", "a/b", "etag"),
)

numbers = st.integers(1, 10)
crcs = st.integers(0, 2**32 - 1)
entries: st.SearchStrategy[Entry] = st.one_of(
    st.builds(Received, numbers, crcs),
    st.builds(Announced, numbers, crcs, st.text(max_size=32)),
    st.builds(Lost, numbers, crcs),
    st.builds(Stored, numbers, st.text(max_size=20)),
    st.builds(Gone, numbers),
    st.builds(Released, st.lists(numbers, max_size=5).map(tuple)),
    st.builds(Session, st.text(max_size=20)),
    st.builds(Traced, st.text(max_size=55)),
    st.builds(Planned, st.integers(1, 95), st.integers(1, 95)),
    st.just(Completed()),
    st.builds(Ended, st.sampled_from(sorted(ENDED)), st.none() | st.tuples(st.text(max_size=5), st.text(max_size=5))),
)


def test_entries_are_read_as_written() -> None:
    journal = read(write([Begun(NEW), Received(1, 7), Received(2, 8), Stored(1, "e1"), Session("s"), Completed()]))
    assert journal is not None
    assert journal.new == NEW
    assert (journal.received, journal.stored, journal.session) == ({1: 7, 2: 8}, {1: "e1"}, "s")
    assert (journal.completed, journal.ended) == (True, None)


def test_a_journal_keeps_the_trace_of_its_upload_in_a_line_that_other_releases_skip() -> None:
    new = replace(NEW, traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    written = write([*beginning(new), Received(1, 7)])
    journal = read(written)
    assert journal is not None
    assert (journal.new, journal.received) == (new, {1: 7})
    without = read(write([Begun(new), Received(1, 7)]))
    assert without is not None
    assert (without.new, without.received) == (NEW, {1: 7})
    assert beginning(NEW) == [Begun(NEW)]


@pytest.mark.parametrize(
    ("further", "expected"),
    [
        ([], "aa"),
        ([Received(1, 8)], ""),
        ([Lost(1, 7), Received(1, 7)], ""),
        ([Stored(1, "e1"), Gone(1)], ""),
        ([Lost(1, 6)], "aa"),
    ],
    ids=["received", "with other bytes", "invalidated and sent again", "compared by the store", "not the same bytes"],
)
def test_an_announced_md5_belongs_to_the_bytes_until_the_store_has_compared_it(
    further: list[Entry], expected: str
) -> None:
    journal = read(write([Begun(NEW), Announced(1, 7, "aa"), Received(1, 7), *further]))
    assert journal is not None
    assert (journal.md5_hex(1), journal.md5_hex(2)) == (expected, "")


def test_a_plan_that_was_deferred_is_the_last_one_made() -> None:
    new = replace(NEW, size_bytes=0, deferred=Deferred.SIZE)
    unfinished: list[Entry] = [Planned(20, 10), Stored(1, "a"), Stored(2, "b")]
    journal = read(write([Begun(new), *unfinished, Planned(30, 15), Stored(1, "c"), Stored(2, "d"), Completed()]))
    assert journal is not None
    assert (journal.plan, journal.new.deferred, journal.planned) == (SegmentPlan(30, 15), None, True)
    assert (journal.stored, journal.completed) == ({1: "c", 2: "d"}, True)
    begun = read(write([Begun(new)]))
    assert begun is not None
    assert (begun.new, begun.planned) == (new, False)


def test_a_length_that_was_deferred_is_the_first_one_announced() -> None:
    new = replace(NEW, size_bytes=0, deferred=Deferred.LENGTH, most_bytes=100, transport=Transport.GATEWAY)
    entries: list[Entry] = [Begun(new), Received(1, 7), Received(2, 8), Stored(1, "a")]
    tail = slot(TailLeft(1, Tail(3, 4, 9)))[1]
    begun = read(tail + write(entries))
    assert begun is not None
    assert (begun.new, begun.plan, begun.planned, begun.least_bytes) == (new, SegmentPlan(100, 10), False, 30)
    known = read(tail + write([*entries, Planned(24, 10), Planned(29, 10), Received(3, 9), Received(4, 1)]))
    assert known is not None
    assert (known.plan, known.new.deferred, known.planned) == (SegmentPlan(24, 10), None, True)
    assert (known.received, known.stored) == ({1: 7, 2: 8, 3: 9}, {1: "a"})


def test_nothing_is_known_of_a_file_of_which_nothing_has_arrived() -> None:
    new = replace(NEW, size_bytes=0, deferred=Deferred.LENGTH, most_bytes=100, transport=Transport.GATEWAY)
    journal = read(write([Begun(new)]))
    assert journal is not None
    assert journal.least_bytes == 0


def test_an_upload_that_was_planned_at_its_creation_keeps_its_plan() -> None:
    journal = read(write([Begun(NEW), Planned(20, 10)]))
    assert journal is not None
    assert (journal.new, journal.planned) == (NEW, False)


def test_a_lost_segment_is_neither_received_nor_stored() -> None:
    journal = read(write([Begun(NEW), Received(1, 7), Stored(1, "e1"), Lost(1, 7)]))
    assert journal is not None
    assert (journal.received, journal.stored) == ({}, {})
    again = read(write([Begun(NEW), Received(1, 7), Received(1, 8), Lost(1, 7)]))
    assert again is not None
    assert again.received == {1: 8}, "bytes that were sent again in the meantime stay"


def test_a_segment_that_the_store_lost_is_still_received() -> None:
    journal = read(write([Begun(NEW), Received(1, 7), Stored(1, "e1"), Gone(1)]))
    assert journal is not None
    assert (journal.received, journal.stored) == ({1: 7}, {})


def test_released_segments_stay_received_and_stored() -> None:
    released = Released((1, 2, 3, 7))
    stored = [Stored(number, "e") for number in (1, 2, 3)]
    journal = read(write([Begun(NEW), *(Received(n, n) for n in (1, 2, 3, 7)), *stored, released]))
    assert journal is not None
    assert journal.released == {1, 2, 3}, "a segment that is not stored is on the temp volume"
    assert set(journal.received) == {1, 2, 3, 7}
    assert b"[[1,3],[7,7]]" in write([released]), "many segments take little room"


def test_a_released_segment_that_the_store_lost_is_missing_and_must_have_the_same_bytes() -> None:
    lost: list[Entry] = [Begun(NEW), Received(1, 7), Stored(1, "e1"), Released((1,)), Gone(1)]
    journal = read(write(lost))
    assert journal is not None
    assert (journal.received, journal.stored, journal.released, journal.expected) == ({}, {}, set(), {1: 7})
    for crc32c, received in ((8, {}), (7, {1: 7})):
        again = read(write([*lost, Received(1, crc32c)]))
        assert again is not None
        assert again.received == received


def test_what_redis_refused_after_it_was_written_does_not_count() -> None:
    """A reader has read the hole of a released segment, or a late request has sent other bytes."""
    released: list[Entry] = [Begun(NEW), Received(1, 7), Stored(1, "e1"), Released((1,))]
    journal = read(write([*released, Lost(1, 7), Received(1, 8)]))
    assert journal is not None
    assert (journal.received, journal.stored, journal.released) == ({1: 7}, {1: "e1"}, {1})


def test_entries_about_segments_out_of_range_are_ignored() -> None:
    journal = read(write([Begun(NEW), Received(0, 1), Received(11, 1), Stored(11, "e")]))
    assert journal is not None
    assert (journal.received, journal.stored) == ({}, {})


@given(st.lists(entries), st.data())
def test_a_torn_entry_is_ignored_and_does_not_damage_the_next(rest: list[Entry], data: st.DataObject) -> None:
    whole = write([Begun(NEW), *rest])
    cut = data.draw(st.integers(0, len(whole)))
    kept = 0
    while kept <= len(rest) and len(write([Begun(NEW), *rest][: kept + 1])) <= cut:
        kept += 1
    torn = read(whole[:cut])
    if kept == 0:
        assert torn is None
    else:
        assert torn == read(write([Begun(NEW), *rest[: kept - 1]]))
        # an entry that is appended behind a torn one is intact
        assert read(whole[:cut] + write([Received(3, 9)])) == read(
            write([Begun(NEW), *rest[: kept - 1], Received(3, 9)])
        )


@given(st.binary())
def test_garbage_is_ignored(data: bytes) -> None:
    assert read(data) is None
    clean = write([Begun(NEW), Received(1, 7)])
    assert read(clean + b"\n" + data + b"\n") == read(clean)


@given(st.data())
def test_a_flipped_byte_damages_only_its_own_entry(data: st.DataObject) -> None:
    first, second, third = (write([entry]) for entry in (Begun(NEW), Received(1, 7), Received(2, 8)))
    at = data.draw(st.integers(1, len(second) - 1))
    flipped = bytearray(second)
    flipped[at] ^= data.draw(st.integers(1, 255))
    if b"\n" not in flipped[1:]:
        journal = read(first + bytes(flipped) + third)
        assert journal is not None
        assert journal.received == {2: 8}


def test_an_upload_ends_once_but_ready_overrides() -> None:
    first, later = Ended(Status.FAILED, ("NOT_MEDIA", "why")), Ended(Status.FAILED, ("TEMP_FILE_MISSING", "gone"))
    journal = read(write([Begun(NEW), first, later]))
    assert journal is not None
    assert journal.ended == first
    journal.add(Ended(Status.READY))
    journal.add(later)
    assert journal.ended == Ended(Status.READY)
