"""Views: every field of the pipeline's values appears in the right field of the API."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gateway.api.views import instant, microseconds, segment_view, upload_view
from pipeline.core.digests import parse_content_digest
from pipeline.core.lifecycle import Status
from pipeline.core.model import StageStatus, Upload
from pipeline.core.stages import Stage, StageState
from pipeline.uploads.lookup import UploadDetail
from pipeline.uploads.receive import SegmentReceipt

pytestmark = pytest.mark.unit

BASE = "http://h"


def upload(status: Status = Status.RECEIVING, error: tuple[str, str] | None = None) -> Upload:
    return Upload(
        upload_id="u",
        filename="a.mp4",
        size_bytes=25,
        segment_bytes=10,
        content_type="video/mp4",
        volume="v",
        store="swift",
        status=status,
        status_since_ms=1,
        created_at_ms=1_700_000_000_123,
        updated_at_ms=1_700_000_000_456,
        metadata={"k": "v"},
        bytes_received=10,
        segments_received=1,
        error_code=error[0] if error else None,
        error_message=error[1] if error else None,
        stages={Stage.TRANSFER: StageStatus(StageState.RUNNING, attempt=2, started_at_ms=1_700_000_000_200)},
    )


def test_an_upload_in_flight() -> None:
    shown = upload_view(UploadDetail(upload(), None, [(2, 3)], 1_700_000_900_000), BASE)
    assert (shown.id, shown.status, shown.size, shown.segment_size, shown.segment_count) == (
        "u",
        "receiving",
        25,
        10,
        3,
    )
    assert shown.missing_segments == [(2, 3)]
    assert shown.created_at == datetime(2023, 11, 14, 22, 13, 20, 123000, UTC)
    assert shown.expires_at == datetime(2023, 11, 14, 22, 28, 20, tzinfo=UTC)
    assert shown.stages["transfer"].state == "running"
    assert shown.stages["transfer"].attempts == 2
    assert shown.stages["transfer"].finished_at is None
    assert shown.error is None


def test_the_digest_of_the_file_is_shown_as_it_was_announced() -> None:
    announced = parse_content_digest("sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:")[0]
    shown = upload_view(UploadDetail(replace(upload(), digest=announced), None, [], None), BASE)
    assert shown.digest == "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"
    assert upload_view(UploadDetail(upload(), None, [], None), BASE).digest is None


def test_a_waiting_upload_shows_its_queue_position() -> None:
    shown = upload_view(UploadDetail(upload(Status.WAITING), 4, [(1, 3)], None), BASE)
    assert (shown.status, shown.queue_position, shown.expires_at) == ("waiting", 4, None)


def test_a_failed_upload_shows_its_error() -> None:
    shown = upload_view(UploadDetail(upload(Status.FAILED, ("NOT_MEDIA", "no")), None, [], None), BASE)
    assert shown.error is not None
    assert (shown.error.code, shown.error.message) == ("NOT_MEDIA", "no")


def test_what_the_reader_wants_and_what_it_has_found() -> None:
    media = {"kind": "image", "container": "jpeg", "size_bytes": 25}
    shown = upload_view(UploadDetail(upload(), None, [(2, 9)], None, [(3, 3), (7, 8)], media), BASE)
    assert shown.wanted_segments == [(3, 3), (7, 8)]
    assert shown.media is not None
    assert shown.media.kind == "image"
    before = upload_view(UploadDetail(upload(), None, [(2, 9)], None), BASE)
    assert (before.wanted_segments, before.media) == ([], None)
    receipt = SegmentReceipt(1, 10, 0xAB, repeated=False, status=Status.RECEIVING, wanted=(9, 3, 4))
    assert segment_view(receipt).wanted_segments == [(3, 4), (9, 9)]


def test_a_crc_keeps_its_leading_zeros() -> None:
    shown = segment_view(SegmentReceipt(1, 10, 0xAB, repeated=True, status=Status.RECEIVING))
    assert shown.digest == "crc32c=:AAAAqw==:"
    assert (shown.crc32c, shown.repeated, shown.upload_status) == ("000000ab", True, "receiving")


@pytest.mark.parametrize("moment_ms", [0, 1, 1_700_000_000_123, 9_999_999_999_999])
def test_times_are_exact(moment_ms: int) -> None:
    assert microseconds(instant(moment_ms)) == moment_ms * 1000
