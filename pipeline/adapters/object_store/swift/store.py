"""OpenStack Swift behind the `ObjectStore` port: segments as objects of their own, joined by a Static Large Object
manifest.

Guarantee: no 201 is trusted alone. The MD5 of the bytes that went out is compared with the ETag that came back, for
each segment and for the manifest; a segment that turns out corrupt on the temp volume is broken off before its last
block, which Swift answers by storing nothing. Requests are not repeated here but for a token that died: how often,
and after how long, is the stage's decision.

Rights needed: an operator role on the account (swiftoperator, member, ...: `operator_roles`), or, with both
containers made by somebody else, read and write ACLs on them (and, for TempURLs, the key set on them by their owner,
and on the account for whole objects: see `swift.grants`).
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

import aiohttp

from pipeline.adapters.object_store.http.observe import RequestObserver, unobserved
from pipeline.adapters.object_store.http.payload import SegmentPayload
from pipeline.adapters.object_store.http.sender import RequestSender, new_session
from pipeline.adapters.object_store.limits import SWIFT_LIMITS
from pipeline.adapters.object_store.names import segment_name
from pipeline.adapters.object_store.plan import check_segments, etag_of_etags, verify_plain
from pipeline.adapters.object_store.swift.auth import SwiftAuth, TokenSource
from pipeline.adapters.object_store.swift.grants import SwiftDownloads
from pipeline.adapters.object_store.swift.http import SwiftHttp
from pipeline.adapters.object_store.swift.layout import SwiftLayout
from pipeline.adapters.object_store.swift.limits import read_limits
from pipeline.adapters.object_store.swift.manifest import (
    ManifestAnswer,
    manifest_json,
    parse_answer,
    raise_unless_sealed,
)
from pipeline.adapters.object_store.swift.options import SwiftOptions
from pipeline.adapters.object_store.swift.reader import SwiftReader
from pipeline.adapters.object_store.swift.tempurl import TempUrlSigner
from pipeline.adapters.object_store.swift.uploads import SwiftUploads, segment_location
from pipeline.core.errors import StoreUnavailable
from pipeline.core.model import DelegatedToken, ObjectTarget, SegmentRequest, SegmentSpan, StoredObject, StoredSegment
from pipeline.core.segments import StoreLimits
from pipeline.ports import SegmentSource


class SwiftObjectStore(SwiftReader):
    """`ObjectStore` and `ObjectReader`. Made inside a running event loop; `async with` (or `aclose`) gives its
    connections back.

    One per process: it holds the process' token. A `session` that is passed in stays the caller's to close.
    """

    def __init__(
        self,
        auth: SwiftAuth,
        container: str,
        *,
        session: aiohttp.ClientSession | None = None,
        name: str = "swift",
        limits: StoreLimits = SWIFT_LIMITS,
        options: SwiftOptions | None = None,
        observer: RequestObserver = unobserved,
        signer: TempUrlSigner | None = None,
        lent: SwiftAuth | None = None,
    ) -> None:
        """`signer` is what TempURLs are signed with; None: there are none. `lent` is whose tokens clients get; None:
        nobody's. Raises StoreError STORE_REJECTED when
        `container` cannot be a container's name."""
        options = options or SwiftOptions()
        self.limits = limits
        self._session = session or new_session(options)
        self._owns_session = session is None
        self._tokens = TokenSource(auth, self._session, options)
        http = SwiftHttp(RequestSender(self._session, options, observer), self._tokens)
        super().__init__(name, http, SwiftLayout(container), options, signer)
        self._downloads = None if signer is None else SwiftDownloads(http, self._layout, signer)
        self._lent = lent
        self._uploads = SwiftUploads(http, self._layout, options.page_names)
        self._hashing = ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="segment-md5")
        self._containers: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        return self._name

    @property
    def container(self) -> str:
        return self._layout.container

    def within(self, container: str) -> SwiftReader:
        return SwiftReader(self._name, self._http, SwiftLayout(container), self._options)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Idempotent."""
        await self._tokens.aclose()
        if self._owns_session:
            await self._session.close()
        self._hashing.shutdown(wait=False, cancel_futures=True)

    async def discover_limits(self) -> StoreLimits:
        """What this cluster says at `/info` (no token needed); the limits that were set where it says nothing or may
        not be asked.

        `limits` itself does not change: a plan that was made must stay valid. Raises nothing but StoreUnavailable for
        a dead host.
        """
        return await read_limits(self._session, await self._http.storage_url(), self.limits, self._options.auth_seconds)

    async def begin(self, target: ObjectTarget) -> str:
        """As the port says. Swift needs no session; the containers are made on the way, once per process."""
        await self._containers_once()
        return ""

    async def put_segment(self, target: ObjectTarget, source: SegmentSource) -> StoredSegment:
        """As the port says. An upload of one segment is stored under its own key at once, as a plain object."""
        number = source.number
        path, content_type = segment_location(self._layout, target, number)
        body = SegmentPayload(source, self._hashing)
        etag = await self._put(path, body, {"Content-Type": content_type})
        if etag != body.md5_hex:
            raise StoreUnavailable(reason=f"PUT {path}: answered etag {etag!r} for bytes with MD5 {body.md5_hex!r}")
        return StoredSegment(number, source.size_bytes, etag)

    async def put_object(self, key: str, body: bytes, content_type: str) -> StoredObject:
        """As the port says. The digest goes along, so that Swift itself refuses (422) what was mangled on the way."""
        md5_hex = hashlib.md5(body, usedforsecurity=False).hexdigest()
        etag = await self._put(self._layout.object_path(key), body, {"Content-Type": content_type, "ETag": md5_hex})
        if etag != md5_hex:
            raise StoreUnavailable(reason=f"PUT {key}: answered etag {etag!r} for bytes with MD5 {md5_hex!r}")
        return StoredObject(self.name, self._layout.container, key, len(body), etag)

    async def seal(self, target: ObjectTarget, segments: Sequence[StoredSegment]) -> StoredObject:
        """As the port says. MANIFEST_REFUSED has `segments` in its detail: the numbers to be sent again, where the
        store told."""
        check_segments(target, segments)
        if target.plan.count == 1:
            return await verify_plain(self, target, segments[0])
        expected = etag_of_etags(segments)
        answer = await self._put_manifest(target, segments)
        if answer.status == 404:  # the container was deleted: it is made, and asked again
            self._containers = None
            await self._containers_once()
            answer = await self._put_manifest(target, segments)
        raise_unless_sealed(answer, self._layout, target, expected)
        return StoredObject(
            self.name, self._layout.container, target.key, target.plan.size_bytes, expected, tuple(segments)
        )

    async def abort(self, target: ObjectTarget) -> None:
        """As the port says. Segments are found by listing and by their names: a run that was believed dead may have
        stored more than we know of, and listings lag behind, by minutes where a container server is away.
        """
        await self._delete_path(self._layout.object_path(target.key))
        seen: set[str] = set()
        while True:
            listed = {name async for name in self._list(self._layout.segment_container, f"{target.upload_id}/")}
            if listed <= seen:
                break
            await self._delete_paths(self._layout.stray_segment_path(name) for name in sorted(listed - seen))
            seen |= listed
        numbers = range(1, target.plan.count + 1) if target.plan.count > 1 else ()
        unlisted = [number for number in numbers if segment_name(target.upload_id, number) not in seen]
        await self._delete_paths(self._layout.segment_path(target.upload_id, number) for number in unlisted)

    async def presign_segments(
        self, target: ObjectTarget, numbers: Sequence[int], *, seconds: int
    ) -> Sequence[SegmentRequest] | None:
        """As the port says: TempURLs for PUT; None without a TempURL key."""
        if self._signer is None:
            return None
        await self._containers_once()
        return await self._uploads.sign(self._signer, target, numbers, seconds)

    async def delegate_token(self, target: ObjectTarget, numbers: Sequence[int]) -> DelegatedToken | None:
        """As the port says; each client gets a token of its own."""
        if self._lent is None:
            return None
        await self._containers_once()
        token = await self._lent.authenticate(self._session, self._options.auth_seconds)
        return await self._uploads.lend(token, target, numbers)

    async def held_segments(self, target: ObjectTarget) -> Sequence[StoredSegment]:
        """As the port says."""
        return await self._uploads.held(target)

    async def presign_download(
        self, key: str, *, segment_count: int, seconds: int, filename: str, inline: bool
    ) -> str | None:
        """As the port says: a TempURL; None without a TempURL key, or of a manifest when the key is not the account's
        (see `swift.grants`)."""
        if self._downloads is None:
            return None
        await self._containers_once()
        return await self._downloads.of_object(key, segment_count, seconds, filename, inline)

    async def presign_segment_download(self, key: str, span: SegmentSpan, *, seconds: int) -> str | None:
        """As the port says: a TempURL of the segment's own object, which Swift answers 200."""
        if self._downloads is None:
            return None
        await self._containers_once()
        return await self._downloads.of_segment(key, span, seconds)

    async def _put_manifest(self, target: ObjectTarget, segments: Sequence[StoredSegment]) -> ManifestAnswer:
        async with self._http.request(
            "PUT",
            self._layout.object_path(target.key),
            accept=(201, 202, 400, 404),
            query={"multipart-manifest": "put", "heartbeat": "on"},
            headers={"Content-Type": target.content_type, "Accept": "application/json"},
            body=manifest_json(self._layout, target, segments),
            answer_seconds=self._options.manifest_seconds,
        ) as response:
            return parse_answer(response.status, response.headers.get("Etag", ""), await response.read())

    async def _put(self, path: str, body: bytes | SegmentPayload, headers: dict[str, str]) -> str:
        """PUT one object and return its ETag, unquoted. A 404 means that the container is not there: it is made, and
        asked again."""
        await self._containers_once()
        for last_try in (False, True):
            accept = (201,) if last_try else (201, 404)
            async with self._http.request("PUT", path, accept=accept, headers=headers, body=body) as response:
                if response.status == 201:
                    return response.headers.get("Etag", "").strip('"')
            self._containers = None
            await self._containers_once()
        raise AssertionError("the second answer is 201 or has raised")

    async def _containers_once(self) -> None:
        """Both containers exist: asked once per process, by one request however many segments wait for it."""
        if self._containers is None or (self._containers.done() and not _succeeded(self._containers)):
            self._containers = asyncio.create_task(self.ensure_containers(), name="swift-containers")
        if not self._containers.done():
            await asyncio.shield(self._containers)


def _succeeded(task: asyncio.Task[None]) -> bool:
    return not task.cancelled() and task.exception() is None
