"""Imports need no room on the temp volume: neither its budget nor its queue holds them up."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.harness.cell import SEGMENT_BYTES, Cell
from tests.harness.media_samples import sample
from tests.harness.room import room_of
from tests.harness.running import running_cell
from tests.harness.shared_stack import Servers

pytestmark = pytest.mark.e2e


async def imported(cell: Cell, key: str) -> dict[str, Any]:
    _, body, _ = await cell.call("POST", "/v1/contents/import", json={"key": key}, expect=201)
    view: dict[str, Any] = body["data"]
    cell.uploads.append(view["id"])
    return view


async def test_an_import_takes_no_room(servers: Servers, tmp_path: Path) -> None:
    """Ten imports, each larger than the budget, while an upload holds the budget and another one waits for it."""
    data = sample("mp4").read_bytes().ljust(3 * SEGMENT_BYTES + 7, b"\0")
    budget = 2 * SEGMENT_BYTES + 8 * 1024  # with its journal
    async with running_cell(servers, tmp_path, temp_budget_bytes=budget, temp_share=1.0) as cell:
        keys = [f"raw/{number}.mp4" for number in range(10)]
        for number, key in enumerate(keys):
            await cell.store.put_object(key, data + bytes(number), "video/mp4")
        small = sample("mp4").read_bytes().ljust(2 * SEGMENT_BYTES, b"\0")
        holding, waiting = await cell.create(len(small)), await cell.create(len(small))
        assert (holding["status"], waiting["status"]) == ("admitted", "waiting")
        async with room_of(cell) as room:
            begun = [await imported(cell, key) for key in keys]
            assert {view["status"] for view in begun} <= {"processing", "ready"}
            await asyncio.gather(*(cell.until(view["id"], "ready") for view in begun))
        journal = (cell.settings.temp_dir / f"{holding['id']}.journal").stat().st_blocks * 512
        assert room.most_reserved_bytes == holding["size"] + journal
        assert room.files == {holding["id"]}
        await cell.put_all(holding, small)
        await cell.until(waiting["id"], "admitted")
        await cell.put_all(waiting, small)
        await asyncio.gather(*(cell.until(view["id"], "ready") for view in (holding, waiting)))
        await cell.until_clean(imported=set(keys))
        status, body, _ = await cell.call("POST", "/v1/events/storage", json={})
        assert (status, body["error"]["code"]) == (404, "EVENTS_OFF")
