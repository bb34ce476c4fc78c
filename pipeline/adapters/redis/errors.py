"""Redis' errors, translated once: whatever redis-py, its pool or the socket raises is DependencyUnavailable
REDIS_UNAVAILABLE, unless it is proven that Sluice itself is wrong.

Known errors would be the wrong list: servers, their versions and proxies in front of them have more than anyone knows,
and an error that is taken for a fault of the upload ends it. What is proven: a mistake in a script or in the arguments
of a command (`replies.is_own_mistake`), and an exception that no code of redis-py has touched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from redis import exceptions

from pipeline.adapters.redis.replies import error_code, explain, is_own_mistake
from pipeline.core.errors import DependencyUnavailable, SluiceError


@contextmanager
def translated() -> Iterator[None]:
    """Wrap every call to Redis, and nothing else.

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


def unavailable(error: Exception) -> DependencyUnavailable:
    """The error that callers receive; `detail.redis_code` is the code of Redis' reply, empty if it has none."""
    return DependencyUnavailable("REDIS_UNAVAILABLE", reason=explain(error), redis_code=error_code(error))


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except SluiceError:
        raise
    except Exception as error:
        if _is_own(error):
            raise
        raise unavailable(error) from error


def _is_own(error: Exception) -> bool:
    """True if Sluice is proven to be wrong."""
    if isinstance(error, exceptions.ResponseError):
        return is_own_mistake(error)
    if isinstance(error, exceptions.DataError):  # redis-py refuses an argument, before it sends anything
        return True
    return not (isinstance(error, exceptions.RedisError | OSError) or _passed_redis_py(error.__traceback__))


def _passed_redis_py(trace: TracebackType | None) -> bool:
    """Whether code of redis-py raised the error or passed it on. Replies that are not Redis' protocol end in errors of
    every kind: ValueError, UnicodeDecodeError, TypeError."""
    while trace is not None:
        if str(trace.tb_frame.f_globals.get("__name__")).partition(".")[0] == "redis":
            return True
        trace = trace.tb_next
    return False
