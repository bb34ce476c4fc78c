"""Webhooks: each event arrives at least once, verified and in order, whatever happens to endpoints and workers."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from pipeline.bootstrap.webhooks import webhook_management
from tests.harness.cell import SEGMENT_BYTES, Cell, eventually
from tests.harness.media_samples import sample
from tests.harness.running import apart, running_cell
from tests.harness.shared_stack import Servers
from tests.harness.webhook_receiver import Receiver, webhook_receiver

pytestmark = pytest.mark.e2e

_LIFE = ["upload.admitted", "media.known", "content.ready", "content.deleted"]


def _cell(servers: Servers, directory: Path, notify_workers: int) -> AbstractAsyncContextManager[Cell]:
    return running_cell(
        servers,
        directory,
        workers=apart("notify", notify_workers),
        store="filesystem",
        webhook_networks="127.0.0.0/8",
        webhook_retry_seconds=0.05,
        webhook_timeout_seconds=1,
    )


def _video() -> bytes:
    return sample("mp4").read_bytes().ljust(2 * SEGMENT_BYTES, b"\0")


async def _subscribe(cell: Cell, receiver: Receiver, owner: str | None = None, **more: Any) -> str:
    async with webhook_management(cell.settings) as webhooks:
        webhook, secret = await webhooks.create(owner, receiver.url, more.get("events", []), "")
    receiver.secrets.append(secret)
    return webhook.id


async def _notifying(cell: Cell) -> None:
    """Wait until the notify worker has announced itself."""

    async def announced() -> bool:
        return bool(await cell.redis.exists(cell.keys.notified(cell.settings.volume)))

    await eventually(announced, 30.0, lambda: "a notify worker")


async def test_an_endpoint_is_notified_of_the_life_of_an_upload(servers: Servers, tmp_path: Path) -> None:
    async with (
        _cell(servers, tmp_path, 1) as cell,
        webhook_receiver() as receiver,
    ):
        await _notifying(cell)
        await _subscribe(cell, receiver)
        notify = cell.processes.child("worker-notify")
        await asyncio.to_thread(notify.stop)
        assert notify.exit_status == 0
        video = _video()
        view = await cell.upload(video, metadata={"row": "42"})
        assert not receiver.requests
        await asyncio.to_thread(notify.start)
        await receiver.until(3)
        await cell.call("DELETE", f"/v1/contents/{view['id']}")
        await receiver.until(4)
        assert receiver.first_accepted() == {view["id"]: _LIFE}
        admitted, media, ready, deleted = (item.data for item in receiver.accepted)
        assert (admitted["filename"], admitted["size_bytes"], admitted["metadata"]) == (
            "file.mp4",
            len(video),
            {"row": "42"},
        )
        assert media["media"]["kind"] == "video"
        assert ready["content"]["id"] == view["id"]
        assert ready["content"]["metadata"] == {"row": "42"}
        assert deleted["size_bytes"] == len(video)
        broken = await cell.create(3 * SEGMENT_BYTES)
        await cell.until(broken["id"], "admitted")
        await cell.put_all(broken, b"\1" * (3 * SEGMENT_BYTES))
        await cell.until(broken["id"], "failed")
        await receiver.until(6)
        assert receiver.first_accepted()[broken["id"]] == ["upload.admitted", "upload.failed"]
        assert receiver.accepted[-1].data["error_code"]
        assert not receiver.unverified
        assert not await cell.redis.xlen(cell.keys.news(cell.settings.volume))


async def _is_failing(cell: Cell) -> bool:
    async with webhook_management(cell.settings) as webhooks:
        (webhook,) = await webhooks.page(None, None, 10)
    return webhook.failures > 5


_UPLOADS = 250
_EVENTS = _UPLOADS * len(_LIFE)
_KILLS = 6


def _misbehaviour(seed: int) -> Callable[[int], str]:
    """Of a hundred requests, about 15 are refused, 3 never answered and 7 cut off."""
    chance = random.Random(seed)  # which requests fail; a seed repeats them
    return lambda number: chance.choices(["ok", "fail", "hang", "die"], [75, 15, 3, 7])[0]


async def test_a_thousand_events_survive_an_endpoint_that_fails_and_workers_that_are_killed(
    servers: Servers, tmp_path: Path
) -> None:
    picture = sample("jpeg").read_bytes()
    async with (
        _cell(servers, tmp_path, 2) as cell,
        webhook_receiver() as receiver,
    ):
        receiver.behave = _misbehaviour(14)
        await _notifying(cell)
        await _subscribe(cell, receiver)
        slots = asyncio.Semaphore(8)

        async def live(number: int) -> None:
            async with slots:
                view = await cell.upload(picture, filename=f"{number}.jpg", content_type="image/jpeg")
                await cell.call("DELETE", f"/v1/contents/{view['id']}")

        async def kill() -> None:
            for turn in range(_KILLS):
                share = (turn + 1) * _EVENTS // (_KILLS + 1)
                await receiver.until(share, seconds=120)
                worker = cell.processes.child(("worker-notify", "worker-notify-2")[turn % 2])
                await asyncio.to_thread(worker.stop, signal.SIGKILL)
                if turn == _KILLS // 2:
                    await receiver.refuse_until(lambda: _is_failing(cell))
                await asyncio.to_thread(worker.start)

        await asyncio.gather(kill(), *map(live, range(_UPLOADS)))
        await receiver.until(_EVENTS, seconds=180)
        assert receiver.first_accepted() == dict.fromkeys(cell.uploads, _LIFE)
        assert not receiver.unverified
        assert len(receiver.requests) > len(receiver.accepted) >= _EVENTS
        logs = "".join(cell.processes.log_path(name).read_text() for name in cell.processes.names)
        assert "webhook.attempt_failed" in logs
        assert "webhook.unrecorded" not in logs
        async with webhook_management(cell.settings) as webhooks:
            (webhook,) = await webhooks.page(None, None, 10)

            async def none_pending() -> bool:
                return not (await webhooks.get(webhook.id, None)).pending

            await eventually(none_pending, 60.0, lambda: "no delivery to be pending")
