"""No response of a gateway names a directory of the server, whatever is broken; the log does."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import aiohttp
import pytest
from pydantic import SecretStr

from gateway.app import build_app
from gateway.server import listening
from pipeline.adapters.object_store.filesystem.layout import FilesystemLayout
from pipeline.bootstrap import gateway_services
from pipeline.settings import Settings
from tests.integration.gateway.conftest import OPTIONS, Gateway

pytestmark = pytest.mark.integration

SECONDS = 10.0


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    """With the filesystem store."""
    changes = {"store": "filesystem", "filesystem_dir": tmp_path / "store", "temp_dir": tmp_path / "temp"}
    return settings.model_copy(update=changes)


async def texts(gateway: Gateway, upload_id: str) -> str:
    """What a client and a probe receive."""
    answers = [
        await gateway.client.request("GET", "/readyz"),
        await gateway.client.request("POST", "/v1/uploads", json={"filename": "a.mp4", "size": 100_000}),
        await gateway.client.request("GET", f"/v1/uploads/{upload_id}"),
        await gateway.client.request("PUT", f"/v1/uploads/{upload_id}/segments/1", data=bytes(65_536)),
        await gateway.client.request("POST", "/v1/contents/import", json={"key": "raw/film.mp4"}),
        await gateway.client.request("GET", "/openapi.json"),
        await gateway.client.request("GET", "/docs"),
    ]
    return "\n".join(f"{answer.status} {answer.body!r} {answer.headers!r}" for answer in answers)


@pytest.mark.parametrize("broken", ["nothing", "temp volume", "store", "store is a file"])
async def test_no_directory_is_named(gateway: Gateway, tmp_path: Path, broken: str) -> None:
    upload = await gateway.create()
    store = gateway.services.importer._stores.named("filesystem")
    await store.put_object("raw/film.mp4", b"bytes", "video/mp4")
    if broken == "temp volume":
        shutil.rmtree(tmp_path / "temp")
    elif broken != "nothing":
        shutil.rmtree(tmp_path / "store")
        if broken == "store is a file":
            (tmp_path / "store").touch()
    found = await texts(gateway, upload["id"])
    assert str(tmp_path) not in found
    assert str(tmp_path.parent) not in found
    if broken == "temp volume":
        assert "[path] does not exist" in found


async def test_a_dependency_behind_a_socket(settings: Settings, tmp_path: Path) -> None:
    missing = settings.model_copy(update={"redis_url": SecretStr(f"unix://{tmp_path}/redis.sock")})
    async with (
        gateway_services(missing) as services,
        listening(build_app(services, OPTIONS), "127.0.0.1", 0) as served,
        aiohttp.ClientSession() as session,
        session.get(f"{served.url}/readyz") as response,
    ):
        text = await response.text()
    assert response.status == 503
    assert str(tmp_path) not in text
    assert "redis" in text


@pytest.mark.parametrize("plant", ["link", "fifo", "linked directory"])
async def test_what_is_no_file_of_the_store_cannot_be_imported(gateway: Gateway, tmp_path: Path, plant: str) -> None:
    """At once: an import of a FIFO would wait for its writer."""
    secret = tmp_path / "secret"
    secret.write_bytes(b"root:x:0:0:")
    key = "name" * 100 if plant == "linked directory" else "raw.mp4"
    path = FilesystemLayout(tmp_path / "store").object_path(key)
    path.parent.mkdir(parents=True)
    if plant == "fifo":
        os.mkfifo(path)
    elif plant == "link":
        path.symlink_to(secret)
    else:
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / path.name).write_bytes(b"bytes")
        path.parent.rmdir()
        path.parent.symlink_to(tmp_path / "elsewhere")
    async with asyncio.timeout(SECONDS):
        response = await gateway.client.request("POST", "/v1/contents/import", json={"key": key})
    assert response.status == 404
    assert b"IMPORT_OBJECT_MISSING" in response.body


async def test_an_import_of_any_size_is_registered_at_once(gateway: Gateway, tmp_path: Path) -> None:
    path = FilesystemLayout(tmp_path / "store").object_path("raw/film.mp4")
    path.parent.mkdir(parents=True)
    path.touch()
    os.truncate(path, 1 << 42)  # to hash it would take an hour
    async with asyncio.timeout(SECONDS):
        first = await gateway.client.request("POST", "/v1/contents/import", json={"key": "raw/film.mp4"})
        again = await gateway.client.request("POST", "/v1/contents/import", json={"key": "raw/film.mp4"})
    assert (first.status, again.status) == (201, 200)
    assert (first.data["id"], first.data["bucket"], first.data["size"]) == (again.data["id"], "files", 1 << 42)
