"""Objects that are already in the store become contents, and stay where they are, byte for byte."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from base64 import b64encode
from typing import Any
from urllib.parse import quote_plus

import pytest

from tests.harness.cell import SEGMENT_BYTES, Cell, eventually
from tests.harness.media_samples import sample

pytestmark = pytest.mark.e2e

TOKEN = "a-shared-secret"


@pytest.fixture(scope="module")
def store_settings() -> dict[str, Any]:
    return {"events_token": TOKEN}


@pytest.fixture
def cell(cell_of_store: Cell) -> Cell:
    return cell_of_store


def long_video() -> bytes:
    """A video padded to several ranges; players and probes ignore the padding."""
    return sample("mp4").read_bytes().ljust(3 * SEGMENT_BYTES + 7, b"\0")


one_store = pytest.mark.parametrize("store_cell", ["swift"], indirect=True)
"""For tests of what does not depend on the store."""


async def _import(cell: Cell, key: str, expect: int = 201, **more: Any) -> dict[str, Any]:
    _, body, _ = await cell.call("POST", "/v1/contents/import", json={"key": key, **more}, expect=expect)
    view: dict[str, Any] = body["data"]
    cell.uploads.append(view["id"])
    return view


async def test_an_object_becomes_a_content_once(cell: Cell) -> None:
    data = long_video()
    key = "raw/Müller & Söhne #1.mp4"
    await cell.store.put_object(key, data, "video/mp4")
    begun = await _import(cell, key, metadata={"album": "Träume"})
    assert (begun["size"], begun["created"], begun["bucket"]) == (len(data), True, cell.store.container)
    again = await _import(cell, key, expect=200)
    assert (again["id"], again["created"]) == (begun["id"], False)

    view = await cell.until(begun["id"], "ready")
    assert {name: stage["state"] for name, stage in view["stages"].items() if stage["state"] != "done"} == {
        "transfer": "skipped",
        "seal": "skipped",
        "assemble": "skipped",
    }
    assert view["media"]["kind"] == "video"
    assert (view["transport"], view["bytes_received"], view["missing_segments"]) == ("import", len(data), [])
    content = await cell.content(begun["id"])
    assert (content["filename"], content["metadata"]) == ("Müller & Söhne #1.mp4", {"album": "Träume"})
    assert (content["object"]["container"], content["object"]["key"]) == (cell.store.container, key)
    assert content["kind"] == "video"
    assert await cell.read(content["object"]["key"]) == data
    assert (await cell.read(content["thumbnail"]["key"]))[:3] == b"\xff\xd8\xff"
    await cell.until_clean(imported={key})
    assert (await _import(cell, key, expect=200))["status"] == "ready"

    # A new version under the same name is a new content.
    await cell.store.put_object(key, data + b"\0", "video/mp4")
    replaced = await _import(cell, key)
    assert replaced["id"] != begun["id"]
    await cell.until(replaced["id"], "ready")
    await cell.until_clean(imported={key})
    await cell.store.delete(key)


@pytest.mark.parametrize(
    ("name", "stored", "normal"),
    [
        ("odd-1", "Video/MP4; codecs=avc1,mp4a", 'video/mp4;codecs="avc1,mp4a"'),
        ("odd-2.mp4", "binary/octet-stream", "video/mp4"),
        ("odd-3.mp4", "no type", "video/mp4"),
    ],
)
async def test_an_object_may_have_any_stored_type(cell: Cell, name: str, stored: str, normal: str) -> None:
    key = f"raw/{name}"
    await cell.store.put_object(key, sample("mp4").read_bytes(), stored)
    view = await cell.status((await _import(cell, key))["id"])
    if cell.settings.store == "filesystem":  # it stores no types
        normal = "video/mp4" if name.endswith(".mp4") else "application/octet-stream"
    assert view["content_type"] == normal
    await cell.until(view["id"], "ready")
    await cell.until_clean(imported={key})
    await cell.store.delete(key)


async def test_a_failed_import_leaves_the_object_alone(cell: Cell) -> None:
    key = "raw/notes.mp4"
    data = b"no film at all " * 40_000
    await cell.store.put_object(key, data, "video/mp4")
    first = await _import(cell, key)
    assert (await cell.until(first["id"], "failed"))["error"]["code"] == "NOT_MEDIA"
    await cell.until_clean(imported={key})
    assert await cell.read(key) == data
    # An import that ended without a content may be repeated.
    second = await _import(cell, key)
    assert second["id"] != first["id"]
    await cell.until(second["id"], "failed")
    await cell.until_clean(imported={key})
    await cell.store.delete(key)


async def test_objects_that_may_not_be_imported_are_refused(cell: Cell) -> None:
    async def refused(body: dict[str, Any]) -> tuple[int, str]:
        status, answer, _ = await cell.call("POST", "/v1/contents/import", json=body)
        return status, answer["error"]["code"]

    await cell.store.put_object("raw/empty.mp4", b"", "video/mp4")
    assert await refused({"key": "raw/none.mp4"}) == (404, "IMPORT_OBJECT_MISSING")
    assert await refused({"key": "raw/empty.mp4"}) == (422, "IMPORT_EMPTY")
    assert await refused({"key": "x", "bucket": "somebody-elses"}) == (403, "IMPORT_NOT_ALLOWED")
    assert await refused({"key": "contents/0/original"}) == (409, "IMPORT_OWN_OBJECT")
    assert await refused({}) == (422, "VALIDATION_FAILED")
    await cell.store.delete("raw/empty.mp4")


@one_store
async def test_an_import_takes_no_segments(cell: Cell) -> None:
    key = "raw/a.mp4"
    await cell.store.put_object(key, long_video(), "video/mp4")
    begun = await _import(cell, key)
    status, body, _ = await cell.call("PUT", f"/v1/uploads/{begun['id']}/segments/1", data=b"x")
    assert (status, body["error"]["code"]) == (409, "TRANSPORT_DIFFERS")
    await cell.until(begun["id"], "ready")
    await cell.store.delete(key)


def notification(bucket: str, *keys: str, name: str = "ObjectCreated:Put") -> dict[str, Any]:
    objects = [{"key": quote_plus(key), "size": 1, "eTag": "0", "sequencer": "0055AED6"} for key in keys]
    return {"Records": [{"eventName": name, "s3": {"bucket": {"name": bucket}, "object": item}} for item in objects]}


async def test_repeated_notifications_make_one_content(cell: Cell) -> None:
    key = "incoming/two words & more.mp4"
    data = long_video()
    await cell.store.put_object(key, data, "video/mp4")
    body = notification(cell.store.container, key)
    bearer = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "text/plain"}

    async def notify(body: dict[str, Any]) -> dict[str, Any]:
        _, answer, _ = await cell.call(
            "POST", "/v1/events/storage", data=json.dumps(body).encode(), headers=bearer, expect=200
        )
        report: dict[str, Any] = answer["data"]
        return report

    answers = await asyncio.gather(*(notify(body) for _ in range(4)))
    ids = {item["id"] for answer in answers for item in answer["imports"]}
    assert len(ids) == 1
    assert [item["created"] for answer in answers for item in answer["imports"]].count(True) == 1
    (upload_id,) = ids
    cell.uploads.append(upload_id)
    await cell.until(upload_id, "ready")
    (known,) = (await notify(body))["imports"]
    assert (known["id"], known["created"], known["status"]) == (upload_id, False, "ready")
    content = await cell.content(upload_id)
    assert await cell.read(content["object"]["key"]) == data

    # Objects of Sluice itself, missing objects and events that create nothing are reported as ignored.
    own = notification(cell.store.container, content["thumbnail"]["key"], "gone.mp4")
    assert [item["reason"] for item in (await notify(own))["ignored"]] == ["IMPORT_OWN_OBJECT", "IMPORT_OBJECT_MISSING"]
    removed = await notify(notification(cell.store.container, key, name="ObjectRemoved:Delete"))
    assert [item["reason"] for item in removed["ignored"]] == ["NOT_A_CREATION"]
    tested = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "raw"}
    assert await notify(tested) == {"taken": True, "imports": [], "ignored": [], "confirm_url": None}
    await cell.until_clean(imported={key})
    await cell.store.delete(key)


@one_store
@pytest.mark.parametrize("kind", ["Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation"])
async def test_messages_of_sns_need_a_topic_that_the_operator_has_named(cell: Cell, kind: str) -> None:
    message = {"Type": kind, "TopicArn": "arn:aws:sns:x:1:raw", "Message": json.dumps(notification("raw", "a.mp4"))}
    bearer = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "text/plain; charset=UTF-8"}
    data = json.dumps(message).encode()
    _, answer, _ = await cell.call("POST", "/v1/events/storage", data=data, headers=bearer, expect=403)
    assert answer["error"]["code"] == "EVENTS_TOPIC_NOT_ALLOWED"
    # SNS sends the password of its URL only after a challenge.
    _, _, headers = await cell.call("POST", "/v1/events/storage", json=message, expect=401)
    assert headers["WWW-Authenticate"].startswith("Basic ")


@one_store
async def test_a_notification_needs_the_secret(cell: Cell) -> None:
    async def status(**headers: str) -> tuple[int, str]:
        got, body, _ = await cell.call("POST", "/v1/events/storage", json={}, headers=headers)
        return got, body.get("error", {}).get("code", "")

    assert await status() == (401, "EVENTS_TOKEN_WRONG")
    assert await status(Authorization="Bearer wrong") == (401, "EVENTS_TOKEN_WRONG")
    assert await status(Authorization=f"Token {TOKEN}") == (401, "EVENTS_TOKEN_WRONG")
    assert await status(Authorization="Basic ?") == (401, "EVENTS_TOKEN_WRONG")
    assert await status(Authorization=f"Bearer {TOKEN}") == (200, "")
    basic = b64encode(f"any:{TOKEN}".encode()).decode()
    assert await status(Authorization=f"Basic {basic}") == (200, "")


@one_store
async def test_the_command_imports_what_is_there(cell: Cell) -> None:
    keys = [f"shelf/{number} ü.mp4" for number in range(3)]
    for number, key in enumerate(keys):
        await cell.store.put_object(key, long_video() + bytes(number), "video/mp4")

    async def run() -> tuple[int, dict[str, int]]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "deploy.cli", "import", "--prefix", "shelf/", "--server", cell.url, "--json",
            env={**os.environ, **cell.environment},
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        output, _ = await process.communicate()
        summary: dict[str, int] = json.loads(output.splitlines()[-1])["summary"]
        return process.returncode or 0, summary

    assert await run() == (0, {"listed": 3, "begun": 3})
    _, body, _ = await cell.call("GET", "/v1/uploads?limit=3", expect=200)
    ids = [item["id"] for item in body["data"]["items"]]
    cell.uploads.extend(ids)
    await asyncio.gather(*(cell.until(upload_id, "ready") for upload_id in ids))
    assert await run() == (0, {"listed": 3, "known": 3})
    await cell.until_clean(imported=set(keys))
    for key in keys:
        await cell.store.delete(key)


async def test_an_imported_object_can_be_downloaded_and_outlives_its_content(cell: Cell) -> None:
    key, data = "raw/keep me.mp4", long_video()
    await cell.store.put_object(key, data, "video/mp4")
    content_id = (await cell.until((await _import(cell, key))["id"], "ready"))["id"]
    async with cell.http.get(f"{cell.url}/v1/contents/{content_id}/download") as direct:
        assert await direct.read() == data
    async with cell.http.get(f"{cell.url}/v1/contents/{content_id}/download?via=gateway") as streamed:
        assert await streamed.read() == data

    async with cell.http.delete(f"{cell.url}/v1/contents/{content_id}") as deleted:
        assert deleted.status in (200, 202), await deleted.text()

    async def thumbnail_is_gone() -> bool:
        return not [name for name in await cell.stored_keys() if content_id in name]

    await eventually(thumbnail_is_gone, 30, lambda: "the thumbnail to be removed")
    assert await cell.read(key) == data, "an imported object is not deleted"
    await cell.store.delete(key)
