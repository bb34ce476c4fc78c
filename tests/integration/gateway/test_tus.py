"""tus 1.0 on a running gateway: creation, appends of any size, resuming, checksums, termination, method override."""

from __future__ import annotations

import os
from base64 import b64encode
from typing import Any

import pytest

from tests.integration.gateway.conftest import SEGMENT_BYTES, Gateway
from tests.integration.gateway.truth import Response

pytestmark = pytest.mark.integration

TUS = {"Tus-Resumable": "1.0.0"}
BODY = {"Content-Type": "application/offset+octet-stream"}
SIZE = 2 * SEGMENT_BYTES + 1000


def encoded(text: str) -> str:
    return b64encode(text.encode()).decode()


async def create(gateway: Gateway, size: int = SIZE, data: bytes | None = None, **headers: str) -> Response:
    sent = {**TUS, "Upload-Length": str(size), **{name.replace("_", "-"): text for name, text in headers.items()}}
    return await gateway.client.request("POST", "/files/", headers=sent | (BODY if data else {}), data=data)


async def new_file(gateway: Gateway, size: int = SIZE, **headers: str) -> str:
    """The path of a new upload."""
    response = await create(gateway, size, None, **headers)
    assert response.status == 201, response.body
    return response.headers["Location"].removeprefix(gateway.url)


async def patch(gateway: Gateway, path: str, offset: int, data: Any, **headers: str) -> Response:
    sent = {**TUS, **BODY, "Upload-Offset": str(offset)}
    sent |= {name.replace("_", "-"): text for name, text in headers.items()}
    return await gateway.client.request("PATCH", path, headers=sent, data=data)


async def offset(gateway: Gateway, path: str) -> int:
    response = await gateway.client.request("HEAD", path, headers=TUS)
    assert response.status == 200
    return int(response.headers["Upload-Offset"])


async def status(gateway: Gateway, path: str) -> dict[str, Any]:
    return (await gateway.client.request("GET", path.replace("/files/", "/v1/uploads/"))).data


@pytest.mark.parametrize("chunk", [1, 700, SEGMENT_BYTES, SEGMENT_BYTES + 1, SIZE])
async def test_chunks_of_any_size(gateway: Gateway, chunk: int) -> None:
    size = 40 if chunk == 1 else 5000 if chunk == 700 else SIZE
    data, path = os.urandom(size), await new_file(gateway, size)
    for start in range(0, size, chunk):
        response = await patch(gateway, path, start, data[start : start + chunk])
        end = min(start + chunk, size)
        assert (response.status, response.headers["Upload-Offset"]) == (204, str(end))
        assert ("Upload-Expires" in response.headers) == (end < size)
    assert await offset(gateway, path) == size
    assert (await status(gateway, path))["bytes_received"] == size
