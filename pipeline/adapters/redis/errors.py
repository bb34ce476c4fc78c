"""Redis' errors, translated once: an error that may pass becomes DependencyUnavailable REDIS_UNAVAILABLE."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from redis import exceptions

from pipeline.core.errors import DependencyUnavailable

# Replies of a server that runs but takes no commands now: a script has run for too long, perhaps because the machine
# was suspended in the middle of it (BUSY); the disk of the append-only file is full (MISCONF); a replica lost its
# primary or was promoted.
_NOT_NOW = frozenset({"BUSY", "MISCONF", "MASTERDOWN", "NOREPLICAS", "LOADING"})


@contextmanager
def translated() -> Iterator[None]:
    """Wrap every call to Redis. An error in a script (a bug) is not translated.

    A task that is cancelled in the block raises CancelledError. redis-py sends by `asyncio.wait_for`, which before
    Python 3.12 swallows a cancellation that arrives together with its result (cpython issue 86296): a heartbeat would
    continue forever while its caller waits for it to end.
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
