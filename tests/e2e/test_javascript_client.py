"""`sluice-client` in node against a real gateway: interruptions, direct transport, its types, its package."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.direct_client import complete
from tests.harness.cell import SEGMENT_BYTES, Cell, eventually
from tests.harness.javascript import MODULES, require_javascript
from tests.harness.media_samples import long_video, sample
from tests.harness.running import CellProcesses, cell_processes
from tests.harness.shared_stack import Servers
from tests.harness.system_packages import require_programs

pytestmark = pytest.mark.e2e

CLIENT = Path(__file__).parents[2] / "gateway" / "pages" / "client"
_SEGMENTS = 6
_DIRECT_SEGMENTS = 5
_LEAST_PART_BYTES = 5 * 1024 * 1024  # of S3
_SECONDS = 60


@pytest.fixture(scope="module", autouse=True)
def javascript() -> Path:
    return require_javascript()


@pytest.fixture(scope="module")
def own_cell(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CellProcesses]:
    """A cell whose gateway may be killed."""
    with cell_processes(servers, tmp_path_factory.mktemp("client")) as started:
        yield started


@pytest.fixture(scope="module", params=["swift", "s3"])
def store_cell(
    request: pytest.FixtureRequest, servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CellProcesses]:
    """A cell whose store accepts presigned URLs."""
    settings = {"store": request.param, "swift_tempurl_key": "a-key-of-the-test"}
    with cell_processes(servers, tmp_path_factory.mktemp("direct"), **settings) as started:
        yield started


@pytest.fixture
async def cell(own_cell: CellProcesses) -> AsyncIterator[Cell]:
    async with own_cell.connected() as connected:
        yield connected


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """A video of six segments, no two alike."""
    head = sample("mp4").read_bytes()
    rest = _SEGMENTS * SEGMENT_BYTES - len(head) - 1234
    path = tmp_path / "film.mp4"
    path.write_bytes(head + rest.to_bytes(4, "big") + b"free" + os.urandom(rest - 8))
    return path


@dataclass(frozen=True)
class Client:
    """A running node process."""

    process: asyncio.subprocess.Process

    async def until(self, event: str) -> dict[str, Any]:
        """The next report of this kind. Raises AssertionError when the process ends before."""
        assert self.process.stdout is not None
        async with asyncio.timeout(_SECONDS):
            seen = []
            while line := await self.process.stdout.readline():
                found: dict[str, Any] = json.loads(line)
                if found["event"] == event:
                    return found
                seen.append(found)
        raise AssertionError(seen)

    def go_on(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")


@asynccontextmanager
async def sending(cell: Cell, file: Path, **options: Any) -> AsyncIterator[Client]:
    arguments = {"client": str(CLIENT / "sluice-client.js"), "endpoint": cell.url, "file": str(file), **options}
    process = await asyncio.create_subprocess_exec(
        "node",
        str(require_javascript() / "upload.mjs"),
        json.dumps(arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Client(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def downloaded(cell: Cell, content_id: str) -> bytes:
    async with cell.http.get(f"{cell.url}/v1/contents/{content_id}/download?via=gateway") as response:
        assert response.status == 200
        return await response.read()


async def test_a_killed_gateway_does_not_end_an_upload(cell: Cell, film: Path) -> None:
    gateway = cell.processes.child("gateway")
    async with sending(cell, film, holdAfter=3) as client:
        held = await client.until("held")
        gateway.stop(9)
        client.go_on()
        assert (await client.until("problem"))["code"] == "NETWORK"
        gateway.start()

        async def is_ready() -> bool:
            return gateway.is_ready()

        await eventually(is_ready, 60, lambda: "the gateway to start")
        ready = await client.until("ready")
    assert ready["id"] == held["id"]
    assert ready["thumbnail"] > 0
    assert await downloaded(cell, ready["id"]) == film.read_bytes()


async def test_a_killed_client_continues_with_what_is_missing(cell: Cell, film: Path, tmp_path: Path) -> None:
    store = str(tmp_path / "records.json")
    async with sending(cell, film, holdAfter=3, store=store) as client:
        held = await client.until("held")

        async def has_arrived() -> bool:
            upload = await cell.status(held["id"])
            return bool(upload["bytes_received"] >= 2 * SEGMENT_BYTES)

        await eventually(has_arrived, _SECONDS, lambda: "segments to arrive")
        client.process.kill()
    async with sending(cell, film, store=store) as client:
        ready = await client.until("ready")
    assert ready["id"] == held["id"]
    assert ready["segments"] <= _SEGMENTS - 2
    assert await downloaded(cell, ready["id"]) == film.read_bytes()
    assert json.loads(Path(store).read_text()) == {}


async def test_direct_to_the_store(store_cell: CellProcesses, tmp_path: Path) -> None:
    """The client is killed, and another one sends what the store does not have."""
    film, store = tmp_path / "film.mkv", str(tmp_path / "records.json")
    segment_bytes = _LEAST_PART_BYTES if store_cell.settings.store == "s3" else SEGMENT_BYTES
    film.write_bytes(long_video((_DIRECT_SEGMENTS - 1) * segment_bytes + 4321))
    async with store_cell.connected() as cell:
        async with sending(cell, film, transport="direct", holdAfter=3, store=store) as client:
            held = await client.until("held")

            async def two_are_stored() -> bool:
                _, error = await complete(cell, held["id"])
                missing: list[tuple[int, int]] = error["detail"]["missing"]
                return sum(last - first + 1 for first, last in missing) <= _DIRECT_SEGMENTS - 2

            await eventually(two_are_stored, _SECONDS, lambda: "two segments to arrive in the store")
            client.process.kill()
        async with sending(cell, film, transport="direct", store=store) as client:
            ready = await client.until("ready")
        assert (ready["id"], ready["thumbnail"] > 0) == (held["id"], True)
        assert ready["segments"] <= _DIRECT_SEGMENTS - 2
        view = await cell.status(ready["id"])
        assert (view["transport"], view["segment_count"]) == ("direct", _DIRECT_SEGMENTS)
        content = await cell.content(ready["id"])
        assert await cell.read(content["object"]["key"]) == film.read_bytes()


async def test_what_is_no_media_fails_with_its_code(cell: Cell, tmp_path: Path) -> None:
    fake = tmp_path / "fake.mp4"
    fake.write_bytes(b"no video at all\n" * (3 * SEGMENT_BYTES // 16))
    async with sending(cell, fake) as client:
        assert (await client.until("failed"))["code"] == "NOT_MEDIA"


def test_its_types_describe_its_module(tmp_path: Path) -> None:
    """The example of the README, as TypeScript, and every name that the module exports."""
    (tmp_path / "example.ts").write_text(
        f"""
