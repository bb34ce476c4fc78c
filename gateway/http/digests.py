"""The digest headers of a segment: Content-MD5 (RFC 1864) and Content-Digest (RFC 9530).

Guarantee: a digest header is either parsed, to be verified, or refused. At most one digest per algorithm is returned,
so that a long header cannot make the gateway hash the same bytes a thousand times.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.core.digests import parse_content_digest, parse_content_md5
from pipeline.core.errors import RequestError
from pipeline.core.model import ClientDigest


def announced(content_md5: str | None, content_digest: Sequence[str]) -> Sequence[ClientDigest]:
    """Every digest to verify. The lines of Content-Digest form one dictionary, in which the last of equal keys counts
    (RFC 9651, sections 3.2 and 4.2). Raises RequestError DIGEST_NOT_SUPPORTED."""
    found = {item.algorithm: item for item in parse_content_digest(", ".join(content_digest))} if content_digest else {}
    if content_md5 is not None:
        md5 = parse_content_md5(content_md5)
        if found.setdefault("md5", md5) != md5:
            raise RequestError(
                "DIGEST_NOT_SUPPORTED", reason="Content-MD5 and Content-Digest give two different md5 digests"
            )
    return list(found.values())
