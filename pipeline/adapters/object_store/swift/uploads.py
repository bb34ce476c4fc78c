"""Rights to send segments to Swift without us: one TempURL for each, and what has come of them.

Guarantee: a grant is for PUT on one name below the upload's own prefix (an upload of one segment: on the object's own
name), and for nothing else; Swift takes no manifest by a TempURL. What Swift holds is asked of the listing first, and
of the segment itself where the listing does not have it (yet), or has it with another length.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from pipeline.adapters.object_store.names import segment_name
from pipeline.adapters.object_store.swift.auth import Token
from pipeline.adapters.object_store.swift.http import SwiftHttp
from pipeline.adapters.object_store.swift.layout import SwiftLayout
from pipeline.adapters.object_store.swift.listing import entries
from pipeline.adapters.object_store.swift.tempurl import TempUrlSigner
from pipeline.core.model import DelegatedToken, ObjectTarget, SegmentRequest, StoredSegment

_ASKED_AT_ONCE = 8
UNKNOWN_LIFETIME_SECONDS = 24 * 3600


def segment_location(layout: SwiftLayout, target: ObjectTarget, number: int) -> tuple[str, str]:
    """Path and content type of a segment; an upload of one segment is its object."""
    if target.plan.count == 1:
        return layout.object_path(target.key), target.content_type
    return layout.segment_path(target.upload_id, number), "application/octet-stream"


class SwiftUploads:
    """Grants of one store, and what they have led to."""

    def __init__(self, http: SwiftHttp, layout: SwiftLayout, page_names: int) -> None:
        self._http = http
        self._layout = layout
        self._page_names = page_names

    async def sign(
        self, signer: TempUrlSigner, target: ObjectTarget, numbers: Sequence[int], seconds: int
    ) -> list[SegmentRequest]:
        """One TempURL for each number. The containers must be there, with the key on them."""
        account_url = await self._http.client_url()
        expires_at = int(time.time()) + seconds
        grants: list[SegmentRequest] = []
        for number in numbers:
            path, content_type = segment_location(self._layout, target, number)
            url = signer.sign(account_url, path, method="PUT", expires_at=expires_at)
            grants.append(
                SegmentRequest(number, target.plan.length(number), url, headers={"Content-Type": content_type})
            )
        return grants

    async def lend(self, token: Token, target: ObjectTarget, numbers: Sequence[int]) -> DelegatedToken:
        """The requests that a lent token is meant for; what else it can do is its user's role's decision."""
        grants: list[SegmentRequest] = []
        for number in numbers:
            path, content_type = segment_location(self._layout, target, number)
            headers = {"X-Auth-Token": token.value, "Content-Type": content_type}
            grants.append(SegmentRequest(number, target.plan.length(number), token.client_url + path, headers=headers))
        seconds = int(token.lifetime_seconds or UNKNOWN_LIFETIME_SECONDS)
        return DelegatedToken(token.value, token.client_url, seconds, tuple(grants))

    async def held(self, target: ObjectTarget) -> list[StoredSegment]:
        """In order of number."""
        plan = target.plan
        found: dict[int, StoredSegment] = {}
        if plan.count > 1:
            names = {segment_name(target.upload_id, number): number for number in range(1, plan.count + 1)}
            prefix = f"{target.upload_id}/"
            async for entry in entries(self._http, self._layout.segment_container, prefix, self._page_names):
                number = names.get(str(entry["name"]))
                if number is not None:
                    found[number] = StoredSegment(number, int(entry["bytes"]), str(entry["hash"]))
        doubtful = iter(
            [n for n in range(1, plan.count + 1) if n not in found or found[n].size_bytes != plan.length(n)]
        )

        async def ask() -> None:
            for number in doubtful:
                segment = await self._head(target, number)
                if segment is not None:
                    found[number] = segment

        await asyncio.gather(*(ask() for _ in range(_ASKED_AT_ONCE)))
        return [found[number] for number in sorted(found)]

    async def _head(self, target: ObjectTarget, number: int) -> StoredSegment | None:
        path, _ = segment_location(self._layout, target, number)
        async with self._http.request("HEAD", path, accept=(200, 204, 404)) as response:
            if response.status == 404:
                return None
            length, etag = response.headers.get("Content-Length", "-1"), response.headers.get("Etag", "")
        return StoredSegment(number, int(length), etag.strip('"'))
