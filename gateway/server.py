"""The gateway's process: sockets, signals and graceful shutdown.

Guarantee: on SIGTERM or SIGINT the socket accepts no new connections, /readyz responds 503 on open ones, event streams
end with an event that asks the client to reconnect, and running requests have until shortly before the end of
`shutdown_seconds` to finish. Requests whose client neither sends nor reads are aborted after a quarter of it, the rest
at the end. aiohttp's own shutdown stops reading from every connection at once, so it runs last.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from gateway.app import build_app
from gateway.http.accepting import accepting, open_sockets
from gateway.http.connection import GatewayConnection
from gateway.http.connections import ConnectionLimits, Connections
from gateway.http.heap import return_heap
from gateway.http.reading import BUFFER_BYTES, SharedReads
from gateway.http.state import OPTIONS, RUNNING
from gateway.keys import SERVICES
from gateway.options import GatewayOptions
from pipeline.bootstrap import gateway_services
from pipeline.bootstrap.access import check_access
from pipeline.bootstrap.descriptors import gateway_capacity, raise_descriptor_limit
from pipeline.bootstrap.listening import listening_at
from pipeline.logs import Log, configure_logging, logger
from pipeline.settings import Settings
from pipeline.tasks import end_tasks
from pipeline.tracing import exporting

ABORT_SECONDS = 1.0
"""Time for aiohttp to end the requests that did not finish in time; it may take twice that."""

CLOSE_SECONDS = 3.0
"""Of `shutdown_seconds`, for aborting connections and for closing those to stores, Redis and PostgreSQL."""

_LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Listening:
    """A gateway that accepts requests at `url`."""

    url: str
    port: int


async def serve(settings: Settings, ready: Callable[[str], None] | None = None) -> None:
    """Run a gateway until SIGTERM or SIGINT; `ready` receives its URL once it accepts requests. The entry point of
    `sluice gateway`."""
    configure_logging(settings.log_format, settings.log_level)
    check_access(settings)
    capacity = gateway_capacity(settings, raise_descriptor_limit())
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        async with exporting(settings.traces, "sluice-gateway"), gateway_services(settings) as services:
            app = build_app(services, options_from(settings, capacity.connections))
            async with listening(app, settings.host, settings.port, shared=settings.reuse_port) as gateway:
                logger().info(Log.STARTED, process="gateway", url=gateway.url)
                if settings.auth == "none":
                    logger().warning(Log.AUTH_OFF, url=gateway.url)
                if capacity.warning:
                    logger().warning(Log.DESCRIPTORS_FEW, reason=capacity.warning)
                if problem := (await services.warnings()).get("temp_volume"):
                    logger().warning(Log.VOLUME_TOO_SMALL, volume=settings.volume, reason=problem)
                if ready is not None:
                    ready(gateway.url)
                await stop.wait()
                logger().info(Log.STOPPING, process="gateway")
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def options_from(settings: Settings, connections: int) -> GatewayOptions:
    """The options that settings determine; the others keep their defaults. `connections`: how many it may serve."""
    has_owners = settings.auth != "none"
    cells = dict(settings.cells)
    return GatewayOptions(
        public_url=settings.public_url or cells.get(settings.cell, ""),
        cell=settings.cell,
        cells=cells,
        trust_forwarded=settings.trust_forwarded,
        cors_origins=frozenset(settings.cors_origins),
        cors_headers=settings.cors_headers,
        cors_credentials=settings.cors_credentials,
        events_token=settings.events_token,
        append_limit_bytes=settings.tus_max_append_bytes,
        body_seconds=settings.segment_stall_seconds,
        shutdown_seconds=settings.shutdown_seconds,
        downloads=settings.download_concurrency,
        download_stall_seconds=settings.download_stall_seconds,
        upload_token_seconds=settings.upload_token_seconds,
        ticket_seconds=settings.ticket_seconds,
        owner_requests_per_second=settings.owner_requests_per_second if has_owners else None,
        owner_creations_per_second=settings.owner_creations_per_second if has_owners else None,
        write_seconds=settings.download_stall_seconds,
        connections=connections,
        # Each request holds a connection: the other half is for others.
        owner_requests=max(1, connections // 2) if has_owners else None,
        connections_per_address=settings.connections_per_address,
        trusted_proxies=settings.trusted_proxies,
        owner_streams=settings.owner_streams if has_owners else None,
        streams=settings.streams,
        owner_downloads=settings.owner_downloads if has_owners else None,
    )


@asynccontextmanager
async def listening(app: web.Application, host: str, port: int, *, shared: bool = False) -> AsyncIterator[Listening]:
    """Serve `app` on `host` and `port` (0: a free one) until the block ends, then let running requests finish. `shared`
    as for `open_sockets`. Raises CannotListenError."""
    options = app[OPTIONS]
    limits: dict[str, Any] = {
        "auto_decompress": False,  # else 200 KB could become 200 MB before any limit applies
        "access_log": None,  # the middleware logs one event per request
        "keepalive_timeout": options.idle_seconds,
        "lingering_time": options.linger_seconds,
        "read_bufsize": BUFFER_BYTES,
    }
    runner = web.AppRunner(app, shutdown_timeout=ABORT_SECONDS, **limits)
    await runner.setup()
    try:
        manager = runner.server
        if manager is None:
            raise RuntimeError("aiohttp's runner has no server after setup")
        limited = ConnectionLimits(options.connections, options.connections_per_address, options.trusted_proxies)
        buffer = app[SERVICES].receive_buffer
        connections, reads = Connections(limited), SharedReads(buffer.is_crowded)
        with listening_at(host, port, "SLUICE_PORT"):
            sockets = open_sockets(host, port, shared=shared)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(_drain, app, connections)

            def connection() -> GatewayConnection:
                return GatewayConnection(manager, connections, reads, options, **limits)

            await stack.enter_async_context(accepting(sockets, connection, connections))
            returning = asyncio.create_task(return_heap(lambda: buffer.arrived_bytes), name="heap")
            stack.push_async_callback(end_tasks, returning)
            address = sockets[0].getsockname()
            yield Listening(_url(address[0], address[1]), address[1])
    finally:
        await runner.cleanup()


async def _drain(app: web.Application, connections: Connections) -> None:
    """Let running requests finish, except those that only wait for their client."""
    running, seconds = app[RUNNING], app[OPTIONS].shutdown_seconds
    running.stopping.set()
    clock = asyncio.get_running_loop().time
    end = clock() + max(seconds - CLOSE_SECONDS, seconds / 2)
    while running.requests and clock() < end:
        for connection in connections.all:
            if connection.stalled_seconds() >= seconds / 4:
                connection.cut()
        with suppress(TimeoutError):
            async with asyncio.timeout(min(_LOOK_SECONDS, end - clock())):
                await running.idle.wait()


def _url(host: str, port: int) -> str:
    """A URL that works from this machine, also if the address is the wildcard."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # compared, not bound
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
