"""A directory behind the `ObjectStore` port: the same contract as Swift's, without a server.

Guarantee: as the port's. A segment's file carries its MD5 in its name, so that `seal` sees at once whether the bytes
that were acknowledged are still the ones that are there. For one machine: several processes may share the directory,
listings walk the whole tree.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Self

from pipeline.adapters.object_store.filesystem.files import Draft, disk_errors
from pipeline.adapters.object_store.filesystem.layout import FilesystemLayout
from pipeline.adapters.object_store.filesystem.tree import Tree
from pipeline.adapters.object_store.http.payload import SegmentPayload
from pipeline.adapters.object_store.limits import FILESYSTEM_LIMITS
from pipeline.adapters.object_store.plan import check_segments, verify_plain
from pipeline.core.errors import StoreError
from pipeline.core.model import ObjectTarget, StoredObject, StoredSegment
from pipeline.core.segments import StoreLimits
from pipeline.ports import SegmentSource

_READ_BYTES = 256 * 1024
"""What many slow readers hold each: with 1 MiB, fifty cost a gateway 250 MiB."""


class FilesystemObjectStore:
    """`ObjectStore` and `ObjectReader` over a directory.

    `fsync`: what was acknowledged survives a power cut, and each segment waits for the disk.
    """

    def __init__(
        self,
        directory: Path,
        *,
        name: str = "filesystem",
        limits: StoreLimits = FILESYSTEM_LIMITS,
        fsync: bool = True,
    ) -> None:
        self.name = name
        self.limits = limits
        self._root = directory.absolute()
        self._tree = Tree(FilesystemLayout(self._root), fsync)
        self._hashing = ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="segment-md5")

    @property
    def container(self) -> str:
        return str(self._root)

    def within(self, container: str) -> Self:
        """As the port says; a directory is the one container there is."""
        if container != self.container:
            raise StoreError("STORE_REJECTED", reason=f"the store {self.name} has no container '{container}'")
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Idempotent."""
        self._hashing.shutdown(wait=False, cancel_futures=True)

    async def begin(self, target: ObjectTarget) -> str:
        """As the port says; there is no session."""
        return ""

    async def put_segment(self, target: ObjectTarget, source: SegmentSource) -> StoredSegment:
        """As the port says. An upload of one segment is a plain file at once."""
        body = SegmentPayload(source, self._hashing)
        what = f"segment {source.number} of {target.upload_id}"
        with disk_errors(what):
            draft = await asyncio.to_thread(self._tree.draft)
        try:
            await _fill(draft, body, what)
            with disk_errors(what):
                if target.plan.count == 1:
                    await asyncio.to_thread(self._tree.publish_object, draft, target.key)
                else:
                    await asyncio.to_thread(self._tree.publish_segment, draft, target, source.number, body.md5_hex)
        finally:
            draft.discard()
        return StoredSegment(source.number, source.size_bytes, body.md5_hex)

    async def put_object(self, key: str, body: bytes, content_type: str) -> StoredObject:
        """As the port says; a plain file keeps no content type."""
        with disk_errors(key):
            await asyncio.to_thread(self._tree.put_object, body, key)
        return self._stored(key, len(body), hashlib.md5(body, usedforsecurity=False).hexdigest())

    async def seal(self, target: ObjectTarget, segments: Sequence[StoredSegment]) -> StoredObject:
        """As the port says. MANIFEST_REFUSED has `segments` in its detail: the numbers to be sent again."""
        check_segments(target, segments)
        if target.plan.count == 1:
            return await verify_plain(self, target, segments[0])
        with disk_errors(target.key):
            etag = await asyncio.to_thread(self._tree.seal, target, segments)
        return self._stored(target.key, target.plan.size_bytes, etag, tuple(segments))

    async def abort(self, target: ObjectTarget) -> None:
        """As the port says."""
        with disk_errors(target.key):
            await asyncio.to_thread(self._tree.remove_upload, target)

    async def read(self, key: str, first: int = 0, last: int | None = None) -> AsyncIterator[bytes]:
        """As the port says, in blocks of at most 256 KiB. STORE_REJECTED when `first` lies behind the end."""
        with disk_errors(key):
            pieces = await asyncio.to_thread(self._tree.pieces, key, first, last)
        for path, offset, length in pieces:
            with disk_errors(key):
                file = await asyncio.to_thread(path.open, "rb")
            with file:
                file.seek(offset)
                while length:
                    with disk_errors(key):
                        block = await asyncio.to_thread(file.read, min(length, _READ_BYTES))
                    if not block:
                        raise StoreError("STORE_REJECTED", reason=f"{key}: {path.name} is shorter than it was")
                    length -= len(block)
                    yield block
                    del block  # or two of them are held while the next one is read

    async def head(self, key: str) -> StoredObject:
        """As the port says. The digest of a plain file is taken when it is asked for."""
        with disk_errors(key):
            return self._stored(key, *await asyncio.to_thread(self._tree.head, key))

    async def delete(self, key: str) -> None:
        """As the port says; takes any name that `list_keys` gives. The manifest goes first, as in `swift.reader`."""
        with disk_errors(key):
            await asyncio.to_thread(self._tree.remove, key)

    async def list_keys(self, prefix: str = "") -> AsyncIterator[str]:
        """As the port says, sorted; segments come as `segment:UPLOAD/NUMBER.MD5`, after the objects."""
        with disk_errors("listing"):
            names = await asyncio.to_thread(lambda: list(self._tree.names(prefix)))
        for name in names:
            yield name

    async def remove_drafts(self, idle_seconds: float) -> int:
        """As the port says: what processes that were killed have left half written."""
        with disk_errors("drafts"):
            return await asyncio.to_thread(self._tree.remove_drafts, idle_seconds)

    async def check(self) -> str:
        """As the port says: write, read and remove one small file."""
        path = self._tree.layout.segment_path("sluice-check", os.getpid(), "check")
        with disk_errors(str(self._root)):
            await asyncio.to_thread(self._tree.publish_bytes, b"sluice", path)
            same = await asyncio.to_thread(path.read_bytes) == b"sluice"
            await asyncio.to_thread(self._tree.remove_segments, [path])
        if not same:
            raise StoreError("STORE_REJECTED", reason=f"what was written below {self._root} came back changed")
        return f"The directory {self._root} can be written"

    def _stored(self, key: str, size_bytes: int, etag: str, segments: tuple[StoredSegment, ...] = ()) -> StoredObject:
        return StoredObject(self.name, str(self._root), key, size_bytes, etag, segments)


async def _fill(draft: Draft, body: SegmentPayload, what: str) -> None:
    """Write every block. The source's own errors pass as they are; those of our disk are translated."""
    async with aclosing(body.blocks()) as blocks:
        async for block in blocks:
            with disk_errors(what):
                await asyncio.to_thread(draft.write, block)
