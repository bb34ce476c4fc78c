"""OpenStack Swift behind the `ObjectStore` port: segments as objects of their own, joined by a Static Large Object
manifest.

Guarantee: a 201 alone is not trusted. The MD5 of the bytes that were sent, or the one that their client has announced,
is compared with the ETag that came back, for each segment and for the manifest. A segment that turns out corrupt on the
temp volume is broken off before its last block; Swift then stores nothing. Only a request whose token was refused is
repeated here; all other retries are the stage's decision.

Rights needed: an operator role on the account (swiftoperator, member, ...: `operator_roles`). Or, with both containers
created by another user, read and write ACLs on them; TempURLs then need the key set on the containers by their owner,
and on the account for whole objects (see `swift.presigned`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from pipeline.adapters.object_store.closing import ClosedOnExit
from pipeline.adapters.object_store.each import each_of
from pipeline.adapters.object_store.http.bodies import read_bounded
from pipeline.adapters.object_store.http.observe import RequestObserver, unobserved
from pipeline.adapters.object_store.http.sender import RequestSender, new_session
from pipeline.adapters.object_store.integrity import (
    check_segments,
    etag_of_etags,
    md5_hex,
    plain_object,
    require_etag,
    unquoted,
    verify_plain,
)
from pipeline.adapters.object_store.names import segment_name
from pipeline.adapters.object_store.payload import SegmentPayload
from pipeline.adapters.object_store.swift.auth import SwiftAuth, TokenSource
from pipeline.adapters.object_store.swift.containers import SwiftContainers
from pipeline.adapters.object_store.swift.delegated import delegated_token
from pipeline.adapters.object_store.swift.held import changed_segments, copy_segment, held_segments, require_changed
from pipeline.adapters.object_store.swift.http import SwiftHttp
from pipeline.adapters.object_store.swift.info import SwiftInfo
from pipeline.adapters.object_store.swift.layout import SwiftLayout
from pipeline.adapters.object_store.swift.manifest import (
    ManifestResponse,
    manifest_json,
    parse_response,
    raise_unless_sealed,
)
from pipeline.adapters.object_store.swift.options import SwiftOptions
from pipeline.adapters.object_store.swift.presigned import SwiftPresigned
from pipeline.adapters.object_store.swift.reader import STORE_NAME, SwiftReader
from pipeline.adapters.object_store.swift.tempurl import TempUrlSigner
from pipeline.core.errors import StoreError
from pipeline.core.segments import StoreLimits
from pipeline.core.stored_objects import (
    DelegatedToken,
    ObjectTarget,
    SegmentLink,
    SegmentRequest,
    SegmentSpan,
    StoredObject,
    StoredSegment,
)
from pipeline.ports import SegmentSource


@dataclass(frozen=True, slots=True)
class ClientAccess:
    """How clients may reach the store themselves: `signer` signs TempURLs, `delegated` is the login whose tokens
    clients get. None: that way is not offered."""

    signer: TempUrlSigner | None = None
    delegated: SwiftAuth | None = None


class SwiftObjectStore(SwiftReader, ClosedOnExit):
    """`ObjectStore` and `ObjectReader`, with presigned URLs and delegated tokens. Created inside a running event loop;
    `async with` (or `aclose`) releases its connections. One per process: it holds the process' token."""

    name = STORE_NAME

    def __init__(
        self,
        auth: SwiftAuth,
        container: str,
        *,
        options: SwiftOptions | None = None,
        observer: RequestObserver = unobserved,
        clients: ClientAccess | None = None,
    ) -> None:
        """Raises StoreError STORE_REJECTED when `container` cannot be a container's name."""
        options = options or SwiftOptions()
        clients = clients or ClientAccess()
        layout = SwiftLayout(container)
        self._session = new_session(options)
        self._tokens = TokenSource(auth, self._session, options)
        http = SwiftHttp(RequestSender(self._session, options, observer), self._tokens)
        super().__init__(http, layout, options)
        self._containers = SwiftContainers(http, layout, clients.signer)
        self._info = SwiftInfo(http, options)
        self._presigned = None if clients.signer is None else SwiftPresigned(http, layout, clients.signer, self._info)
        self._delegated = clients.delegated

    @property
    def container(self) -> str:
        return self._layout.container

    def within(self, container: str) -> SwiftReader:
        """See `Store.within`."""
        return SwiftReader(self._http, SwiftLayout(container), self._options)

    async def aclose(self) -> None:
        """Idempotent."""
        await self._info.aclose()
        await self._containers.aclose()
        await self._tokens.aclose()
        await self._session.close()

    async def limits(self) -> StoreLimits:
        """See `ObjectStore.limits`: those of `/info`."""
        return (await self._info.current()).limits

    async def begin(self, target: ObjectTarget) -> str:
        """See `ObjectStore.begin`. Swift needs no session; the containers are created if they are missing."""
        await self._containers.ensure_once()
        return ""

    async def put_segment(self, target: ObjectTarget, source: SegmentSource) -> StoredSegment:
        """See `ObjectStore.put_segment`. An upload of one segment is stored under its own key, as a plain object."""
        path, content_type = self._layout.destination(target, source.number)
        headers = {"Content-Type": content_type}
        if source.md5_hex:  # Swift compares it, so that nobody has to compute it here
            headers["ETag"] = source.md5_hex
        body = SegmentPayload(source, computes_md5=not source.md5_hex)
        etag = await self._put(path, body, headers)
        require_etag(f"PUT {path}", etag, body.md5_hex)
        return StoredSegment(source.number, source.size_bytes, etag)

    async def read_segment(
        self, target: ObjectTarget, number: int, first: int, last: int, *, etag: str | None = None
    ) -> AsyncIterator[bytes]:
        """See `SegmentReads.read_segment`: a segment is an object of its own."""
        path, _ = self._layout.destination(target, number)
        async with aclosing(self._read(path, path, first, last, etag)) as blocks:
            async for block in blocks:
                yield block

    async def put_object(self, key: str, body: bytes, content_type: str) -> StoredObject:
        """See `ObjectStore.put_object`. The digest is sent along, so that Swift refuses (422) a body that was damaged
        on the way."""
        digest = md5_hex(body)
        etag = await self._put(self._layout.object_path(key), body, {"Content-Type": content_type, "ETag": digest})
        require_etag(f"PUT {key}", etag, digest)
        return StoredObject(STORE_NAME, self.container, key, len(body), etag)

    async def seal(
        self, target: ObjectTarget, segments: Sequence[StoredSegment], *, acknowledged: bool = False
    ) -> StoredObject:
        """See `ObjectStore.seal`."""
        check_segments(target, segments)
        if target.is_plain:
            if acknowledged:
                return plain_object(STORE_NAME, self.container, target, segments[0])
            return await verify_plain(self, target, segments[0])
        expected = etag_of_etags(segments)
        response = await self._put_manifest(target, segments)
        if response.status == 404:  # the container was deleted
            await self._containers.ensure_again()
            response = await self._put_manifest(target, segments)
        await self._require_segments(target, segments, response)
        await require_changed(self._http, self._layout, target, segments, response)
        raise_unless_sealed(response, self._layout, target, segments)
        return StoredObject(STORE_NAME, self.container, target.key, target.plan.size_bytes, expected, tuple(segments))

    async def abort(self, target: ObjectTarget) -> None:
        """See `ObjectStore.abort`.

        Segments are found by listing and by their names: a run that was believed dead may have stored more than we know
        of, and listings lag behind, by minutes where a container server is unavailable.
        """
        await self._delete_path(self._layout.object_path(target.key))
        seen: set[str] = set()
        await each_of((self._delete_listed, self._delete_unlisted), lambda step: step(target, seen))

    async def check(self) -> str:
        """See `ObjectReader.check`."""
        await self._containers.ensure()
        account = await self._http.storage_url()
        containers = f"{self.container} and {self._layout.segment_container}"
        return f"Swift at {account}, containers {containers}"

    async def presign_segments(
        self, target: ObjectTarget, numbers: Sequence[int], *, seconds: int
    ) -> Sequence[SegmentRequest] | None:
        """See `PresignedUploads.presign_segments`: TempURLs; None without a TempURL key."""
        if self._presigned is None:
            return None
        await self._containers.ensure_once()
        return await self._presigned.segment_uploads(target, numbers, seconds)

    async def held_segments(self, target: ObjectTarget) -> Sequence[StoredSegment]:
        """See `PresignedUploads.held_segments`."""
        return await held_segments(self._http, self._layout, target, self._options.page_names)

    async def make_whole(self, target: ObjectTarget, segment: StoredSegment) -> StoredSegment:
        """See `PresignedUploads.make_whole`: Swift copies the segment."""
        await copy_segment(self._http, self._layout, target, segment, self._options.manifest_seconds)
        await self._delete_path(self._layout.segment_path(target.upload_id, segment.number))
        return segment

    async def delegate_token(self, target: ObjectTarget, numbers: Sequence[int]) -> DelegatedToken | None:
        """See `DelegatedTokens.delegate_token`; each call logs in again."""
        if self._delegated is None:
            return None
        await self._containers.ensure_once()
        token = await self._delegated.authenticate(self._session, self._options.auth_seconds)
        return delegated_token(token, self._layout, target, numbers)

    async def presign_download(
        self, key: str, *, segment_count: int, seconds: int, filename: str, content_type: str, inline: bool
    ) -> str | None:
        """See `PresignedDownloads.presign_download`: a TempURL, which cannot name a type. None without a TempURL key,
        and for a manifest when the account does not have the key."""
        if self._presigned is None:
            return None
        await self._containers.ensure_once()
        return await self._presigned.object_download(key, segment_count, seconds, filename, inline)

    async def set_content_type(self, key: str, content_type: str) -> None:
        """See `ContentTypes.set_content_type`. A POST keeps the bytes, and a manifest remains one."""
        path = self._layout.object_path(key)
        async with self._http.request("POST", path, accept=(202,), headers={"Content-Type": content_type}, key=key):
            pass

    async def presign_segment_download(self, key: str, span: SegmentSpan, *, seconds: int) -> SegmentLink | None:
        """See `PresignedDownloads.presign_segment_download`: a TempURL of the segment's own object (status 200)."""
        if self._presigned is None:
            return None
        await self._containers.ensure_once()
        url = await self._presigned.segment_download(key, span, seconds)
        return None if url is None else SegmentLink(url)

    async def _require_segments(
        self, target: ObjectTarget, segments: Sequence[StoredSegment], response: ManifestResponse
    ) -> None:
        """Check the segments where the server does not say that it did: Ceph 16 seals a manifest whatever they contain,
        and responds 404 when one is missing. A manifest over other bytes is removed again. Raises StoreError
        MANIFEST_REFUSED."""
        if response.checked or response.status not in (201, 400, 404):
            return
        try:
            wrong = await changed_segments(self._http, self._layout, target, segments, self._options.page_names)
        except StoreError:
            if response.status != 201:
                return  # what the server said counts
            raise
        if wrong:
            if response.status == 201:
                await self._delete_path(self._layout.object_path(target.key))
            reason = f"{response.status} {response.said}: segments {wrong[:10]} are missing or changed"
            raise StoreError("MANIFEST_REFUSED", reason=reason, segments=wrong)

    async def _delete_listed(self, target: ObjectTarget, seen: set[str]) -> None:
        while True:
            listed: set[str] = set()
            for upload_id in target.prefixes:
                listed |= {name async for name in self._list(self._layout.segment_container, f"{upload_id}/")}
            if listed <= seen:
                return
            new = sorted(listed - seen)
            seen |= listed
            await self._delete_paths(self._layout.named_segment_path(name) for name in new)

    async def _delete_unlisted(self, target: ObjectTarget, seen: set[str]) -> None:
        names = [] if target.is_plain else [segment_name(place.upload_id, place.number) for place in target.places]
        await self._delete_paths(self._layout.named_segment_path(name) for name in names if name not in seen)

    async def _put_manifest(self, target: ObjectTarget, segments: Sequence[StoredSegment]) -> ManifestResponse:
        async with self._http.request(
            "PUT",
            self._layout.object_path(target.key),
            accept=(201, 202, 400, 404),
            query={"multipart-manifest": "put", "heartbeat": "on"},
            headers={"Content-Type": target.content_type, "Accept": "application/json"},
            body=manifest_json(self._layout, target, segments),
            response_seconds=self._options.manifest_seconds,
        ) as response:
            body = await read_bounded(response, f"PUT {target.key}")
            return parse_response(response.status, response.headers.get("Etag", ""), body)

    async def _put(self, path: str, body: bytes | SegmentPayload, headers: dict[str, str]) -> str:
        """PUT one object and return its ETag. A 404 means that the container is missing: it is created, and the PUT is
        repeated once."""
        await self._containers.ensure_once()
        for accept in ((201, 404), (201,)):
            async with self._http.request("PUT", path, accept=accept, headers=headers, body=body) as response:
                if response.status == 201:
                    return unquoted(response.headers.get("Etag"))
            await self._containers.ensure_again()
        raise AssertionError("the second response is 201 or an error")
