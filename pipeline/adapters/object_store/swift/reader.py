"""Reading, removing and listing objects in Swift.

Guarantee of `delete`: the manifest is removed before its segments. An interrupted delete leaves segments that no object
names; a listing shows them and a sweep removes them. The other order would leave an object that is visible but cannot
be read.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing

from pipeline.adapters.object_store.each import each_of
from pipeline.adapters.object_store.guard import Guarded, only_sluice_errors
from pipeline.adapters.object_store.http.bodies import READ_BYTES, read_json, size_and_etag, text, unusable
from pipeline.adapters.object_store.http.ranges import ByteCount, length_of_range, range_header, require_version
from pipeline.adapters.object_store.names import SEGMENT_PREFIX, may_match
from pipeline.adapters.object_store.swift.http import SwiftHttp
from pipeline.adapters.object_store.swift.layout import SwiftLayout, location_path
from pipeline.adapters.object_store.swift.listing import entries
from pipeline.adapters.object_store.swift.options import SwiftOptions
from pipeline.core.errors import StoreError
from pipeline.core.stored_objects import StoredObject, upload_of

STORE_NAME = "swift"


class SwiftReader(Guarded):
    """`ObjectSource` and deletion over a container."""

    def __init__(self, http: SwiftHttp, layout: SwiftLayout, options: SwiftOptions) -> None:
        self._http = http
        self._layout = layout
        self._options = options

    async def read(
        self, key: str, first: int = 0, last: int | None = None, *, etag: str | None = None
    ) -> AsyncIterator[bytes]:
        """See `ObjectSource.read`. STORE_REJECTED also when the store responds to a range with the whole object."""
        async with aclosing(self._read(self._layout.object_path(key), key, first, last, etag)) as blocks:
            async for block in blocks:
                yield block

    async def _read(
        self, path: str, key: str, first: int, last: int | None, etag: str | None
    ) -> AsyncGenerator[bytes, None]:
        headers = range_header(first, last)
        accept = (200, 206) if headers else (200,)
        what = f"GET {path}"
        async with self._http.request("GET", path, accept=accept, headers=headers, key=key) as response:
            require_version(etag, response.headers.get("Etag"), key)
            size_bytes = None
            if headers:
                if response.status != 206:
                    raise StoreError("STORE_REJECTED", reason=f"{what}: the store ignored the range")
                size_bytes = length_of_range(response.headers.get("Content-Range"), first, last, what)
            count = ByteCount(size_bytes, what)
            async for block in response.content.iter_chunked(READ_BYTES):
                count.add(block)
                yield block
            count.end()

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
            segments = await self._segment_paths(key, path) if is_manifest else []
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
        size_bytes, etag = size_and_etag(headers, f"HEAD {path}")
        content_type = headers.get("Content-Type", "")
        stored = StoredObject(STORE_NAME, self._layout.container, key, size_bytes, etag, content_type=content_type)
        return stored, headers.get("X-Static-Large-Object", "").lower() == "true"

    async def _segment_paths(self, key: str, path: str) -> list[str]:
        """The segments of a manifest: those that it names, or those that bear its upload's name, where it cannot be
        read. Raises StoreError, StoreUnavailable."""
        try:
            with only_sluice_errors(f"manifest of {key}"):
                return await self._manifest_paths(path)
        except StoreError as error:
            if error.code == "STORE_AUTH_FAILED":
                raise
            unread = error
        upload_id = upload_of(key)
        if upload_id is None:
            await self._delete_by_manifest(path, unread)
            return []
        return [
            self._layout.named_segment_path(name)
            async for name in self._list(self._layout.segment_container, f"{upload_id}/")
        ]

    async def _delete_by_manifest(self, path: str, unread: StoreError) -> None:
        """Let the server remove a manifest of unknown segments, and the segments. The status says nothing (slo
        middleware, "Deleting a Large Object"). Raises `unread` unless the server says that no error occurred."""
        query = {"multipart-manifest": "delete"}
        headers = {"Accept": "application/json"}
        what = f"DELETE {path}?multipart-manifest=delete"
        async with self._http.request("DELETE", path, accept=(200,), query=query, headers=headers) as response:
            result = await read_json(response, what)
        if not isinstance(result, dict) or result.get("Errors") != [] or "Number Deleted" not in result:
            raise unread

    async def _manifest_paths(self, path: str) -> list[str]:
        """As the manifest names them. Ceph 16 does not return manifests, but 200 and no bytes."""
        what = f"GET {path}?multipart-manifest=get"
        async with self._http.request("GET", path, accept=(200,), query={"multipart-manifest": "get"}) as response:
            segments = await read_json(response, what)
        if not isinstance(segments, list) or not segments:
            raise unusable(what, "it is not a manifest")
        names = [text(segment["name"], what, "name") for segment in segments]
        wrong = [name for name in names if not name.startswith("/")]
        if wrong:
            raise unusable(what, f"it names {wrong[0][:100]!a}")
        return [location_path(name) for name in names]

    async def _list(self, container: str, prefix: str) -> AsyncIterator[str]:
        async for entry in entries(self._http, container, prefix, self._options.page_names):
            yield entry.name

    async def _delete_path(self, path: str) -> None:
        async with self._http.request("DELETE", path, accept=(204, 404)):
            pass

    async def _delete_paths(self, paths: Iterable[str]) -> None:
        """DELETE each path, `delete_concurrency` at a time. The bulk middleware works two at a time and needs rights on
        the account, and not every server has it."""
        await each_of(paths, self._delete_path, self._options.delete_concurrency)
