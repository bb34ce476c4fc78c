"""Converts the pipeline's values to the models of the API, field by field. Pure functions.

Times are milliseconds of Redis' clock in the pipeline, and RFC 3339 in UTC with the same precision in the API.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import overload

from gateway.api.links import content_links, import_links, upload_links
from pipeline.contents.downloads import Downloads
from pipeline.core.digests import crc32c_digest, format_content_digest
from pipeline.core.error_codes import CATALOGUE
from pipeline.core.lifecycle import ENDED, Status
from pipeline.core.model import StageStatus
from pipeline.core.segments import to_ranges
from pipeline.core.stages import Stage
from pipeline.hidden_paths import without_paths
from pipeline.uploads.direct import Grants
from pipeline.uploads.imports import Imported
from pipeline.uploads.lookup import UploadDetail
from pipeline.uploads.receive import SegmentReceipt
from schemas.content import Content, ContentObject, ContentView, ObjectView
from schemas.deletions import PendingDeletion
from schemas.imports import ImportView
from schemas.media import MediaMetadata
from schemas.overview import StageBar, Timeline
from schemas.uploads import GrantsView, SegmentGrantView, SegmentView, StageView, UploadError, UploadView

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


def upload_view(detail: UploadDetail, base: str) -> UploadView:
    """`base`: as in `gateway.api.links.upload_links`."""
    upload = detail.upload
    return UploadView(
        id=upload.upload_id,
        owner=upload.owner,
        status=str(upload.status),
        queue_position=detail.queue_position,
        filename=upload.filename,
        size=upload.size_bytes,
        content_type=upload.content_type,
        transport=str(upload.transport),
        metadata=dict(upload.metadata),
        digest=format_content_digest(upload.digest) if upload.digest else None,
        segment_size=upload.segment_bytes,
        segment_count=upload.plan.count,
        deferred=None if upload.deferred is None else upload.deferred.value,
        bytes_received=upload.bytes_received + upload.tail_bytes,
        bytes_stored=upload.bytes_stored,
        missing_segments=detail.missing,
        wanted_segments=detail.wanted,
        media=MediaMetadata.model_validate(detail.media) if detail.media else None,
        wrong_digests=to_ranges(_within(upload.wrong_digests, detail.missing)),
        segment_digest="md5" if upload.prefers_md5 else "crc32c",
        window_size=upload.window_bytes,
        stages={str(stage): _stage_view(status) for stage, status in upload.stages.items()},
        error=_error(upload.error_code, upload.error_message or "") if upload.error_code else None,
        content_id=upload.content_id,
        created_at=instant(upload.created_at_ms),
        updated_at=instant(upload.updated_at_ms),
        expires_at=instant(detail.expires_at_ms),
        deadline_at=instant(detail.deadline_ms),
        links=upload_links(base, upload.upload_id, upload.transport, upload.status),
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


def import_view(imported: Imported, base: str) -> ImportView:
    """`base`: as in `upload_view`."""
    found = imported.found
    return ImportView(
        id=imported.upload_id,
        status=str(imported.status),
        created=imported.created,
        bucket=found.container,
        key=found.key,
        size=found.size_bytes,
        etag=found.etag,
        links=import_links(base, imported.upload_id, imported.status),
    )


def content_view(content: Content, base: str, downloads: Downloads, *, receipt: bool) -> ContentView:
    """`base`: as in `upload_view`. `downloads` knows which ETags are digests. `receipt`: receipts are offered."""

    def shown(stored: ContentObject) -> ObjectView:
        fields = {**dict(stored), "container": _container(stored.container)}
        return ObjectView(**fields, digest=downloads.object_digest(content.id, stored))

    fields = {
        **dict(content),
        "object": shown(content.object),
        "thumbnail": shown(content.thumbnail) if content.thumbnail else None,
    }
    links = content_links(base, content.id, thumbnail=content.thumbnail is not None, receipt=receipt)
    return ContentView(**fields, links=links)


def deletion_view(deletion: PendingDeletion) -> PendingDeletion:
    """As it may be shown."""

    def shown(stored: ContentObject) -> ContentObject:
        return stored.model_copy(update={"container": _container(stored.container)})

    thumbnail = shown(deletion.thumbnail) if deletion.thumbnail else None
    error = without_paths(deletion.error)
    return deletion.model_copy(update={"object": shown(deletion.object), "thumbnail": thumbnail, "error": error})


def segment_view(receipt: SegmentReceipt) -> SegmentView:
    return SegmentView(
        number=receipt.number,
        size=receipt.size_bytes,
        digest=format_content_digest(crc32c_digest(receipt.crc32c)),
        crc32c=f"{receipt.crc32c:08x}",
        repeated=receipt.repeated,
        upload_status=str(receipt.status),
        wanted_segments=to_ranges(receipt.wanted),
    )


def timeline_view(detail: UploadDetail, shown: UploadView) -> Timeline:
    """`shown`: the same upload."""
    upload = detail.upload
    return Timeline(
        upload=shown,
        admitted_at=instant(upload.reached_ms.get(Status.ADMITTED)),
        receiving_at=instant(upload.reached_ms.get(Status.RECEIVING)),
        received_at=instant(upload.reached_ms.get(Status.PROCESSING)),
        ended_at=instant(upload.status_since_ms) if upload.status in ENDED else None,
        cleaned_at=instant(upload.released_at_ms),
        stages=[_stage_bar(stage, status) for stage, status in upload.stages.items()],
    )


def _stage_bar(stage: Stage, status: StageStatus) -> StageBar:
    return StageBar(
        stage=str(stage),
        state=str(status.state),
        state_since=instant(status.since_ms),
        due_at=instant(status.queued_at_ms),
        started_at=instant(status.started_at_ms),
        finished_at=instant(status.finished_at_ms),
        attempts=status.attempt,
        failures=status.failures,
        outages=status.outages,
        takeovers=status.takeovers,
        outage_since=instant(status.outage_since_ms),
        outage_dependency=status.outage_dependency,
        waits_for=status.waits_for,
        worker=status.worker,
        error_code=status.error_code,
    )


def _error(code: str, message: str) -> UploadError:
    spec = CATALOGUE.get(code)  # None: of another release
    return UploadError(code=code, message=message if spec and spec.http_status < 500 else without_paths(message))


def _within(numbers: Iterable[int], ranges: Sequence[tuple[int, int]]) -> list[int]:
    return [number for number in numbers if any(first <= number <= last for first, last in ranges)]


def _container(name: str) -> str:
    """Earlier releases recorded the directory of the filesystem store; no container and no bucket begins with a
    slash."""
    return "files" if name.startswith("/") else name


def _stage_view(status: StageStatus) -> StageView:
    return StageView(
        state=str(status.state),
        attempts=status.attempt,
        started_at=instant(status.started_at_ms),
        finished_at=instant(status.finished_at_ms),
        error_code=status.error_code,
    )
