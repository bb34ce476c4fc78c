"""What Swift holds of an upload: of one that clients send to it themselves, and of one that is to be sealed."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.adapters.object_store.each import each_of
from pipeline.adapters.object_store.http.bodies import size_and_etag
from pipeline.adapters.object_store.integrity import require_etag, unquoted
from pipeline.adapters.object_store.names import segment_name
from pipeline.adapters.object_store.swift.http import SwiftHttp
from pipeline.adapters.object_store.swift.layout import SwiftLayout
from pipeline.adapters.object_store.swift.listing import entries
from pipeline.adapters.object_store.swift.manifest import ManifestResponse, refused_numbers
from pipeline.core.errors import StoreError, StoreUnavailable
from pipeline.core.stored_objects import ObjectTarget, StoredSegment

_HEADS_AT_ONCE = 8


async def held_segments(
    http: SwiftHttp, layout: SwiftLayout, target: ObjectTarget, page_names: int
) -> list[StoredSegment]:
    """Every stored segment, in order of number. Raises StoreError, StoreUnavailable.

    The listing is read first. A segment that it lacks (listings lag behind), or shows with another length than planned,
    is requested by HEAD.
    """
    plan = target.plan
    found = await _listed(http, layout, target, page_names)
    doubtful = [n for n in range(1, plan.count + 1) if n not in found or found[n].size_bytes != plan.length(n)]
    await _look_at(http, layout, target, doubtful, found)
    return [found[number] for number in sorted(found)]


async def changed_segments(
    http: SwiftHttp, layout: SwiftLayout, target: ObjectTarget, segments: Sequence[StoredSegment], page_names: int
) -> list[int]:
    """The numbers of the segments that Swift does not hold as it acknowledged them. Raises StoreError,
    StoreUnavailable."""
    found = await _listed(http, layout, target, page_names)
    doubtful = [segment.number for segment in segments if found.get(segment.number) != segment]
    await _look_at(http, layout, target, doubtful, found)
    return [segment.number for segment in segments if found.get(segment.number) != segment]


async def require_changed(
    http: SwiftHttp,
    layout: SwiftLayout,
    target: ObjectTarget,
    segments: Sequence[StoredSegment],
    response: ManifestResponse,
) -> None:
    """Raises StoreUnavailable if Swift holds every segment that it names in its refusal of a manifest: a byte of the
    manifest was changed on the way, or a server did not respond to Swift. Clients need not send them again then. Raises
    StoreError."""
    named = refused_numbers(response, layout, target) if response.checked and response.status == 400 else []
    found: dict[int, StoredSegment] = {}
    await _look_at(http, layout, target, named, found)
    if named and [found.get(number) for number in named] == [segments[number - 1] for number in named]:
        reason = f"the manifest was refused because of segments {named[:10]}, which are as they were acknowledged"
        raise StoreUnavailable(reason=reason)


async def copy_segment(
    http: SwiftHttp, layout: SwiftLayout, target: ObjectTarget, segment: StoredSegment, seconds: float
) -> None:
    """Copy a segment to the object's name, within the server. Does nothing where the segment is gone and the object is
    its copy: two may do this at once. Raises StoreError STORE_OBJECT_MISSING, others; StoreUnavailable, also where the
    copy has another digest."""
    source = layout.segment_path(target.upload_id, segment.number)
    headers = {"X-Copy-From": source, "Content-Type": target.content_type}
    path = layout.object_path(target.key)
    async with http.request(
        "PUT", path, accept=(201, 404), headers=headers, body=b"", response_seconds=seconds, key=target.key
    ) as response:
        if response.status == 201:
            require_etag(f"copy {source}", unquoted(response.headers.get("Etag")), segment.etag)
            return
    async with http.request("HEAD", path, accept=(200,), key=target.key) as response:
        size_bytes, etag = size_and_etag(response.headers, f"HEAD {path}")
    if (size_bytes, etag) != (segment.size_bytes, segment.etag):
        raise StoreError("STORE_OBJECT_MISSING", key=source)


async def _listed(
    http: SwiftHttp, layout: SwiftLayout, target: ObjectTarget, page_names: int
) -> dict[int, StoredSegment]:
    """By number, as far as the listing has them."""
    found: dict[int, StoredSegment] = {}
    if target.is_plain:
        return found
    names = {segment_name(place.upload_id, place.number): number for number, place in enumerate(target.places, 1)}
    for upload_id in target.parts or (target.upload_id,):
        async for entry in entries(http, layout.segment_container, f"{upload_id}/", page_names):
            number = names.get(entry.name)
            if number is not None and entry.etag:
                found[number] = StoredSegment(number, entry.size_bytes, entry.etag)
    return found


async def _look_at(
    http: SwiftHttp,
    layout: SwiftLayout,
    target: ObjectTarget,
    numbers: Sequence[int],
    found: dict[int, StoredSegment],
) -> None:
    """Bring these numbers of `found` up to date by HEAD."""

    async def look_at(number: int) -> None:
        segment = await _head(http, layout, target, number)
        if segment is not None:
            found[number] = segment
        else:
            found.pop(number, None)

    await each_of(numbers, look_at, _HEADS_AT_ONCE)


async def _head(http: SwiftHttp, layout: SwiftLayout, target: ObjectTarget, number: int) -> StoredSegment | None:
    path, _ = layout.destination(target, number)
    async with http.request("HEAD", path, accept=(200, 404)) as response:
        if response.status == 404:
            return None
        size_bytes, etag = size_and_etag(response.headers, f"HEAD {path}")
    return StoredSegment(number, size_bytes, etag)
