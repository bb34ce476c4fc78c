"""How the Swift adapter talks: times and counts, each with its unit and its reason."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SwiftOptions:
    """All have defaults that suit a Swift in the same data centre.

    There is no limit on the whole of a request: a large segment on a slow line is not an error, a line on which
    nothing moves is.
    """

    connect_seconds: float = 10.0
    """To open a connection, TLS included. A proxy that is up answers a SYN at once; more is a dead host."""

    stall_seconds: float = 60.0
    """A body on which no block moves for so long is given up, in either direction. Swift's own `client_timeout` is 60
    s."""

    answer_seconds: float = 60.0
    """From a body's last byte to the answer's headers. Object servers fsync and the proxy waits for a majority of
    replicas; its `node_timeout` is 10 s, with handoffs tried after it."""

    manifest_seconds: float = 300.0
    """As `answer_seconds`, for a manifest: its PUT asks for every segment, two at a time. A Swift that knows
    `heartbeat` (2.17, 2018) answers at once and sends white space meanwhile; this is for those that do not."""

    keepalive_seconds: float = 20.0
    """An idle connection is kept for so long: shorter than the servers' own (Swift 60 s, HAProxy and nginx mostly 60
    to 75 s)."""

    auth_seconds: float = 30.0
    """A whole request for a token: Keystone spends up to half a second of CPU on bcrypt, and many may ask at once."""

    continue_from_bytes: int = 256 * 1024
    """Bodies from this size on wait for `100 Continue` (RFC 9110 section 10.1.1), so that a dead token or a missing
    container is answered before megabytes are sent, and the answer is not lost in a reset. It costs one round
    trip."""

    renew_at_fraction: float = 0.8
    """A token is renewed once this fraction of its lifetime has passed (less up to `renew_jitter`), while the old one
    still works."""

    renew_jitter: float = 0.1
    """Processes that started together do not all ask Keystone at once: a random part of the lifetime, up to this
    fraction."""

    refusal_seconds: float = 5.0
    """After refused credentials nobody asks again for so long (Keystone may lock an account that fails too often),
    nor, while the old token still works, after a renewal that failed."""

    delete_concurrency: int = 16
    """DELETEs at once when segments are removed."""

    page_names: int = 10_000
    """Names per listing request: `container_listing_limit` of swift.conf; a smaller limit at the server just means
    more pages."""
