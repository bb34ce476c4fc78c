"""The whole path of an example backend: it creates an upload, a browser sends it, a webhook says when it is ready."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from deploy.embedded.ports import ReservedPort
from pipeline.bootstrap.webhooks import webhook_management
from tests.e2e.test_backend_examples import Place, send_as_browser
from tests.harness.cell import eventually
from tests.harness.example_backends import BACKENDS, built, running_backend
from tests.harness.keys import CLIENT, WITH_KEYS, as_caller, make_key
from tests.harness.media_samples import sample
from tests.harness.running import running_cell
from tests.harness.shared_stack import Servers

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

_OWNER = "studio"


async def test_backends_list_what_browsers_have_sent(servers: Servers, tmp_path: Path) -> None:
    """Both backends have a webhook; one of them creates the upload, both keep the content, and lose it again."""
    film = sample("mp4").read_bytes()
    settings: dict[str, Any] = {**WITH_KEYS, "webhook_networks": "127.0.0.0/8"}
    async with (
        running_cell(servers, tmp_path / "cell", **settings) as connected,
        as_caller(connected, _OWNER) as cell,
    ):

        async def announced() -> bool:
            return bool(await connected.redis.exists(connected.keys.notified(connected.settings.volume)))

        await eventually(announced, 30.0, lambda: "a notify worker")
        _, key = await make_key(cell.settings, _OWNER, *CLIENT)
        backends = []
        for name in BACKENDS:
            port, directory = ReservedPort(), tmp_path / name
            directory.mkdir()
            async with webhook_management(cell.settings) as webhooks:
                url = f"http://127.0.0.1:{port.number}/sluice-events"
                _, secret = await webhooks.create(_OWNER, url, ["content.ready", "content.deleted"], name)
            command = await asyncio.to_thread(built, name, directory)
            backends.append(running_backend(command, directory, cell.url, key, secret, port))
        async with backends[0] as python, backends[1] as java:
            upload_id = await send_as_browser(Place(java, cell), film)
            for backend in (python, java):
                (video,) = await backend.until_videos(upload_id)
                assert video == await cell.content(upload_id)
            await cell.call("DELETE", f"/v1/contents/{upload_id}", expect=200)
            for backend in (python, java):
                await backend.until_videos()
