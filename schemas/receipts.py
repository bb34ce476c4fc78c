"""Receipts: what Sluice states, signed, about the bytes of a content. The API issues them, the command line verifies
them."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import groupby
from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from schemas import examples

RECEIPT_TYPE: Final = "sluice-receipt+jwt"
"""`typ` of a receipt (RFC 8725 section 3.11), so that no other token of the same key is taken for one."""

_CRC_BYTES: Final = 4

_RECEIPT: Final[examples.Example] = {
    "receipt": "eyJ0eXAiOiJzbHVpY2UtcmVjZWlwdCtqd3QiLCJhbGciOiJFZERTQSJ9.eyJpc3MiOi...MifX0.pT0x...Bw",
    "claims": {
        "iss": examples.SERVER,
        "sub": examples.EXAMPLE_ID,
        "iat": 1_795_778_700,
        "owner": "default",
        "filename": "holiday.mp4",
        "content_type": "video/mp4",
        "size": 73_400_320,
        "created_at": "2026-11-27T11:23:59.819425Z",
        "digests": ["crc32c=:4waSgw==:"],
        "segments": {
            "count": 7,
            "sizes": [[10_485_760, 7]],
            "crc32c": "yZRlxrkC+3hJ0h5m0V6cD7tWw2tEr5nYd4mQvA==",
        },
    },
}

_KEYS: Final[examples.Example] = {
    "keys": [
        {
            "kty": "OKP",
            "crv": "Ed25519",
            "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
            "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
            "use": "sig",
            "alg": "EdDSA",
        }
    ]
}
"""The key of RFC 8037, appendix A."""


class ReceiptSegments(BaseModel):
    """The segments of a file, in a form that stays small for 10,000 of them."""

    model_config = ConfigDict(frozen=True)

    count: int = Field(ge=1)
    sizes: list[tuple[int, int]] = Field(description="(bytes of a segment, how many such segments follow), in order")
    crc32c: str | None = Field(
        description="Base64 of the CRC-32C of each segment in order, four bytes each, big-endian; null: not known"
    )

    @classmethod
    def of(cls, segments: Sequence[tuple[int, int | None]]) -> Self:
        """`segments`: (bytes, CRC-32C) of each."""
        runs = [(size, len(list(run))) for size, run in groupby(size for size, _ in segments)]
        known = [crc32c.to_bytes(_CRC_BYTES, "big") for _, crc32c in segments if crc32c is not None]
        text = base64.b64encode(b"".join(known)).decode() if len(known) == len(segments) else None
        return cls(count=len(segments), sizes=runs, crc32c=text)

    def each(self) -> Iterable[tuple[int, int | None]]:
        """(bytes, CRC-32C) of each segment. Raises ValueError where the fields contradict each other."""
        crcs = None if self.crc32c is None else base64.b64decode(self.crc32c, validate=True)
        if any(times < 1 for _, times in self.sizes) or sum(times for _, times in self.sizes) != self.count:
            raise ValueError("its segments have other sizes than their number says")
        if crcs is not None and len(crcs) != self.count * _CRC_BYTES:
            raise ValueError("it does not have a CRC-32C for each segment")
        number = 0
        for size, times in self.sizes:
            for _ in range(times):
                start = number * _CRC_BYTES
                yield size, None if crcs is None else int.from_bytes(crcs[start : start + _CRC_BYTES], "big")
                number += 1


class ReceiptClaims(BaseModel):
    """What a receipt states."""

    model_config = ConfigDict(frozen=True)

    iss: str = Field(description="Who states it: `SLUICE_RECEIPT_ISSUER`")
    sub: str = Field(description="The content's id, and that of its upload")
    iat: int = Field(description="When the receipt was issued, in seconds since 1970")
    owner: str
    filename: str
    content_type: str
    size: int = Field(ge=0, description="Bytes in the whole file")
    created_at: datetime = Field(description="When the content was complete: object, metadata row and thumbnail")
    digests: list[str] = Field(
        description="Digests of the whole file in the form of Repr-Digest (RFC 9530): its CRC-32C, and its MD5 where "
        "the store's ETag is one. Empty where none is known"
    )
    segments: ReceiptSegments


class ReceiptView(BaseModel):
    """A receipt, and what it states."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [_RECEIPT]})

    receipt: str = Field(
        description="The claims, signed: a JWS in compact form (RFC 7515) with `alg: EdDSA` (Ed25519), `kid` and "
        f"`typ: {RECEIPT_TYPE}`. Keep it; it can be verified without this server"
    )
    claims: ReceiptClaims


class ReceiptKey(BaseModel):
    """A public key that verifies receipts, as a JWK (RFC 8037)."""

    model_config = ConfigDict(frozen=True)

    kty: Literal["OKP"] = "OKP"
    crv: Literal["Ed25519"] = "Ed25519"
    x: str = Field(description="The public key, base64url")
    kid: str = Field(description="Its name: the JWK thumbprint (RFC 7638)")
    use: Literal["sig"] = "sig"
    alg: Literal["EdDSA"] = "EdDSA"


class ReceiptKeys(BaseModel):
    """A JWK Set (RFC 7517 section 5)."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [_KEYS]})

    keys: list[ReceiptKey]
