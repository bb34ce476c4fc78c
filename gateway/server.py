"""The gateway's process: sockets, signals, and a way out that loses nothing.

Guarantee: on SIGTERM or SIGINT the socket is closed to newcomers, /readyz says 503 to those who are connected, event
streams end with a hint to come again, and requests that are running have `shutdown_seconds` to finish; only what is
left then is cut off. aiohttp's own shutdown stops reading from every connection at once, so it comes last.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from gateway.app import build_app
from gateway.http.connection import EnvelopeProtocol
from gateway.options import OPTIONS, RUNNING, GatewayOptions
from pipeline.bootstrap import gateway_services
from pipeline.settings import Settings
from pipeline.telemetry import Log, configure_logging, logger

READ_BUFFER_BYTES = 64 * 1024
"""What aiohttp keeps of one body before it stops reading; it stops at twice that."""

CUT_OFF_SECONDS = 1.0
"""What aiohttp is given to tear down what did not finish in the grace."""

BACKLOG = 1024


@dataclass(frozen=True, slots=True)
class Listening:
    """A gateway that takes requests at `url`."""

    url: str
    port: int


async def serve(settings: Settings, ready: Callable[[str], None] | None = None) -> None:
    """Run a gateway until it is told to stop; `ready` gets its URL once it takes requests. The entry point of
    `sluice gateway`."""
    configure_logging(settings.log_format, settings.log_level)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        async with gateway_services(settings) as services:
            app = build_app(services, GatewayOptions.from_settings(settings))
            async with listening(app, settings.host, settings.port) as gateway:
                logger().info(Log.STARTED, process="gateway", url=gateway.url)
                for problem in (await services.warnings()).values():
                    logger().warning(Log.VOLUME_TOO_SMALL, volume=settings.volume, reason=problem)
                if ready is not None:
                    ready(gateway.url)
                await stop.wait()
                logger().info(Log.STOPPING, process="gateway")
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


@asynccontextmanager
async def listening(app: web.Application, host: str, port: int) -> AsyncIterator[Listening]:
    """Serve `app` on `host` and `port` (0 takes a free one) until the block is left, then let what runs finish."""
    options = app[OPTIONS]
    limits: dict[str, Any] = {
        "auto_decompress": False,  # or 200 KB become 200 MB in front of every limit
        "access_log": None,  # one event of our own per request
        "keepalive_timeout": options.idle_seconds,
        "lingering_time": options.linger_seconds,
        "read_bufsize": READ_BUFFER_BYTES,
    }
    runner = web.AppRunner(app, shutdown_timeout=CUT_OFF_SECONDS, **limits)
    await runner.setup()
    try:
        manager = runner.server
        if manager is None:
            raise RuntimeError("aiohttp's runner has no server after setup")
        server = await asyncio.get_running_loop().create_server(
            lambda: EnvelopeProtocol(manager, **limits), host, port, backlog=BACKLOG, reuse_address=True
        )
        try:
            address = server.sockets[0].getsockname()
            yield Listening(_url(address[0], address[1]), address[1])
        finally:
            server.close()
            app[RUNNING].stopping.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(options.shutdown_seconds):
                    await app[RUNNING].idle.wait()
    finally:
        await runner.cleanup()


def _url(host: str, port: int) -> str:
    """A URL that leads here from this machine, also where the address stands for all of them."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # compared with, not bound to
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
