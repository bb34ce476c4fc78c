"""The order in which the record writes journal and board, and what a crash between the two steps leaves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from pipeline.core.errors import RequestError, StageLost, TempVolumeError
from pipeline.core.journal_entries import (
    Announced,
    Completed,
    Ended,
    Gone,
    Lost,
    Planned,
    Received,
    Released,
    Session,
    Stored,
)
from pipeline.core.lifecycle import ENDED, Status
from pipeline.core.model import NewUpload, StageJob, Upload
from pipeline.core.segments import SegmentPlan
from pipeline.core.stages import Stage
from pipeline.core.stored_objects import StoredSegment
from pipeline.ports import SegmentVerdict
from pipeline.ports.recording import ReleaseOrder
from pipeline.ports.uploads import StoredVerdict
from pipeline.uploads.record import UploadRecord

pytestmark = pytest.mark.unit

JOB = StageJob("u", Stage.TRANSFER, 7, "v")
SEGMENT = StoredSegment(1, 10, "etag")


def upload(status: Status = Status.WAITING, error: str | None = None) -> Upload:
    return Upload("u", "a.mp4", 10, 10, "video/mp4", "v", "s", status, 0, 0, 0, error_code=error, error_message=error)


class Written:
    """Board and journal in one: `log` names their writes in order. `board_fails`, `journal_fails`: at the first
    write."""

    def __init__(self) -> None:
        self.log: list[Any] = []
        self.board_fails: Exception | None = None
        self.reading_fails: Exception | None = None
        self.journal_fails: Exception | None = None
        self.status = Status.WAITING
        self.releases = False

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        results: dict[str, Any] = {
            "create": (upload(self.status), True),
            "get": upload(self.status),
            "admit": (Status.ADMITTED, True, ()),
            "apply": (self.status, True),
            "record_received": SegmentVerdict(Status.RECEIVING, accepted=True),
            "invalidate": True,
            "requeue_segments": (JOB,),
            "session_lost": (1,),
            "keep_session": "session",
            "record_stored": StoredVerdict(released=self.releases, complete=False),
            "choose_releases": ReleaseOrder(True, {2: "etag-2", 1: "etag-1"}, (3,)),
        }

        async def call(*_: Any, **__: Any) -> Any:
            if name == "get":
                if self.reading_fails:
                    raise self.reading_fails
                return results[name]
            if self.board_fails:
                raise self.board_fails
            self.log.append(f"board {name}")
            return results.get(name)

        return call

    # -- the journal
    async def begin(self, new: NewUpload) -> None:
        self._journal("begin")

    async def note(self, upload_id: str, *entries: Any) -> None:
        for entry in entries:
            self._journal(entry)

    async def end(self, upload_id: str, ended: Ended) -> None:
        self._journal(ended)

    def _journal(self, entry: Any) -> None:
        if self.journal_fails:
            raise self.journal_fails
        self.log.append(entry)


@pytest.fixture
def written() -> Written:
    return Written()


@pytest.fixture
def record(written: Written) -> UploadRecord:
    both = cast("Any", written)
    return UploadRecord(both, both, both, both, both)


# name -> (call, what is written in which order)
CALLS: dict[str, tuple[Callable[[UploadRecord], Awaitable[Any]], list[Any]]] = {
    "create": (lambda record: record.create(NewUpload.of(upload())), ["board create"]),
    "begin_journal": (lambda record: record.begin_journal(upload()), ["begin"]),
    "expire": (lambda record: record.expire("u"), ["board apply"]),
    "segment_received": (
        lambda record: record.segment_received("u", 1, 10, 5),
        [Received(1, 5), "board record_received"],
    ),
    "segment_received, whose MD5 the store is to compare": (
        lambda record: record.segment_received("u", 1, 10, 5, md5_hex="aa"),
        [Announced(1, 5, "aa"), Received(1, 5), "board record_received"],
    ),
    "segment_invalid": (lambda record: record.segment_invalid("u", 1, 5), [Lost(1, 5), "board invalidate"]),
    "completed": (
        lambda record: record.completed("u", [SEGMENT]),
        [Stored(1, "etag"), Completed(), "board complete"],
    ),
    "completed, of a deferred plan": (
        lambda record: record.completed("u", [SEGMENT], SegmentPlan(10, 10)),
        [Planned(10, 10), Stored(1, "etag"), Completed(), "board complete"],
    ),
    "segment_stored": (
        lambda record: record.segment_stored(JOB, SEGMENT),
        ["board record_stored", Stored(1, "etag")],
    ),
    "choose_releases": (
        lambda record: record.choose_releases("u", "v", 10),
        ["board choose_releases", Stored(1, "etag-1"), Stored(2, "etag-2"), Released((2, 1))],
    ),
    "segments_gone": (lambda record: record.segments_gone(JOB, [1, 2]), ["board requeue_segments", Gone(1), Gone(2)]),
    "session_lost": (lambda record: record.session_lost(JOB, "session"), ["board session_lost", Gone(1)]),
    "keep_session": (lambda record: record.keep_session("u", "session"), ["board keep_session", Session("session")]),
}


@pytest.mark.parametrize("name", CALLS)
async def test_order(record: UploadRecord, written: Written, name: str) -> None:
    call, expected = CALLS[name]
    await call(record)
    assert written.log == expected


async def test_a_segment_that_is_released_when_it_is_stored_is_journaled_once(
    record: UploadRecord, written: Written
) -> None:
    written.releases = True
    assert await record.segment_stored(JOB, SEGMENT)
    assert written.log == ["board record_stored", Stored(1, "etag"), Released((1,))]


@pytest.mark.parametrize("name", ["segment_received", "segment_invalid", "completed"])
async def test_a_journal_that_fails_leaves_the_board_unchanged(
    record: UploadRecord, written: Written, name: str
) -> None:
    written.journal_fails = TempVolumeError("TEMP_VOLUME_FULL", reason="full")
    with pytest.raises(TempVolumeError):
        await CALLS[name][0](record)
    assert written.log == []


@pytest.mark.parametrize("name", ["segment_stored", "segments_gone", "session_lost"])
async def test_a_run_that_lost_its_lease_writes_nothing(record: UploadRecord, written: Written, name: str) -> None:
    written.board_fails = StageLost("STAGE_LOST", stage="transfer")
    with pytest.raises(StageLost):
        await CALLS[name][0](record)
    assert written.log == []


async def test_an_end_is_journaled_only_if_it_counts(record: UploadRecord, written: Written) -> None:
    written.status = Status.CANCELLED
    reason = RequestError("UPLOAD_CANCELLED")
    assert await record.cancel("u") is Status.CANCELLED
    assert written.log == ["board apply", Ended(Status.CANCELLED, (reason.code, reason.message))]
    written.log.clear()
    written.status = Status.READY  # it became a content first
    assert await record.cancel("u") is Status.READY
    assert written.log == ["board apply"]


@pytest.mark.parametrize("status", Status)
async def test_a_journal_that_began_after_the_end_is_ended(
    record: UploadRecord, written: Written, status: Status
) -> None:
    written.status = status
    await record.end_journal("u")
    assert written.log == ([Ended(status)] if status in ENDED else [])


async def test_the_journal_of_an_upload_without_a_record_is_left_to_recovery(
    record: UploadRecord, written: Written
) -> None:
    written.reading_fails = RequestError("UPLOAD_NOT_FOUND", upload_id="u")
    await record.end_journal("u")
    assert written.log == []


async def test_the_end_that_cleanup_journals_has_the_error_of_the_upload(
    record: UploadRecord, written: Written
) -> None:
    await record.journal_end(upload(Status.FAILED, "NOT_MEDIA"))
    await record.journal_end(upload(Status.READY))
    assert written.log == [Ended(Status.FAILED, ("NOT_MEDIA", "NOT_MEDIA")), Ended(Status.READY)]
