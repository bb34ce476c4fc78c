"""A plain HTTP client that sends segments to the store itself and knows nothing but its grants."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

from tests.harness.cell import Cell
from tests.harness.media_samples import sample

MEBIBYTE = 1024 * 1024
# S3 accepts no part below 5 MiB; Swift has no lower limit.
TWO_SEGMENTS_AND_A_BIT = {"swift": 2 * 256 * 1024 + 4321, "s3": 10 * MEBIBYTE + 4321}


def video(cell: Cell) -> bytes:
    """A video of three segments, no two alike: players and probes skip the box of random bytes at its end."""
    head = sample("mp4").read_bytes()
    size = TWO_SEGMENTS_AND_A_BIT[cell.settings.store]
    return head + (size - len(head) - 8).to_bytes(4, "big") + b"free" + os.urandom(size - len(head) - 8)


async def send(cell: Cell, grants: Iterable[Mapping[str, Any]], upload: Mapping[str, Any], data: bytes) -> None:
    """Send the granted segments of `data`, as any HTTP client would."""

    async def one(grant: Mapping[str, Any]) -> None:
        start = (grant["number"] - 1) * upload["segment_size"]
        body = data[start : start + grant["size"]]
        async with cell.http.request(
            grant["method"],
            grant["url"],
            data=blocks(body),
            headers={**grant["headers"], "Content-Length": str(len(body))},
        ) as answer:
            assert answer.status in (200, 201), await answer.text()

    await asyncio.gather(*(one(grant) for grant in grants))


async def blocks(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 64 * 1024):
        yield body[start : start + 64 * 1024]


async def complete(cell: Cell, upload_id: str) -> tuple[int, dict[str, Any]]:
    status, body, _ = await cell.call("POST", f"/v1/uploads/{upload_id}/complete")
    return status, body["data"] if status == 200 else body["error"]
