"""Where an S3 store is and how the adapter talks to it, each option with its unit and its reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class S3Credentials:
    """Access keys. Without them botocore uses its usual sources: environment, profile, the machine's role."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class S3Options:
    """Every option has a default; an empty `endpoint_url` means Amazon's own."""

    endpoint_url: str = ""
    """Of an S3-compatible store: https://host:port."""

    public_endpoint_url: str = ""
    """The same store as clients reach it; presigned URLs are for this host. Empty: `endpoint_url`."""

    region: str = "us-east-1"
    """Part of every signature; stores without regions mostly want us-east-1."""

    addressing: Literal["auto", "path", "virtual"] = "auto"
    """Bucket in the path or in the host name. Stores without wildcard DNS need `path`; auto uses it when `endpoint_url`
    is set."""

    checksums: Literal["when_required", "when_supported"] = "when_required"
    """botocore adds a CRC32 to small requests `when_supported`, which many compatible stores refuse."""

    verify: Literal["etag", "content-md5"] = "etag"
    """How a segment is verified. etag: the store returns the MD5 of what was sent, which costs nothing. Where it does
    not (SSE-KMS, SSE-C, some compatible stores), content-md5: the segment is read twice, its digest is sent, and the
    store refuses other bytes."""

    pool_connections: int = 32
    """Connections of the control client: botocore's default is 10, fewer than the 16 segments in flight."""

    connect_seconds: float = 10.0
    """To open a connection, TLS included."""

    stall_seconds: float = 60.0
    """A request is given up when no block of its body moves for this time, in either direction."""

    response_seconds: float = 60.0
    """From a body's last byte to the response's headers."""

    complete_seconds: float = 600.0
    """For CompleteMultipartUpload, which "can take several minutes" (API reference)."""

    keepalive_seconds: float = 12.0
    """An idle connection is kept this long: S3 closes its own after about 20 s."""

    continue_from_bytes: int = 256 * 1024
    """Bodies of at least this size wait for `100 Continue`, so that a refusal or a redirect comes before megabytes are
    sent."""

    presign_seconds: int = 900
    """How long the signature of one segment's PUT is valid; the store checks it when the request begins."""

    ca_file: Path | None = None
    """CA certificates (PEM) that are trusted besides the system's. Certificates are always verified."""
