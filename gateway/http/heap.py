"""Gives memory back once many bytes have arrived and few still do.

Guarantee: while bytes arrive at a high rate, and after little has arrived, nothing is given back: the heap is about to
be used again, or has not grown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from pipeline.heap import return_free

_LOOK_SECONDS: Final = 2.0
_QUIET_BYTES: Final = 8 * 1024 * 1024
"""What may arrive between two looks for the gateway to be quiet."""
_BURST_BYTES: Final = 64 * 1024 * 1024
"""What must have arrived since memory was given back."""


async def return_heap(arrived_bytes: Callable[[], int]) -> None:
    """Runs until cancelled. `arrived_bytes`: of all bodies so far."""
    seen = returned = 0
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        before, seen = seen, arrived_bytes()
        if seen - before <= _QUIET_BYTES and seen - returned >= _BURST_BYTES:
            returned = seen
            await asyncio.to_thread(return_free)
