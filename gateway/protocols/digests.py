"""The digest of the body of one request: Upload-Checksum of tus, or Content-Digest (RFC 9530).

Guarantee: a digest that was sent is verified, or the request is refused. Checksum trailers are not announced: the HTTP
server library does not give handlers the trailers of a body.
"""

from __future__ import annotations

from aiohttp import web

from gateway.http import digests
from pipeline.core.digests import parse_upload_checksum
from pipeline.core.errors import RequestError
from pipeline.core.model import ClientDigest

_BY_STRENGTH = ("sha-256", "md5")


def digest_of_body(request: web.Request) -> ClientDigest | None:
    """The digest to verify; None if none was sent. Raises RequestError CHECKSUM_NOT_SUPPORTED, DIGEST_NOT_SUPPORTED."""
    checksums = request.headers.getall("Upload-Checksum", [])
    content_digests = request.headers.getall("Content-Digest", [])
    if checksums:
        if len(checksums) > 1 or content_digests:
            raise RequestError("CHECKSUM_NOT_SUPPORTED", reason="it is one of several digests")
        return parse_upload_checksum(checksums[0])
    if not content_digests:
        return None
    found = {item.algorithm: item for item in digests.announced(None, content_digests)}
    for algorithm in _BY_STRENGTH:
        if algorithm in found:
            return found[algorithm]
    raise RequestError("DIGEST_NOT_SUPPORTED", reason=f"none of its algorithms is one of {', '.join(_BY_STRENGTH)}")
