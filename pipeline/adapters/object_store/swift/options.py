"""How the Swift adapter talks to its servers: times and counts, each with its unit and its reason."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class SwiftOptions:
    """The defaults suit a Swift in the same data centre.

    A request as a whole has no time limit: a large segment on a slow line is not an error, a line on which nothing
    moves is.
    """

    connect_seconds: float = 10.0
    """To open a connection, TLS included. A running proxy accepts at once; a host that needs longer is dead."""

    stall_seconds: float = 60.0
    """A request is given up when no block of its body moves for this time, in either direction. Swift's own
    `client_timeout` is 60 s."""

    response_seconds: float = 60.0
    """From a body's last byte to the response's headers. Object servers fsync and the proxy waits for a majority of
    replicas; its `node_timeout` is 10 s, and handoffs are tried after it."""

    manifest_seconds: float = 300.0
    """As `response_seconds`, for a manifest: Swift checks every segment, two at a time. A Swift that knows `heartbeat`
    (2.17, 2018) responds at once and sends white space meanwhile; this time is for older ones."""

    keepalive_seconds: float = 20.0
    """An idle connection is kept this long: shorter than the servers' own time (Swift 60 s, HAProxy and nginx mostly 60
    to 75 s)."""

    auth_seconds: float = 30.0
    """For a whole request for a token: Keystone spends up to half a second of CPU on bcrypt, and many clients may ask
    at once."""

    info_seconds: float = 2.0
    """For a whole request for `/info`, a token included: the creation of an upload waits for it."""

    info_refresh_seconds: float = 3600.0
    """Published limits are read again after this time; operators rarely change them."""

    info_retry_seconds: float = 60.0
    """A request for `/info` that failed is repeated after this time, so that a hanging cluster delays few uploads."""

    continue_from_bytes: int = 256 * 1024
    """Bodies of at least this size wait for `100 Continue` (RFC 9110 section 10.1.1). An expired token or a missing
    container is then reported before megabytes are sent, and the response is not lost in a reset. It costs one round
    trip."""

    renew_at_fraction: float = 0.8
    """A token is renewed once this fraction of its lifetime has passed (less up to `renew_jitter`), while it is still
    valid."""

    renew_jitter: float = 0.1
    """A random part of the lifetime, up to this fraction, so that processes that started together do not ask Keystone
    at the same time."""

    refusal_seconds: float = 5.0
    """Pause after refused credentials (Keystone may lock an account that fails too often), and after a failed renewal
    while the old token is still valid."""

    delete_concurrency: int = 16
    """DELETEs in flight when segments are removed."""

    page_names: int = 10_000
    """Names per listing request: `container_listing_limit` of swift.conf. A server with a smaller limit returns more
    pages."""

    ca_file: Path | None = None
    """CA certificates (PEM) that are trusted besides the system's. Certificates are always verified."""
