"""Reading, removing and listing what lies in Swift.

Guarantee of `delete`: the manifest goes before its segments. Cut off half way it leaves segments that no object
names, which a listing shows and a sweep removes; the other order would leave an object that can be seen and not be
read.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Iterable

from pipeline.adapters.object_store.names import SEGMENT_PREFIX
from pipeline.adapters.object_store.swift.http import SwiftHttp
from pipeline.adapters.object_store.swift.layout import SwiftLayout, container_path, location_path
from pipeline.adapters.object_store.swift.listing import entries
from pipeline.adapters.object_store.swift.options import SwiftOptions
from pipeline.adapters.object_store.swift.tempurl import KEY_HEADER, TempUrlSigner
from pipeline.core.errors import StoreError
from pipeline.core.model import StoredObject
from pipeline.core.segments import MEBIBYTE

GONE_IS_FINE = (200, 204, 404)


class SwiftReader:
    """`ObjectReader` over a Swift account."""

    def __init__(
        self,
        name: str,
        http: SwiftHttp,
        layout: SwiftLayout,
        options: SwiftOptions,
        signer: TempUrlSigner | None = None,
    ) -> None:
        self._name = name
        self._http = http
        self._layout = layout
        self._options = options
        self._signer = signer

    async def read(self, key: str, first: int = 0, last: int | None = None) -> AsyncIterator[bytes]:
        """As the port says, in blocks of at most 1 MiB. STORE_REJECTED when `first` lies behind the end."""
        whole = first == 0 and last is None
        headers = {} if whole else {"Range": f"bytes={first}-{'' if last is None else last}"}
        path = self._layout.object_path(key)
        accept = (200,) if whole else (206,)
        async with self._http.request("GET", path, accept=accept, headers=headers, key=key) as response:
            async for block in response.content.iter_chunked(MEBIBYTE):
                yield block

    async def head(self, key: str) -> StoredObject:
        """As the port says."""
        return (await self._head(key))[0]

    async def delete(self, key: str) -> None:
        """As the port says; takes any name that `list_keys` gives.

        What is not there is deleted too: a PUT of it that is still on its way inside Swift has the earlier timestamp
        then, and comes to nothing.
        """
        if key.startswith(SEGMENT_PREFIX):
            await self._delete_path(self._layout.stray_segment_path(key.removeprefix(SEGMENT_PREFIX)))
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
        """As the port says; segments come as `segment:UPLOAD/NUMBER`, after the objects."""
        async for name in self._list(self._layout.container, prefix):
            yield name
        if prefix.startswith(SEGMENT_PREFIX[: len(prefix)]):
            async for name in self._list(self._layout.segment_container, prefix[len(SEGMENT_PREFIX) :]):
                yield SEGMENT_PREFIX + name

    async def check(self) -> str:
        """As the port says: log in, make the containers, write, read and remove one small object."""
        await self.ensure_containers()
        path = self._layout.stray_segment_path(f"sluice-check/{uuid.uuid4()}")
        async with self._http.request("PUT", path, accept=(201,), body=b"sluice"):
            pass
        async with self._http.request("GET", path, accept=(200,)) as response:
            same = await response.read() == b"sluice"
        await self._delete_path(path)
        if not same:
            raise StoreError("STORE_REJECTED", reason=f"what was written to {path} came back changed")
        account = await self._http.storage_url()
        containers = f"{self._layout.container} and {self._layout.segment_container}"
        return f"Swift at {account} can be written, containers {containers}"

    async def ensure_containers(self) -> None:
        """Make both containers where they are missing, and set the TempURL key on them where it is another. Idempotent.

        Asks first: a user may be let into containers it could not make. One that is not the account's owner may not
        set the key either (403, and the key is not shown to it): whoever made the containers then has to, and until
        they do Swift answers 401 to our TempURLs.
        """
        key = {KEY_HEADER: self._signer.key} if self._signer is not None else {}
        for container in (self._layout.container, self._layout.segment_container):
            path = container_path(container)
            async with self._http.request("HEAD", path, accept=(200, 204, 404)) as response:
                missing = response.status == 404
                keyless = any(response.headers.get(name) != value for name, value in key.items())
            if missing:
                async with self._http.request("PUT", path, accept=(201, 202), headers=key):
                    pass
            elif keyless:
                async with self._http.request("POST", path, accept=(204, 403), headers=key):
                    pass

    async def _head(self, key: str) -> tuple[StoredObject, bool]:
        """The object, and whether it is a manifest."""
        path = self._layout.object_path(key)
        async with self._http.request("HEAD", path, accept=(200,), key=key) as response:
            headers = response.headers
        stored = StoredObject(
            store=self._name,
            container=self._layout.container,
            key=key,
            size_bytes=int(headers.get("Content-Length", "-1")),
            etag=headers.get("Etag", "").strip('"'),
        )
        return stored, headers.get("X-Static-Large-Object", "").lower() == "true"

    async def _manifest_paths(self, path: str) -> list[str]:
        async with self._http.request("GET", path, accept=(200,), query={"multipart-manifest": "get"}) as response:
            return [location_path(str(segment["name"])) for segment in json.loads(await response.read())]

    async def _list(self, container: str, prefix: str) -> AsyncIterator[str]:
        async for entry in entries(self._http, container, prefix, self._options.page_names):
            yield str(entry["name"])

    async def _delete_path(self, path: str) -> None:
        async with self._http.request("DELETE", path, accept=GONE_IS_FINE):
            pass

    async def _delete_paths(self, paths: Iterable[str]) -> None:
        """DELETE each, so many at once. Not by the bulk middleware: that works two at a time, and asks for rights on
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
