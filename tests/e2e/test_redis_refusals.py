"""Redis runs and refuses what Sluice sends, during uploads: requests get 503 with Retry-After, /readyz and `sluice
doctor` name the problem, no process ends, and every upload becomes ready afterwards.

The cell's user has the rights that `sluice doctor` advises and no others.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from yarl import URL

from deploy.cli.doctor.check_redis import check_redis
from deploy.cli.doctor.findings import Findings, Level
from deploy.embedded.endpoints import SwiftEndpoint
from pipeline.adapters.redis.replies import PROBLEMS
from tests.harness.cell import SEGMENT_BYTES, Cell, eventually
from tests.harness.faults.client import PatientClient
from tests.harness.faults.redis import REDIS_FAULTS
from tests.harness.faults.resp import proxy_in_thread
from tests.harness.media_samples import sample
from tests.harness.redis_versions import PASSWORD, USER, RedisServer
from tests.harness.running import CellProcesses, cell_processes, running_cell
from tests.harness.shared_stack import Servers

pytestmark = pytest.mark.e2e

_SEGMENTS = 6
_NAMED_SECONDS = 20.0
_CODES = {"REDIS_UNAVAILABLE", "UPLOAD_WAITING"}


@dataclass(frozen=True)
class WithRedis:
    """The session's servers, with another Redis."""

    servers: Servers
    redis_url: str

    @property
    def database_url(self) -> str:
        return self.servers.database_url

    @property
    def swift(self) -> SwiftEndpoint:
        return self.servers.swift

    def environment(self) -> dict[str, str]:
        return {**self.servers.environment(), "SLUICE_REDIS_URL": self.redis_url}


def _url(port: int) -> str:
    return f"redis://{USER}:{PASSWORD}@127.0.0.1:{port}/0"


async def _prepare(server: RedisServer) -> None:
    async with server.admin() as admin:
        await server.restrict(admin, "t*")  # cells have names of their own


@pytest.fixture(scope="module")
def refused_cell(
    each_redis: RedisServer, servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CellProcesses]:
    asyncio.run(_prepare(each_redis))
    with cell_processes(
        WithRedis(servers, _url(each_redis.port)), tmp_path_factory.mktemp("cell"), store="filesystem"
    ) as started:
        yield started


@pytest.fixture
async def cell(refused_cell: CellProcesses) -> AsyncIterator[Cell]:
    async with refused_cell.connected() as connected:
        yield connected


@pytest.fixture
async def admin(each_redis: RedisServer) -> AsyncIterator[Redis]:
    async with each_redis.admin() as client:
        yield client


def _video() -> bytes:
    return sample("mp4").read_bytes().ljust(_SEGMENTS * SEGMENT_BYTES, b"\0")


async def _readiness(cell: Cell) -> str:
    """What /readyz says of Redis; empty if it is ready. A refusal carries Retry-After."""
    status, body, headers = await cell.call("GET", "/readyz")
    if status == 200:
        return ""
    assert (status, body["error"]["code"]) == (503, "NOT_READY"), body
    assert int(headers["Retry-After"]) > 0
    return str(body["error"]["detail"]["problems"]["redis"])


async def _requests(cell: Cell, upload: dict[str, Any], video: bytes) -> list[tuple[int, dict[str, Any]]]:
    """One request of each kind: 503 with Retry-After where it is refused, never 500."""
    new = {"filename": "a.mp4", "size": len(video), "content_type": "video/mp4"}
    path = f"/v1/uploads/{upload['id']}"
    found = [
        await cell.call("POST", "/v1/uploads", json=new),
        await cell.put(upload, _SEGMENTS, video),
        await cell.call("GET", path),
        await cell.call("GET", "/v1/uploads"),
        await cell.call("POST", "/v1/imports", json={"bucket": "raw", "key": "a.mp4"}),
        await cell.call("GET", "/v1/contents"),
    ]
    for status, body, headers in found:
        assert status < 500 or status == 503, body
        if status == 503:
            assert body["error"]["code"] == "REDIS_UNAVAILABLE", body
            assert int(headers["Retry-After"]) > 0
    async with cell.http.get(f"{cell.url}/metrics") as response:
        assert response.status == 200
    return [(status, body) for status, body, _ in found]


