"""Partial and final uploads at a running gateway; the test plays the transfer worker."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pipeline.bootstrap import redis_parts
from pipeline.core.model import StageJob
from pipeline.core.stages import Stage
from pipeline.settings import Settings
from tests.contract.redis.uploads import Play
from tests.integration.gateway.conftest import Gateway
from tests.integration.gateway.resumable import TUS, create
from tests.integration.gateway.truth import Response


@asynccontextmanager
async def played(settings: Settings) -> AsyncIterator[Play]:
    async with redis_parts(settings) as parts:
        yield Play(parts)


async def new_part(gateway: Gateway, size: int = 1000, received: int | None = None) -> str:
    """The URL of a partial upload, of which so many bytes, or all, have arrived."""
    data = os.urandom(size if received is None else received)
    response = await create(gateway, size, data or None, Upload_Concat="partial")
    assert response.status == 201, response.body
    return response.headers["Location"]


async def store_part(settings: Settings, url: str) -> None:
    """The store has every byte of a partial upload."""
    async with played(settings) as play:
        upload = await play.board.get(url.rpartition("/")[2])
        token = upload.stages[Stage.TRANSFER].fencing_token
        await play.transferred(StageJob(upload.upload_id, Stage.TRANSFER, token, upload.volume), upload)


async def held_part(gateway: Gateway, size: int = 1000) -> str:
    url = await new_part(gateway, size)
    await store_part(gateway.settings, url)
    return url


async def join(gateway: Gateway, *urls: str, **headers: str) -> Response:
    """Create the final upload of these URLs."""
    sent = {**TUS, "Upload-Concat": f"final;{' '.join(urls)}"}
    sent |= {name.replace("_", "-"): text for name, text in headers.items()}
    return await gateway.client.request("POST", "/files/", headers=sent)


async def head(gateway: Gateway, url: str) -> Response:
    return await gateway.client.request("HEAD", url.removeprefix(gateway.url), headers=TUS)
