"""Building blocks of the suites about files that are joined from partial uploads."""

from __future__ import annotations

from dataclasses import replace

from pipeline.core.segments import SegmentPlan
from pipeline.core.stored_objects import ObjectTarget, StoredSegment
from tests.contract.object_store.uploads import Scenario, Store

SIZES = ((3_000, 3_000, 17), (5_000,), (4_000, 999))
FINAL = "01900000-0000-7000-8000-00000000f1a1"


class Joined:
    """Partial uploads of these sizes, stored, and the target of the file that consists of them."""

    def __init__(self, store: Store, sizes: tuple[tuple[int, ...], ...] = SIZES) -> None:
        self.store = store
        self.parts = [Scenario(store, sizes=item) for item in sizes]
        for part in self.parts:
            part.target = replace(part.target, partial=True)
        self.data = b"".join(part.data for part in self.parts)
        plan = SegmentPlan.joined(part.target.plan for part in self.parts)
        ids = tuple(part.target.upload_id for part in self.parts)
        self.target = ObjectTarget(FINAL, f"contents/{FINAL}/original", "video/mp4", plan, parts=ids)

    async def put(self) -> list[StoredSegment]:
        """Open the session of the final upload, and put every segment."""
        self.target = replace(self.target, session=await self.store.begin(self.target))
        return await self.put_parts()

    async def put_parts(self) -> list[StoredSegment]:
        found = [segment for part in self.parts for segment in await part.put()]
        return [replace(segment, number=number) for number, segment in enumerate(found, 1)]
