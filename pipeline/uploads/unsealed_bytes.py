"""The bytes of a file whose segments are all in the store, while its manifest is being written.

Guarantee: what is read of a segment is what the store had of it when the client reported the upload as complete: the
manifest names the same ETags. A segment that has changed or disappeared since raises SegmentsMissing, with `sealed`:
writing the manifest finds that out, and decides.
"""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.core.errors import StoreError
from pipeline.core.model import Upload
from pipeline.ports import SegmentReads
from pipeline.uploads.bytes import SegmentsMissing, Span, collected, spans_of
from pipeline.uploads.cell import CellState
from pipeline.uploads.target import target_of

_NOT_AS_STORED = ("STORE_OBJECT_MISSING", "OBJECT_CHANGED")


class UnsealedBytes:
    """The segments of an upload that never lie on the temp volume. Implements FileBytes. `read` raises SegmentsMissing,
    and errors of store and board."""

    def __init__(self, cell: CellState, store: SegmentReads, upload: Upload) -> None:
        self._cell = cell
        self._store = store
        self._upload = upload
        self._etags: Mapping[int, str] | None = None

    @property
    def size_bytes(self) -> int:
        return self._upload.size_bytes

    @property
    def unverified(self) -> bool:
        return True

    async def require_unchanged(self) -> None:
        """Nothing to compare: each range was read from the segment that the manifest names."""

    async def read(self, offset: int, length: int) -> bytes:
        if self._etags is None:
            self._etags = {segment.number: segment.etag for segment in await self._cell.segments.stored(self._upload)}
        return b"".join([await self._read(span, self._etags) for span in spans_of(self._upload.plan, offset, length)])

    async def _read(self, span: Span, etags: Mapping[int, str]) -> bytes:
        if span.number not in etags:
            raise SegmentsMissing([span.number], sealed=True)
        last = span.first + span.size_bytes - 1
        target, etag = target_of(self._upload), etags[span.number]
        try:
            blocks = self._store.read_segment(target, span.number, span.first, last, etag=etag)
            return await collected(blocks, span.size_bytes)
        except StoreError as error:
            if error.code not in _NOT_AS_STORED:
                raise
            raise SegmentsMissing([span.number], sealed=True) from error
