"""An upload's target in its store, and the session that the store needs for it (S3's multipart upload)."""

from __future__ import annotations

from dataclasses import replace

from pipeline.core.errors import RequestError
from pipeline.core.model import Upload
from pipeline.core.stored_objects import ObjectTarget, object_key
from pipeline.core.transports import Transport
from pipeline.ports import ObjectStore
from pipeline.uploads.record import UploadRecord


def target_of(upload: Upload) -> ObjectTarget:
    """Where the upload's object goes, with its session if one is recorded."""
    return ObjectTarget(
        upload.upload_id,
        object_key(upload.upload_id),
        upload.content_type,
        upload.plan,
        upload.target_session or "",
        partial=upload.transport is Transport.PARTIAL,
        parts=tuple(part.upload_id for part in upload.parts),
    )


async def open_target(upload: Upload, store: ObjectStore, record: UploadRecord) -> ObjectTarget:
    """The upload's target with an open session. One session counts however many processes open one at once; the others
    are aborted. Raises RequestError UPLOAD_NOT_FOUND; StoreError; DependencyUnavailable; TempVolumeError."""
    target = target_of(upload)
    if upload.target_session is not None:
        return target
    opened = await store.begin(target)
    if not opened:  # a store without sessions: there is nothing to record
        return target
    try:
        session = await record.keep_session(upload.upload_id, opened)
    except RequestError:  # Redis has lost the upload
        await store.abort(replace(target, session=opened))
        raise
    if session != opened:
        await store.abort(replace(target, session=opened))
    return replace(target, session=session)
