"""A directory behind the `ObjectStore` port: the same contract as Swift's, without a server.

Guarantee: that of the port. The name of a segment's file contains its MD5, so that `seal` sees without reading it
whether it still holds the acknowledged bytes. For one machine: several processes may share the directory; listings walk
the whole tree.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Self

from pipeline.adapters.object_store.closing import ClosedOnExit
from pipeline.adapters.object_store.filesystem.beneath import Beneath
from pipeline.adapters.object_store.filesystem.files import Draft, disk_errors
from pipeline.adapters.object_store.filesystem.layout import FilesystemLayout
from pipeline.adapters.object_store.filesystem.tree import Piece, Tree
from pipeline.adapters.object_store.guard import Guarded
from pipeline.adapters.object_store.integrity import (
    check_segments,
    md5_hex,
)
from pipeline.adapters.object_store.limits import FILESYSTEM_LIMITS
from pipeline.adapters.object_store.payload import SegmentPayload
from pipeline.core.errors import StoreError
from pipeline.core.segments import StoreLimits
from pipeline.core.stored_objects import ObjectTarget, StoredObject, StoredSegment
from pipeline.ports import SegmentSource

STORE_NAME = "filesystem"

_CONTAINER = "files"
"""What responses and rows call the directory: a client must not learn where on the server it is."""

_READ_BYTES = 256 * 1024
"""Held for each slow reader: blocks of 1 MiB made fifty of them cost a gateway 250 MiB."""


class FilesystemObjectStore(Guarded, ClosedOnExit):
    """`ObjectStore` and `ObjectReader` over a directory.

    With `fsync` an acknowledged segment survives a power failure, and each segment waits for the disk.
    """

    name = STORE_NAME

    def __init__(self, directory: Path, *, fsync: bool = True) -> None:
        self._root = directory.absolute()
        self._tree = Tree(FilesystemLayout(self._root), fsync)

    @property
    def container(self) -> str:
        return _CONTAINER

    def within(self, container: str) -> Self:
        """See `Store.within`; the directory is the only container. Earlier releases recorded its path."""
        if container not in (_CONTAINER, str(self._root)):
            raise StoreError("STORE_REJECTED", reason=f"the store {self.name} has no container '{container}'")
        return self

    async def aclose(self) -> None:
        """Idempotent; nothing is open."""

    async def limits(self) -> StoreLimits:
        """See `ObjectStore.limits`: the presets."""
        return FILESYSTEM_LIMITS

    async def begin(self, target: ObjectTarget) -> str:
        """See `ObjectStore.begin`; there is no session."""
        return ""

    async def put_segment(self, target: ObjectTarget, source: SegmentSource) -> StoredSegment:
        """See `ObjectStore.put_segment`. An upload of one segment becomes a plain file."""
        body = SegmentPayload(source)
        what = f"segment {source.number} of {target.upload_id}"
        with disk_errors(what):
            draft = await asyncio.to_thread(self._tree.draft)
        try:
            await _fill(draft, body, what)
            with disk_errors(what):
                if target.is_plain:
                    await asyncio.to_thread(self._tree.publish_object, draft, target.key)
                else:
                    await asyncio.to_thread(self._tree.publish_segment, draft, target, source.number, body.md5_hex)
        finally:
            draft.discard()
        return StoredSegment(source.number, source.size_bytes, body.md5_hex)

    async def put_object(self, key: str, body: bytes, content_type: str) -> StoredObject:
        """See `ObjectStore.put_object`; a plain file keeps no content type."""
        with disk_errors(key):
            etag = await asyncio.to_thread(self._tree.put_object, body, key, md5_hex(body))
        return self._stored(key, len(body), etag)

    async def seal(
        self, target: ObjectTarget, segments: Sequence[StoredSegment], *, acknowledged: bool = False
    ) -> StoredObject:
        """See `ObjectStore.seal`. A plain file is compared in any case."""
        check_segments(target, segments)
        if target.is_plain:
            with disk_errors(target.key):
                etag = await asyncio.to_thread(self._tree.verify_plain, target, segments[0])
            return self._stored(target.key, target.plan.size_bytes, etag, tuple(segments))
        with disk_errors(target.key):
            etag = await asyncio.to_thread(self._tree.seal, target, segments)
        return self._stored(target.key, target.plan.size_bytes, etag, tuple(segments))

    async def abort(self, target: ObjectTarget) -> None:
        """See `ObjectStore.abort`."""
        with disk_errors(target.key):
            await asyncio.to_thread(self._tree.remove_upload, target)

    async def read(
        self, key: str, first: int = 0, last: int | None = None, *, etag: str | None = None
    ) -> AsyncIterator[bytes]:
        """See `ObjectSource.read`; blocks have at most 256 KiB. With `etag`, the first read of a version of a plain
        file that Sluice wrote computes its digest."""
        with disk_errors(key):
            pieces = await asyncio.to_thread(self._tree.pieces, key, first, last, etag)
        async with aclosing(_blocks(self._tree.files, key, pieces)) as blocks:
            async for block in blocks:
                yield block
                del block  # otherwise two blocks are held while the next one is read

    async def read_segment(
        self, target: ObjectTarget, number: int, first: int, last: int, *, etag: str | None = None
    ) -> AsyncIterator[bytes]:
        """See `SegmentReads.read_segment`."""
        what = f"segment {number} of {target.upload_id}"
        with disk_errors(what):
            piece = await asyncio.to_thread(self._tree.segment_piece, target, number, first, last, etag)
        async with aclosing(_blocks(self._tree.files, what, [piece])) as blocks:
            async for block in blocks:
                yield block
                del block  # as above

    async def head(self, key: str) -> StoredObject:
        """See `ObjectSource.head`. The digest of a plain file that Sluice wrote is computed on each call."""
        with disk_errors(key):
            return self._stored(key, *await asyncio.to_thread(self._tree.head, key))

    async def delete(self, key: str) -> None:
        """See `ObjectReader.delete`. The manifest is removed first, for the reason given in `swift.reader`."""
        with disk_errors(key):
            await asyncio.to_thread(self._tree.remove, key)

    async def list_keys(self, prefix: str = "") -> AsyncIterator[str]:
        """See `ObjectSource.list_keys`: objects, then segments as `segment:UPLOAD/NUMBER.MD5`, each sorted."""
        with disk_errors("listing"):
            names = await asyncio.to_thread(lambda: list(self._tree.names(prefix)))
        for name in names:
            yield name

    async def remove_drafts(self, idle_seconds: float) -> int:
        """See `Drafts.remove_drafts`: files that killed processes did not finish."""
        with disk_errors("drafts"):
            return await asyncio.to_thread(self._tree.remove_drafts, idle_seconds)

    async def check(self) -> str:
        """See `ObjectReader.check`; writing creates what is missing of the directory."""
        return f"The directory {self._root}, which clients know as {_CONTAINER}"

    def _stored(self, key: str, size_bytes: int, etag: str, segments: tuple[StoredSegment, ...] = ()) -> StoredObject:
        return StoredObject(STORE_NAME, self.container, key, size_bytes, etag, segments)


async def _blocks(files: Beneath, what: str, pieces: Sequence[Piece]) -> AsyncGenerator[bytes, None]:
    """The bytes of these ranges of files. Raises StoreError STORE_REJECTED when a file is shorter."""
    for path, offset, length in pieces:
        with disk_errors(what):
            file = await asyncio.to_thread(files.open, path)
        with file:
            file.seek(offset)
            while length:
                with disk_errors(what):
                    block = await asyncio.to_thread(file.read, min(length, _READ_BYTES))
                if not block:
                    raise StoreError("STORE_REJECTED", reason=f"{what}: {path.name} is shorter than it was")
                length -= len(block)
                yield block
                del block  # as in `read`


async def _fill(draft: Draft, body: SegmentPayload, what: str) -> None:
    """Write every block. The source's own errors pass unchanged; those of the store's disk are translated."""
    async with aclosing(body.blocks()) as blocks:
        async for block in blocks:
            with disk_errors(what):
                await asyncio.to_thread(draft.write, block)
