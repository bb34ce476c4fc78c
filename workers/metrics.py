"""What a worker process shows: /metrics and /healthz on a port of its own, and a record in Redis while it runs."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from pipeline.bootstrap import WorkerServices
from pipeline.bootstrap.listening import listening_at
from pipeline.core.errors import SluiceError
from pipeline.core.stages import WorkerType
from pipeline.settings import Settings
from pipeline.telemetry import REGISTRY
from workers.loops import Loop, run_loops

_HEARTBEAT_SECONDS = 5.0


@asynccontextmanager
async def serve_metrics(settings: Settings, services: WorkerServices) -> AsyncIterator[str]:
    """Serve as long as the block lasts; yields the base URL."""

    async def metrics(request: web.Request) -> web.Response:
        with contextlib.suppress(SluiceError):  # without Redis, the process's own metrics are still worth showing
            await services.redis.gauges.collect()
        return web.Response(body=generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def healthz(request: web.Request) -> web.Response:
        return web.json_response({"success": True, "status": 200, "data": {"worker": services.name}})

    app = web.Application()
    app.add_routes([web.get("/metrics", metrics), web.get("/healthz", healthz)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        with listening_at(settings.host, settings.metrics_port, "SLUICE_METRICS_PORT"):
            await web.TCPSite(runner, settings.host, settings.metrics_port).start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


async def heartbeat(services: WorkerServices, types: Sequence[WorkerType], url: str) -> None:
    """Keep this process's record (`schemas.status.WorkerFields`) alive until cancelled, then remove it."""
    records = services.redis.workers
    record = {"types": ",".join(types), "metrics_url": url, "volume": services.volume}
    if services.media is not None:
        record["confinement"] = "incomplete" if services.media.gaps else "complete"

    async def beat() -> None:
        await records.write(services.name, record)

    try:
        await run_loops([Loop("heartbeat", beat, _HEARTBEAT_SECONDS, _HEARTBEAT_SECONDS)])
    finally:
        with contextlib.suppress(SluiceError):
            await records.remove(services.name)
