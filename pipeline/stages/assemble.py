"""Assemble: compares the whole file with the digest that its client has announced. It runs only where there is one.

Nothing is copied or kept: the file is streamed from where its bytes are. Segments that are on the temp volume are read
there and compared with their own digests; an object in the store is read by ranges, under the process's limit on
transfers to the store. Of a windowed upload, what is verified is the stored object.
"""

from __future__ import annotations

import asyncio
import hashlib
from functools import partial
from typing import Any

import google_crc32c

from pipeline.core.errors import MediaError
from pipeline.core.model import ClientDigest
from pipeline.engine.contract import Done, Outcome, Requeue, Skipped, StageRun
from pipeline.engine.limiter import SegmentLimiter
from pipeline.stages.reading import FileReads
from pipeline.uploads.bytes import FileBytes

_BLOCK_BYTES = 4 * 1024 * 1024


class Assemble:
    """The handler of stage `assemble`."""

    def __init__(self, files: FileReads, limiter: SegmentLimiter) -> None:
        self._files = files
        self._limiter = limiter

    async def __call__(self, run: StageRun) -> Outcome:
        digest = run.upload.digest
        if digest is None:  # a record of an earlier release, in which this stage runs for every upload
            return Skipped()
        return await self._files.reading(run, partial(self._compare, run, digest))

    async def _compare(self, run: StageRun, digest: ClientDigest, source: FileBytes) -> Outcome:
        """Raises MediaError FILE_DIGEST_WRONG."""
        running = _new_digest(digest.algorithm)
        for offset in range(0, source.size_bytes, _BLOCK_BYTES):
            if run.stop.is_set():
                return Requeue()
            async with self._limiter.slot():
                block = await source.read(offset, min(_BLOCK_BYTES, source.size_bytes - offset))
            await asyncio.to_thread(running.update, block)
        await source.require_unchanged()
        if running.digest() != digest.value:
            raise MediaError("FILE_DIGEST_WRONG", algorithm=digest.algorithm)
        return Done()


def _new_digest(algorithm: str) -> Any:
    """A running digest: "md5", "sha-256" or "crc32c"."""
    if algorithm == "crc32c":
        return google_crc32c.Checksum()  # type: ignore[no-untyped-call]  # the package has no types for it
    return hashlib.new(algorithm.replace("-", ""), usedforsecurity=False)
