"""Health, metrics, the API description, and graceful shutdown: running requests finish, new work is refused."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from openapi_spec_validator import validate

import gateway as gateway_package
from gateway.app import build_app
from gateway.server import listening
from pipeline.bootstrap import gateway_services
from pipeline.settings import Settings
from tests.integration.gateway.conftest import OPTIONS, SEGMENT_BYTES, Gateway
from tests.integration.gateway.gauges import following, receiving
from tests.integration.gateway.test_events import stream_events
from tests.integration.gateway.wire import Wire, connect

pytestmark = pytest.mark.integration


async def test_alive_and_ready(gateway: Gateway) -> None:
    assert (await gateway.client.request("GET", "/healthz")).data == {"alive": True}
    ready = (await gateway.client.request("GET", "/readyz")).data
    assert ready["ready"]
    assert set(ready["warnings"]) <= {"store"}  # these tests have none


async def test_alive_but_not_ready_while_redis_is_unavailable(settings: Settings) -> None:
    unavailable = settings.model_copy(update={"redis_url": type(settings.redis_url)("redis://127.0.0.1:9/0")})
    async with gateway_services(unavailable) as services:
        app = build_app(services, OPTIONS)
        async with listening(app, "127.0.0.1", 0) as served, aiohttp.ClientSession(served.url) as session:
            async with session.get("/healthz") as alive:
                assert alive.status == 200
            async with session.get("/readyz") as ready:
                error = (await ready.json())["error"]
                assert (ready.status, error["code"], list(error["detail"]["problems"])) == (503, "NOT_READY", ["redis"])
                assert int(ready.headers["Retry-After"]) >= 1
            async with session.get("/metrics") as metrics:
                assert metrics.status == 200
                assert "sluice_http_requests_total" in await metrics.text()


async def test_metrics_carry_templates_and_never_paths(gateway: Gateway) -> None:
    await gateway.client.request("GET", "/v1/uploads/some-id")
    await gateway.client.request("GET", "/some/scanner.php")
    text = (await gateway.client.request("GET", "/metrics")).body.decode()
    assert 'route="/v1/uploads/{id}"' in text
    assert 'route="unknown"' in text
    assert "some-id" not in text
    assert "scanner" not in text


async def test_the_description_is_served(gateway: Gateway) -> None:
    response = await gateway.client.request("GET", "/openapi.json")
    validate(response.json)
    page = await gateway.client.request("GET", "/docs")
    assert b"<title>Sluice API</title>" in page.body
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]


async def _put(wire: Wire, upload: dict[str, Any], body: bytes) -> None:
    await wire.begin("PUT", f"/v1/uploads/{upload['id']}/segments/1", {"Content-Length": str(SEGMENT_BYTES)}, body)
    await receiving(1)


async def test_shutdown_lets_running_requests_finish(settings: Settings) -> None:
    """A segment is received to its end, an event stream asks its client to reconnect, new connections are refused."""
    slow = settings.model_copy(update={"segment_stall_seconds": 20})
    async with gateway_services(slow) as services, aiohttp.ClientSession() as session:
        app = build_app(services, OPTIONS)
        stop = asyncio.Event()
        url: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        async def run() -> None:
            async with listening(app, "127.0.0.1", 0) as served:
                url.set_result(served.url)
                await stop.wait()

        running = asyncio.create_task(run())
        base = await url
        body = {"filename": "a.mp4", "size": 150_000, "content_type": "video/mp4"}
        async with session.post(f"{base}/v1/uploads", json=body) as created:
            upload = (await created.json())["data"]
        async with connect(base) as sending, connect(base) as probing, session.get(upload["links"]["events"]) as stream:
            await _put(sending, upload, bytes(1000))
            await following(1)
            await probing.begin("GET", "/healthz", {})
            await probing.body(await probing.head())
            stop.set()
            assert [event.name async for event in stream_events(stream)][-1] == "reconnect"
            await probing.begin("GET", "/readyz", {})
            head = await probing.head()
            assert (head.status, (await probing.body(head))["error"]["code"]) == (503, "GATEWAY_BUSY")
            assert head.headers["connection"] == "close"
            with pytest.raises(OSError, match=r"Connect|refused"):
                await asyncio.open_connection("127.0.0.1", int(base.rpartition(":")[2]))
            await sending.send(bytes(SEGMENT_BYTES - 1000))
            head = await sending.head()
            assert head.status == 200
            assert (await sending.body(head))["data"]["upload_status"] == "receiving"
            await asyncio.wait_for(running, 10)


async def test_shutdown_does_not_wait_forever(settings: Settings) -> None:
    slow = settings.model_copy(update={"segment_stall_seconds": 600})
    async with gateway_services(slow) as services, aiohttp.ClientSession() as session:
        app = build_app(services, OPTIONS.__class__(shutdown_seconds=0.3, linger_seconds=0.1))
        async with listening(app, "127.0.0.1", 0) as served:
            body = json.dumps({"filename": "a.mp4", "size": 150_000, "content_type": "video/mp4"})
            headers = {"Content-Type": "application/json"}
            async with session.post(f"{served.url}/v1/uploads", data=body, headers=headers) as created:
                upload = (await created.json())["data"]
            async with connect(served.url) as wire:
                await _put(wire, upload, bytes(1000))
                began = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - began < 10


async def test_the_process_stops_on_sigterm(settings: Settings) -> None:
    """`serve` as `sluice gateway` runs it: port 0, the URL passed to `ready`, exit status 0, one JSON line per log
    event."""
    program = "import asyncio, gateway.server as g, pipeline.settings as s; "
    program += "asyncio.run(g.serve(s.Settings(), lambda url: print(url, flush=True)))"
    environment = {
        **os.environ,
        "SLUICE_REDIS_URL": settings.redis_url.get_secret_value(),
        "SLUICE_DATABASE_URL": settings.database_url.get_secret_value(),
        "SLUICE_TEMP_DIR": str(settings.temp_dir),
        "SLUICE_PORT": "0",
        "SLUICE_SWIFT_USER": settings.swift_user,
        "PYTHONPATH": str(Path(gateway_package.__path__[0]).parent),
    }
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, env=environment, stdout=pipe, stderr=pipe
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(120):
            url = (await process.stdout.readline()).decode().strip()
            async with aiohttp.ClientSession() as session, session.get(f"{url}/readyz") as ready:
                assert ready.status == 200
            process.send_signal(signal.SIGTERM)
            _, log = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, log.decode()
    events = [json.loads(line)["event"] for line in log.decode().splitlines()]
    assert events[0] == "process.started"
    assert events[-1] == "process.stopping"
