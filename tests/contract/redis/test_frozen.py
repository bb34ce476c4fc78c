"""A Redis that accepts connections and does not respond: every call fails within one timeout, however many run."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest

from deploy.embedded import EmbeddedStack
from pipeline.core.errors import DependencyUnavailable, RequestError
from pipeline.core.model import StageJob
from pipeline.core.stages import Stage
from tests.contract.redis.uploads import Play

pytestmark = pytest.mark.contract

_AT_ONCE = 12
# One timeout is 5 s; twelve in sequence would be a minute.
_QUICK_SECONDS = 15.0


async def test_calls_do_not_wait_for_each_other(redis_server: EmbeddedStack, play: Play) -> None:
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


async def test_enqueueing_ends_within_one_timeout(redis_server: EmbeddedStack, play: Play) -> None:
    """Redis stops between the request and its reply; the job is enqueued again afterwards, at its place."""
    if "redis" not in redis_server.processes():
        pytest.skip("this Redis is not ours to stop")
    process = redis_server.processes()["redis"]
    job = (await play.receive_all(await play.admitted(1)))[Stage.ASSEMBLE]
    await play.parts.queue.enqueue(job)  # connects
    later = StageJob(job.upload_id, job.stage, job.fencing_token + 1, job.volume)
    os.kill(process, signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises(DependencyUnavailable):
            await play.parts.queue.enqueue(later)
        assert time.monotonic() - began < _QUICK_SECONDS
    finally:
        os.kill(process, signal.SIGCONT)
    await play.parts.queue.enqueue(later)
    assert sorted(await play.parts.queue.jobs(later.volume, 10), key=lambda job: job.fencing_token) == [job, later]
