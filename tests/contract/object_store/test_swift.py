"""Swift only: manifests, containers, limits, and bodies that are broken off."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from deploy.embedded import EmbeddedStack, StackOptions
from deploy.embedded.endpoints import SwiftEndpoint
from pipeline.adapters.object_store.names import segment_name
from pipeline.adapters.object_store.swift import SwiftObjectStore, TempAuth, Token
from pipeline.core.errors import StoreUnavailable
from tests.contract.object_store.uploads import MemorySource, Scenario, content, keys, some_bytes
from tests.harness.listening import close, listening

pytestmark = pytest.mark.contract

LARGE_BYTES = 400_000  # large enough to wait for 100 Continue


async def token_of(auth: TempAuth) -> Token:
    async with aiohttp.ClientSession() as session:
        return await auth.authenticate(session, 30)


async def test_the_manifest_lists_the_segments(tempauth: TempAuth, swift: SwiftEndpoint, container: str) -> None:
    async with SwiftObjectStore(tempauth, container) as store, aiohttp.ClientSession() as session:
        upload = Scenario(store, key="listed")
        await upload.begin()
        segments = await upload.put()
        await store.seal(upload.target, segments)
        headers = {"X-Auth-Token": (await token_of(tempauth)).value}
        url = f"{swift.storage_url}/{container}/listed?multipart-manifest=get"
        async with session.get(url, headers=headers) as response:
            listed = await response.json(content_type=None)
        assert [(entry["name"], entry["hash"], entry["bytes"]) for entry in listed] == [
            (f"/{container}_segments/{upload.target.upload_id}/{s.number:08d}", s.etag, s.size_bytes) for s in segments
        ]
        async with session.get(f"{swift.storage_url}/{container}/listed", headers=headers) as response:
            assert response.headers["Content-Type"] == "video/mp4"
            assert response.headers["X-Static-Large-Object"] == "True"


async def test_delete_is_sent_for_an_object_that_does_not_exist(tempauth: TempAuth, container: str) -> None:
    """A PUT may still be on its way inside Swift; the tombstone has the later timestamp and wins (seen in the torture
    test, with a paused object server)."""
    seen: list[tuple[str, int]] = []
    async with SwiftObjectStore(
        tempauth, container, observer=lambda method, status, _: seen.append((method, status))
    ) as store:
        await store.delete("late")
    assert seen[-2:] == [("HEAD", 404), ("DELETE", 404)]


async def test_deleted_containers_are_created_again(tempauth: TempAuth, swift: SwiftEndpoint, container: str) -> None:
    async with SwiftObjectStore(tempauth, container) as store, aiohttp.ClientSession() as session:
        upload = Scenario(store)
        await upload.begin()
        headers = {"X-Auth-Token": (await token_of(tempauth)).value}
        for name in (container, f"{container}_segments"):
            async with session.delete(f"{swift.storage_url}/{name}", headers=headers) as response:
                assert response.status == 204
        await upload.sealed()
        assert await content(store, upload.target.key) == upload.data


async def test_segments_that_are_not_listed_yet_are_removed(tmp_path: Path) -> None:
    """Swift stores an object while the container server is unavailable; the object-updater lists it later."""
    options = StackOptions(directory=tmp_path / "stack", postgres=False, redis=False, fast=True)
    with EmbeddedStack(options) as own:
        auth = TempAuth(own.swift.auth_url, own.swift.user, own.swift.key)
        async with SwiftObjectStore(auth, "c") as store, aiohttp.ClientSession() as session:
            upload = Scenario(store)
            await upload.begin()
            await upload.put(1)  # now the proxy knows the container
            own.stop_process("object-updater")
            own.stop_process("container-server")
            await upload.put(2, 3)
            own.start_process("container-server")
            assert len(await keys(store)) == 1
            headers = {"X-Auth-Token": (await token_of(auth)).value}
            urls = [
                f"{own.swift.storage_url}/c_segments/{segment_name(upload.target.upload_id, number)}"
                for number in range(1, upload.target.plan.count + 1)
            ]

            async def statuses() -> set[int]:
                found = set()
                for url in urls:
                    async with session.head(url, headers=headers) as response:
                        found.add(response.status)
                return found

            assert await statuses() == {200}
            await store.abort(upload.target)
            assert await statuses() == {404}


async def test_a_segment_that_is_broken_off_is_not_stored(tempauth: TempAuth, container: str) -> None:
    """The listing shows that a body which ends early is not stored."""
    async with SwiftObjectStore(tempauth, container) as store:
        upload = Scenario(store, sizes=(LARGE_BYTES, LARGE_BYTES))
        await upload.begin()

        class BreakingSource(MemorySource):
            async def before(self, start: int) -> None:
                if start + 65536 >= self.size_bytes:
                    raise TimeoutError("the disk")

        with pytest.raises(StoreUnavailable, match="the disk"):
            await store.put_segment(upload.target, BreakingSource(1, some_bytes(LARGE_BYTES)))
        assert await keys(store) == []


class CuttingRelay:
    """A relay to Swift that cuts the first connection which has carried more than `cut_after_bytes`."""

    def __init__(self, port: int, cut_after_bytes: int) -> None:
        self.cuts = 0
        self._port = port
        self._cut_after_bytes = cut_after_bytes

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._port)
        carried = 0

        async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter, may_cut: bool) -> None:
            nonlocal carried
            with suppress(ConnectionError):
                while block := await source.read(16_384):
                    carried += len(block)
                    if may_cut and not self.cuts and carried > self._cut_after_bytes:
                        self.cuts += 1
                        break
                    sink.write(block)
                    await sink.drain()
            for end in (writer, up_writer):
                end.close()

        try:
            await asyncio.gather(copy(reader, up_writer, True), copy(up_reader, writer, False))
        finally:
            await close(up_writer)


async def test_a_connection_cut_in_mid_body_stores_nothing_and_the_put_may_be_repeated(
    swift: SwiftEndpoint, container: str
) -> None:
    relay = CuttingRelay(int(str(URL(swift.proxy_url).port)), cut_after_bytes=200_000)
    async with listening(relay) as (host, port):
        relayed = TempAuth(
            swift.auth_url, swift.user, swift.key, storage_url=f"http://{host}:{port}{URL(swift.storage_url).path}"
        )
        async with SwiftObjectStore(relayed, container) as store:
            upload = Scenario(store, sizes=(LARGE_BYTES, 5))
            await upload.begin()
            with pytest.raises(StoreUnavailable):
                await upload.put(1)
            assert relay.cuts == 1
            assert await keys(store) == []
            await store.seal(upload.target, await upload.put())
            assert await content(store, upload.target.key) == upload.data
