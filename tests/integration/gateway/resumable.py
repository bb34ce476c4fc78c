"""Requests of resumable uploads: tus 1.0 and the IETF draft."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from tests.integration.gateway.conftest import SEGMENT_BYTES, Gateway
from tests.integration.gateway.truth import Response

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


DRAFT = {"Upload-Draft-Interop-Version": "8"}
PARTIAL = {"Content-Type": "application/partial-upload"}


async def draft_create(
    gateway: Gateway, complete: str, data: Any = None, version: int | None = 8, **headers: str
) -> Response:
    sent = {"Upload-Complete": complete, **_version(version), **_named(headers)}
    return await gateway.client.request("POST", "/files/", headers=sent | (PARTIAL if data else {}), data=data)


async def draft_file(gateway: Gateway, size: int = SIZE, version: int | None = 8) -> str:
    """The path of a new upload."""
    response = await draft_create(gateway, "?0", version=version, Upload_Length=str(size))
    assert response.status == 201, response.body
    return response.headers["Location"].removeprefix(gateway.url)


async def draft_patch(
    gateway: Gateway, path: str, start: int, complete: str, data: Any, version: int | None = 8, **headers: str
) -> Response:
    sent = {"Upload-Offset": str(start), "Upload-Complete": complete, **_version(version), **PARTIAL}
    return await gateway.client.request("PATCH", path, headers=sent | _named(headers), data=data)


async def draft_head(gateway: Gateway, path: str, version: int | None = 8) -> Response:
    return await gateway.client.request("HEAD", path, headers=_version(version))


def _version(version: int | None) -> dict[str, str]:
    return {} if version is None else {"Upload-Draft-Interop-Version": str(version)}


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): text for name, text in headers.items()}
