"""`Seal`: an object that was stored a moment ago is not looked at again; any other one is."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pipeline.core.model import StageJob, StageStatus
from pipeline.core.segments import SegmentPlan
from pipeline.core.stages import Stage, StageState
from pipeline.core.stored_objects import StoredObject, StoredSegment
from pipeline.core.transports import Transport
from pipeline.engine.contract import StageRun
from pipeline.stages.seal import Seal

pytestmark = pytest.mark.unit

_NOW_MS = 1_800_000_000_000
_SEGMENT = StoredSegment(1, 5, "etag")


class NotedStore:
    """Notes with which promise it is asked to seal."""

    def __init__(self) -> None:
        self.acknowledged: bool | None = None

    async def seal(self, target: Any, segments: Any, *, acknowledged: bool) -> StoredObject:
        self.acknowledged = acknowledged
        return StoredObject("x", "c", target.key, 5, "etag", tuple(segments))


@pytest.mark.parametrize(
    ("transport", "waited_ms", "attempt", "expected"),
    [
        (Transport.GATEWAY, 3, 1, True),
        (Transport.GATEWAY, 3, 2, False),
        (Transport.GATEWAY, 60_000, 1, False),
        (Transport.GATEWAY, None, 1, False),
        (Transport.DIRECT, 3, 1, False),
    ],
)
async def test_only_what_this_service_has_just_stored_counts_as_acknowledged(
    transport: Transport, waited_ms: int | None, attempt: int, expected: bool
) -> None:
    store = NotedStore()
    transferred_ms = None if waited_ms is None else _NOW_MS - waited_ms
    upload = SimpleNamespace(
        upload_id="u",
        content_type="image/jpeg",
        plan=SegmentPlan(5, 10),
        target_session="s",
        store="x",
        transport=transport,
        parts=(),
        places=(),
        stages={
            Stage.TRANSFER: StageStatus(StageState.DONE, finished_at_ms=transferred_ms),
            Stage.SEAL: StageStatus(StageState.RUNNING, attempt=attempt, since_ms=_NOW_MS),
        },
    )

    async def stored(upload: Any) -> list[StoredSegment]:
        return [_SEGMENT]

    cell = SimpleNamespace(segments=SimpleNamespace(stored=stored), record=None)
    seal = Seal(cast(Any, cell), cast(Any, SimpleNamespace(named=lambda name: store)))
    await seal(StageRun(StageJob("u", Stage.SEAL, 1, "v"), cast(Any, upload), asyncio.Event()))
    assert store.acknowledged is expected
