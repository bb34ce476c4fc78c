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
from contextlib import suppress

from pipeline.adapters.object_store.swift.account import account_path, names_account
from pipeline.adapters.object_store.swift.http import SwiftHttp
from pipeline.adapters.object_store.swift.info import SwiftInfo
from pipeline.adapters.object_store.swift.layout import SwiftLayout
from pipeline.adapters.object_store.swift.tempurl import TempUrlSigner
from pipeline.core.errors import StoreUnsupported
from pipeline.core.stored_objects import ObjectTarget, SegmentRequest, SegmentSpan
from pipeline.logs import Log, logger

_SHA1_ONLY = frozenset({"sha1"})
ACCOUNT_KEY_HEADERS = ("X-Account-Meta-Temp-URL-Key", "X-Account-Meta-Temp-URL-Key-2")


class SwiftPresigned:
    """The TempURLs of one store; None in place of one that the server would refuse. The containers must exist and have
    the key."""

    def __init__(self, http: SwiftHttp, layout: SwiftLayout, signer: TempUrlSigner, info: SwiftInfo) -> None:
        self._http = http
        self._layout = layout
        self._signer = signer
        self._info = info
        self._on_account = False
        self._said = ""

    async def object_download(
        self, key: str, segment_count: int, seconds: int, filename: str, inline: bool
    ) -> str | None:
        """None for a manifest when the key is not on the account. Swift writes the Content-Disposition, in both forms
        of RFC 6266."""
        return await self._sign_download(self._layout.object_path(key), segment_count > 1, seconds, filename, inline)

    async def segment_download(self, key: str, span: SegmentSpan, seconds: int) -> str | None:
        path = self._layout.object_path(key)
        if span.count > 1:
            path = self._layout.segment_path(span.upload_id, span.number)
        return await self._sign_download(path, False, seconds, "", False)

    async def segment_uploads(
        self, target: ObjectTarget, numbers: Sequence[int], seconds: int
    ) -> list[SegmentRequest] | None:
        """One PUT for each number."""
        account_url = await self._http.client_url()
        signer = await self._signer_for(account_url, needs_account_key=False)
        if signer is None:
            return None
        expires_at = int(time.time()) + seconds
        requests: list[SegmentRequest] = []
        for number in numbers:
            path, content_type = self._layout.destination(target, number)
            url = signer.sign(account_url, path, method="PUT", expires_at=expires_at)
            headers = {"Content-Type": content_type}
            requests.append(SegmentRequest(number, target.plan.length(number), url, headers=headers))
        return requests

    async def _signer_for(self, account_url: str, *, needs_account_key: bool) -> TempUrlSigner | None:
        """The signer with a digest that the cluster allows. None where a TempURL would be refused: the storage URL has
        no path that can be signed, no digest is allowed, or our key is not where the server looks for it: Ceph looks
        at the account only."""
        if account_path(account_url) is None:
            self._say(f"no TempURL can be signed: the storage URL {account_url} has no /v1")
            return None
        allowed = (await self._info.current()).tempurl_digests
        signer = self._signer.allowed_by(allowed)
        if signer is None:
            found = ", ".join(sorted(allowed or ())) or "no digest"
            self._say(f"no TempURL can be signed: the cluster allows {found}; see SLUICE_SWIFT_TEMPURL_DIGEST")
            return None
        account_only = not names_account(account_url) or allowed == _SHA1_ONLY
        if (needs_account_key or account_only) and not await self.key_on_account():
            return None
        if signer.digest == "sha1":
            self._say("TempURLs are signed with SHA-1, the only digest that the cluster is known to allow")
        return signer

    def _say(self, reason: str) -> None:
        """Logged once, not once per URL."""
        if reason != self._said:
            self._said = reason
            logger(container=self._layout.container).warning(Log.TEMPURL_LIMITED, reason=reason)

    async def key_on_account(self) -> bool:
        """Whether our key is one of the account's two. Sets it if a place is free, our user may (403: it may not) and
        the server has metadata of accounts."""
        if not self._on_account:
            with suppress(StoreUnsupported):
                self._on_account = await self._put_on_account()
        return self._on_account

    async def _put_on_account(self) -> bool:
        async with self._http.request("HEAD", "", accept=(200, 204, 403)) as response:
            if response.status == 403:
                return False
            present = [response.headers.get(name, "") for name in ACCOUNT_KEY_HEADERS]
        if self._signer.key in present:
            return True
        free = [name for name, value in zip(ACCOUNT_KEY_HEADERS, present, strict=True) if not value]
        if not free:
            return False
        async with self._http.request("POST", "", accept=(204, 403), headers={free[0]: self._signer.key}) as response:
            return response.status == 204

    async def _sign_download(
        self, path: str, needs_account_key: bool, seconds: int, filename: str, inline: bool
    ) -> str | None:
        account_url = await self._http.client_url()
        signer = await self._signer_for(account_url, needs_account_key=needs_account_key)
        if signer is None:
            return None
        expires_at = int(time.time()) + seconds
        return signer.sign(account_url, path, method="GET", expires_at=expires_at, filename=filename, inline=inline)
