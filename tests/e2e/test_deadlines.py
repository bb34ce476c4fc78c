"""How long an upload may hold room without sending: the first segment, a slow body, and the whole file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest

from tests.harness.cell import SEGMENT_BYTES, Cell, eventually
from tests.harness.holding import held_up
from tests.harness.media_samples import sample
from tests.harness.running import running_cell
from tests.harness.shared_stack import Servers

pytestmark = pytest.mark.e2e

# A body renews the lease at most once in five seconds.
_FIRST_SECONDS = 12


def video(segments: int = 4) -> bytes:
    return sample("mp4").read_bytes().ljust(segments * SEGMENT_BYTES - 7, b"\0")


async def is_ended_by_its_deadline(cell: Cell, upload_id: str) -> None:
    view = await cell.until(upload_id, "expired")
    assert view["error"]["code"] == "UPLOAD_DEADLINE"
    assert (view["expires_at"], view["deadline_at"]) == (None, None)
    await cell.until_clean()


async def test_room_that_is_never_used_is_released(servers: Servers, tmp_path: Path) -> None:
    """The lease of an upload that sends is much longer."""
    data = video()
    budget = len(data) + 100_000
    async with running_cell(
        servers, tmp_path, temp_budget_bytes=budget, temp_share=1, first_segment_seconds=10
    ) as cell:
        unused, honest = await cell.create(len(data)), await cell.create(len(data))
        assert (unused["status"], honest["status"]) == ("admitted", "waiting")
        assert unused["expires_at"] < unused["deadline_at"]
        view = await cell.until(unused["id"], "expired")
        assert view["error"]["code"] == "UPLOAD_EXPIRED"
        await cell.until(honest["id"], "admitted")
        await cell.put(honest, 1, data)
        received = await cell.status(honest["id"])
        left = datetime.fromisoformat(received["expires_at"]) - datetime.fromisoformat(received["updated_at"])
        assert left.total_seconds() > 600, "from now on it has the time of SLUICE_LEASE_SECONDS"
        await cell.put_all(honest, data)
        await cell.until(honest["id"], "ready")
        await cell.until_clean()


async def test_a_slow_but_honest_first_segment_is_received(servers: Servers, tmp_path: Path) -> None:
    """It takes longer than an upload may take that sends nothing."""
    data = video()
    async with running_cell(servers, tmp_path, first_segment_seconds=_FIRST_SECONDS) as cell:
        upload = await cell.create(len(data))
        clock = asyncio.get_running_loop().time
        began = clock()

        async def slowly() -> AsyncIterator[bytes]:
            pieces = 4 * _FIRST_SECONDS
            for piece in range(pieces):
                yield data[piece * SEGMENT_BYTES // pieces : (piece + 1) * SEGMENT_BYTES // pieces]
                await asyncio.sleep(0.5)  # as slow as its network

        path = f"/v1/uploads/{upload['id']}/segments/1"
        _, answer, _ = await cell.call("PUT", path, data=slowly(), expect=200)
        assert clock() - began > 1.5 * _FIRST_SECONDS
        assert answer["data"]["upload_status"] == "receiving"
        await cell.put_all(upload, data)
        await cell.until(upload["id"], "ready")


async def test_a_first_segment_that_stalls_is_not_waited_for(servers: Servers, tmp_path: Path) -> None:
    """200 connections that send a little and then nothing would otherwise hold the whole volume."""
    data = video()
    async with running_cell(servers, tmp_path, first_segment_seconds=2, segment_stall_seconds=600) as cell:
        upload = await cell.create(len(data))
        ended = asyncio.Event()

        async def stalls() -> AsyncIterator[bytes]:
            yield data[: SEGMENT_BYTES // 2]
            await ended.wait()

        path = f"/v1/uploads/{upload['id']}/segments/1"
        request = asyncio.create_task(cell.call("PUT", path, data=stalls()))
        view = await cell.until(upload["id"], "expired")
        assert view["error"]["code"] == "UPLOAD_EXPIRED"
        assert not request.done()
        ended.set()
        status, _, _ = await request
        assert status >= 400
        await cell.until_clean()


async def test_one_segment_per_lease_does_not_outlive_the_deadline(servers: Servers, tmp_path: Path) -> None:
    data = video(60)
    async with running_cell(servers, tmp_path, lease_seconds=600, upload_deadline_seconds=3) as cell:
        upload = await cell.create(len(data))
        assert upload["expires_at"] == upload["deadline_at"], "the deadline comes before the end of its lease"
        accepted = 0
        for number in range(1, upload["segment_count"]):
            status, body, _ = await cell.put(upload, number, data)
            if status != 200:
                assert body["error"]["detail"]["error_code"] == "UPLOAD_DEADLINE", body
                break
            accepted = number
            await asyncio.sleep(0.25)  # one segment now and then
        assert 1 <= accepted < upload["segment_count"] - 1
        await is_ended_by_its_deadline(cell, upload["id"])


async def test_new_grants_do_not_outlive_the_deadline(servers: Servers, tmp_path: Path) -> None:
    async with running_cell(
        servers, tmp_path, swift_tempurl_key="a-key-of-the-test", upload_deadline_seconds=3
    ) as cell:
        upload = await cell.create(len(video()), transport="direct")
        assert upload["expires_at"] == upload["deadline_at"]
        path, wanted = f"/v1/uploads/{upload['id']}/grants", {"segments": [[1, 1]]}

        async def is_refused() -> bool:
            status, body, _ = await cell.call("POST", path, json=wanted)
            assert status == 200 or body["error"]["detail"]["error_code"] == "UPLOAD_DEADLINE", body
            return status != 200

        await eventually(is_refused, 60, lambda: "the deadline to end the upload")
        view = await cell.status(upload["id"])
        assert (view["status"], view["error"]["code"]) == ("expired", "UPLOAD_DEADLINE")


async def test_a_complete_upload_has_no_deadline(servers: Servers, tmp_path: Path) -> None:
    """It waits for Sluice, and not for its client."""
    data = video()
    async with running_cell(servers, tmp_path, upload_deadline_seconds=10) as cell:
        async with held_up(cell, "persist"):
            upload, other = await cell.create(len(data)), await cell.create(len(data))
            await cell.put_all(upload, data)
            await cell.until(other["id"], "expired")  # it was admitted later
            assert (await cell.status(upload["id"]))["status"] == "processing"
        await cell.until(upload["id"], "ready")
        await cell.until_clean()
