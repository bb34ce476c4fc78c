"""An upload's place in the store."""

from __future__ import annotations

from pipeline.core.journal import Session
from pipeline.core.model import ObjectTarget, Upload, object_key
from pipeline.ports import ObjectStore, SegmentBoard, UploadJournals


async def open_target(
    upload: Upload, store: ObjectStore, segments: SegmentBoard, journals: UploadJournals
) -> ObjectTarget:
    """The upload's place in the store; its session is opened once, whoever comes first."""
    target = ObjectTarget(upload.upload_id, object_key(upload.upload_id), upload.content_type, upload.plan)
    session = upload.target_session
    if session is None:
        mine = await store.begin(target)
        session = await segments.keep_session(upload.upload_id, mine)
        if session != mine:
            await store.abort(_with_session(target, mine))
        if session:
            await journals.note(upload.upload_id, Session(session))
    return _with_session(target, session)


def _with_session(target: ObjectTarget, session: str) -> ObjectTarget:
    return ObjectTarget(target.upload_id, target.key, target.content_type, target.plan, session)
