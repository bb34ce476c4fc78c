"""Direct uploads where the cell has other settings, or the store behaves in another way."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from pipeline.ports import TransferSessions
from tests.e2e.direct_client import complete, send, video
from tests.e2e.relay import relay_to
from tests.harness.cell import eventually
from tests.harness.media_samples import sample
from tests.harness.running import apart, running_cell
from tests.harness.shared_stack import Servers

pytestmark = pytest.mark.e2e

MEBIBYTE = 1024 * 1024
KEY: dict[str, Any] = {"swift_tempurl_key": "a-key-of-the-test"}


@pytest.mark.parametrize("store", ["swift", "s3"])
async def test_the_metadata_does_not_wait_for_the_manifest(servers: Servers, tmp_path: Path, store: str) -> None:
    """Where segments can be read before: there the manifest of a large file takes longer than reading it."""
    async with running_cell(servers, tmp_path, store=store, workers=apart("transfer"), **KEY) as cell:
        data = video(cell)
        upload = await cell.create(len(data), transport="direct")
        await send(cell, upload["grants"]["segments"], upload, data)
        cell.processes.child("worker-transfer").stop()
        assert (await complete(cell, upload["id"]))[0] == 200

        async def probed() -> bool:
            stage = (await cell.status(upload["id"]))["stages"]["probe"]["state"]
            return bool(stage == ("done" if store == "swift" else "idle"))

        await eventually(probed, 60, lambda: "the probe to end, or to wait for the manifest")
        view = await cell.status(upload["id"])
        assert (view["media"] is not None) is (store == "swift")
        assert view["stages"]["seal"]["state"] == "queued"
        cell.processes.child("worker-transfer").start()
        ready = await cell.until(upload["id"], "ready")
        assert ready["media"]["kind"] == "video"
        assert (await cell.read((await cell.content(upload["id"]))["thumbnail"]["key"]))[:3] == b"\xff\xd8\xff"
        await cell.until_clean()


async def test_a_multipart_upload_that_the_store_has_aborted_is_replaced(servers: Servers, tmp_path: Path) -> None:
    """A lifecycle rule of the bucket may abort a multipart upload that is incomplete for too long."""
    async with running_cell(servers, tmp_path, store="s3") as cell:
        assert isinstance(cell.store, TransferSessions)
        data = video(cell)
        upload = await cell.create(len(data), transport="direct")
        await send(cell, upload["grants"]["segments"][:1], upload, data)
        for key, session in [found async for found in cell.store.open_sessions()]:
            await cell.store.end_session(key, session)
        status, error = await complete(cell, upload["id"])
        assert (status, error["code"], error["detail"]["missing"]) == (409, "SEGMENTS_MISSING", [[1, 3]])
        path = f"/v1/uploads/{upload['id']}/grants"
        _, body, _ = await cell.call("POST", path, json={"segments": error["detail"]["missing"]}, expect=200)
        await send(cell, body["data"]["segments"], upload, data)
        assert (await complete(cell, upload["id"]))[0] == 200
        await cell.until(upload["id"], "ready")
        assert await cell.read((await cell.content(upload["id"]))["object"]["key"]) == data
        await cell.until_clean()


async def test_many_segments_are_granted_in_batches(servers: Servers, tmp_path: Path) -> None:
    async with running_cell(servers, tmp_path, segment_bytes=2048, **KEY) as cell:
        data = sample("mp4").read_bytes().ljust(250 * 2048, b"\0")
        # Swift reads tiny segments at one a second, so assemble compares the bytes that it has fetched by ranges.
        digest = f"sha-256=:{b64encode(hashlib.sha256(data).digest()).decode()}:"
        upload = await cell.create(len(data), transport="direct", digest=digest)
        grants = upload["grants"]
        assert (len(grants["segments"]), grants["more"]) == (100, [[101, 250]])
        while True:
            await send(cell, grants["segments"], upload, data)
            if not grants["more"]:
                break
            path = f"/v1/uploads/{upload['id']}/grants"
            _, body, _ = await cell.call("POST", path, json={"segments": grants["more"]}, expect=200)
            grants = body["data"]
        assert (await complete(cell, upload["id"]))[0] == 200
        await cell.until(upload["id"], "ready")
        assert (await cell.content(upload["id"]))["object"]["segment_count"] == 250
        await cell.until_clean()


@pytest.mark.parametrize("store", ["swift", "s3"])
async def test_clients_use_the_public_endpoint_and_sluice_the_internal_one(
    servers: Servers, tmp_path: Path, store: str
) -> None:
    """Without a catalogue, a setting says how clients reach the store."""
    async with relay_to(servers.swift.proxy_url) as public:
        # trusted: this process serves the relay, and does not while it starts the cell, so a check would have to wait.
        settings: dict[str, Any] = {**KEY, "store": store, f"{store}_public_url": public.url, "store_grants": "trusted"}
        async with running_cell(servers, tmp_path, **settings) as cell:
            data = video(cell)
            upload = await cell.create(len(data), transport="direct")
            assert all(grant["url"].startswith(public.url) for grant in upload["grants"]["segments"])
            await send(cell, upload["grants"]["segments"], upload, data)
            through = public.bytes_in
            assert through > len(data)
            assert (await complete(cell, upload["id"]))[0] == 200
            await cell.until(upload["id"], "ready")
            assert public.bytes_in == through, "internal traffic went through the public endpoint"
            async with cell.http.get(f"{cell.url}/v1/contents/{upload['id']}/download") as answer:
                assert await answer.read() == data
            assert public.bytes_out > len(data)
            await cell.until_clean()


@pytest.mark.parametrize("store", ["swift", "s3"])
async def test_an_abandoned_upload_expires_and_is_removed(servers: Servers, tmp_path: Path, store: str) -> None:
    settings: dict[str, Any] = {**KEY, "store": store, "direct_seconds": 10, "upload_grant_seconds": 10}
    async with running_cell(servers, tmp_path, **settings) as cell:
        data = video(cell)
        upload = await cell.create(len(data), transport="direct")
        await send(cell, upload["grants"]["segments"][:2], upload, data)

        async def stored() -> bool:
            return bool(await cell.stored_keys())

        await eventually(stored, 60, lambda: "the store to list what was sent")
        view = await cell.until(upload["id"], "expired")
        assert view["error"]["code"] == "UPLOAD_EXPIRED"
        await cell.until_clean()
        assert await cell.stored_keys() == []


async def test_a_delegated_token(servers: Servers, tmp_path: Path) -> None:
    swift = servers.swift
    settings: dict[str, Any] = {"swift_lent_user": swift.user, "swift_lent_password": swift.key}
    async with running_cell(servers, tmp_path, **settings) as cell:
        data = video(cell)
        upload = await cell.create(len(data), transport="token")
        grants = upload["grants"]
        assert (upload["status"], upload["transport"]) == ("granted", "token")
        assert grants["token"]
        assert all(grant["url"].startswith(grants["storage_url"]) for grant in grants["segments"])
        await send(cell, grants["segments"][:2], upload, data)
        assert (await complete(cell, upload["id"]))[1]["detail"]["missing"] == [[3, 3]]
        await send(cell, grants["segments"][2:], upload, data)
        assert (await complete(cell, upload["id"]))[0] == 200
        await cell.until(upload["id"], "ready")
        assert await cell.read((await cell.content(upload["id"]))["object"]["key"]) == data
        logs = "".join(path.read_text() for path in tmp_path.rglob("*.log"))
        assert "upload.token_delegated" in logs
        assert grants["token"] not in logs
        await cell.until_clean()


async def test_transports_that_a_store_does_not_offer_are_refused(servers: Servers, tmp_path: Path) -> None:
    async def refused(**settings: Any) -> None:
        name = settings.get("store", "swift")
        async with running_cell(servers, tmp_path / name, **settings) as cell:
            for transport in ("direct", "token"):
                body = {"filename": "a.mp4", "size": 10, "content_type": "video/mp4", "transport": transport}
                status, answer, _ = await cell.call("POST", "/v1/uploads", json=body)
                assert (status, answer["error"]["code"]) == (422, "TRANSPORT_NOT_OFFERED")
            assert await cell.redis.zcard(cell.keys.uploads) == 0

    await refused()
    await refused(store="filesystem", filesystem_dir=str(tmp_path / "objects"))
