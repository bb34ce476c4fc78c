"""What clients do with presigned URLs, done by a client that has nothing else.

Guarantee: each function returns normally only when the store did what the URL is for. Otherwise it raises NotOffered
(the store is not configured for it), WrongResult (it does not work), or StoreUnavailable (it may work later).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from pipeline.core.errors import StoreUnavailable
from pipeline.core.stored_objects import ObjectTarget, SegmentSpan
from pipeline.ports import PlainClient, PlainResponse, PresignedDownloads, PresignedUploads, Store
from schemas import media_types

_SECONDS = 300
_FILE_NAME = "sluice check ü.bin"
_TRANSIENT = frozenset({408, 429})
_NOT_IMPLEMENTED = 501
_REASON_CHARACTERS = 200
_TRIES = 3
_PAUSE_SECONDS = 0.5


class WrongResult(Exception):
    """The store refused, or reported success but the result is not the right one."""


class NotOffered(Exception):
    """The store is not configured for it."""


@dataclass(frozen=True, slots=True)
class Sample:
    """An object of the round trip: what it contains, and where its second segment begins (None: it is one segment)."""

    key: str
    data: bytes
    border: int | None
    upload_id: str

    def span(self, second_from: int) -> SegmentSpan:
        """Its second segment, or the second of two pieces where it is one segment."""
        return SegmentSpan(self.upload_id, 2, 2, self.border or second_from, len(self.data) - 1)


class ClientTrip:
    """A client of one store."""

    def __init__(self, store: Store, client: PlainClient) -> None:
        self._store = store
        self._client = client

    async def put(self, target: ObjectTarget, number: int, data: bytes) -> None:
        """Send one segment; the store must then list it with its length."""
        store = self._store
        if not isinstance(store, PresignedUploads):
            raise NotOffered(f"the store '{store.name}' has no URLs for clients")
        requests = await store.presign_segments(target, (number,), seconds=_SECONDS)
        if requests is None:
            raise NotOffered("it is not configured to presign URLs")
        request = requests[0]
        response = await self._send(request.method, request.url, request.headers, data)
        _require_status(response, (200, 201, 204), request.method)
        held = {segment.number: segment for segment in await store.held_segments(target)}
        if number not in held or held[number].size_bytes != len(data):
            raise WrongResult(f"{request.method} responded {response.status}, but the store does not have the segment")

    async def get(self, sample: Sample) -> None:
        """Download an object: whole with its file name, and a range."""
        url = await self._presigned(sample)
        response = await self._read(url, {}, sample.data, (200,))
        disposition = response.headers.get("content-disposition", "")
        if _FILE_NAME not in unquote(disposition):
            raise WrongResult(f"the response does not name the file (Content-Disposition: {disposition or 'none'})")
        middle = sample.border or len(sample.data) // 2
        first, last = middle - 5, middle + 4
        await self._read(url, {"Range": f"bytes={first}-{last}"}, sample.data[first : last + 1], (206,))

    async def get_segment(self, sample: Sample) -> None:
        """Download one segment."""
        if not isinstance(self._store, PresignedDownloads):
            raise NotOffered(f"the store '{self._store.name}' has no URLs for clients")
        span = sample.span(len(sample.data) // 2)
        link = await self._store.presign_segment_download(sample.key, span, seconds=_SECONDS)
        if link is None:
            raise NotOffered("it is not configured to presign URLs")
        expected = sample.data[span.first_byte : span.last_byte + 1]
        await self._read(link.url, link.headers, expected, (206,) if "Range" in link.headers else (200, 206))

    async def _presigned(self, sample: Sample) -> str:
        if not isinstance(self._store, PresignedDownloads):
            raise NotOffered(f"the store '{self._store.name}' has no URLs for clients")
        url = await self._store.presign_download(
            sample.key,
            segment_count=1 if sample.border is None else 2,
            seconds=_SECONDS,
            filename=_FILE_NAME,
            content_type=media_types.UNKNOWN,
            inline=False,
        )
        if url is None:
            raise NotOffered("it is not configured to presign URLs of such objects")
        return url

    async def _read(
        self, url: str, headers: Mapping[str, str], expected: bytes, statuses: tuple[int, ...]
    ) -> PlainResponse:
        what = f"GET with Range {headers['Range']}" if "Range" in headers else "GET"
        response = await self._send("GET", url, headers, None, len(expected) + 1)
        if "Range" in headers and response.status == 200:
            raise WrongResult(f"{what}: the Range is ignored, the status is 200")
        _require_status(response, statuses, what)
        if response.body != expected:
            raise WrongResult(f"{what}: the status is {response.status}, but the bytes are not those of the object")
        return response

    async def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, max_bytes: int = 4096
    ) -> PlainResponse:
        """A URL that repeatedly does not respond from here, while the store itself does, is of no use to a client, as
        far as can be seen. Raises StoreUnavailable if the store does not respond either: then it is an outage."""
        reason: object = None
        for attempt in range(_TRIES):
            if attempt:
                await self._store.check()
                await asyncio.sleep(_PAUSE_SECONDS)
            try:
                return await self._client.request(method, url, headers=headers, body=body, max_bytes=max_bytes)
            except StoreUnavailable as error:
                reason = error.detail["reason"]
        parts = urlsplit(url)
        raise WrongResult(f"{method} to {parts.scheme}://{parts.netloc}: {reason}")


def _require_status(response: PlainResponse, statuses: tuple[int, ...], what: str) -> None:
    if response.status in statuses:
        return
    text = " ".join(response.body.decode("utf-8", "replace").split())[:_REASON_CHARACTERS]
    reason = f"{what}: {response.status} {text}".rstrip()
    if response.status in _TRANSIENT or (response.status >= 500 and response.status != _NOT_IMPLEMENTED):
        raise StoreUnavailable(reason=reason)
    raise WrongResult(reason)
