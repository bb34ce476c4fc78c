"""What a worker shows of itself: /metrics and /healthz on a port of its own, and a record in Redis that lapses with
it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from redis.exceptions import RedisError

from pipeline.bootstrap import WorkerServices
from pipeline.core.errors import SluiceError
from pipeline.core.stages import WorkerType
from pipeline.settings import Settings
from pipeline.telemetry import REGISTRY

_HEARTBEAT_SECONDS = 5
_LAPSE_SECONDS = 15


@asynccontextmanager
async def serve_metrics(settings: Settings, services: WorkerServices) -> AsyncIterator[str]:
    """Serve as long as the block lasts; yields the base URL."""

    async def metrics(request: web.Request) -> web.Response:
        with contextlib.suppress(SluiceError):  # Redis is away: what this process knows itself is still worth showing
            await services.redis.gauges.collect()
        return web.Response(body=generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def healthz(request: web.Request) -> web.Response:
        return web.json_response({"success": True, "status": 200, "data": {"worker": services.name}})

    app = web.Application()
    app.add_routes([web.get("/metrics", metrics), web.get("/healthz", healthz)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.host, settings.metrics_port).start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


async def heartbeat(services: WorkerServices, types: Sequence[WorkerType], url: str) -> None:
    """Keep this worker's record alive until cancelled (`schemas/status.py` documents it)."""
    redis, keys = services.redis.client, services.redis.keys
    key = keys.worker(services.name)
    record = {"types": ",".join(types), "metrics_url": url, "volume": services.volume}
    try:
        while True:
            with contextlib.suppress(RedisError, OSError):
                async with redis.pipeline(transaction=True) as pipe:
                    pipe.hset(key, mapping=record)
                    pipe.expire(key, _LAPSE_SECONDS)
                    await pipe.execute()
            await asyncio.sleep(_HEARTBEAT_SECONDS)
    finally:
        with contextlib.suppress(RedisError, OSError):
            await redis.delete(key)
