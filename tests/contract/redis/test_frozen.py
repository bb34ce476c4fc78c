"""A Redis that takes connections and answers nothing: whoever asks is told within one timeout, however many ask."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest
from redis.asyncio.client import Pipeline

from deploy.embedded import EmbeddedStack
from pipeline.core.errors import DependencyUnavailable, RequestError
from pipeline.core.model import StageJob
from pipeline.core.stages import Stage
from tests.contract.redis.uploads import Play

pytestmark = pytest.mark.contract

_AT_ONCE = 12
# One timeout is 5 s; twelve in a row would be a minute.
_QUICK_SECONDS = 15.0
# What redis-py waits for the answer to its UNWATCH, once it is told to break off.
_UNWATCH_SECONDS = 10.0


async def test_nobody_waits_for_the_others(redis_server: EmbeddedStack, play: Play) -> None:
    if "redis" not in redis_server.processes():
        pytest.skip("this Redis is not ours to stop")
    process = redis_server.processes()["redis"]
    os.kill(process, signal.SIGSTOP)
    try:
        began = time.monotonic()
        errors = await asyncio.gather(*(play.board.get("nobody") for _ in range(_AT_ONCE)), return_exceptions=True)
        assert time.monotonic() - began < _QUICK_SECONDS
    finally:
        os.kill(process, signal.SIGCONT)
    assert {getattr(error, "code", error) for error in errors} == {"REDIS_UNAVAILABLE"}
    assert all(isinstance(error, DependencyUnavailable) for error in errors)
    with pytest.raises(RequestError):
        await play.board.get("nobody")


async def test_who_enqueues_does_not_wait_for_the_breaking_off(
    redis_server: EmbeddedStack, play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis stands still while a job is half enqueued."""
    if "redis" not in redis_server.processes():
        pytest.skip("this Redis is not ours to stop")
    process = redis_server.processes()["redis"]
    job = (await play.receive_all(await play.admitted(1)))[Stage.ASSEMBLE]
    later = StageJob(job.upload_id, job.stage, job.fencing_token + 1, job.volume)
    watch = Pipeline.watch

    async def watch_and_freeze(pipeline: Pipeline, *names: str) -> object:
        watched = await watch(pipeline, *names)
        os.kill(process, signal.SIGSTOP)
        return watched

    monkeypatch.setattr(Pipeline, "watch", watch_and_freeze)
    try:
        began = time.monotonic()
        with pytest.raises(DependencyUnavailable):
            await play.parts.queue.enqueue(later)
        assert time.monotonic() - began < _UNWATCH_SECONDS
    finally:
        os.kill(process, signal.SIGCONT)
    monkeypatch.undo()
    await play.parts.queue.enqueue(later)
    assert later in await play.parts.queue.jobs(later.volume, 10)
