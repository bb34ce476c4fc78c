"""A Redis that takes connections and answers nothing: whoever asks is told within one timeout, however many ask."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest

from deploy.embedded import EmbeddedStack
from pipeline.core.errors import DependencyUnavailable, RequestError
from tests.contract.redis.uploads import Play

pytestmark = pytest.mark.contract

_AT_ONCE = 12
# One timeout is 5 s; twelve in a row would be a minute.
_QUICK_SECONDS = 15.0


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