import {{ SluiceClient, SluiceError, Upload, MemoryStore, IndexedDBStore }} from "{CLIENT}/sluice-client.js";
import type {{ ContentView, ResumeStore }} from "{CLIENT}/sluice-client.js";
const store: ResumeStore = new MemoryStore();
const client = new SluiceClient({{ endpoint: "https://uploads.example", credential: async () => "permit", store }});
const upload: Upload = client.upload(new Blob(["x"]), {{ filename: "a.mp4", signal: AbortSignal.timeout(1) }});
upload.addEventListener("progress", () => console.log(upload.bytesSent / upload.bytesTotal, upload.view?.media?.kind));
export const content: Promise<ContentView> = upload.done;
export const other = new IndexedDBStore("name");
// @ts-expect-error: there is no such event
upload.addEventListener("finished", () => {{}});
export const code: (error: SluiceError) => string = (error) => error.code;
"""
    )
    options = ["--noEmit", "--strict", "--target", "es2022", "--module", "nodenext", "--lib", "es2022,dom"]
    command = [str(MODULES / ".bin" / "tsc"), *options, "--types", "", str(tmp_path / "example.ts")]
    found = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    assert (found.returncode, found.stdout) == (0, "")


def test_its_types_name_what_the_module_exports() -> None:
    script = f"import('{CLIENT}/sluice-client.js').then(found => console.log(JSON.stringify(Object.keys(found))))"
    found = subprocess.run(["node", "-e", script], capture_output=True, text=True, timeout=_SECONDS, check=True)
    declared = (CLIENT / "sluice-client.d.ts").read_text("utf-8")
    for name in json.loads(found.stdout):
        assert f"export class {name} " in declared


def test_its_package_contains_every_module(tmp_path: Path) -> None:
    require_programs(["npm"], ["npm"])
    command = ["npm", "pack", "--json", "--pack-destination", str(tmp_path)]
    found = subprocess.run(command, cwd=CLIENT, capture_output=True, text=True, timeout=_SECONDS, check=True)
    packed = {file["path"] for file in json.loads(found.stdout)[0]["files"]}
    assert packed == {path.name for path in CLIENT.iterdir()}
    subprocess.run(["tar", "-xzf", next(tmp_path.glob("*.tgz")).name], cwd=tmp_path, check=True)
    script = (
        f"import('{tmp_path}/package/sluice-client.js').then(found => new found.SluiceClient({{endpoint: 'http://x'}}))"
    )
    subprocess.run(["node", "-e", script], timeout=_SECONDS, check=True)
