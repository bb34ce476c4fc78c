"""Two lanes: what is expensive or waits for bytes delays no cheap file."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import psutil
import pytest
import pytest_asyncio

from pipeline.adapters.media import reader as reader_module
from pipeline.adapters.media.lanes import Lane
from pipeline.adapters.media.reader import ReaderRules, SandboxedReader
from pipeline.core.errors import MediaError, SluiceError
from tests.harness.attacks.run import CONFINED, Bytes, ordered

pytestmark = [pytest.mark.contract, pytest.mark.asyncio(loop_scope="module")]

_SECONDS = 120.0
_SHOWN = {"do": "show", "jpeg": "\xff\xd8"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def single() -> AsyncIterator[SandboxedReader]:
    """One slot in each lane, and much time for expensive files."""
    async with SandboxedReader(ReaderRules(concurrency=1, metadata_cpu_seconds=600), CONFINED) as opened:
        yield opened


def _children(reader: SandboxedReader) -> list[psutil.Process]:
    assert reader.host_process_id is not None
    return list(psutil.Process(reader.host_process_id).children())


async def _end(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_expensive_files_delay_no_cheap_one(single: SandboxedReader) -> None:
    """Three files that never end, in one lane with one slot; each began in the cheap lane."""
    grown = asyncio.Event()
    single.deferred.listeners.append(lambda: grown.set() if single.deferred.count() >= 3 else None)
    expensive = [asyncio.create_task(single.read(ordered(do="spin"))) for _ in range(3)]
    try:
        async with asyncio.timeout(_SECONDS):
            await grown.wait()
        for _ in range(3):
            async with asyncio.timeout(_SECONDS):
                assert (await single.read(ordered(**_SHOWN))).frame is not None
        assert not any(task.done() for task in expensive)
        nice = sorted(child.nice() for child in _children(single))
        assert nice[-1] == 10, "the expensive child has a lower priority"
        assert len(nice) <= 2, "those that wait have no process"
    finally:
        await _end(*expensive)
    assert single.deferred.count() == 0
    assert _children(single) == []


class _Gated(Bytes):
    """Hands out its bytes once `gate` is set."""

    def __init__(self, **order: Any) -> None:
        super().__init__(json.dumps(order).encode())
        self.asked, self.gate = asyncio.Event(), asyncio.Event()

    async def read(self, offset: int, length: int) -> bytes:
        self.asked.set()
        await self.gate.wait()
        return await super().read(offset, length)


async def test_files_that_wait_for_bytes_delay_no_other(single: SandboxedReader) -> None:
    waiting = [_Gated(**_SHOWN) for _ in range(5)]
    tasks = [asyncio.create_task(single.read(source)) for source in waiting]
    try:
        async with asyncio.timeout(_SECONDS):
            await asyncio.gather(*(source.asked.wait() for source in waiting))
            assert (await single.read(ordered(**_SHOWN))).frame is not None
        assert not any(task.done() for task in tasks)
        for source in waiting:
            source.gate.set()
        async with asyncio.timeout(_SECONDS):
            assert all(found.frame is not None for found in await asyncio.gather(*tasks))
    finally:
        await _end(*tasks)
    assert single.deferred.count() == 0


async def test_waiting_for_bytes_costs_a_file_no_time(single: SandboxedReader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "_CHEAP_WALL_SECONDS", 0.5)

    class Slow(Bytes):
        async def read(self, offset: int, length: int) -> bytes:
            await asyncio.sleep(0.7)  # longer than the child may take
            return await super().read(offset, length)

    content = json.dumps({"do": "read", "ranges": [[600_000, 1], [900_000, 1]]}).encode()
    with pytest.raises(MediaError, match="done"):
        await single.read(Slow(content.ljust(1024 * 1024, b"\0")))


async def test_an_expensive_lane_that_stays_full_is_the_fault_of_the_machine(
    single: SandboxedReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader_module, "_LANE_SECONDS", 1.5)
    started = asyncio.Event()
    single.deferred.listeners.append(started.set)
    first = asyncio.create_task(single.read(ordered(do="spin")))
    try:
        async with asyncio.timeout(_SECONDS):
            await started.wait()
        with pytest.raises(SluiceError, match="every slot for expensive files was in use") as caught:
            await single.read(ordered(do="spin"))
        assert (caught.value.code, caught.value.retryable) == ("MEDIA_TOOL_FAILED", True)
    finally:
        await _end(first)


async def test_a_lane_hands_out_its_slots_in_order() -> None:
    lane, order, tasks = Lane("test", 1), list[str](), list[asyncio.Task[None]]()

    async def work(name: str) -> None:
        async with lane.slot(_SECONDS) as slot:
            order.append(name)
            if name == "a":
                slot.pause()
                await asyncio.sleep(0)
                await slot.resume()
                order.append("a again")
            for _ in range(5):
                await asyncio.sleep(0)

    for name in "abcd":
        tasks.append(asyncio.create_task(work(name)))
    tasks[2].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert order == ["a", "b", "a again", "d"]


@pytest.mark.parametrize("turns", range(8))
async def test_a_cancelled_holder_loses_no_slot(turns: int) -> None:
    lane = Lane("test", 1)

    async def work() -> None:
        async with lane.slot(_SECONDS) as slot:
            await asyncio.sleep(0)
            slot.pause()
            await asyncio.sleep(0)
            await slot.resume()
            await asyncio.sleep(0)

    tasks = [asyncio.create_task(work()) for _ in range(3)]
    for _ in range(turns):
        await asyncio.sleep(0)
    await _end(*tasks[:2])
    await tasks[2]
    async with asyncio.timeout(_SECONDS), lane.slot(1):
        pass
    waiting = asyncio.create_task(lane.take(first=False))
    await waiting
    assert lane._free == 0
