"""Passes over a segment source: digested, counted, and never complete when the source is wrong."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator

import pytest

from pipeline.adapters.object_store.payload import SegmentPayload
from pipeline.core.errors import SegmentCorrupt
from pipeline.hashing import update_all
from pipeline.ports import Hash

pytestmark = pytest.mark.unit


class Source:
    number = 7
    crc32c: int | None = None
    md5_hex = ""

    def __init__(self, blocks: list[bytes], size_bytes: int | None = None, error: Exception | None = None) -> None:
        self.size_bytes = sum(map(len, blocks)) if size_bytes is None else size_bytes
        self.blocks = blocks
        self.error = error

    async def chunks(self, *hashes: Hash) -> AsyncIterator[bytes]:
        for block in self.blocks:
            await update_all(hashes, block)
            yield block
        if self.error is not None:
            raise self.error


@pytest.mark.parametrize(
    "blocks",
    [[], [b""], [b"x"], [b"a" * 100_000, b"b" * 10], [b"a" * 65536] * 3, [b"", b"a", b"", b"b", b""]],
)
async def test_a_pass_yields_and_digests_every_byte(blocks: list[bytes]) -> None:
    body = SegmentPayload(Source(blocks))
    for _ in range(2):
        passed = b"".join([block async for block in body.blocks()])
        assert passed == b"".join(blocks)
        assert body.md5_hex == hashlib.md5(passed, usedforsecurity=False).hexdigest()
        assert body.complete
        assert body.passed_bytes == body.size_bytes


async def test_the_digest_is_known_before_the_last_block_is_yielded() -> None:
    """A store that has all bytes may respond before the pass has ended."""
    body = SegmentPayload(Source([b"a" * 100_000, b"b" * 100_000]))
    blocks = body.blocks()
    await anext(blocks)
    assert not body.complete
    await anext(blocks)
    assert body.complete
    await blocks.aclose()


@pytest.mark.parametrize(
    "source",
    [
        Source([b"aa", b"bb"], size_bytes=5),
        Source([b"aa", b"bb"], size_bytes=3),
        Source([b"aa", b"bb"], size_bytes=2),
        Source([], size_bytes=1),
        Source([b"aa", b"bb"], error=SegmentCorrupt(7)),
    ],
    ids=["short", "long", "a block too many", "nothing", "late"],
)
async def test_a_wrong_source_never_completes_a_pass(source: Source) -> None:
    body = SegmentPayload(source)
    passed: list[bytes] = []

    async def read() -> None:
        async for block in body.blocks():
            passed.append(block)  # noqa: PERF401  keeps the blocks that came before the error

    with pytest.raises(SegmentCorrupt) as raised:
        await read()
    assert len(b"".join(passed)) < source.size_bytes
    assert not body.complete
    assert body.failure is raised.value
