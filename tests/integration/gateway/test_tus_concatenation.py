"""Each requirement of tus 1.0, Concatenation, that binds the server; and what no client may do with it."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

import pytest
from pydantic import SecretStr

from gateway.protocols.concatenation import MOST_PARTS
from pipeline.core.stages import Stage
from pipeline.settings import Settings
from tests.harness.redis_calls import reply
from tests.integration.gateway.conftest import Gateway
from tests.integration.gateway.joining import head, held_part, join, new_part, played, store_part
from tests.integration.gateway.resumable import TUS, create, encoded, new_file, patch, status

pytestmark = pytest.mark.integration


@pytest.fixture
def hold_seconds() -> float:
    return 20


@pytest.fixture
def settings(settings: Settings, hold_seconds: float) -> Settings:
    return settings.model_copy(update={"append_hold_seconds": hold_seconds})


async def test_head_of_a_partial_upload(gateway: Gateway) -> None:
    """HEAD of a partial upload MUST have Upload-Offset, and Upload-Concat as it was sent."""
    url = await new_part(gateway, 1000, 400)
    response = await head(gateway, url)
    assert (response.headers["Upload-Offset"], response.headers["Upload-Length"]) == ("400", "1000")
    assert response.headers["Upload-Concat"] == "partial"
    assert (await status(gateway, url.removeprefix(gateway.url)))["transport"] == "partial"
    await patch(gateway, url.removeprefix(gateway.url), 400, bytes(600), Upload_Concat="partial")
    await store_part(gateway.settings, url)
    response = await head(gateway, url)
    assert response.headers["Upload-Offset"] == "1000"
    assert "Upload-Expires" in response.headers
    view = await status(gateway, url.removeprefix(gateway.url))
    assert (view["status"], view["missing_segments"], view["links"]["thumbnail"]) == ("held", [], None)
    assert view["expires_at"] is not None


async def test_a_final_upload(gateway: Gateway) -> None:
    """The final upload consists of the partial ones in the order of the list, and does not get their metadata. HEAD
    SHOULD NOT have Upload-Offset before they are joined; then it MUST equal Upload-Length, which MUST be sent as soon
    as it is known. Upload-Concat is returned as it was sent. PATCH MUST be 403."""
    first, second = await held_part(gateway, 1000), await held_part(gateway, 500)
    sent = f"filename {encoded('a.mp4')}"
    response = await join(gateway, second, first, Upload_Metadata=sent)
    assert response.status == 201, response.body
    url = response.headers["Location"]
    shown = await head(gateway, url)
    assert (shown.status, shown.headers["Upload-Length"], shown.headers["Upload-Metadata"]) == (200, "1500", sent)
    assert "Upload-Offset" not in shown.headers
    assert shown.headers["Upload-Concat"] == f"final;{second} {first}"
    view = await status(gateway, url.removeprefix(gateway.url))
    assert (view["status"], view["transport"], view["segment_count"], view["size"]) == ("processing", "final", 2, 1500)
    for data in (b"", b"x"):
        refused = await patch(gateway, url.removeprefix(gateway.url), 1500, data)
        assert (refused.status, refused.code) == (403, "UPLOAD_IS_FINAL")
    for part in (first, second):
        assert (await head(gateway, part)).status == 410
        assert (await patch(gateway, part.removeprefix(gateway.url), 0, b"x")).status == 410
    async with played(gateway.settings) as play:
        upload = await play.board.get(url.rpartition("/")[2])
        seal = play.by_stage(upload.queued_jobs)[Stage.SEAL]
        await play.finished(seal, {"etag": "e"})
    assert (await head(gateway, url)).headers["Upload-Offset"] == "1500"


@pytest.mark.parametrize("form", ["absolute", "path", "encoded", "proxied", "slash"])
async def test_forms_of_a_url(gateway: Gateway, form: str) -> None:
    url = await held_part(gateway)
    path = url.removeprefix(gateway.url)
    named = {
        "absolute": url,
        "path": path,
        "encoded": quote(path, safe=""),
        "proxied": f"https://upload.example/prefix{path}",
        "slash": f"{path}/",
    }[form]
    assert (await join(gateway, named)).status == 201


async def test_a_lost_response(gateway: Gateway) -> None:
    """The same list again is the same final upload, while it lives."""
    parts = [await held_part(gateway), await held_part(gateway)]
    responses = await asyncio.gather(*(join(gateway, *parts) for _ in range(3)))
    assert [response.status for response in responses] == [201] * 3
    (url,) = {response.headers["Location"] for response in responses}
    for other in (parts[::-1], parts[:1]):
        refused = await join(gateway, *other)
        assert (refused.status, refused.code) == (409, "PARTIAL_UPLOAD_USED")
    gone = await gateway.client.request("DELETE", url.removeprefix(gateway.url), headers=TUS)
    assert gone.status == 204
    assert (await head(gateway, url)).status == 410
    assert (await join(gateway, *parts)).code == "PARTIAL_UPLOAD_USED"


async def test_an_idempotency_key_belongs_to_one_list(gateway: Gateway) -> None:
    parts = [await held_part(gateway) for _ in range(3)]
    made = await join(gateway, *parts[:2], Idempotency_Key="k")
    again = await join(gateway, *parts[:2], Idempotency_Key="k")
    assert again.headers["Location"] == made.headers["Location"]
    assert (await join(gateway, parts[2], Idempotency_Key="k")).code == "IDEMPOTENCY_KEY_REUSED"


async def test_a_request_waits_until_the_store_has_its_parts(gateway: Gateway) -> None:
    """A client sends it as soon as its last byte has arrived."""
    url, other = await new_part(gateway), await held_part(gateway)
    asked = asyncio.create_task(join(gateway, url, other))
    done, _ = await asyncio.wait({asked}, timeout=0.3)
    assert not done
    await store_part(gateway.settings, url)
    assert (await asked).status == 201


@pytest.mark.parametrize("hold_seconds", [0.2])
async def test_a_request_that_has_waited_too_long_is_repeated(gateway: Gateway) -> None:
    url = await new_part(gateway)
    response = await join(gateway, url)
    assert (response.status, response.code) == (423, "PARTIAL_UPLOADS_NOT_STORED")
    assert "Retry-After" in response.headers
    await store_part(gateway.settings, url)
    assert (await join(gateway, url)).status == 201


async def test_what_is_no_list_of_complete_partial_uploads(gateway: Gateway) -> None:
    """The server MUST NOT modify the partial uploads then."""
    part, ordinary = await held_part(gateway), gateway.url + await new_file(gateway)
    incomplete, ended = await new_part(gateway, 1000, 1), await held_part(gateway)
    await gateway.client.request("DELETE", ended.removeprefix(gateway.url), headers=TUS)
    for urls, expected in (
        ((part, ordinary), (400, "UPLOAD_NOT_PARTIAL")),
        ((part, incomplete), (400, "PARTIAL_UPLOAD_INCOMPLETE")),
        ((part, ended), (410, "UPLOAD_ENDED")),
        ((part, "/files/unknown"), (404, "UPLOAD_NOT_FOUND")),
        ((part, "http://[/files/a"), (404, "UPLOAD_NOT_FOUND")),
        ((part, "/v1/uploads/a"), (404, "UPLOAD_NOT_FOUND")),
        ((part, part), (400, "UPLOAD_HEADER_INVALID")),
        ((), (400, "UPLOAD_HEADER_INVALID")),
        (("/files/a",) * (MOST_PARTS + 1), (400, "UPLOAD_HEADER_INVALID")),
    ):
        response = await join(gateway, *urls)
        assert (response.status, response.code) == expected, response.body
        assert "Location" not in response.headers
    for header in ("Upload-Length", "Upload-Defer-Length"):
        assert (await join(gateway, part, **{header: "1"})).status == 400
    for value in ("partial;x", "Partial", "final", "", "final/files/a"):
        assert (await create(gateway, Upload_Concat=value)).status == 400
    assert (await status(gateway, part.removeprefix(gateway.url)))["status"] == "held"


async def test_options_name_the_extension(gateway: Gateway) -> None:
    response = await gateway.client.request("OPTIONS", "/files/")
    assert "concatenation" in response.headers["Tus-Extension"].split(",")


async def test_parts_in_another_store_than_new_uploads(gateway: Gateway) -> None:
    """The operator has changed it meanwhile."""
    part = await held_part(gateway)
    async with played(gateway.settings) as play:
        await reply(play.parts.client.hset(play.parts.keys.upload(part.rpartition("/")[2]), "store", "elsewhere"))
    refused = await join(gateway, part)
    assert (refused.status, refused.code) == (400, "CONCATENATION_NOT_SUPPORTED")
    assert (await status(gateway, part.removeprefix(gateway.url)))["status"] == "held"


class TestS3:
    """The requests are the same ones; what the store does is in `contract/object_store`."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        s3 = {
            "store": "s3",
            "s3_bucket": "b",
            "s3_endpoint_url": "http://127.0.0.1:9",
            "s3_access_key": "k",
            "s3_secret_key": SecretStr("s"),
        }
        return settings.model_copy(update=s3)

    async def test_it_is_announced_and_done(self, gateway: Gateway) -> None:
        response = await gateway.client.request("OPTIONS", "/files/")
        assert "concatenation" in response.headers["Tus-Extension"].split(",")
        assert (await join(gateway, await held_part(gateway, 1000), await held_part(gateway, 500))).status == 201
