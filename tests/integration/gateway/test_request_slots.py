"""One owner that holds connections from many addresses, beside another one."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from pipeline.core.access import Scope
from pipeline.settings import Settings
from tests.integration.gateway.conftest import OPTIONS
from tests.integration.gateway.site import running_site
from tests.integration.gateway.wire import Head, connect

pytestmark = pytest.mark.integration

CONNECTIONS = 12
EACH = CONNECTIONS // 2
BODY = {"Content-Type": "application/json", "Content-Length": "100"}


async def test_an_owner_leaves_connections_to_others(settings: Settings) -> None:
    """Its requests send their bodies as slowly as they may. Proxies have no limit of connections, nor has an owner with
    many addresses."""
    options = replace(
        OPTIONS, connections=CONNECTIONS, connections_per_address=0, owner_requests=EACH, body_seconds=60.0
    )
    async with running_site(settings, options) as site, AsyncExitStack() as stack:
        url, other = site.client.url, await site.key("bob", Scope.UPLOAD)
        headers = {"Authorization": f"Bearer {site.credentials['key of the owner']}", **BODY}
        wires = [await stack.enter_async_context(connect(url)) for _ in range(CONNECTIONS)]
        for wire in wires:
            await wire.begin("POST", "/v1/uploads", headers)
        heads = {asyncio.create_task(wire.head()): wire for wire in wires}
        async with asyncio.timeout(30):
            refused: set[asyncio.Task[Head]] = set()
            waiting = set(heads)
            while len(refused) < CONNECTIONS - EACH:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                refused |= done
            for task in refused:
                head = task.result()
                error = (await heads[task].body(head))["error"]
                assert (head.status, error["code"], error["detail"]["limit"]) == (429, "REQUEST_LIMIT", EACH)
                assert int(head.headers["retry-after"]) > 0
            assert (await site.with_(other, "GET", "/v1/uploads")).status == 200
            for task in waiting:
                await heads[task].send(b" " * 100)
                assert (await task).status == 400, "its body has arrived, and is no JSON"
