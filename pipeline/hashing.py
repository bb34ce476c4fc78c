"""Digests of bytes that pass, computed beside the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from pipeline.ports import Hash

INLINE_BYTES: Final = 64 * 1024
"""A smaller block is digested in the event loop: passing it to a thread costs about as much."""


async def update_all(hashes: Sequence[Hash], block: bytes) -> None:
    """Update each of `hashes` with `block`. hashlib releases the GIL for blocks that go to a thread."""
    if not hashes or len(block) < INLINE_BYTES:
        _update(hashes, block)
    else:
        await asyncio.to_thread(_update, hashes, block)


def _update(hashes: Sequence[Hash], block: bytes) -> None:
    for item in hashes:
        item.update(block)
