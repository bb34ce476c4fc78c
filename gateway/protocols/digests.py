"""The digest of the body of one request: Upload-Checksum of tus, or Content-Digest (RFC 9530), before the body or as a
trailer.

Guarantee: a digest that was sent, or declared as a trailer, is verified, or the request is refused. A trailer counts if
the field Trailer of the head names it, as tus demands (checksum extension).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from aiohttp import web

from gateway.http import bodies, digests
from pipeline.core.digests import CHECKSUMS, BodyDigest, parse_upload_checksum
from pipeline.core.errors import RequestError
from pipeline.core.model import ClientDigest

_CHECKSUM: Final = "Upload-Checksum"
_DIGEST: Final = "Content-Digest"
_BY_STRENGTH: Final = ("sha-256", "md5")
_OF_CHECKSUMS: Final = tuple(algorithm for algorithm, _ in CHECKSUMS.values())


def digest_of_body(request: web.Request) -> BodyDigest | None:
    """The digest to verify; None if none was announced. Raises RequestError CHECKSUM_NOT_SUPPORTED,
    DIGEST_NOT_SUPPORTED; its `read` does too, and REQUEST_MALFORMED."""
    checksums = request.headers.getall(_CHECKSUM, [])
    content_digests = request.headers.getall(_DIGEST, [])
    declared = _declared(request)
    if len(checksums) + bool(content_digests) + len(declared) > 1:
        raise RequestError("CHECKSUM_NOT_SUPPORTED", reason="it is one of several digests")
    if checksums:
        return BodyDigest.known(parse_upload_checksum(checksums[0]))
    if content_digests:
        return BodyDigest.known(_strongest(content_digests))
    if not declared:
        return None
    if bodies.declared_bytes(request) is not None:
        raise RequestError("CHECKSUM_NOT_SUPPORTED", reason="only a chunked body has trailers")
    return BodyDigest(_OF_CHECKSUMS if _CHECKSUM in declared else _BY_STRENGTH, partial(_trailer, request, *declared))


def _declared(request: web.Request) -> tuple[str, ...]:
    """The digests that the head declares as trailers."""
    names = {name.strip().lower() for line in request.headers.getall("Trailer", []) for name in line.split(",")}
    return tuple(name for name in (_CHECKSUM, _DIGEST) if name.lower() in names)


def _trailer(request: web.Request, name: str) -> ClientDigest:
    """The digest in a trailer field, when the body has ended."""
    sent = bodies.trailers(request).getall(name, [])
    if not sent:
        raise RequestError("CHECKSUM_NOT_SUPPORTED", reason=f"{name} was declared as a trailer and not sent")
    if name == _DIGEST:
        return _strongest(sent)
    if len(sent) > 1:
        raise RequestError("CHECKSUM_NOT_SUPPORTED", reason="it is one of several digests")
    return parse_upload_checksum(sent[0])


def _strongest(lines: Sequence[str]) -> ClientDigest:
    found = {item.algorithm: item for item in digests.announced(None, lines)}
    for algorithm in _BY_STRENGTH:
        if algorithm in found:
            return found[algorithm]
    raise RequestError("DIGEST_NOT_SUPPORTED", reason=f"none of its algorithms is one of {', '.join(_BY_STRENGTH)}")
