"""Clients whose bytes do not pass through a gateway: imports of objects, and direct uploads to the store.

Redis holds all that is known of such an upload. When it loses that, the client begins again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import aiohttp

from pipeline.core.errors import StoreError
from pipeline.ports import ObjectStore
from tests.harness.cell import ENDED
from tests.harness.store_digests import store_digests
from tests.programs.torture.client import (
    POLL_SECONDS,
    STATUS_CHANGED,
    TIMEOUT,
    UNKNOWN,
    Client,
    ClientUpload,
    RefusedError,
    numbers,
)
from tests.programs.torture.schedule import PlannedUpload, Way

_RETRY_SECONDS = 2.0
# Redis has lost the upload, or it was completed or ended meanwhile.
_NOT_GRANTED = STATUS_CHANGED | {"UPLOAD_NOT_FOUND"}


def import_key(plan: PlannedUpload) -> str:
    """The object that is imported: it stays where it is."""
    return f"raw/{plan.number}"


class Sender:
    """Uploads files, each in the way of its plan. `store` is where the objects to be imported are put."""

    def __init__(self, http: aiohttp.ClientSession, client: Client, store: ObjectStore) -> None:
        self._http, self._client, self._store = http, client, store

    async def send(self, upload: ClientUpload) -> None:
        """Upload a file until the upload has ended, or its client cancels or abandons it."""
        try:
            if upload.plan.way is Way.GATEWAY:
                await self._client.send(upload)
            else:
                await self._until_ended(upload)
        except RefusedError as refused:
            upload.error = str(refused)
        upload.is_done = True

    async def _until_ended(self, upload: ClientUpload) -> None:
        begin = self._import if upload.plan.way is Way.IMPORT else self._send_directly
        await begin(upload)
        while upload.status not in ENDED:
            if upload.status == UNKNOWN:
                upload.forget()
                await begin(upload)
            await asyncio.sleep(POLL_SECONDS)
            await self._client.refresh(upload)

    async def _import(self, upload: ClientUpload) -> None:
        key = import_key(upload.plan)
        while True:
            try:
                await self._store.put_object(key, upload.file.data, upload.file.content_type)
                break
            except StoreError:
                await asyncio.sleep(_RETRY_SECONDS)
        view = await self._client.call("POST", "/v1/contents/import", json={"key": key, "owner": upload.caller.owner})
        upload.upload_id, upload.view = view["id"], {"segment_count": 1, **view}

    async def _send_directly(self, upload: ClientUpload) -> None:
        """Send all segments to the store, and report it, until the report is accepted."""
        await self._client.create(upload, transport="direct")
        assert upload.view is not None
        path, count = f"/v1/uploads/{upload.upload_id}", int(upload.view["segment_count"])
        while upload.status == "granted":
            await self._send_all(upload, path, count)
            expected = _NOT_GRANTED | {"SEGMENTS_MISSING"}
            await self._client.call("POST", f"{path}/complete", expected_errors=expected)
            await self._client.refresh(upload)
            await asyncio.sleep(POLL_SECONDS)

    async def _send_all(self, upload: ClientUpload, path: str, count: int) -> None:
        assert upload.view is not None
        size = int(upload.view["segment_size"])
        left = numbers([(1, count)])
        while left:
            wanted = {"segments": [[number, number] for number in sorted(left)]}
            granted = await self._client.call("POST", f"{path}/grants", json=wanted, expected_errors=_NOT_GRANTED)
            if not granted:
                return
            for grant in granted["segments"]:
                body = upload.file.data[(grant["number"] - 1) * size :][: grant["size"]]
                if await self._put(grant, body):
                    self._client.traffic.sent_bytes += len(body)
                    left -= {grant["number"]}
            await asyncio.sleep(upload.plan.pause_seconds)

    async def _put(self, grant: Mapping[str, Any], body: bytes) -> bool:
        """One attempt to store a segment. The store refuses bytes that were changed on the way."""
        headers = {**grant["headers"], **store_digests(body), "Content-Length": str(len(body))}
        try:
            async with self._http.request(
                grant["method"], grant["url"], data=body, headers=headers, timeout=TIMEOUT
            ) as response:
                await response.read()
                return response.status < 300
        except (TimeoutError, aiohttp.ClientError):
            await asyncio.sleep(_RETRY_SECONDS)
            return False
