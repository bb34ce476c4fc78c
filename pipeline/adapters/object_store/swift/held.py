"""What Swift holds of an upload that clients send to it themselves."""

from __future__ import annotations

import asyncio

from pipeline.adapters.object_store.http.bodies import size_and_etag
from pipeline.adapters.object_store.names import segment_name
from pipeline.adapters.object_store.swift.http import SwiftHttp
from pipeline.adapters.object_store.swift.layout import SwiftLayout
from pipeline.adapters.object_store.swift.listing import entries
from pipeline.core.model import ObjectTarget, StoredSegment

_HEADS_AT_ONCE = 8


async def held_segments(
    http: SwiftHttp, layout: SwiftLayout, target: ObjectTarget, page_names: int
) -> list[StoredSegment]:
    """Every stored segment, in order of number. Raises StoreError, StoreUnavailable.

    The listing is read first. A segment that it lacks (listings lag behind), or shows with another length than planned,
    is requested by HEAD.
    """
    plan = target.plan
    found: dict[int, StoredSegment] = {}
    if plan.count > 1:
        names = {segment_name(target.upload_id, number): number for number in range(1, plan.count + 1)}
        async for entry in entries(http, layout.segment_container, f"{target.upload_id}/", page_names):
            number = names.get(entry.name)
            if number is not None and entry.etag:
                found[number] = StoredSegment(number, entry.size_bytes, entry.etag)
    doubtful = iter([n for n in range(1, plan.count + 1) if n not in found or found[n].size_bytes != plan.length(n)])

    async def head_next() -> None:
        for number in doubtful:
            segment = await _head(http, layout, target, number)
            if segment is not None:
                found[number] = segment

    await asyncio.gather(*(head_next() for _ in range(_HEADS_AT_ONCE)))
    return [found[number] for number in sorted(found)]


async def _head(http: SwiftHttp, layout: SwiftLayout, target: ObjectTarget, number: int) -> StoredSegment | None:
    path, _ = layout.destination(target, number)
    async with http.request("HEAD", path, accept=(200, 404)) as response:
        if response.status == 404:
            return None
        size_bytes, etag = size_and_etag(response.headers, f"HEAD {path}")
    return StoredSegment(number, size_bytes, etag)
