"""`ports.EventFeed` and wake signals on a real Redis: they are quick, and a lost connection loses no change."""

from __future__ import annotations

import asyncio
import statistics
import time

import pytest

from deploy.embedded import EmbeddedStack
from pipeline.adapters.redis import signals as signals_module
from pipeline.bootstrap import RedisParts
from pipeline.core.lifecycle import Event
from tests.contract.redis.uploads import Play
from tests.harness.cell import eventually

pytestmark = pytest.mark.contract


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may need longer to confirm a subscription."""
    monkeypatch.setattr(signals_module, "_CONFIRM_SECONDS", 30)


async def test_a_change_is_signalled_at_once(play: Play) -> None:
    upload = await play.admitted(100)
    took: list[float] = []
    async with play.parts.signals.watch(upload.upload_id) as changes:
        for number in range(1, 31):
            began = time.monotonic()
            woken = asyncio.ensure_future(anext(changes))
            await play.receive(upload, number)
            async with asyncio.timeout(60):
                await woken
            took.append(time.monotonic() - began)
    assert statistics.median(took) < 0.5, "polling alone takes a second"


async def test_a_listener_is_woken_by_its_own_upload_only(play: Play) -> None:
    mine, other = await play.admitted(), await play.admitted()
    signals = play.parts.signals
    async with (
        signals.watch(mine.upload_id) as first,
        signals.watch(mine.upload_id) as second,
        signals.watch(other.upload_id) as others,
    ):
        not_woken = asyncio.ensure_future(anext(others))
        await play.board.apply(mine.upload_id, Event.CANCEL)
        async with asyncio.timeout(60):
            await asyncio.gather(anext(first), anext(second))
        assert not not_woken.done()
        not_woken.cancel()
    assert signals._waiting == {}, "no listener is left"


async def test_a_process_receives_only_what_its_tasks_wait_for(play: Play) -> None:
    upload = await play.admitted()
    channel = play.parts.keys.changed(upload.upload_id)

    async def subscribers() -> int:
        ((_, count),) = await play.parts.client.pubsub_numsub(channel)
        return int(count)

    async def no_subscriber() -> bool:
        return await subscribers() == 0

    assert await no_subscriber()
    async with play.parts.signals.watch(upload.upload_id), play.parts.signals.watch(upload.upload_id):
        assert await subscribers() == 1
    await eventually(no_subscriber, 60, lambda: "the subscription to end")
    async with play.parts.signals.watch(upload.upload_id) as changes:
        await play.board.apply(upload.upload_id, Event.CANCEL)
        async with asyncio.timeout(60):
            await anext(changes)


async def test_a_change_before_the_first_read_is_not_missed(play: Play) -> None:
    upload = await play.admitted()
    async with play.parts.signals.watch(upload.upload_id) as changes:
        with play.parts.signals.waiter("upload", upload.upload_id) as seen:
            await play.board.apply(upload.upload_id, Event.CANCEL)
            async with asyncio.timeout(60):
                await seen.wait()
        async with asyncio.timeout(60):
            await anext(changes)


async def test_every_listener_is_woken_after_a_restart_of_redis(redis_server: EmbeddedStack, parts: RedisParts) -> None:
    if "redis" not in redis_server.processes():
        pytest.skip("this Redis is not ours to restart")
    with (
        parts.signals.waiter("upload", "one") as upload,
        parts.signals.waiter("queue", "two") as queue,
    ):
        assert not upload.is_set()
        redis_server.stop_process("redis")
        redis_server.start_process("redis")
        async with asyncio.timeout(60):
            await asyncio.gather(upload.wait(), queue.wait())
        upload.clear()
        await parts.client.publish(parts.keys.changed("one"), "")
        async with asyncio.timeout(60):
            await upload.wait()
