"""The store loses segments whose bytes have left the temp volume: their client sends them again, and only them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from pipeline.core.stored_objects import object_key
from pipeline.ports import TransferSessions
from tests.harness.cell import Cell, eventually, hash_get, swift_command
from tests.harness.media_samples import long_video
from tests.harness.running import running_cell
from tests.harness.shared_stack import Servers
from tests.harness.windows import Sender, parts_of, sampled

pytestmark = pytest.mark.e2e

MEBIBYTE = 1024 * 1024
GIANT = {"filename": "giant.mkv", "content_type": "video/x-matroska"}


async def all_but_the_last(cell: Cell, upload: Mapping[str, Any], sender: Sender) -> None:
    """Send every segment except the last, and wait until none of them is on the temp volume."""
    numbers = dict.fromkeys(range(1, upload["segment_count"]))
    await sender.send(numbers)
    expected = sum(len(sender.part(number)) for number in numbers)

    async def released() -> bool:
        return await hash_get(cell.redis, cell.keys.upload(upload["id"]), "bytes_released") == str(expected)

    await eventually(released, 60, lambda: "the segments to be released")


async def probed(cell: Cell, upload: Mapping[str, Any]) -> dict[str, Any]:
    """The stage `probe` once it is done, which is a moment after its last segment has left the temp volume."""
    stage: dict[str, Any] = {}

    async def is_done() -> bool:
        stage.update((await cell.status(upload["id"]))["stages"]["probe"])
        return bool(stage["state"] == "done")

    await eventually(is_done, 60, lambda: f"the probe to be done: {stage}")
    return stage


async def lose_in_swift(cell: Cell, upload: Mapping[str, Any]) -> None:
    container = f"{cell.settings.swift_container}_segments"
    await asyncio.to_thread(swift_command, cell, "delete", container, f"{upload['id']}/00000002")


async def lose_file(cell: Cell, upload: Mapping[str, Any]) -> None:
    directory = cell.settings.temp_dir.parent / "store"
    found = [path for path in directory.rglob("*00000002*") if upload["id"] in str(path)]
    assert len(found) == 1
    found[0].unlink()


async def lose_session(cell: Cell, upload: Mapping[str, Any]) -> None:
    """A lifecycle rule ends the multipart upload."""
    key = object_key(upload["id"])
    store = cast("TransferSessions", cell.store)
    sessions = [session async for name, session in store.open_sessions(key) if name == key]
    assert len(sessions) == 1
    await store.end_session(key, sessions[0])


Lose = Callable[[Cell, Mapping[str, Any]], Awaitable[None]]


@pytest.mark.parametrize("windowed", [True, False], ids=["window", "whole"])
@pytest.mark.parametrize(
    ("store", "lose", "again"),
    [
        ("swift", lose_in_swift, {2}),
        ("filesystem", lose_file, {2}),
        ("s3", lose_session, set()),
    ],
)
async def test_the_client_sends_what_the_store_has_lost(
    servers: Servers, tmp_path: Path, store: str, lose: Lose, again: set[int], windowed: bool
) -> None:
    segment = 5 * MEBIBYTE if store == "s3" else MEBIBYTE
    data = long_video(6 * segment - 1000, seed=1)
    # The share of a windowed file holds six segments at least, so such a file has more of them.
    budget = (4 if windowed else 8) * segment + 64 * 1024  # with its journal
    async with (
        running_cell(
            servers, tmp_path, temp_budget_bytes=budget, temp_share=1, store=store, segment_bytes=segment
        ) as cell,
        sampled(cell) as samples,
    ):
        upload = await cell.create(len(data), **GIANT)
        sender = Sender(cell, upload, parts_of(upload, data))
        await all_but_the_last(cell, upload, sender)
        probe = await probed(cell, upload)
        await lose(cell, upload)
        view = await asyncio.wait_for(sender.until_ready(), 120)
        resent = {number for number, count in sender.accepted.items() if count > 1}
        assert resent == (again or set(range(1, upload["segment_count"])))
        assert await cell.read((await cell.content(view["content_id"]))["object"]["key"]) == data
        assert view["stages"]["probe"]["attempts"] == probe["attempts"], "its result stays true"
        samples.require_within(budget, files=1)
        await cell.until_clean()


async def test_other_bytes_are_refused(servers: Servers, tmp_path: Path) -> None:
    data = long_video(6 * MEBIBYTE, seed=2)
    async with running_cell(
        servers, tmp_path, temp_budget_bytes=8 * MEBIBYTE, temp_share=1, store="filesystem", segment_bytes=MEBIBYTE
    ) as cell:
        upload = await cell.create(len(data), **GIANT)
        sender = Sender(cell, upload, parts_of(upload, data))
        await all_but_the_last(cell, upload, sender)
        await lose_file(cell, upload)
        await cell.put(upload, 6, data)

        async def missing() -> bool:
            return bool((await cell.status(upload["id"]))["missing_segments"] == [[2, 2]])

        await eventually(missing, 60, lambda: "the lost segment to be missing")
        status, body, _ = await cell.put(upload, 2, bytes(len(data)))
        assert (status, body["error"]["code"]) == (409, "SEGMENT_DIFFERS")
        view = await asyncio.wait_for(sender.until_ready(), 60)
        assert await cell.read((await cell.content(view["content_id"]))["object"]["key"]) == data
        await cell.until_clean()
