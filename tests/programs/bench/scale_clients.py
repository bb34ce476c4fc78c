"""The clients of `scale`: those that wait, those that were admitted and send nothing, and those that finish.

Every upload is a photo, so an upload that is admitted holds as much of the temp volume as any other.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

from tests.programs.bench.samples import PHOTO_BYTES

_AT_ONCE: Final = 16
_POLL_SECONDS: Final = 0.2
ENDED: Final = frozenset({"ready", "failed", "expired", "cancelled"})


@dataclass
class Clients:
    """All clients of one gateway, in one process. `samples`: seconds per request, by its name."""

    http: aiohttp.ClientSession
    url: str
    photo: bytes
    samples: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    _streams: list[asyncio.Task[None]] = field(default_factory=list)

    async def create(self, count: int) -> list[dict[str, Any]]:
        """Create so many uploads, 16 requests at a time; in the order of their creation."""
        left = iter(range(count))
        found: list[dict[str, Any]] = []

        async def some() -> None:
            found.extend([await self.post() for _ in left])

        await asyncio.gather(*(some() for _ in range(_AT_ONCE)))
        return sorted(found, key=lambda upload: str(upload["id"]))

    def open_streams(self, uploads: Iterable[dict[str, Any]]) -> None:
        """An event stream for each of these uploads, as an idle client keeps one."""
        self._streams += [asyncio.create_task(self._follow(upload["links"]["events"])) for upload in uploads]

    async def post(self) -> dict[str, Any]:
        body = {"filename": "photo.jpg", "size": PHOTO_BYTES, "content_type": "image/jpeg"}
        return await self._call("POST", f"{self.url}/v1/uploads", json=body)

    async def put(self, upload_id: str) -> None:
        await self._call("PUT", f"{self.url}/v1/uploads/{upload_id}/segments/1", data=self.photo)

    async def get(self, upload_id: str) -> dict[str, Any]:
        return await self._call("GET", f"{self.url}/v1/uploads/{upload_id}")

    async def cancel(self, upload_id: str) -> None:
        await self._call("DELETE", f"{self.url}/v1/uploads/{upload_id}")

    async def list(self) -> None:
        await self._call("LIST", f"{self.url}/v1/uploads")

    async def until_ready(self, upload_ids: Iterable[str]) -> None:
        """Raises RuntimeError when one of these uploads ends otherwise."""
        kept = self.samples["GET"][:]  # these requests come in no steady rate
        for upload_id in upload_ids:
            view = await self.get(upload_id)
            while view["status"] not in ENDED:
                await asyncio.sleep(_POLL_SECONDS)
                view = await self.get(upload_id)
            if view["status"] != "ready":
                raise RuntimeError(f"a photo ended as {view['status']}: {view['error']}")
        self.samples["GET"][:] = kept

    async def leave(self) -> None:
        for task in self._streams:
            task.cancel()
        await asyncio.gather(*self._streams, return_exceptions=True)

    async def _call(self, name: str, url: str, **options: Any) -> dict[str, Any]:
        began = time.monotonic()
        async with self.http.request("GET" if name == "LIST" else name, url, **options) as response:
            body = await response.json()
        self.samples[name].append(time.monotonic() - began)
        if response.status >= 300:
            raise RuntimeError(f"{name} {response.status}: {body}")
        data: dict[str, Any] = body["data"]
        return data

    async def _follow(self, url: str) -> None:
        with suppress(aiohttp.ClientError, TimeoutError):
            async with self.http.get(url) as response:
                async for _ in response.content.iter_any():
                    pass


@asynccontextmanager
async def clients_of(url: str, photo: bytes) -> AsyncIterator[Clients]:
    """Clients of the gateway at `url`, until the block ends."""
    timeout = aiohttp.ClientTimeout(total=None, sock_read=120)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as http:
        clients = Clients(http, url, photo)
        try:
            yield clients
        finally:
            await clients.leave()


async def finish_steadily(
    clients: Clients, count: int, per_minute: float, ready_to_send: deque[str] | None, known: list[str]
) -> list[str]:
    """In each of `count` steps, evenly spaced: create an upload, send the photo of one, show one, list. The one that is
    sent comes from `ready_to_send`; None: it is the one that was created. Returns the ids of those that were sent, once
    they are ready."""
    sent: list[str] = []
    began = time.monotonic()
    for number in range(count):
        await asyncio.sleep(max(0.0, began + number * 60 / per_minute - time.monotonic()))
        created = (await clients.post())["id"]
        upload_id = created if ready_to_send is None else ready_to_send.popleft()
        await clients.put(upload_id)
        sent.append(upload_id)
        await clients.get(known[number * 7919 % len(known)] if known else created)
        await clients.list()
    await clients.until_ready(sent)
    return sent