async def _doctor(cell: Cell) -> list[str]:
    """The errors that `sluice doctor` finds, each with advice."""
    findings = Findings("Redis")
    await check_redis(cell.settings, findings)
    errors = [finding for finding in findings.all if finding.level is Level.ERROR]
    assert all(finding.advice for finding in errors)
    assert not any("bug" in finding.advice for finding in errors)
    return [finding.what for finding in errors]


Outage = Callable[[], Any]


async def _survives(cell: Cell, outage: Outage, named: Callable[[str], bool], *, refuses: bool = True) -> None:
    """Run uploads through an outage, with everything that the file's docstring says."""
    video, pids = _video(), cell.processes.pids()
    assert await _doctor(cell) == []
    client = PatientClient(cell)
    before, during = [await client.create(len(video)) for _ in range(2)]
    await client.send(before, video, numbers=[1])
    async with outage():
        sending = asyncio.gather(client.send(before, video), client.send(during, video, numbers=[1, 2]))
        later = asyncio.create_task(client.upload(video))

        async def is_named() -> bool:
            return named(await _readiness(cell))

        await eventually(is_named, _NAMED_SECONDS, lambda: "/readyz to name the problem")
        probed = await _requests(cell, during, video)
        if refuses:
            assert (probed[0][0], probed[1][0]) == (503, 503), probed
        errors = await _doctor(cell)
        assert any(named(error) or "replica" in error for error in errors), errors
    await asyncio.gather(sending, client.send(during, video))
    await asyncio.gather(later, *(client.end(upload["id"]) for upload in (before, during)))
    assert client.codes <= _CODES, client.codes

    async def is_ready() -> bool:
        return not await _readiness(cell)

    await eventually(is_ready, _NAMED_SECONDS, lambda: "/readyz to be ready")
    assert await _doctor(cell) == []
    assert cell.processes.pids() == pids, "a process has ended"


@pytest.mark.parametrize("name", REDIS_FAULTS)
async def test_uploads_survive_a_redis_that_refuses(
    cell: Cell, each_redis: RedisServer, admin: Redis, name: str
) -> None:
    fault = REDIS_FAULTS[name]

    def named(text: str) -> bool:
        return any(PROBLEMS[code] in text for code in fault.codes)

    # Redis 6 lets scripts write although too few replicas are connected.
    refuses = not (name == "too few replicas" and each_redis.version == "redis-6")
    await _survives(cell, lambda: fault.during(admin), named, refuses=refuses)


def _mentions(expected: str, text: str) -> bool:
    return bool(text) and expected in text


_INJECTED = {
    "-LOADING Redis is loading the dataset in memory": PROBLEMS["LOADING"],
    "-CLUSTERDOWN The cluster is down": PROBLEMS["CLUSTERDOWN"],
    "-MOVED 3999 127.0.0.1:6381": PROBLEMS["MOVED"],
    "-TRYAGAIN Multiple keys request during rehashing of slot": PROBLEMS["TRYAGAIN"],
    "-NOAUTH Authentication required.": PROBLEMS["NOAUTH"],
    "-ERR unknown command 'EVALSHA', with args beginning with: ": PROBLEMS["UNKNOWN"],
    "-UNKILLABLE Sorry the script already executed write commands": "UNKILLABLE",
    "-EXAMPLE what a later version may say": "EXAMPLE",
    "-ERR upstream failure": "upstream failure",
    "HTTP/1.1 400 Bad Request": "Protocol error",
    ":abc": "",
}


async def test_uploads_survive_injected_replies(servers: Servers, tmp_path: Path) -> None:
    redis = URL(servers.redis_url)
    with proxy_in_thread((str(redis.host), int(redis.port or 0))) as proxy:
        url = str(redis.with_port(proxy.port))
        async with running_cell(WithRedis(servers, url), tmp_path, store="filesystem") as cell:
            for reply, expected in _INJECTED.items():

                @asynccontextmanager
                async def outage(reply: str = reply) -> AsyncIterator[None]:
                    proxy.reply = f"{reply}\r\n".encode()
                    try:
                        yield
                    finally:
                        proxy.reply = None

                await _survives(cell, outage, partial(_mentions, expected))
