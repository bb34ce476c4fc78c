"""The CPU time of a block, compared with that of a loop, so that a slow or busy machine changes nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

_STEPS = 1_000_000
_TIMES = 40


def _loop_seconds() -> float:
    started = time.process_time()
    total = 0
    for number in range(_STEPS):
        total += number
    assert total
    return time.process_time() - started


@contextmanager
def little_cpu_time() -> Iterator[None]:
    """The block takes less than forty million steps of a loop in Python: about a second."""
    before = _loop_seconds()
    started = time.process_time()
    yield
    took = time.process_time() - started
    assert took < _TIMES * max(before, _loop_seconds())
