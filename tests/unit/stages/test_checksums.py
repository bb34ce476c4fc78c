"""The CRC-32C of a sealed object, and the results of stages, which other releases read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import google_crc32c
import pytest

from pipeline.core.stored_objects import Place, StoredObject, StoredSegment
from pipeline.stages.checksums import with_crc32c
from pipeline.stages.stored_object import stored_from_data, stored_to_data

pytestmark = pytest.mark.unit

PARTS = (b"first segment", b"second segment", b"the last")
CRCS = tuple(google_crc32c.value(part) for part in PARTS)
WHOLE = google_crc32c.value(b"".join(PARTS))
STORED = StoredObject(
    "swift",
    "sluice",
    "contents/u/original",
    sum(map(len, PARTS)),
    "etag",
    tuple(StoredSegment(number, len(part), f"e{number}") for number, part in enumerate(PARTS, 1)),
)


async def found(
    received: Mapping[str, Mapping[int, int]], places: tuple[Place, ...] = (), stored: StoredObject = STORED
) -> tuple[int | None, list[int | None]]:
    async def read(upload_id: str) -> Mapping[int, int]:
        return received.get(upload_id, {})

    board, upload = SimpleNamespace(received=read), SimpleNamespace(upload_id="u", places=places)
    result = await with_crc32c(cast(Any, board), cast(Any, upload), stored)
    return result.crc32c, [segment.crc32c for segment in result.segments]


async def test_it_is_combined_from_the_segments() -> None:
    assert await found({"u": dict(enumerate(CRCS, 1))}) == (WHOLE, [*CRCS])


async def test_the_segments_of_a_joined_file_arrived_as_those_of_others() -> None:
    places = (Place("a", 1), Place("b", 1), Place("b", 2))
    received = {"a": {1: CRCS[0]}, "b": {1: CRCS[1], 2: CRCS[2]}, "u": {1: 7, 2: 7, 3: 7}}
    assert await found(received, places) == (WHOLE, [*CRCS])
    assert await found({"b": received["b"]}, places) == (None, [None, *CRCS[1:]]), "the record of `a` has expired"


async def test_what_did_not_arrive_here_has_none() -> None:
    """What the store says is not mixed with what arrived."""
    assert await found({}) == (None, [None, None, None])
    assert await found({}, stored=replace(STORED, crc32c=WHOLE)) == (None, [None, None, None])
    assert await found({"u": {1: CRCS[0]}}, stored=replace(STORED, segments=())) == (None, [])


def test_results_of_stages_have_the_fields_that_other_releases_know() -> None:
    """A release that does not know a field could not read the result."""
    known = {"store", "container", "key", "size_bytes", "etag", "segments"}
    segment = replace(STORED.segments[0], crc32c=1)
    data = stored_to_data(replace(STORED, segments=(segment,), crc32c=1, content_type="video/mp4"))
    assert set(data) == known
    assert list(data["segments"]) == [{"number": 1, "size_bytes": len(PARTS[0]), "etag": "e1"}]
    assert stored_from_data(data) == replace(STORED, segments=(segment,))
