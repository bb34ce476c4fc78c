"""Redis' errors, translated once: whatever says "not now" becomes DependencyUnavailable REDIS_UNAVAILABLE."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from redis import exceptions

from pipeline.core.errors import DependencyUnavailable

# What a server says that is there but takes no commands: a machine that was frozen in the middle of a script finds it
# to have run for too long (BUSY), a disk under the file is full (MISCONF), a replica was promoted or lost its master.
_NOT_NOW = frozenset({"BUSY", "MISCONF", "MASTERDOWN", "NOREPLICAS", "LOADING"})


@contextmanager
def translated() -> Iterator[None]:
    """Around every call to Redis. A script's own error (a bug) passes through as it is.

    Who is cancelled in here is cancelled. redis-py sends by `asyncio.wait_for`, which before Python 3.12 hides a
    cancellation that comes when its result is there (cpython issue 86296): a heartbeat would beat for ever while
    somebody waits for its end.
    """
    task = asyncio.current_task()
    cancels = task.cancelling() if task else 0
    try:
        with _translated():
            yield
    finally:
        if task and task.cancelling() > cancels:
            raise asyncio.CancelledError


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (
        exceptions.ConnectionError,
        exceptions.TimeoutError,
        exceptions.ReadOnlyError,
        exceptions.TryAgainError,
        OSError,
    ) as error:
        reason = f"{type(error).__name__}: {error}".rstrip(": ")
        raise DependencyUnavailable("REDIS_UNAVAILABLE", reason=reason) from error
    except exceptions.OutOfMemoryError as error:
        raise DependencyUnavailable("REDIS_UNAVAILABLE", reason="Redis is out of memory") from error
    except exceptions.ResponseError as error:
        if str(error).partition(" ")[0] not in _NOT_NOW:
            raise
        raise DependencyUnavailable("REDIS_UNAVAILABLE", reason=str(error)) from error
