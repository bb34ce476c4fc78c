"""The body of a request that appends, cut at the limits of segments.

Guarantee: bytes are written at most once and in order. Whatever ends the body, the bytes that are written by then are
either a recorded segment or the tail; with a digest of the body, only if it matches. While the length of the file is
not known, a segment that is complete stays the tail until a byte after it arrives: it may be the last one.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Self

from pipeline.core.digests import BodyDigest
from pipeline.core.errors import RequestError
from pipeline.core.model import Upload
from pipeline.core.tail import Tail
from pipeline.uploads.append_turn import Turn
from pipeline.uploads.body_reader import BodyReader
from pipeline.uploads.cell import CellState
from pipeline.uploads.incoming_bytes import IncomingBytes, ReceiveRules
from pipeline.uploads.lookup import ended_error
from pipeline.uploads.progress import Progress
from pipeline.uploads.receive_buffer import ReceiveBuffer
from pipeline.uploads.room import SegmentRoom, new_token
from pipeline.uploads.segment_write import SegmentWrite, only_check


class BodyBlocks:
    """Blocks of a body, of which a part can be taken. A read that waits ends when the turn is superseded, while this
    context manager is entered. `limit_bytes`: how long the body may be; None: as long as its client likes."""

    def __init__(self, body: AsyncIterator[bytes], turn: Turn, rules: ReceiveRules, progress: Progress) -> None:
        self._reader = BodyReader(body, rules.stall_seconds, progress)
        self._turn = turn
        self._rules = rules
        self._rest = b""
        self._ended = False
        self._received_bytes = 0
        self.limit_bytes: int | None = None

    def __enter__(self) -> Self:
        self._turn.reading = self._reader.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._turn.reading = None
        self._reader.__exit__(kind, error, traceback)

    async def take(self, most_bytes: int) -> bytes:
        """Up to `most_bytes`; none at the body's end. Raises RequestError APPEND_STALLED, APPEND_CUT_OFF,
        APPEND_SUPERSEDED, APPEND_TOO_LARGE."""
        if not self._rest and not self._ended:
            self._rest = await self._next()
            self._ended = not self._rest
        if len(self._rest) <= most_bytes:
            taken, self._rest = self._rest, b""
        else:
            taken, self._rest = self._rest[:most_bytes], self._rest[most_bytes:]
        return taken

    async def at_end(self) -> bool:
        """Whether no byte follows. Raises as `take`."""
        if not self._rest and not self._ended:
            self._rest = await self._next()
            self._ended = not self._rest
        return not self._rest

    async def _next(self) -> bytes:
        self._turn.require()
        try:
            while (block := await self._reader.next()) is not None:
                if block:
                    self._received_bytes += len(block)
                    if self.limit_bytes is not None and self._received_bytes > self.limit_bytes:
                        raise RequestError("APPEND_TOO_LARGE", limit_bytes=self.limit_bytes)
                    return block
        except TimeoutError:
            self._turn.require()
            raise RequestError("APPEND_STALLED", stall_seconds=self._rules.stall_seconds) from None
        except ConnectionError:
            raise RequestError("APPEND_CUT_OFF") from None
        return b""


@dataclass(frozen=True, slots=True)
class _Arrived:
    """A segment that is complete and not recorded yet."""

    number: int
    crc32c: int


class SegmentClaims:
    """Room that one request has claimed for segments. `close` gives back that of segments of which nothing is kept."""

    def __init__(self, room: SegmentRoom) -> None:
        self.room = room
        self._upload: Upload | None = None
        self._tokens: dict[int, str] = {}

    def token(self, number: int) -> str:
        """The name of the claim on a segment."""
        return self._tokens.setdefault(number, new_token())

    async def take(self, upload: Upload, number: int) -> int | None:
        """See `SegmentRoom.take`."""
        self._upload = upload
        known = await self.room.take(upload, number, self.token(number))
        if known is not None:
            self.done(number)
        return known

    def done(self, number: int) -> None:
        """The segment is recorded: its claim has ended."""
        self._tokens.pop(number, None)

    async def close(self) -> None:
        if self._upload is not None:
            for number, token in self._tokens.items():
                await asyncio.shield(self.room.abandon(self._upload, number, token, taken=True))


class AppendBody:
    """Appends the body of one request to an upload that has been admitted. `digest`: of the body."""

    def __init__(
        self,
        cell: CellState,
        claims: SegmentClaims,
        buffer: ReceiveBuffer,
        rules: ReceiveRules,
        turn: Turn,
        upload: Upload,
        digest: BodyDigest | None,
    ) -> None:
        self._cell = cell
        self._claims = claims
        self._buffer = buffer
        self._rules = rules
        self._turn = turn
        self._upload = upload
        self._digest = digest
        self._segments = SegmentWrite(cell, claims.room)
        self._hashes = {
            name: hashlib.new(name.replace("-", ""), usedforsecurity=False)
            for name in (digest.algorithms if digest else ())
        }
        self._arrived: list[_Arrived] = []

    async def segment(self, blocks: BodyBlocks, number: int, *, known: int | None) -> int:
        """Append to one segment, for which there is room; returns how many of its bytes have arrived: fewer than it has
        if the body has ended. `known`: the crc32c of the segment, if it had arrived before; its bytes are only
        compared.

        Raises RequestError APPEND_STALLED, APPEND_CUT_OFF, APPEND_SUPERSEDED, SEGMENT_DIFFERS; UploadEnded;
        TempVolumeError; DependencyUnavailable."""
        size_bytes = self._upload.plan.length(number)
        tail = self._turn.tail if self._turn.tail and self._turn.tail.number == number else None
        write = only_check if known is not None else partial(self._segments.write, self._upload, number)
        on_disk = tail if tail and not tail.held else None
        incoming = IncomingBytes(
            write,
            self._buffer,
            list(self._hashes.values()),
            done_bytes=on_disk.size_bytes if on_disk else 0,
            crc32c=on_disk.crc32c if on_disk else 0,
        )
        try:
            async with asyncio.timeout(self._rules.deadline_seconds):
                if tail and tail.held:
                    await self._write_held(incoming, tail)
                while incoming.arrived_bytes < size_bytes:
                    block = await blocks.take(size_bytes - incoming.arrived_bytes)
                    if not block:
                        break
                    await incoming.reserve(len(block))
                    incoming.hold(block)
                    del block
                    await incoming.flush_batch()
                await incoming.flush()
        except TimeoutError:
            raise RequestError("APPEND_STALLED", stall_seconds=self._rules.stall_seconds) from None
        except RequestError:
            await incoming.flush()  # the bytes that have arrived count
            raise
        finally:
            incoming.close()
            most_bytes = size_bytes if self._upload.deferred else size_bytes - 1
            if known is None and 0 < incoming.done_bytes <= most_bytes:
                self._turn.tail = Tail(number, incoming.done_bytes, incoming.crc32c)
        if incoming.done_bytes == size_bytes:
            if known is None:
                if self._upload.deferred is None or await self._goes_on(blocks, number):
                    await self._complete(_Arrived(number, incoming.crc32c))
            elif on_disk is None and known != incoming.crc32c:
                raise RequestError("SEGMENT_DIFFERS", number=number)
        return incoming.done_bytes

    async def _goes_on(self, blocks: BodyBlocks, number: int) -> bool:
        """Whether a byte follows, so that the segment is not the last one of its file."""
        return number < self._upload.plan.count and not await blocks.at_end()

    async def finish(self) -> None:
        """The body has ended: compare its digest, and record what was waiting for that. Raises RequestError
        APPEND_DIGEST_WRONG, what the digest's `read` raises, and as `segment`."""
        if self._digest is None:
            return
        announced = self._digest.read()
        if self._hashes[announced.algorithm].digest() != announced.value:
            raise RequestError("APPEND_DIGEST_WRONG", algorithm=announced.algorithm)
        arrived, self._arrived = self._arrived, []
        for segment in arrived:
            await self._record(segment)

    def discard(self) -> None:
        """A body with a digest that has failed does not count: the tail is what it was before."""
        if self._digest is not None:
            self._turn.tail = self._turn.found.tail

    async def _write_held(self, incoming: IncomingBytes, tail: Tail) -> None:
        """Bytes that Redis has held for want of room come first. They belong to no digest of this body."""
        incoming.crc32c = await self._segments.write(self._upload, tail.number, 0, [tail.held], 0)
        incoming.done_bytes = tail.size_bytes

    async def _complete(self, segment: _Arrived) -> None:
        if self._digest is not None:
            self._arrived.append(segment)
        else:
            await self._record(segment)

    async def _record(self, segment: _Arrived) -> None:
        token = self._claims.token(segment.number)
        verdict = await self._segments.record(self._upload, segment.number, segment.crc32c, token, self._turn.token)
        self._claims.done(segment.number)
        if self._turn.tail and self._turn.tail.number == segment.number:
            self._turn.tail = None
        if verdict.accepted:
            return
        if verdict.refused == "superseded":
            self._turn.supersede()
            self._turn.require()
        upload = await self._cell.uploads.get(self._upload.upload_id)
        known = await self._cell.segments.received(upload.upload_id, [segment.number])
        if known.get(segment.number) == segment.crc32c:
            return
        raise RequestError("SEGMENT_DIFFERS", number=segment.number) if known else ended_error(upload)
