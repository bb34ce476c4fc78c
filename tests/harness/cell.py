"""A cell as a test sees it (`tests.harness.running` starts it), with an HTTP client that knows only the API.

Guarantee: `left_behind` lists every trace that an upload can leave anywhere; when it is empty, nothing has leaked.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
from base64 import b64encode
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, cast

import aiohttp
from redis.asyncio import Redis

from deploy.cli.processes import SluiceProcesses
from deploy.embedded.servers_venv import servers_python
from pipeline.adapters.redis.keys import Keys
from pipeline.contents.round_trip import CHECK_NAME
from pipeline.core.lifecycle import Status
from pipeline.ports import Store
from pipeline.settings import Settings

SEGMENT_BYTES = 256 * 1024
_TIMEOUT_SECONDS = 60.0
_LONGEST_PAUSE_SECONDS = 0.2
# Keys of a volume, and of an upload, that are gone when no upload is in flight.
_VOLUME_PARTS = (
    *("reservations", "backed", "leases", "lapsed", "queue", "requests", "passes", "granted", "ended"),
    *("tickets", "windows", "wishes", "wished", "releasing", "deadlines", "owner", "places", "journals"),
    *("turns", "debts", "finish", "owner-bytes", "owner-uploads"),
)
_UPLOAD_PARTS = frozenset({"pending", "reads", "released", "expected", "writing", "giving", "append", "md5"})
ENDED = frozenset({"ready", "joined", "failed", "expired", "cancelled"})


@dataclass
class Cell:
    """A running cell."""

    processes: SluiceProcesses
    environment: Mapping[str, str]
    settings: Settings
    http: aiohttp.ClientSession
    redis: Redis
    store: Store
    keys: Keys
    uploads: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.processes.url

    async def call(
        self, method: str, path: str, *, expect: int | None = None, **options: Any
    ) -> tuple[int, dict[str, Any], Mapping[str, str]]:
        """Send one request and check the envelope of the response; its status, parsed body and headers."""
        async with self.http.request(method, path if "://" in path else self.url + path, **options) as response:
            text = await response.text()
            body = json.loads(text)
            assert body["status"] == response.status, text
            assert body["success"] == (response.status < 300), text
            assert expect is None or response.status == expect, text
            return response.status, body, dict(response.headers)

    async def until_answered(self) -> None:
        """Wait until the gateway, which was started again, responds."""

        async def answered() -> bool:
            try:
                async with self.http.get(f"{self.url}/healthz") as response:
                    return response.status == 200
            except (OSError, aiohttp.ClientError):
                return False

        await eventually(answered, _TIMEOUT_SECONDS, lambda: "the gateway to be back")

    async def create(
        self, size: int, *, filename: str = "file.mp4", content_type: str = "video/mp4", **more: Any
    ) -> dict[str, Any]:
        body = {"filename": filename, "size": size, "content_type": content_type, **more}
        _, answer, _ = await self.call("POST", "/v1/uploads", json=body, expect=201)
        upload: dict[str, Any] = answer["data"]
        self.uploads.append(upload["id"])
        return upload

    async def put(
        self, upload: Mapping[str, Any], number: int, data: bytes, *, headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, Any], Mapping[str, str]]:
        """Send segment `number`; `data` is the whole file."""
        size = upload["segment_size"]
        part = data[(number - 1) * size : number * size]
        return await self.call(
            "PUT", f"/v1/uploads/{upload['id']}/segments/{number}", data=BytesIO(part), headers=dict(headers or {})
        )

    async def put_all(self, upload: Mapping[str, Any], data: bytes, *, at_once: int = 4) -> None:
        """Send every segment with its digest, `at_once` at a time; each must be accepted."""
        slots = asyncio.Semaphore(at_once)
        size = upload["segment_size"]

        async def one(number: int) -> None:
            part = data[(number - 1) * size : number * size]
            digest = {"Content-Digest": f"sha-256=:{b64encode(hashlib.sha256(part).digest()).decode()}:"}
            async with slots:
                status, body, _ = await self.put(upload, number, data, headers=digest)
                assert status in (200, 201), body

        await asyncio.gather(*(one(number) for number in range(1, upload["segment_count"] + 1)))

    async def status(self, upload_id: str) -> dict[str, Any]:
        _, body, _ = await self.call("GET", f"/v1/uploads/{upload_id}", expect=200)
        view: dict[str, Any] = body["data"]
        return view

    async def until(self, upload_id: str, *wanted: str, seconds: float = _TIMEOUT_SECONDS) -> dict[str, Any]:
        """Wait until the upload has one of these statuses; fails at once when it ends with another."""
        view: dict[str, Any] = {}

        async def arrived() -> bool:
            nonlocal view
            view = await self.status(upload_id)
            assert view["status"] in wanted or view["status"] not in ENDED, view
            return view["status"] in wanted

        await eventually(arrived, seconds, lambda: f"upload {upload_id} to be {wanted}: {json.dumps(view, indent=1)}")
        return view

    async def upload(self, data: bytes, **more: Any) -> dict[str, Any]:
        """Upload `data`, waiting for room if necessary; the view once the upload is `ready`."""
        upload = await self.create(len(data), **more)
        await self.until(upload["id"], "admitted")
        await self.put_all(upload, data)
        return await self.until(upload["id"], "ready")

    async def content(self, content_id: str) -> dict[str, Any]:
        _, body, _ = await self.call("GET", f"/v1/contents/{content_id}", expect=200)
        content: dict[str, Any] = body["data"]
        return content

    async def read(self, key: str) -> bytes:
        return b"".join([block async for block in self.store.read(key)])

    async def manifest(self, key: str) -> bytes:
        """The SLO manifest that Swift stores under `key`: JSON that lists the segments."""
        login = {
            "X-Auth-User": self.environment["SLUICE_SWIFT_USER"],
            "X-Auth-Key": self.environment["SLUICE_SWIFT_PASSWORD"],
        }
        async with self.http.get(self.environment["SLUICE_SWIFT_AUTH_URL"], headers=login) as response:
            base, token = response.headers["X-Storage-Url"], response.headers["X-Auth-Token"]
        url = f"{base}/{self.settings.swift_container}/{key}?multipart-manifest=get"
        async with self.http.get(url, headers={"X-Auth-Token": token}) as response:
            assert response.status == 200
            return await response.read()

    async def stored_keys(self) -> list[str]:
        """Without objects of the examinations that gateways make of the store at any time."""
        return sorted([key async for key in self.store.list_keys() if CHECK_NAME not in key])

    async def left_behind(self, imported: Collection[str] = ()) -> list[str]:
        """Everything that belongs to no `ready` upload, except the objects named in `imported`."""
        ready = await self.redis.zrange(self.keys.status(Status.READY), 0, -1)
        parts = await self.redis.zrange(self.keys.status(Status.JOINED), 0, -1)
        joined = [part for part in parts if await hash_get(self.redis, self.keys.upload(part), "joined_to") in ready]
        kept = {*ready, *joined, *imported}
        found = [f"stored: {key}" for key in await self.stored_keys() if not any(item in key for item in kept)]
        # The journal of an ended upload is kept for half a minute.
        files = [path.name for path in self.settings.temp_dir.iterdir() if path.suffix != ".journal-ended"]
        found += [f"temp file: {name}" for name in files]
        volume = self.keys.volume(self.settings.volume)
        counters = {name: await hash_get(self.redis, volume, name) for name in ("reserved_bytes", "backed_bytes")}
        found += [f"{name}: {value}" for name, value in counters.items() if value not in (None, "0")]
        for part in _VOLUME_PARTS:
            if await self.redis.exists(f"{volume}:{part}"):
                found.append(f"redis: {volume}:{part}")
        async for key in self.redis.scan_iter(f"{volume}:*:*"):  # the segments of an upload that hold room
            found.append(f"redis: {key}")
        async for key in self.redis.scan_iter(f"{self.keys.prefix}queue:*"):
            found.append(f"redis: {key}")
        async for key in self.redis.scan_iter(f"{self.keys.prefix}upload:*:*"):
            if key.rpartition(":")[2] in _UPLOAD_PARTS:
                found.append(f"redis: {key}")
        if await self.redis.zcard(f"{self.keys.prefix}stage-leases"):
            found.append("redis: stage leases")
        for upload_id in set(self.uploads) - kept:
            status, _, _ = await self.call("GET", f"/v1/contents/{upload_id}")
            if status != 404:
                found.append(f"content: {upload_id}")
        return found

    async def cancel_unfinished(self) -> None:
        """Cancel the uploads of this test that have not ended, so that nothing of them is left to the next test."""
        for upload_id in self.uploads:
            status, body, _ = await self.call("GET", f"/v1/uploads/{upload_id}")
            if status == 200 and body["data"]["status"] not in ENDED:
                await self.call("DELETE", f"/v1/uploads/{upload_id}")

    async def until_clean(self, seconds: float = _TIMEOUT_SECONDS, *, imported: Collection[str] = ()) -> None:
        """Wait until `left_behind` is empty."""
        left: list[str] = []

        async def clean() -> bool:
            left[:] = await self.left_behind(imported)
            return not left

        await eventually(clean, seconds, lambda: f"nothing to be left behind: {left}")


async def hash_get(redis: Redis, key: str, field: str) -> str | None:
    """One field of a hash."""
    return await cast("Awaitable[str | None]", redis.hget(key, field))


async def eventually(
    condition: Callable[[], Awaitable[bool]], seconds: float, what: Callable[[], str], every_seconds: float = 0.03
) -> None:
    """Wait for a condition; fails with `what()` when it does not come true in time.

    The pause between two tries begins with `every_seconds` and grows: polling takes the processor from the processes
    that the test waits for.
    """
    try:
        async with asyncio.timeout(seconds):
            while not await condition():  # what is waited for happens in other processes
                await asyncio.sleep(every_seconds)
                every_seconds = max(every_seconds, min(every_seconds * 1.25, _LONGEST_PAUSE_SECONDS))
    except TimeoutError:
        raise AssertionError(f"waited {seconds} s for {what()}") from None


def swift_command(cell: Cell, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run python-swiftclient's command, which the servers' environment contains, against the cell's store."""
    environment = cell.environment
    login = [
        "--auth-version", "1",
        "--auth", environment["SLUICE_SWIFT_AUTH_URL"],
        "--user", environment["SLUICE_SWIFT_USER"],
        "--key", environment["SLUICE_SWIFT_PASSWORD"],
    ]  # fmt: skip
    command = [str(servers_python().parent / "swift"), *login, *arguments]
    return subprocess.run(command, check=True, capture_output=True, timeout=120)
