"""A real gateway on loopback with real Redis and PostgreSQL. No worker runs, so uploads keep the state that the gateway
gives them."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from deploy.embedded.stack import EmbeddedStack
from gateway.app import build_app
from gateway.keys import DOCUMENT
from gateway.options import GatewayOptions
from gateway.server import listening
from pipeline.adapters.postgres.migrate import migrate
from pipeline.bootstrap import GatewayServices, gateway_services
from pipeline.settings import Settings
from tests.integration.gateway.truth import TruthfulClient

ORIGIN = "http://page.example"
SEGMENT_BYTES = 64 * 1024
BUDGET_BYTES = 1024 * 1024

OPTIONS = GatewayOptions(
    cors_origins=frozenset({ORIGIN}),
    cors_headers=("Authorization", "X-Requested-With"),
    body_seconds=30,
    linger_seconds=0.5,
    shutdown_seconds=10,
    events_keepalive_seconds=0.3,
    events_interval_seconds=0.05,
)


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running gateway with its services, settings and a client."""

    url: str
    app: web.Application
    services: GatewayServices
    settings: Settings
    client: TruthfulClient

    async def create(self, size: int = 150_000, **more: Any) -> dict[str, Any]:
        """A new upload, by default of three segments and admitted at once."""
        body = {"filename": "a.mp4", "size": size, "content_type": "video/mp4", **more}
        response = await self.client.request("POST", "/v1/uploads", json=body)
        assert response.status == 201, response.body
        return response.data


@pytest.fixture
def stall_seconds() -> float:
    """Tests in which a body stalls have a shorter one as their parameter."""
    return 30


@pytest.fixture
def settings(redis_url: str, database_server: EmbeddedStack, tmp_path: Path, stall_seconds: float) -> Settings:
    """Its own Redis namespace and temp volume. No test contacts the store."""
    return Settings(
        redis_url=redis_url,
        redis_namespace=f"test-{uuid.uuid4().hex[:12]}",
        database_url=database_server.database_url,
        swift_auth="v1",
        swift_auth_url="http://127.0.0.1:9/auth/v1.0",
        swift_user="nobody:nobody",
        temp_dir=tmp_path,
        temp_budget_bytes=BUDGET_BYTES,
        temp_share=1,
        temp_headroom_bytes=0,
        segment_bytes=SEGMENT_BYTES,
        segment_stall_seconds=stall_seconds,
        segment_deadline_seconds=120,
        receive_buffer_bytes=1024 * 1024,
        webhook_limit=100_000,  # the tests share a database
    )


@pytest.fixture
def options() -> GatewayOptions:
    return OPTIONS


@pytest.fixture
async def gateway(settings: Settings, options: GatewayOptions) -> AsyncIterator[Gateway]:
    await migrate(settings.database_url.get_secret_value())
    async with gateway_services(settings) as services:
        app = build_app(services, options)
        async with listening(app, "127.0.0.1", 0) as served, aiohttp.ClientSession() as session:
            client = TruthfulClient(session, served.url, app[DOCUMENT])
            yield Gateway(served.url, app, services, settings, client)
