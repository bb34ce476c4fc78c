"""The gateway's options as plain values, so that no handler reads settings. `gateway.server` fills them from settings.

Guarantee: secrets are SecretStr and do not show when the options are printed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import SecretStr


@dataclass(frozen=True, slots=True)
class GatewayOptions:
    """Times and limits of the HTTP side. The defaults are for production; tests use shorter times.

    `public_url`: the URL at which clients reach the gateway; "" takes it from each request. `trust_forwarded`: believe
    X-Forwarded-Proto and X-Forwarded-Host. `cors_origins`: origins whose pages may call the API, as browsers send them,
    `https://*.example.com` or `*`. `cors_headers`: what these pages may send besides the headers of the API, or `*`.
    `cors_credentials`: whether they may send cookies.
    """

    public_url: str = ""
    cell: int = 0
    """The number of the cell that the gateway belongs to."""
    cells: Mapping[int, str] = field(default_factory=dict)
    """Of each cell of the installation, the URL at which clients reach it. Empty: there is only one cell."""
    trust_forwarded: bool = False
    cors_origins: frozenset[str] = frozenset()
    cors_headers: tuple[str, ...] = ()
    cors_credentials: bool = False
    events_token: SecretStr = field(default=SecretStr(""))
    """The secret that stores send with their notifications. Empty: notifications are refused."""
    upload_token_seconds: float = 172_800.0
    """How long the token of an upload is valid."""
    ticket_seconds: float = 60.0
    """How long a ticket can open its event stream."""
    owner_requests_per_second: float | None = None
    """Requests of one owner per second, after twice as many at once. None: no limit, nor of creations."""
    owner_creations_per_second: float | None = None
    """Uploads that one owner creates per second, which Redis counts, and permits; after four times as many at once."""
    append_limit_bytes: int = 0
    """Bytes that one request of the IETF draft may append, which Upload-Limit announces; 0: no limit."""
    json_limit_bytes: int = 64 * 1024
    body_seconds: float = 30.0
    """A JSON body that is not complete after this time is refused."""
    idle_seconds: float = 75.0
    """Keep-alive: longer than the 60 s of common proxies."""
    head_seconds: float = 20.0
    """The time for the head of a request, from when the connection is open or the first byte of a later head."""
    write_seconds: float = 30.0
    """A client that reads nothing of what is ready to be sent for this time is disconnected."""
    connections: int = 1000
    connections_per_address: int = 256
    owner_requests: int | None = None
    """Requests of one owner in progress at once; None: no limit."""
    trusted_proxies: tuple[str, ...] = ()
    """Networks without a limit per address."""
    owner_streams: int | None = 100
    """Event streams of one owner; None: no limit."""
    streams: int = 2000
    linger_seconds: float = 3.0
    """How long the rest of a refused body is read and discarded, so that its client can read the response."""
    shutdown_seconds: float = 15.0
    """From the signal to the end, of which requests have all but the last moments."""
    events_keepalive_seconds: float = 15.0
    """Below the 30 to 60 s after which proxies close silent connections."""
    events_interval_seconds: float = 0.25
    """Shortest time between two events of one upload, except for changes of its status and of what the server wants."""
    events_write_seconds: float = 30.0
    """A client that accepts no event data for this time is disconnected."""
    downloads: int = 256
    """Downloads streamed at once; further ones are refused with GATEWAY_BUSY."""
    owner_downloads: int | None = 64
    """Downloads of one owner streamed at once; None: no limit."""
    download_stall_seconds: float = 30.0
    """Below the 60 s after which stores close a connection that does not read."""
