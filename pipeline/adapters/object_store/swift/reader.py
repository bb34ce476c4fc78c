"""Reading, removing and listing objects in Swift.

Guarantee of `delete`: the manifest is removed before its segments. An interrupted delete leaves segments that no object
names; a listing shows them and a sweep removes them. The other order would leave an object that is visible but cannot
be read.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable

from pipeline.adapters.object_store.http.ranges import range_header
from pipeline.adapters.object_store.integrity import unquoted
from pipeline.adapters.object_store.names import SEGMENT_PREFIX, may_match
from pipeline.adapters.object_store.swift.http import SwiftHttp
from pipeline.adapters.object_store.swift.layout import SwiftLayout, location_path
from pipeline.adapters.object_store.swift.listing import entries
from pipeline.adapters.object_store.swift.options import SwiftOptions
from pipeline.core.errors import StoreError
from pipeline.core.model import StoredObject
from pipeline.core.segments import MEBIBYTE

STORE_NAME = "swift"


class SwiftReader:
    """`ObjectSource` and deletion over a container."""

    def __init__(self, http: SwiftHttp, layout: SwiftLayout, options: SwiftOptions) -> None:
        self._http = http
        self._layout = layout
        self._options = options

    async def read(self, key: str, first: int = 0, last: int | None = None) -> AsyncIterator[bytes]:
        """See `ObjectSource.read`."""
        headers = range_header(first, last)
        path = self._layout.object_path(key)
        accept = (206,) if headers else (200,)
        async with self._http.request("GET", path, accept=accept, headers=headers, key=key) as response:
            async for block in response.content.iter_chunked(MEBIBYTE):
                yield block

    async def head(self, key: str) -> StoredObject:
        """See `ObjectSource.head`."""
        return (await self._head(key))[0]

    async def delete(self, key: str) -> None:
        """See `ObjectReader.delete`.

        A DELETE is sent also when the object does not exist: a PUT of it that is still on its way inside Swift then has
        the earlier timestamp and has no effect.
        """
        if key.startswith(SEGMENT_PREFIX):
            await self._delete_path(self._layout.named_segment_path(key.removeprefix(SEGMENT_PREFIX)))
            return
        path = self._layout.object_path(key)
        try:
            _, is_manifest = await self._head(key)
            segments = await self._manifest_paths(path) if is_manifest else []
        except StoreError as error:
            if error.code != "STORE_OBJECT_MISSING":
                raise
            segments = []
        await self._delete_path(path)
        await self._delete_paths(segments)

    async def list_keys(self, prefix: str = "") -> AsyncIterator[str]:
        """See `ObjectSource.list_keys`: objects, then segments as `segment:UPLOAD/NUMBER`."""
        async for name in self._list(self._layout.container, prefix):
            yield name
        if may_match(prefix, SEGMENT_PREFIX):
            async for name in self._list(self._layout.segment_container, prefix[len(SEGMENT_PREFIX) :]):
                yield SEGMENT_PREFIX + name

    async def _head(self, key: str) -> tuple[StoredObject, bool]:
        """The object, and whether it is a manifest."""
        path = self._layout.object_path(key)
        async with self._http.request("HEAD", path, accept=(200,), key=key) as response:
            headers = response.headers
        stored = StoredObject(
            store=STORE_NAME,
            container=self._layout.container,
            key=key,
            size_bytes=int(headers.get("Content-Length", "-1")),
            etag=unquoted(headers.get("Etag")),
        )
        return stored, headers.get("X-Static-Large-Object", "").lower() == "true"

    async def _manifest_paths(self, path: str) -> list[str]:
        async with self._http.request("GET", path, accept=(200,), query={"multipart-manifest": "get"}) as response:
            return [location_path(str(segment["name"])) for segment in json.loads(await response.read())]

    async def _list(self, container: str, prefix: str) -> AsyncIterator[str]:
        async for entry in entries(self._http, container, prefix, self._options.page_names):
            yield str(entry["name"])

    async def _delete_path(self, path: str) -> None:
        async with self._http.request("DELETE", path, accept=(200, 204, 404)):
            pass

    async def _delete_paths(self, paths: Iterable[str]) -> None:
        """DELETE each path, `delete_concurrency` at a time. The bulk middleware works two at a time and needs rights on
        the account."""
        queue = iter(paths)

        async def worker() -> None:
            for path in queue:
                await self._delete_path(path)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._options.delete_concurrency):
                    group.create_task(worker())
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
