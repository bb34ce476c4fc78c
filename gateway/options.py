"""What the gateway is told at start, and what its handlers share: plain values, so that handlers never read settings.

Guarantee: what is secret does not show when it is printed, and the keys are typed: `request.app[SERVICES]` needs no
cast.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from aiohttp import web
from pydantic import SecretStr

from pipeline.bootstrap import GatewayServices
from pipeline.settings import Settings


@dataclass(frozen=True, slots=True)
class GatewayOptions:
    """Seconds and bytes of the HTTP side. The defaults are for production; tests shorten the times.

    `public_url`: how clients reach the gateway, "" to take it from each request; `trust_forwarded`: believe
    X-Forwarded-Proto and -Host; `cors_origins`: origins whose pages may call, compared exactly.
    """

    public_url: str = ""
    trust_forwarded: bool = False
    cors_origins: frozenset[str] = frozenset()
    events_token: SecretStr = field(default=SecretStr(""))  # of stores that notify us; empty: none may
    json_limit_bytes: int = 64 * 1024
    body_seconds: float = 30.0  # a JSON body that is not here by then is given up
    idle_seconds: float = (
        75.0  # keep-alive, and the time for a request's headers: longer than the 60 s of common proxies
    )
    linger_seconds: float = (
        3.0  # how long a refused body is read and thrown away, so that its client gets to read the answer
    )
    shutdown_seconds: float = 20.0
    events_keepalive_seconds: float = 15.0  # below the 30 to 60 s after which proxies cut silent connections
    events_interval_seconds: float = 0.1  # changes of one upload are told at most so often
    events_write_seconds: float = 30.0  # a client that does not take its events for so long is given up
    downloads: int = 256  # streamed at once; one more is told to come again
    download_stall_seconds: float = 30.0  # below the 60 s after which a store gives us up in turn

    @classmethod
    def from_settings(cls, settings: Settings) -> GatewayOptions:
        return cls(
            public_url=settings.public_url.rstrip("/"),
            trust_forwarded=settings.trust_forwarded,
            cors_origins=frozenset(settings.cors_origins),
            events_token=settings.events_token,
            body_seconds=settings.segment_stall_seconds,
            shutdown_seconds=settings.shutdown_seconds,
            downloads=settings.download_concurrency,
            download_stall_seconds=settings.download_stall_seconds,
        )


@dataclass(slots=True)
class Running:
    """The requests being answered now, and whether the gateway is on its way out. Lives in one event loop."""

    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    requests: int = 0

    def __post_init__(self) -> None:
        self.idle.set()

    def __enter__(self) -> None:
        self.requests += 1
        self.idle.clear()

    def __exit__(self, *_: object) -> None:
        self.requests -= 1
        if not self.requests:
            self.idle.set()


SERVICES = web.AppKey("services", GatewayServices)
OPTIONS = web.AppKey("options", GatewayOptions)
RUNNING = web.AppKey("running", Running)
DOWNLOADING = web.AppKey("downloading", asyncio.Semaphore)
