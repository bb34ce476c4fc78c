"""`sluice upload` at the limits of a server: it waits as long as it is asked to, and goes on."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aiohttp.http_writer import StreamWriter

from deploy.cli.client import SluiceClient
from deploy.cli.processes import import_path
from deploy.cli.retrying import PATIENT
from tests.integration.cli.conftest import events
from tests.integration.cli.scripted_gateway import SEGMENT_BYTES, ScriptedGateway, scripted_gateway

pytestmark = pytest.mark.integration


async def run(gateway: ScriptedGateway, directory: Path, *arguments: str) -> list[dict[str, Any]]:
    """The events of the command."""
    environment = {**os.environ, "PYTHONPATH": import_path(), "XDG_STATE_HOME": str(directory / "state")}
    command = [sys.executable, "-m", "deploy.cli", "upload", *arguments, "--server", gateway.url, "--json"]
    result = await asyncio.to_thread(
        subprocess.run, command, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    return events(result.stdout)


async def test_a_creation_is_tried_again_as_often_as_it_takes(tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(bytes(2 * SEGMENT_BYTES))
    gateway = ScriptedGateway(film.stat().st_size)
    codes = ["QUEUE_FULL", "OWNER_LIMIT", "RATE_LIMITED", "DAILY_LIMIT"] * 4
    assert len(codes) > PATIENT.max_attempts
    left = iter(codes)
    gateway.refuse_creation = lambda: (429, code, 0) if (code := next(left, None)) else None
    gateway.accepted = lambda _: (
        gateway.end("failed", "STAGE_LOST", "The script ends here.") if len(gateway.parts) == gateway.count else None
    )
    async with scripted_gateway(gateway):
        found = await run(gateway, tmp_path, str(film))
    names = [event["event"] for event in found]
    assert names.count("retry") == len(codes)
    assert names[-1] == "ended", found[-1]


async def test_waiting_for_a_limit_does_not_keep_an_upload_from_what_ends_it(tmp_path: Path) -> None:
    """The second file waits until the first has ended, which has to send a segment again before it does."""
    films = [tmp_path / f"film{number}.mp4" for number in (1, 2)]
    for film in films:
        film.write_bytes(bytes(2 * SEGMENT_BYTES))
    gateway = ScriptedGateway(2 * SEGMENT_BYTES)
    creations = 0

    def refuse() -> tuple[int, str, int] | None:
        nonlocal creations
        creations += 1
        if creations == 1 or gateway.known:
            return None
        if creations == 3:
            gateway.parts.pop(2, None)  # lost after its arrival
        return 429, "OWNER_LIMIT", 0

    def accepted(_: int) -> None:
        if len(gateway.parts) == gateway.count and creations >= 3:
            gateway.end("failed", "STAGE_LOST", "The script ends here.")

    gateway.refuse_creation, gateway.accepted = refuse, accepted
    async with scripted_gateway(gateway):
        await run(gateway, tmp_path, *map(str, films), "--concurrency", "1")
    assert sorted(gateway.sent) == [1, 2, 2], "it was sent again meanwhile"
    assert creations > 3


async def test_a_limit_met_by_any_request_is_no_failed_attempt() -> None:
    gateway = ScriptedGateway(SEGMENT_BYTES)
    left = iter([(429, "RATE_LIMITED", 0)] * (PATIENT.max_attempts + 1))
    gateway.refuse = lambda _: next(left, None)
    async with scripted_gateway(gateway), SluiceClient(gateway.url) as client:
        view = await client.upload("u")

        class Zeros:
            async def send(self, writer: StreamWriter) -> None:
                await writer.write(bytes(SEGMENT_BYTES))

        await client.put_segment(view, 1, SEGMENT_BYTES, Zeros, {})
    assert gateway.sent == [1]
