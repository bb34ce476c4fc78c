"""Owners that wait for one temp volume, with real processes and API keys."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.harness.cell import Cell
from tests.harness.keys import WITH_KEYS, as_caller
from tests.harness.redis_calls import reply
from tests.harness.running import running_cell
from tests.harness.shared_stack import Servers

pytestmark = pytest.mark.e2e

_WAITING = 100
_SIZE = 1024 * 1024
_ONE = _SIZE + 128 * 1024  # room for a file and its journal


async def test_many_waiting_uploads_of_one_owner_delay_another_owner_by_one(servers: Servers, tmp_path: Path) -> None:
    """The volume has room for one file at a time."""
    rules: dict[str, Any] = {"temp_budget_bytes": _ONE, "temp_share": 1, "owner_share": 1, **WITH_KEYS}
    async with (
        running_cell(servers, tmp_path, **rules) as cell,
        as_caller(cell, "alice") as alice,
        as_caller(cell, "bob") as bob,
    ):
        first = await alice.create(_SIZE)
        assert first["status"] == "admitted"
        queued = await asyncio.gather(*(alice.create(_SIZE) for _ in range(_WAITING)))
        assert {upload["status"] for upload in queued} == {"waiting"}
        positions = [(await alice.status(upload["id"]))["queue_position"] for upload in queued]
        assert sorted(positions) == list(range(1, _WAITING + 1))

        single = await bob.create(_SIZE)
        assert single["queue_position"] <= 2
        if single["queue_position"] == 2:
            await alice.call("DELETE", f"/v1/uploads/{first['id']}", expect=200)
            first = queued[positions.index(1)]
            await alice.until(first["id"], "admitted")
            assert (await bob.status(single["id"]))["queue_position"] == 1
        await alice.call("DELETE", f"/v1/uploads/{first['id']}", expect=200)
        await bob.until(single["id"], "admitted")
        assert await _waiting(cell) >= _WAITING - 2, "nobody else was served meanwhile but the next one"

        await bob.call("DELETE", f"/v1/uploads/{single['id']}", expect=200)
        for upload in queued:
            await alice.call("DELETE", f"/v1/uploads/{upload['id']}")
        await cell.until_clean()


async def test_an_owner_at_its_share_leaves_room_for_others(servers: Servers, tmp_path: Path) -> None:
    rules: dict[str, Any] = {"temp_budget_bytes": 4 * _ONE, "temp_share": 1, "owner_share": 0.5, **WITH_KEYS}
    async with (
        running_cell(servers, tmp_path, **rules) as cell,
        as_caller(cell, "alice") as alice,
        as_caller(cell, "bob") as bob,
    ):
        many = [await alice.create(_SIZE) for _ in range(6)]
        held = sum(upload["status"] == "admitted" for upload in many)
        assert held == 2, "half of the volume, although the rest is empty"
        assert (await bob.create(_SIZE))["status"] == "admitted"
        key = cell.keys.volume(cell.settings.volume)

        async def within_share() -> bool:
            return int(await reply(cell.redis.hget(f"{key}:owner-bytes", "alice")) or 0) <= 2 * _ONE

        assert await within_share()
        await alice.call("DELETE", f"/v1/uploads/{many[0]['id']}", expect=200)
        await alice.until(many[2]["id"], "admitted")
        assert await within_share()
        for upload in many[1:]:
            await alice.call("DELETE", f"/v1/uploads/{upload['id']}", expect=200)
        for upload_id in bob.uploads:
            await bob.call("DELETE", f"/v1/uploads/{upload_id}", expect=200)
        await cell.until_clean()


async def _waiting(cell: Cell) -> int:
    return int(await cell.redis.zcard(f"{cell.keys.volume(cell.settings.volume)}:queue"))
