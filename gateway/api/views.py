"""Converts the pipeline's values to the models of the API, field by field. Pure functions.

Times are milliseconds of Redis' clock in the pipeline, and RFC 3339 in UTC with the same precision in the API.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import overload

from pipeline.core.model import StageStatus
from pipeline.uploads.direct import Grants
from pipeline.uploads.imports import Imported
from pipeline.uploads.lookup import UploadDetail
from pipeline.uploads.receive import SegmentReceipt
from schemas.imports import ImportView
from schemas.uploads import GrantsView, SegmentGrantView, SegmentView, StageView, UploadError, UploadLinks, UploadView

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@overload
def instant(milliseconds: int) -> datetime: ...
@overload
def instant(milliseconds: int | None) -> datetime | None: ...
def instant(milliseconds: int | None) -> datetime | None:
    """Milliseconds since 1970 as a time in UTC, exact."""
    return None if milliseconds is None else _EPOCH + timedelta(milliseconds=milliseconds)


def microseconds(time: datetime) -> int:
    """A time as microseconds since 1970: PostgreSQL's precision, so that a cursor does not merge two rows."""
    return (time - _EPOCH) // timedelta(microseconds=1)


def upload_links(base: str, upload_id: str, content_id: str | None) -> UploadLinks:
    """`base`: the gateway's URL without a trailing slash."""
    upload = f"{base}/v1/uploads/{upload_id}"
    return UploadLinks(
        self=upload,
        events=f"{upload}/events",
        segment=f"{upload}/segments/{{number}}",
        content=f"{base}/v1/contents/{content_id}" if content_id else None,
    )


def upload_view(detail: UploadDetail, base: str) -> UploadView:
    """`base`: as in `upload_links`."""
    upload = detail.upload
    return UploadView(
        id=upload.upload_id,
        status=str(upload.status),
        queue_position=detail.queue_position,
        filename=upload.filename,
        size=upload.size_bytes,
        content_type=upload.content_type,
        transport=str(upload.transport),
        metadata=dict(upload.metadata),
        segment_size=upload.segment_bytes,
        segment_count=upload.plan.count,
        bytes_received=upload.bytes_received,
        bytes_stored=upload.bytes_stored,
        missing_segments=detail.missing,
        stages={str(stage): _stage_view(status) for stage, status in upload.stages.items()},
        error=UploadError(code=upload.error_code, message=upload.error_message or "") if upload.error_code else None,
        content_id=upload.content_id,
        created_at=instant(upload.created_at_ms),
        updated_at=instant(upload.updated_at_ms),
        expires_at=instant(detail.expires_at_ms),
        links=upload_links(base, upload.upload_id, upload.content_id),
    )


def grants_view(grants: Grants) -> GrantsView:
    return GrantsView(
        expires_in=grants.seconds,
        segments=[
            SegmentGrantView(
                number=item.number, size=item.size_bytes, method=item.method, url=item.url, headers=dict(item.headers)
            )
            for item in grants.segments
        ],
        more=list(grants.more),
        token=grants.token,
        storage_url=grants.storage_url,
    )


def import_view(imported: Imported) -> ImportView:
    found = imported.found
    return ImportView(
        id=imported.upload_id,
        status=str(imported.status),
        created=imported.created,
        bucket=found.container,
        key=found.key,
        size=found.size_bytes,
        etag=found.etag,
    )


def segment_view(receipt: SegmentReceipt) -> SegmentView:
    return SegmentView(
        number=receipt.number,
        size=receipt.size_bytes,
        crc32c=f"{receipt.crc32c:08x}",
        repeated=receipt.repeated,
        upload_status=str(receipt.status),
    )


def _stage_view(status: StageStatus) -> StageView:
    return StageView(
        state=str(status.state),
        attempts=status.attempt,
        started_at=instant(status.started_at_ms),
        finished_at=instant(status.finished_at_ms),
        error_code=status.error_code,
    )
