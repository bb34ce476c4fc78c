"""`sluice up --keystone`: an upload with a delegated token, by a client that knows only what the API returns."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.harness.cell import eventually
from tests.harness.media_samples import sample
from tests.harness.up import Up

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

_MEBIBYTE = 1024 * 1024
_ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    started = Up(tmp_path_factory.mktemp("up") / "run", "--keystone")
    try:
        started.wait_for("watch uploads")
        yield started
    finally:
        started.close()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def film(megabytes: int) -> bytes:
    """A video of this size; players and probes skip the box of zeros at its end."""
    head = sample("mp4").read_bytes()
    rest = megabytes * _MEBIBYTE - len(head)
    return head + rest.to_bytes(4, "big") + b"free" + bytes(rest - 8)


async def call(http: aiohttp.ClientSession, method: str, url: str, **options: Any) -> dict[str, Any]:
    async with http.request(method, url, **options) as response:
        body: dict[str, Any] = await response.json()
        assert body["success"], body
        data: dict[str, Any] = body["data"]
        return data


@pytest.mark.parametrize("segments", [1, 3])
async def test_an_upload_with_a_delegated_token(run: Up, http: aiohttp.ClientSession, segments: int) -> None:
    data = film(10 * segments - 5)
    body = {"filename": "film.mp4", "size": len(data), "content_type": "video/mp4", "transport": "token"}
    upload = await call(http, "POST", run.shown("API"), json=body)
    grants, size = upload["grants"], upload["segment_size"]
    assert upload["segment_count"] == segments
    token = {"X-Auth-Token": grants["token"]}
    for grant in grants["segments"]:
        part = data[(grant["number"] - 1) * size : grant["number"] * size]
        async with http.put(grant["url"], data=BytesIO(part), headers=token) as response:
            assert response.status == 201, await response.text()
        # The user may write and nothing else.
        async with http.get(grant["url"], headers=token) as response:
            assert response.status == 403
    async with http.get(grants["storage_url"], headers=token) as response:
        assert response.status == 403
    await call(http, "POST", upload["links"]["complete"])

    async def ready() -> bool:
        view = await call(http, "GET", upload["links"]["self"])
        assert view["status"] != "failed", view
        return bool(view["status"] == "ready")

    await eventually(ready, 60, lambda: "the upload to be ready")
    assert f"contents/{upload['id']}/original" in run.shell(run.shown("list objects")).stdout
    async with http.get(f"{run.shown('API').removesuffix('uploads')}contents/{upload['id']}/download") as response:
        assert await response.read() == data


def test_doctor_and_the_delegated_user_are_shown(run: Up) -> None:
    result = run.shell("sluice doctor")
    assert result.returncode == 0, result.stdout
    assert run.shown("delegated user").startswith("media-client, password ")


def test_make_run_with_keystone_uploads_the_sample(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SLUICE_", "MAKE"))}
    file = tmp_path / "film.mp4"
    file.write_bytes(film(1))
    result = subprocess.run(
        ["make", "--directory", str(_ROOT), "run", "KEYSTONE=1", "ONCE=1", f"FILE={file}"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "is content" in result.stdout
    assert "media-client" in result.stdout
