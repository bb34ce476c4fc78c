"""The backends of docs/examples: what they create for browsers, what they accept as an event, and what they keep."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from deploy.embedded.ports import ReservedPort
from pipeline.adapters.webhook_signatures import StandardSigner
from tests.harness.cell import Cell
from tests.harness.example_backends import BACKENDS, Backend, built, running_backend
from tests.harness.keys import CLIENT, WITH_KEYS, as_caller, bearer, make_key
from tests.harness.media_samples import sample
from tests.harness.running import CellProcesses, cell_processes
from tests.harness.shared_stack import Servers

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

_OWNER = "studio"
_NAMES = pytest.mark.parametrize("name", BACKENDS)


@dataclass(frozen=True)
class Place:
    """A backend and its cell, as the backend's owner sees it."""

    backend: Backend
    cell: Cell


@pytest.fixture(scope="module")
def started(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CellProcesses]:
    settings: dict[str, Any] = dict(WITH_KEYS)
    with cell_processes(servers, tmp_path_factory.mktemp("cell"), **settings) as running:
        yield running


@asynccontextmanager
async def place_of(started: CellProcesses, command: list[str], directory: Path) -> AsyncIterator[Place]:
    _, key = await make_key(started.settings, _OWNER, *CLIENT)
    secret = StandardSigner().new_secret()
    async with (
        started.connected() as connected,
        as_caller(connected, _OWNER) as cell,
        running_backend(command, directory, cell.url, key, secret, ReservedPort()) as backend,
    ):
        yield Place(backend, cell)


@pytest.fixture(scope="module")
def commands() -> dict[str, list[str]]:
    """Those that run the backends, once they are built."""
    return {}


@pytest.fixture
async def place(
    started: CellProcesses,
    commands: dict[str, list[str]],
    name: str,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Place]:
    if name not in commands:
        commands[name] = await asyncio.to_thread(built, name, tmp_path_factory.mktemp("built"))
    async with place_of(started, commands[name], tmp_path) as found:
        yield found


def event(upload_id: str, kind: str = "content.ready") -> bytes:
    # The backends read nothing else of it.
    data = {"upload_id": upload_id, "owner": _OWNER, "note": 'naïve: \u2028, "quoted", 1e3'}
    return json.dumps(
        {"type": kind, "timestamp": "2026-11-27T11:23:58.120Z", "data": data}, ensure_ascii=False
    ).encode()


async def refusal(backend: Backend, **options: Any) -> tuple[int, str]:
    """The status and the code of a refused creation."""
    async with backend.http.post(f"{backend.url}/uploads", **options) as response:
        return response.status, (await response.json())["error"]["code"]


async def send_as_browser(place: Place, film: bytes) -> str:
    """Create an upload at the backend, and send the file to the gateway with the token in the response; its id."""
    file = {"filename": 'a "film".mp4', "size": len(film), "content_type": "video/mp4", "transport": "token"}
    async with place.backend.http.post(f"{place.backend.url}/uploads", json=file) as response:
        assert response.status == 201, await response.text()
        created = await response.json()
    assert set(created) == {"id", "segment_size", "segment_count", "links", "upload_token"}
    headers = bearer(created["upload_token"]["token"])
    async with aiohttp.ClientSession(headers=headers) as browser:
        for number in range(1, created["segment_count"] + 1):
            url = created["links"]["segment"].replace("{number}", str(number))
            start = (number - 1) * created["segment_size"]
            async with browser.put(url, data=film[start : start + created["segment_size"]]) as response:
                assert response.status == 200, await response.text()
    return str(created["id"])


@_NAMES
async def test_an_event_is_verified_kept_once_and_processed(place: Place) -> None:
    backend, film = place.backend, sample("mp4").read_bytes()
    upload_id = await send_as_browser(place, film)
    await place.cell.until(upload_id, "ready")
    assert await backend.videos() == [], "nobody has told it"

    body, event_id = event(upload_id), f"{upload_id}_content-ready"
    now, stale = datetime.now(UTC), timedelta(seconds=330)
    other = StandardSigner().new_secret()
    refused = [
        await backend.deliver(event_id, body, secrets=(other,)),
        await backend.deliver(event_id, body, at=now - stale),
        await backend.deliver(event_id, body, at=datetime.now(UTC) + 2 * stale),
        await backend.deliver(event_id, body, webhook_id=f"{upload_id}_other"),
        await backend.deliver(event_id, body, webhook_timestamp=str(int(now.timestamp()) + 1)),
        await backend.deliver(event_id, body, webhook_timestamp="now"),
        await backend.deliver(event_id, body, webhook_signature="v1,"),
        await backend.deliver(event_id, body, webhook_signature="nonsense"),
        await backend.deliver(event_id, body, webhook_signature="v2,AAAA v1,####"),
        await backend.deliver(event_id, body, webhook_signature=None),
        await backend.deliver(event_id, body, webhook_id=None),
        await backend.deliver(event_id, body, webhook_timestamp=None),
    ]
    assert set(refused) <= {400, 401}, refused
    assert await backend.videos() == []

    assert await backend.deliver(event_id, body, secrets=(other, backend.secret)) == 204, "during a rotation"
    (video,) = await backend.until_videos(upload_id)
    content = await place.cell.content(upload_id)
    assert video == content
    assert (video["filename"], video["owner"]) == ('a "film".mp4', _OWNER)
    for _ in range(2):
        assert await backend.deliver(event_id, body) == 204
    assert await backend.deliver(f"{upload_id}_upload-admitted", event(upload_id, "upload.admitted")) == 204
    assert await backend.videos() == [video]

    await place.cell.call("DELETE", f"/v1/contents/{upload_id}", expect=200)
    assert await backend.deliver(f"{upload_id}_content-deleted", event(upload_id, "content.deleted")) == 204
    await backend.until_videos()


@_NAMES
async def test_a_browser_learns_what_is_wrong_with_its_request(place: Place) -> None:
    wrong = {"filename": "a/b", "size": 0}
    assert await refusal(place.backend, json=wrong) == (422, "VALIDATION_FAILED")
    text = {"filename": "a.txt", "size": 1, "content_type": "text/plain"}
    assert await refusal(place.backend, json=text) == (422, "CONTENT_TYPE_NOT_MEDIA")
    for body in ("{", "[1,]", "nonsense", "7", '{"a": "\n"}'):
        found = await refusal(place.backend, data=body.encode(), headers={"Content-Type": "application/json"})
        assert found in ((400, "BODY_NOT_JSON"), (422, "VALIDATION_FAILED")), body


@_NAMES
async def test_an_event_that_was_acknowledged_survives_the_death_of_the_backend(place: Place) -> None:
    backend = place.backend
    upload_id = await send_as_browser(place, sample("mp4").read_bytes())
    await place.cell.until(upload_id, "ready")
    reachable = dict(backend.environment)
    backend.kill()
    backend.environment = {**reachable, "SLUICE_SERVER": "http://127.0.0.1:9"}  # the row cannot be read
    await backend.start()
    assert await refusal(backend, json={"filename": "a.mp4", "size": 1}) == (502, "GATEWAY_UNREACHABLE")
    assert await backend.deliver(f"{upload_id}_content-ready", event(upload_id)) == 204
    backend.kill()
    backend.environment = reachable
    await backend.start()
    await backend.until_videos(upload_id)
    await place.cell.call("DELETE", f"/v1/contents/{upload_id}", expect=200)
