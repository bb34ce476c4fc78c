"""The route that Prometheus scrapes."""

from __future__ import annotations

from aiohttp import web
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from gateway import access
from gateway.keys import SERVICES
from gateway.routing import ResponseSpec, Route
from pipeline.core.errors import SluiceError
from pipeline.logs import Log, logger
from pipeline.telemetry import REGISTRY


async def metrics(request: web.Request) -> web.StreamResponse:
    """The counters of this process are served even if the gauges that are read from Redis cannot be refreshed."""
    try:
        await request.app[SERVICES].collect()
    except SluiceError as error:
        logger().warning(Log.REDIS_UNREACHABLE, code=error.code, reason=error.message)
    except Exception:  # noqa: BLE001  # logged; the counters are still worth serving
        logger().exception(Log.REQUEST_CRASHED, method=request.method, path=request.path)
    return web.Response(body=generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})


_EXAMPLE = """# HELP sluice_received_bytes_total Segment bytes written to the temp volume
# TYPE sluice_received_bytes_total counter
sluice_received_bytes_total 7.340032e+07
# HELP sluice_uploads Uploads by status
# TYPE sluice_uploads gauge
sluice_uploads{status="receiving"} 3.0
"""

ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        "/metrics",
        metrics,
        "Operation",
        "Metrics for Prometheus",
        "Every metric of this process in the Prometheus text format, without the envelope.",
        responses=(ResponseSpec(200, "Metrics", media_type="text/plain", example=_EXAMPLE),),
        quiet=True,
        access=access.OPERATE,
    ),
)
