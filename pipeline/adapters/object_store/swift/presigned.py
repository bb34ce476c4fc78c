"""TempURLs for clients: to download objects and segments, and to upload segments.

Guarantee: a TempURL for PUT opens one name below the upload's own prefix (for an upload of one segment, the object's
name) and nothing else; Swift accepts no manifest by TempURL. No URL is returned that Swift would refuse to its user. A
key on a container opens that container only (`authorize_same_container` in swift/common/middleware/tempurl.py), and the
segments of a manifest are in another one, so Swift would respond 409 to a TempURL for the manifest. Manifests therefore
need the key on the account. It is set in a free one of the account's two places; another key is never
overwritten. Where ours cannot be set there is no URL, and the gateway streams instead. URLs name the endpoint that
clients reach, which may differ from ours.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from pipeline.adapters.object_store.swift.http import SwiftHttp
from pipeline.adapters.object_store.swift.layout import SwiftLayout
from pipeline.adapters.object_store.swift.tempurl import TempUrlSigner
from pipeline.core.model import ObjectTarget, SegmentRequest, SegmentSpan

ACCOUNT_KEY_HEADERS = ("X-Account-Meta-Temp-URL-Key", "X-Account-Meta-Temp-URL-Key-2")


class SwiftPresigned:
    """The TempURLs of one store. The containers must exist and have the key."""

    def __init__(self, http: SwiftHttp, layout: SwiftLayout, signer: TempUrlSigner) -> None:
        self._http = http
        self._layout = layout
        self._signer = signer
        self._on_account = False

    async def object_download(
        self, key: str, segment_count: int, seconds: int, filename: str, inline: bool
    ) -> str | None:
        """None for a manifest when the key is not on the account. Swift writes the Content-Disposition, in both forms
        of RFC 6266."""
        if segment_count > 1 and not await self.key_on_account():
            return None
        return await self._sign_download(self._layout.object_path(key), seconds, filename, inline)

    async def segment_download(self, key: str, span: SegmentSpan, seconds: int) -> str:
        path = self._layout.object_path(key)
        if span.count > 1:
            path = self._layout.segment_path(span.upload_id, span.number)
        return await self._sign_download(path, seconds, "", False)

    async def segment_uploads(self, target: ObjectTarget, numbers: Sequence[int], seconds: int) -> list[SegmentRequest]:
        """One PUT for each number."""
        account_url = await self._http.client_url()
        expires_at = int(time.time()) + seconds
        requests: list[SegmentRequest] = []
        for number in numbers:
            path, content_type = self._layout.destination(target, number)
            url = self._signer.sign(account_url, path, method="PUT", expires_at=expires_at)
            headers = {"Content-Type": content_type}
            requests.append(SegmentRequest(number, target.plan.length(number), url, headers=headers))
        return requests

    async def key_on_account(self) -> bool:
        """Whether our key is one of the account's two. Sets it if a place is free and our user may (403: it may
        not)."""
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

    async def _sign_download(self, path: str, seconds: int, filename: str, inline: bool) -> str:
        return self._signer.sign(
            await self._http.client_url(),
            path,
            method="GET",
            expires_at=int(time.time()) + seconds,
            filename=filename,
            inline=inline,
        )
