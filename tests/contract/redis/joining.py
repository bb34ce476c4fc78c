"""Partial uploads that the store has, and final uploads of them, on the real boards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.core.model import NewUpload, Part, Upload, plan_of
from pipeline.core.stages import Stage
from pipeline.core.transports import Transport
from tests.contract.redis.uploads import Play
from tests.harness.new_uploads import new_upload

OWNER = "ann"


async def held_part(play: Play, segments: int = 2) -> Upload:
    """A partial upload of which the store has every segment."""
    upload = await play.admitted(segments, transport=Transport.PARTIAL, owner=OWNER)
    jobs = await play.receive_all(upload)
    assert set(jobs) == {Stage.TRANSFER}, "it is only stored"
    assert await play.transferred(jobs[Stage.TRANSFER], upload) == {}
    return await play.board.get(upload.upload_id)


def new_final(parts: Sequence[Upload], **more: Any) -> NewUpload:
    joined = tuple(Part(part.upload_id, part.size_bytes, part.segment_bytes) for part in parts)
    plan = plan_of(0, 1, joined)
    fields = {"size_bytes": plan.size_bytes, "segment_bytes": plan.segment_bytes, "owner": OWNER, "concat": "final;a b"}
    return new_upload(**fields | more, transport=Transport.FINAL, parts=joined)
