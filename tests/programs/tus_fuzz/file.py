"""One file that a fuzzing client uploads, and what the server has acknowledged of it."""

from __future__ import annotations

import asyncio
import hashlib
import random
from base64 import b64encode
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.programs.tus_fuzz.requests import Reply, chunked, send

TUS: dict[str, str] = {"Tus-Resumable": "1.0.0"}
_BODY = {"Content-Type": "application/offset+octet-stream"}
_GONE = frozenset({404, 410})
_CHECKSUM = "Upload-Checksum"


class Violation(Exception):
    """The server has done what it must not."""


@dataclass
class TusFile:
    """`acknowledged`: how many bytes the server has said that it has. `ended`: deleted, or refused as no media.
    `announced`: whether the server has said that it knows the length of the file."""

    bases: Sequence[str]
    path: str
    data: bytes
    authorization: Mapping[str, str]
    counts: Counter[str]
    random: random.Random
    acknowledged: int = 0
    ended: bool = False
    announced: bool = True
    tried: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """At one of the gateways."""
        return self.random.choice(self.bases) + self.path

    @property
    def complete(self) -> bool:
        return self.acknowledged == len(self.data) and self.announced

    async def step(self) -> None:
        """One request, or two at once."""
        kinds = [self.right, self.right, self.right, self.cut, self.wrong, self.twice, self.broken]
        kinds += [self.checksum, self.trailer]
        if not self.announced:
            kinds += [self.length, self.wrong_length]
        kind = self.random.choice(kinds)
        self.tried.append(kind.__name__)
        await kind()

    async def right(self) -> None:
        """The next bytes, of a random number."""
        start = await self.offset()
        if not self.ended:
            await self._patch(start, self.data[start : start + self._size()])

    async def cut(self) -> None:
        """A body that ends in the middle."""
        start = await self.offset()
        chunk = self.data[start : start + self._size()]
        if not self.ended and chunk:
            headers = self._headers(start) | {"Content-Length": str(len(chunk))}
            await send("PATCH", self.url, headers, chunk, cut_after=self.random.randrange(len(chunk)))
            self.counts["cut"] += 1

    async def wrong(self) -> None:
        """Bytes at an offset that is not the upload's: they must never count."""
        start = await self.offset()
        if self.ended:
            return
        offset = self.random.choice([start + 1, start - 1, len(self.data) + 1, 2**40, 0])
        if offset != start and offset >= 0:
            reply = self._seen(await send("PATCH", self.url, self._headers(offset), b"WRONG"), "wrong offset")
            if reply.status == 204:
                raise Violation(f"bytes at {offset} were accepted at {start}")

    async def twice(self) -> None:
        """Two requests for the same bytes at once: at most one of them may bring them."""
        start = await self.offset()
        if not self.ended:
            chunk = self.data[start : start + self._size()]
            await asyncio.gather(self._patch(start, chunk), self._patch(start, chunk))

    async def checksum(self) -> None:
        """Bytes that differ from their digest must not count."""
        start = await self.offset()
        chunk = self.data[start : start + self._size()]
        if self.ended or not chunk:
            return
        digest = {_CHECKSUM: self._digest(chunk)}
        if self.random.random() < 0.5:
            await self._patch(start, chunk, digest)
            return
        reply = self._seen(await send("PATCH", self.url, self._headers(start) | digest, _spoilt(chunk)), "wrong digest")
        if reply.status == 204:
            raise Violation("bytes that differ from their digest were accepted")

    async def trailer(self) -> None:
        """A digest after the body, which is right, wrong, missing, not valid, or cut off."""
        start = await self.offset()
        chunk = self.data[start : start + self._size()]
        if self.ended or not chunk:
            return
        headers = self._headers(start) | {"Transfer-Encoding": "chunked", "Trailer": _CHECKSUM}
        middle = self.random.randrange(len(chunk))
        blocks = [block for block in (chunk[:middle], chunk[middle:]) if block]
        right = chunked(blocks, {_CHECKSUM: self._digest(chunk)})
        kind = self.random.choice(["right", "wrong", "missing", "not valid", "cut"])
        if kind == "right":
            self._sent(start, chunk, self._seen(await send("PATCH", self.url, headers, right), "trailer"))
            return
        if kind == "cut":
            await send("PATCH", self.url, headers, right, cut_after=self.random.randrange(len(right)))
            self.counts["cut"] += 1
            return
        trailers = {
            "wrong": {_CHECKSUM: self._digest(_spoilt(chunk))},
            "missing": {},
            "not valid": {_CHECKSUM: self.random.choice(["", "sha1", "sha1 !!!", "crc999 AAAA"])},
        }
        reply = self._seen(await send("PATCH", self.url, headers, chunked(blocks, trailers[kind])), f"trailer {kind}")
        if reply.status == 204:
            raise Violation(f"bytes were accepted although their trailer was {kind}")

    async def broken(self) -> None:
        """A request that is not valid."""
        start = await self.offset()
        if self.ended:
            return
        change = self.random.choice(
            [
                {"Upload-Offset": "-1"},
                {"Upload-Offset": "x" * self.random.randrange(1, 200)},
                {"Upload-Offset": "9" * 30},
                {"Content-Type": "text/plain"},
                {"Tus-Resumable": "0.2.2"},
                {"Upload-Checksum": "crc999 AAAA"},
                {"Upload-Checksum": "sha1 !!!"},
                {"Content-Length": "0"},
            ]
        )
        reply = self._seen(await send("PATCH", self.url, self._headers(start) | change, b"x"), "broken")
        if reply.status == 204 and change != {"Content-Length": "0"}:
            raise Violation(f"{change} was accepted")

    async def length(self) -> None:
        """The length of the file, with some of its bytes or without."""
        start = await self.offset()
        if not self.ended:
            chunk = self.data[start : start + self.random.choice([0, self._size()])]
            await self._patch(start, chunk, {"Upload-Length": str(len(self.data))})

    async def wrong_length(self) -> None:
        """A length that the file cannot have. (Another one that it could have would be right for the server.)"""
        start = await self.offset()
        if self.ended:
            return
        length = self.random.choice([0, start - 1, 2**45, 10**14])
        if length < 0 or length == start == len(self.data):
            return
        headers = self._headers(start) | {"Upload-Length": str(length)}
        reply = self._seen(await send("PATCH", self.url, headers), "wrong length")
        if reply.status == 204:
            raise Violation(f"the length {length} was accepted at {start} of {len(self.data)}")

    async def delete(self) -> None:
        reply = self._seen(await send("DELETE", self.url, {**TUS, **self.authorization}), "delete")
        self.ended = self.ended or reply.status in _GONE or reply.status == 204

    async def finish(self) -> None:
        """Send what is missing, politely."""
        while not self.ended and not self.complete:
            await (self.right() if self.acknowledged < len(self.data) else self.length())

    async def offset(self) -> int:
        """Ask for the offset, and compare it with what was acknowledged."""
        reply = self._seen(await send("HEAD", self.url, {**TUS, **self.authorization}), "head")
        if reply.status in _GONE:
            self.ended = True
            return self.acknowledged
        if reply.status == 423:  # another request has just asked too
            return await self.offset()
        if reply.status not in (200, 204) or reply.offset is None:
            raise Violation(f"HEAD was answered with {reply}")
        self._acknowledge(reply.offset)
        self._check_length(reply)
        return reply.offset

    async def _patch(self, start: int, chunk: bytes, more: Mapping[str, str] | None = None) -> None:
        reply = self._seen(await send("PATCH", self.url, {**self._headers(start), **(more or {})}, chunk), "patch")
        self._sent(start, chunk, reply)
        if reply.status == 204:
            self.announced = self.announced or bool(more and "Upload-Length" in more)

    def _sent(self, start: int, chunk: bytes, reply: Reply) -> None:
        """What the response to these bytes says of the upload."""
        if reply.status == 204:
            if reply.offset is None or not start <= reply.offset <= start + len(chunk):
                raise Violation(f"{len(chunk)} bytes at {start} led to {reply.offset}")
            self.acknowledged = max(self.acknowledged, reply.offset)
        elif reply.status in _GONE:
            self.ended = True

    def _check_length(self, reply: Reply) -> None:
        """A length that was accepted is shown, and no other one; before that, that it is not known."""
        length, deferred = reply.headers.get("upload-length"), reply.headers.get("upload-defer-length")
        if (length is None) == (deferred is None) or length not in (None, str(len(self.data))):
            raise Violation(f"HEAD has the length {length} and defers {deferred}")
        if length is None and self.announced:
            raise Violation("a length that was accepted is not known any more")
        self.announced = length is not None

    def _acknowledge(self, offset: int) -> None:
        if not self.acknowledged <= offset <= len(self.data):
            raise Violation(f"the offset is {offset} of {len(self.data)} after {self.acknowledged}; {self.tried[-5:]}")
        self.acknowledged = offset

    def _seen(self, reply: Reply, what: str) -> Reply:
        self.counts[f"{what} {reply.status}"] += 1
        if reply.status >= 500:
            raise Violation(f"{what} was answered with {reply.status}: {self.url}")
        return reply

    def _headers(self, offset: int) -> dict[str, str]:
        return {**TUS, **_BODY, **self.authorization, "Upload-Offset": str(offset)}

    def _digest(self, chunk: bytes) -> str:
        """The value of Upload-Checksum."""
        algorithm = self.random.choice(["sha1", "md5", "sha256"])
        return f"{algorithm} {b64encode(hashlib.new(algorithm, chunk, usedforsecurity=False).digest()).decode()}"

    def _size(self) -> int:
        return self.random.choice([1, 2, 1000, 65_536, 300_000, len(self.data)])


def _spoilt(chunk: bytes) -> bytes:
    return bytes([chunk[0] ^ 1]) + chunk[1:]
