"""The cost of readiness, which anybody may ask for."""

from __future__ import annotations

import asyncio

import pytest

from pipeline.adapters.volume.temp_volume import DirectoryTempVolume
from tests.integration.gateway.conftest import Gateway

pytestmark = pytest.mark.integration


async def test_however_many_ask_there_are_few_checks(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each check writes to the temp volume, and asks Redis and PostgreSQL."""
    checks = running = most = 0
    check = DirectoryTempVolume.check

    async def counted(volume: DirectoryTempVolume) -> None:
        nonlocal checks, running, most
        checks += 1
        running += 1
        most = max(most, running)
        try:
            await check(volume)
        finally:
            running -= 1

    monkeypatch.setattr(DirectoryTempVolume, "check", counted)
    began = asyncio.get_running_loop().time()
    for _ in range(5):
        responses = await asyncio.gather(*(gateway.client.request("GET", "/readyz") for _ in range(20)))
        assert {response.status for response in responses} == {200}
    seconds = asyncio.get_running_loop().time() - began
    assert 1 <= checks <= 1 + seconds / 0.25
    assert most == 1
