"""The digests that clients send and receive: `Content-Digest` (RFC 9530), such as `sha-256=:BASE64:`, and
`Content-MD5` (RFC 1864).

Guarantee: a returned digest has an algorithm of `LENGTHS` and the right number of bytes. Anything else raises
RequestError DIGEST_NOT_SUPPORTED.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from pipeline.core.errors import RequestError
from pipeline.core.model import ClientDigest

LENGTHS = {"sha-256": 32, "md5": 16, "crc32c": 4}

CHECKSUMS = {"sha1": ("sha1", 20), "md5": ("md5", 16), "sha256": ("sha-256", 32)}
"""The names that tus uses for digest algorithms -> ours, and the number of bytes."""

# RFC 8941 section 3.3.5: a byte sequence is base64 between colons; keys are lower case (section 3.1.2).
_MEMBER = re.compile(r"\s*([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/=]*):\s*")
_MD5_HEX = re.compile(r"[0-9a-fA-F]{32}")


@dataclass(frozen=True, slots=True)
class BodyDigest:
    """The digest of one body, which its client may send after it. `algorithms`: those that it may have. `read`: returns
    it when the body has ended; raises RequestError."""

    algorithms: tuple[str, ...]
    read: Callable[[], ClientDigest]

    @classmethod
    def known(cls, digest: ClientDigest) -> Self:
        """One that was sent before the body."""
        return cls((digest.algorithm,), lambda: digest)


def parse_content_digest(value: str) -> list[ClientDigest]:
    """The digests of a Content-Digest field, in order. Unknown algorithms are ignored if a known one is present (RFC
    9530 section 2). Raises RequestError DIGEST_NOT_SUPPORTED."""
    found: list[ClientDigest] = []
    for member in value.split(","):
        match = _MEMBER.fullmatch(member)
        if match is None:
            raise RequestError("DIGEST_NOT_SUPPORTED", reason="it does not have the form algorithm=:base64:")
        if match[1] in LENGTHS:
            found.append(_digest(match[1], match[2]))
    if not found:
        raise RequestError("DIGEST_NOT_SUPPORTED", reason=f"none of its algorithms is one of {', '.join(LENGTHS)}")
    return found


def parse_content_md5(value: str) -> ClientDigest:
    """The digest of a Content-MD5 field. Raises RequestError DIGEST_NOT_SUPPORTED."""
    return _digest("md5", value.strip())


def parse_upload_checksum(value: str) -> ClientDigest:
    """The digest of an Upload-Checksum field (tus 1.0, checksum extension): `sha1 BASE64`. Raises RequestError
    CHECKSUM_NOT_SUPPORTED."""
    name, _, text = value.strip().partition(" ")
    if name not in CHECKSUMS:
        raise RequestError("CHECKSUM_NOT_SUPPORTED", reason=f"its algorithm is not one of {', '.join(CHECKSUMS)}")
    algorithm, length = CHECKSUMS[name]
    try:
        raw = b64decode(text.strip(), validate=True)
    except ValueError:
        raise RequestError("CHECKSUM_NOT_SUPPORTED", reason=f"its {name} value is not base64") from None
    if len(raw) != length:
        raise RequestError("CHECKSUM_NOT_SUPPORTED", reason=f"a {name} digest has {length} bytes, not {len(raw)}")
    return ClientDigest(algorithm, raw)


def crc32c_digest(crc32c: int) -> ClientDigest:
    """A CRC-32C as a digest: four bytes, big-endian."""
    return ClientDigest("crc32c", crc32c.to_bytes(4, "big"))


def format_content_digest(digest: ClientDigest) -> str:
    """The digest as a member of a Content-Digest field: what a client can compare with what it sends."""
    return f"{digest.algorithm}=:{b64encode(digest.value).decode()}:"


def md5_of_etag(etag: str) -> ClientDigest | None:
    """The MD5 that an ETag consists of; None if it has another form, as that of an S3 multipart object has."""
    return ClientDigest("md5", bytes.fromhex(etag)) if _MD5_HEX.fullmatch(etag) else None


def _digest(algorithm: str, text: str) -> ClientDigest:
    try:
        raw = b64decode(text, validate=True)
    except ValueError as error:  # binascii.Error is a ValueError, and text that is not ASCII raises one
        raise RequestError("DIGEST_NOT_SUPPORTED", reason=f"its {algorithm} value is not base64") from error
    if len(raw) != LENGTHS[algorithm]:
        raise RequestError(
            "DIGEST_NOT_SUPPORTED", reason=f"a {algorithm} digest has {LENGTHS[algorithm]} bytes, not {len(raw)}"
        )
    return ClientDigest(algorithm, raw)
