"""A client that requests what `@uppy/aws-s3` 6 requests of Companion, in the same order, without headers of its own."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from tests.harness.cell import Cell

MEBIBYTE = 1024 * 1024
PART_BYTES = 5 * MEBIBYTE
"""The plugin sends no shorter part before the last one."""


@dataclass(slots=True)
class CompanionClient:
    """One upload through `endpoint`, the plugin's option `companionEndpoint`."""

    cell: Cell
    endpoint: str
    name: str = ""
    key: str = ""

    async def call(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        """A request below `/s3`: status and body."""
        async with self.cell.http.request(method, f"{self.endpoint}/s3{path}", **options) as response:
            return response.status, json.loads(await response.read())

    async def create(self, **body: Any) -> None:
        status, made = await self.call(
            "POST", "/multipart", json={"filename": "film.mp4", "type": "video/mp4", "metadata": {}, **body}
        )
        assert status == 200, made
        self.name, self.key = made["uploadId"], made["key"]
        self.cell.uploads.append(self.key)

    async def of_upload(self, method: str, rest: str = "", **options: Any) -> tuple[int, Any]:
        """A request about the upload."""
        return await self.call(method, f"/multipart/{self.name}{rest}", params={"key": self.key}, **options)

    async def put(self, number: int, data: bytes, part_bytes: int = PART_BYTES) -> str:
        """Send a part of `data` to the store: its ETag, as the plugin keeps it."""
        status, signed = await self.of_upload("GET", f"/{number}")
        assert status == 200, signed
        part = data[(number - 1) * part_bytes : number * part_bytes]
        headers = {"Origin": "https://app.example"}
        # aiohttp would add a Content-Type; XMLHttpRequest adds none to a slice of a file.
        async with self.cell.http.put(
            signed["url"], data=BytesIO(part), headers=headers, skip_auto_headers=["Content-Type"]
        ) as sent:
            assert sent.status in (200, 201), await sent.text()
            return sent.headers["ETag"].strip('"')

    async def put_all(self, data: bytes, numbers: Collection[int], part_bytes: int = PART_BYTES) -> dict[int, str]:
        return {number: await self.put(number, data, part_bytes) for number in numbers}

    async def complete(self, etags: Mapping[int, str]) -> tuple[int, Any]:
        parts = [{"PartNumber": number, "ETag": etag} for number, etag in etags.items()]
        return await self.of_upload("POST", "/complete", json={"parts": parts})
