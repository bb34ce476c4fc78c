"""The real tus-js-client against a gateway and Swift: chunks of any size, interruptions, and a gateway that dies."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.relay import relay_to
from tests.e2e.tus_interruptions import FILM_BYTES, dot
from tests.harness.cell import SEGMENT_BYTES, Cell
from tests.harness.javascript import require_javascript
from tests.harness.media_samples import long_video
from tests.harness.running import CellProcesses, cell_processes
from tests.harness.shared_stack import Servers

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


def written(file: Path, data: bytes) -> Path:
    file.write_bytes(data)
    return file


class Client:
    """A running tus-js-client."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def event(self, name: str) -> dict[str, Any]:
        """The next event with this name. Raises AssertionError if the client fails first."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            event: dict[str, Any] = json.loads(line)
            if event["event"] == name:
                return event
            assert event["event"] != "error", event
        raise AssertionError(f"the client ended before the event {name}")


@asynccontextmanager
async def tus_client(url: str, file: Path, **options: Any) -> AsyncIterator[Client]:
    arguments = {"endpoint": f"{url}/files/", "file": str(file), "options": options}
    process = await asyncio.create_subprocess_exec(
        "node", "tus_upload.js", json.dumps(arguments), cwd=require_javascript(), stdout=asyncio.subprocess.PIPE
    )
    try:
        yield Client(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def stored(cell: Cell, done: dict[str, Any], data: bytes) -> None:
    """The upload becomes a content whose object is the file."""
    upload_id = done["url"].rpartition("/")[2]
    view = await cell.until(upload_id, "ready", "failed")
    assert view["status"] == "ready", view["error"]
    content = await cell.content(upload_id)
    assert content["filename"] == "film.mp4"
    assert await cell.read(content["object"]["key"]) == data


OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"chunkSize": 64 * 1024},
    {"chunkSize": 5 * 1024 * 1024},
    {"uploadDataDuringCreation": True},
    {"overridePatchMethod": True},
    {"protocol": "ietf-draft-05"},
    {"protocol": "ietf-draft-05", "chunkSize": SEGMENT_BYTES + 1, "uploadDataDuringCreation": True},
    {"protocol": "ietf-draft-03"},
    {"chunkSize": 1, "metadata": {"filetype": "image/png"}},
    *({"stream": True, "uploadLengthDeferred": True, "chunkSize": size} for size in (100_000, SEGMENT_BYTES)),
    {"stream": True, "uploadLengthDeferred": True, "chunkSize": 1000, "metadata": {"filetype": "image/png"}},
    {"stream": True, "uploadLengthDeferred": True, "chunkSize": 100_000, "protocol": "ietf-draft-05"},
)


async def test_unmodified_clients(cell: Cell, tmp_path: Path) -> None:
    """All at once, which takes a fraction of the time of one after the other."""
    # A stream that ends with a whole chunk is never at its end for tus-js-client 4.3: it stops without an event.
    film, picture = written(tmp_path / "film", long_video(FILM_BYTES - 5)), written(tmp_path / "dot", dot())

    async def one(options: dict[str, Any]) -> None:
        file = picture if "metadata" in options else film
        async with tus_client(cell.url, file, **options) as client:
            done = await client.event("done")
        appends = done["methods"].count("POST" if "overridePatchMethod" in options else "PATCH")
        assert "chunkSize" not in options or appends >= file.stat().st_size // options["chunkSize"]
        await stored(cell, done, file.read_bytes())

    await asyncio.gather(*map(one, OPTIONS))


STREAM = {"stream": True, "uploadLengthDeferred": True}


@pytest.mark.parametrize("options", [{}, {"protocol": "ietf-draft-05"}, STREAM])
async def test_a_connection_that_breaks(cell: Cell, tmp_path: Path, options: dict[str, Any]) -> None:
    file = written(tmp_path / "film", long_video(FILM_BYTES))
    async with relay_to(cell.url) as relay:
        async with tus_client(relay.url, file, chunkSize=100_000, **options) as client:
            while (await client.event("progress"))["sent"] < 200_000:
                pass
            relay.cut()
            done = await client.event("done")
        assert "HEAD" in done["methods"]
    await stored(cell, done, file.read_bytes())


@pytest.fixture
def own_cell(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CellProcesses]:
    with cell_processes(servers, tmp_path_factory.mktemp("tus")) as started:
        yield started


@pytest.mark.parametrize("options", [{}, STREAM])
async def test_a_gateway_that_is_killed(own_cell: CellProcesses, tmp_path: Path, options: dict[str, Any]) -> None:
    """Another one on the same port continues at the byte that counts."""
    file = written(tmp_path / "film", long_video(FILM_BYTES))
    async with own_cell.connected() as cell:
        gateway = own_cell.processes.child("gateway")
        async with tus_client(cell.url, file, chunkSize=100_000, **options) as client:
            while (await client.event("progress"))["sent"] < 200_000:
                pass
            gateway.stop(signal.SIGKILL)
            gateway.start()
            done = await client.event("done")
            await cell.until_answered()
        assert done["methods"].count("POST") == 1
        await stored(cell, done, file.read_bytes())
