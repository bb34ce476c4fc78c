"""Rights to download from Swift without us: TempURLs for objects and for the segments under a manifest.

Guarantee: no URL is handed out that Swift would refuse to whoever uses it. A key on a container opens that container
alone (`authorize_same_container` in swift/common/middleware/tempurl.py), and a manifest's segments lie in another one:
a TempURL for it would be answered 409. So manifests need the key on the account. It is put there in whichever of the
account's two places is free; somebody else's key is never overwritten, and where ours cannot be there, there is no
grant and the gateway streams. URLs name the endpoint that clients reach, which may be another than ours.
"""

from __future__ import annotations

import time

from pipeline.adapters.object_store.swift.http import SwiftHttp
from pipeline.adapters.object_store.swift.layout import SwiftLayout
from pipeline.adapters.object_store.swift.tempurl import TempUrlSigner
from pipeline.core.model import SegmentSpan

ACCOUNT_KEY_HEADERS = ("X-Account-Meta-Temp-URL-Key", "X-Account-Meta-Temp-URL-Key-2")


class SwiftDownloads:
    """TempURLs for GET, for a store that has made sure of the key on its containers."""

    def __init__(self, http: SwiftHttp, layout: SwiftLayout, signer: TempUrlSigner) -> None:
        self._http = http
        self._layout = layout
        self._signer = signer
        self._on_account = False

    async def of_object(self, key: str, segment_count: int, seconds: int, filename: str, inline: bool) -> str | None:
        """Swift itself writes the Content-Disposition, in both forms of RFC 6266."""
        if segment_count > 1 and not await self.key_on_account():
            return None
        return await self._sign(self._layout.object_path(key), seconds, filename, inline)

    async def of_segment(self, key: str, span: SegmentSpan, seconds: int) -> str:
        if span.count == 1:
            return await self._sign(self._layout.object_path(key), seconds, "", False)
        return await self._sign(self._layout.segment_path(span.upload_id, span.number), seconds, "", False)

    async def key_on_account(self) -> bool:
        """Our key is one of the account's two; put there now if there is room and our user may (403: it may not)."""
        if self._on_account:
            return True
        async with self._http.request("HEAD", "", accept=(200, 204, 403)) as response:
            if response.status == 403:
                return False
            present = [response.headers.get(name, "") for name in ACCOUNT_KEY_HEADERS]
        if self._signer.key not in present:
            free = [name for name, value in zip(ACCOUNT_KEY_HEADERS, present, strict=True) if not value]
            if not free:
                return False
            async with self._http.request(
                "POST", "", accept=(204, 403), headers={free[0]: self._signer.key}
            ) as response:
                if response.status == 403:
                    return False
        self._on_account = True
        return True

    async def _sign(self, path: str, seconds: int, filename: str, inline: bool) -> str:
        return self._signer.sign(
            await self._http.client_url(),
            path,
            method="GET",
            expires_at=int(time.time()) + seconds,
            filename=filename,
            inline=inline,
        )
