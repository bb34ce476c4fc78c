"""The CPU time of a block, compared with that of a loop, so that a slow or busy machine changes nothing."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager

_STEPS = 1_000_000
_TIMES = 150


def _loop_seconds() -> float:
    started = time.thread_time()
    total = 0
    for number in range(_STEPS):
        total += number
    assert total
    return time.thread_time() - started


@contextmanager
def little_cpu_time() -> Iterator[None]:
    """The block takes less of this thread than 150 million steps of a loop in Python. Garbage is not collected
    meanwhile: that takes as long as what other tests have left in this process needs."""
    before = _loop_seconds()
    collecting = gc.isenabled()
    gc.disable()
    try:
        started = time.thread_time()
        yield
        took = time.thread_time() - started
    finally:
        if collecting:
            gc.enable()
    assert took < _TIMES * max(before, _loop_seconds())
