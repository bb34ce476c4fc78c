"""Receipts: signed statements of which bytes a content has.

Guarantee: a receipt states what the row of the content says. Its CRC-32Cs are of the bytes that arrived, so its holder
can prove later what Sluice has taken in, also when this server no longer exists.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from pipeline.contents.downloads import Downloads
from pipeline.core.errors import RequestError
from pipeline.ports.contents import ReceiptSigner
from schemas.content import Content
from schemas.receipts import ReceiptClaims, ReceiptKey, ReceiptSegments, ReceiptView


class Receipts:
    """`signer`: None where no key is configured. `issuer`: the name that receipts state."""

    def __init__(self, downloads: Downloads, signer: ReceiptSigner | None, issuer: str) -> None:
        self._downloads = downloads
        self._signer = signer
        self._issuer = issuer

    @property
    def offered(self) -> bool:
        return self._signer is not None

    @property
    def keys(self) -> Sequence[ReceiptKey]:
        """The public keys that verify receipts; the first one is that of new receipts."""
        return () if self._signer is None else self._signer.keys

    async def issue(self, content: Content) -> ReceiptView:
        """Raises RequestError RECEIPTS_NOT_OFFERED, CONTENT_NOT_FOUND; DependencyUnavailable."""
        if self._signer is None:
            raise RequestError("RECEIPTS_NOT_OFFERED")
        segments = await self._downloads.segments(content)
        digests = (content.repr_digest, self._downloads.object_digest(content.id, content.object))
        claims = ReceiptClaims(
            iss=self._issuer,
            sub=content.id,
            iat=int(time.time()),
            owner=content.owner,
            filename=content.filename,
            content_type=content.content_type,
            size=content.object.size_bytes,
            created_at=content.created_at,
            digests=[digest for digest in digests if digest is not None],
            segments=ReceiptSegments.of([(segment.size_bytes, segment.crc32c) for segment, _ in segments]),
        )
        return ReceiptView(receipt=self._signer.sign(claims), claims=claims)
