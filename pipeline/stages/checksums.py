"""The CRC-32C of a sealed object: combined from those that were computed while its segments arrived.

Guarantee: a CRC-32C is that of the bytes that the clients sent, or it is not known. It is not known where a segment did
not pass the gateway (direct uploads, imports), and where the records of partial uploads have expired.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pipeline.core.crc32c import combined_crc32c
from pipeline.core.model import Upload
from pipeline.core.stored_objects import Place, StoredObject
from pipeline.ports import SegmentReader


async def with_crc32c(board: SegmentReader, upload: Upload, stored: StoredObject) -> StoredObject:
    """The object and its segments with their CRC-32Cs. What the store says of the object is replaced; of an object
    without segments nothing is known here. Raises DependencyUnavailable."""
    places = upload.places or [Place(upload.upload_id, segment.number) for segment in stored.segments]
    arrived: dict[str, Mapping[int, int]] = {}
    for upload_id in {place.upload_id for place in places}:
        arrived[upload_id] = await board.received(upload_id)
    segments = tuple(
        replace(segment, crc32c=arrived[place.upload_id].get(place.number))
        for segment, place in zip(stored.segments, places, strict=True)
    )
    whole = combined_crc32c((segment.size_bytes, segment.crc32c) for segment in segments) if segments else None
    return replace(stored, segments=segments, crc32c=whole)
