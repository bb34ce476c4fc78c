"""Where an S3 store is and how the adapter talks to it, each setting with its unit and its reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class S3Credentials:
    """Keys. Without them botocore looks where it always does: environment, profile, the machine's role."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class S3Options:
    """All have defaults; `endpoint_url` empty is Amazon's own."""

    endpoint_url: str = ""
    """Of a store that speaks like S3: https://host:port."""

    public_endpoint_url: str = ""
    """The same store as clients reach it: what is handed out is signed for this host. Empty: as we do."""

    region: str = "us-east-1"
    """Part of every signature; stores without regions mostly want us-east-1."""

    addressing: Literal["auto", "path", "virtual"] = "auto"
    """Bucket in the path or in the host name. Stores without wildcard DNS need `path`; auto takes that where there is
    an endpoint of its own."""

    checksums: Literal["when_required", "when_supported"] = "when_required"
    """botocore adds a CRC32 to small requests `when_supported`, which many compatible stores refuse."""

    verify: Literal["etag", "content-md5"] = "etag"
    """How a segment is checked. etag: what the store answers is the MD5 of what went out, and costs nothing. Where it
    is not (SSE-KMS, SSE-C, some compatibles), content-md5: read the segment twice, send its digest, let the store
    refuse."""

    pool_connections: int = 32
    """Connections of the control client: botocore's default is 10, fewer than the 16 segments in flight."""

    connect_seconds: float = 10.0
    """To open a connection, TLS included."""

    stall_seconds: float = 60.0
    """A body on which no block moves for so long is given up, in either direction."""

    answer_seconds: float = 60.0
    """From a body's last byte to the answer's headers."""

    complete_seconds: float = 600.0
    """For CompleteMultipartUpload, which "can take several minutes" (API reference)."""

    keepalive_seconds: float = 12.0
    """An idle connection is kept for so long: S3 closes its own after some 20 s."""

    continue_from_bytes: int = 256 * 1024
    """Bodies from this size on wait for `100 Continue`: a refusal or a redirect is answered before megabytes are
    sent."""

    grant_seconds: int = 900
    """How long the signature of one segment's PUT is valid: it is looked at when the request begins."""
