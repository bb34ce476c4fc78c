"""Gateways that share a port (SLUICE_REUSE_PORT): each serves, also when the others have ended."""

from __future__ import annotations

from contextlib import AsyncExitStack

import aiohttp
import pytest

from gateway.app import build_app
from gateway.server import listening
from pipeline.bootstrap import gateway_services
from pipeline.bootstrap.listening import CannotListenError
from pipeline.settings import Settings
from tests.integration.gateway.conftest import OPTIONS

pytestmark = pytest.mark.integration


async def is_alive(url: str) -> bool:
    """On a connection of its own: a connection stays with the gateway that accepted it."""
    async with aiohttp.ClientSession() as session, session.get(f"{url}/healthz") as response:
        return response.status == 200


async def test_a_gateway_serves_the_port_alone_after_the_other_has_ended(settings: Settings) -> None:
    async with gateway_services(settings) as services, AsyncExitStack() as later:
        async with listening(build_app(services, OPTIONS), "127.0.0.1", 0, shared=True) as first:
            second = listening(build_app(services, OPTIONS), "127.0.0.1", first.port, shared=True)
            assert (await later.enter_async_context(second)).url == first.url
            assert await is_alive(first.url)
        assert await is_alive(first.url)


@pytest.mark.parametrize(("first_shares", "second_shares"), [(True, False), (False, True), (False, False)])
async def test_both_must_say_so(settings: Settings, first_shares: bool, second_shares: bool) -> None:
    async with gateway_services(settings) as services:
        app = build_app(services, OPTIONS)
        async with listening(app, "127.0.0.1", 0, shared=first_shares) as first:
            with pytest.raises(CannotListenError, match="Address already in use"):
                async with listening(build_app(services, OPTIONS), "127.0.0.1", first.port, shared=second_shares):
                    pass
