"""Uppy's S3 multipart on a gateway that requires authentication, with real Swift: credentials in the path, what is
refused, and how it is said."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from pipeline.core.access import Scope
from tests.harness.cell import eventually
from tests.harness.running import cell_settings
from tests.harness.shared_stack import Servers
from tests.integration.gateway.conftest import OPTIONS, ORIGIN
from tests.integration.gateway.creations import permit
from tests.integration.gateway.site import Site, running_site
from tests.integration.gateway.truth import Response

pytestmark = pytest.mark.integration

FILE = {"filename": "a.mp4", "type": "video/mp4", "metadata": {"name": "a.mp4", "type": "video/mp4"}}


@pytest.fixture
async def site(servers: Servers, tmp_path: Path) -> AsyncIterator[Site]:
    (tmp_path / "temp").mkdir()
    _, settings = cell_settings(servers, tmp_path, swift_tempurl_key="a-key-of-the-test")
    options = replace(OPTIONS, owner_requests_per_second=50, owner_creations_per_second=1000)
    async with running_site(settings, options) as running:

        async def known() -> bool:
            """The gateway has seen that Swift accepts TempURLs."""
            return (await create(running)).status == 200

        await eventually(known, 30, lambda: "the store to be examined")
        yield running


async def create(site: Site, column: str = "key of the owner", **changes: Any) -> Response:
    return await site.as_(column, "POST", "/s3/multipart", json=FILE | changes)


async def test_the_upload_id_is_all_that_a_client_needs(site: Site) -> None:
    made = (await create(site)).json
    path = f"/s3/multipart/{made['uploadId']}"
    assert made["uploadId"].startswith(f"{made['key']}~")
    signed = await site.as_("no key", "GET", f"{path}/1?key={made['key']}")
    assert (signed.status, sorted(signed.json)) == (200, ["expires", "method", "url"])
    assert (await site.as_("no key", "GET", path)).body == b"[]"
    other = (await create(site)).json
    stolen = await site.as_("no key", "GET", f"/s3/multipart/{other['key']}~{made['uploadId'].partition('~')[2]}")
    assert (stolen.status, stolen.code) == (404, "UPLOAD_NOT_FOUND")
    assert (await site.as_("no key", "GET", f"{path}?key={other['key']}")).code == "UPLOAD_NOT_FOUND"
    assert (await site.as_("no key", "GET", f"/s3/multipart/{made['key']}")).code == "UNAUTHENTICATED"
    assert (await site.as_("no key", "GET", f"{path[:-3]}abc")).code == "CREDENTIAL_INVALID"
    assert (await site.as_("key with `read` only", "GET", path)).status == 200, "the token in the path counts"
    assert (await site.as_("key of the owner", "GET", f"/s3/multipart/{made['key']}")).status == 200
    ended = await site.as_("no key", "DELETE", path)
    assert (ended.status, ended.json) == (200, {})
    assert (await site.as_("no key", "GET", f"{path}/2")).code == "UPLOAD_ENDED"


async def test_a_permit_in_the_path(site: Site) -> None:
    """As `@uppy/aws-s3` 6 has it, which sends no header. Older versions send the permit with every request."""
    token = await permit(site, count=2, max_size=6 * 1024 * 1024)
    client, session = site.client, site.client.session
    url = f"{client.url}/uppy/{token}/s3/multipart"
    with capture_logs() as lines:
        async with session.post(url, json=FILE) as response:
            made = json.loads(await response.read())
        assert response.status == 200, made
        async with session.get(f"{url}/{made['uploadId']}/1") as response:
            assert response.status == 200
        async with session.get(f"{url}/{made['uploadId']}/3") as response:
            failed = json.loads(await response.read())
        assert (response.status, failed["error"]["code"]) == (403, "PERMIT_EXCEEDED"), "the file is larger than that"
        async with session.get(f"{url}/{made['key']}") as response:
            assert response.status == 401, "a permit creates, and does nothing else"
        async with session.put(url) as response:
            assert (response.status, response.headers["Allow"]) == (405, "OPTIONS, POST")
    shown = json.dumps(lines, default=str)
    assert "/uppy/[token]/s3/multipart" in shown
    assert token not in shown
    assert made["uploadId"].partition("~")[2] not in shown
    assert token not in json.dumps(failed)
    sent = await site.with_(token, "POST", "/s3/multipart", json=FILE)
    assert sent.status == 200
    assert (await site.with_(token, "GET", f"/s3/multipart/{sent.json['uploadId']}")).status == 200
    for size, code in ((7 * 1024 * 1024, "PERMIT_EXCEEDED"), (1000, "PERMIT_EXCEEDED")):
        refused = await site.with_(token, "POST", "/s3/multipart", json=FILE | {"metadata": {"size": size}})
        assert refused.code == code, "too large; and it allows two uploads"
    ticket = await site.with_tokens(made["key"], made["key"])
    async with session.post(f"{client.url}/uppy/{ticket.credentials['ticket']}/s3/multipart", json=FILE) as response:
        assert response.status == 401


async def test_an_error_says_itself_to_clients_without_the_envelope(site: Site) -> None:
    refused = await site.as_("key of the owner", "GET", "/s3/params?filename=a.mp4&type=video/mp4&metadata[a]=b")
    assert (refused.status, refused.code) == (422, "MULTIPART_REQUIRED")
    assert refused.json["message"] == f"{refused.json['error']['message']} (MULTIPART_REQUIRED)"
    token = site.credentials["key of the owner"]
    async with site.client.session.get(
        f"{site.client.url}/s3/params", headers={"Authorization": f"Bearer {token}", "Origin": ORIGIN}
    ) as response:
        assert response.reason == refused.json["message"], "@uppy/aws-s3 6 shows nothing else"
        assert response.headers["Access-Control-Allow-Origin"] == ORIGIN


REFUSED: Sequence[tuple[dict[str, Any], str]] = [
    ({"filename": ""}, "VALIDATION_FAILED"),
    ({"filename": None}, "VALIDATION_FAILED"),
    ({"type": 5}, "VALIDATION_FAILED"),
    ({"type": "no type"}, "VALIDATION_FAILED"),
    ({"type": "text/html"}, "CONTENT_TYPE_NOT_MEDIA"),
    ({"metadata": {"a": "b" * 2000}}, "VALIDATION_FAILED"),
    ({"metadata": {"size": 0}}, "MULTIPART_REQUIRED"),
    ({"metadata": {"size": 2**50}}, "FILE_TOO_LARGE_FOR_STORE"),
    ({"metadata": {"size": "9" * 16}}, "VALIDATION_FAILED"),
]


async def test_files_that_are_refused_and_metadata_of_any_kind(site: Site) -> None:
    for changes, code in REFUSED:
        assert (await create(site, **changes)).code == code, changes
    metadata = {"size": True, "tags": ["a", "ü"], "n": 1.5, "none": None, "a\tb": "c", "name": "x", "type": "y"}
    made = await create(site, filename="../a\u202eb.mp4", type="", metadata=metadata)
    view = (await site.as_("key of the owner", "GET", f"/v1/uploads/{made.json['key']}")).data
    assert view["filename"] == ".._a_b.mp4"
    assert view["content_type"] == "application/octet-stream"
    assert view["metadata"] == {"tags": '["a", "ü"]', "n": "1.5", "a_b": "c"}


async def test_parts_that_cannot_be(site: Site) -> None:
    made = (await create(site)).json
    path = f"/s3/multipart/{made['uploadId']}"

    async def code(method: str, rest: str, **options: Any) -> str:
        return (await site.as_("no key", method, path + rest, **options)).code

    for number in ("0", "01", "x", "-1", "²", "99999999999"):
        assert await code("GET", f"/{number}") == "VALIDATION_FAILED", number
    for number in ("1001", "999999999"):
        assert await code("GET", f"/{number}") == "SEGMENT_OUT_OF_RANGE", "Swift joins 1000 segments"
    for numbers in ("", "x", "0", "1,", ",".join(map(str, range(1, 102)))):
        assert await code("GET", f"/batch?partNumbers={numbers}") == "VALIDATION_FAILED", numbers
    assert await code("GET", "/batch") == "VALIDATION_FAILED"
    for parts in (None, [], [{"PartNumber": 1}], [{"PartNumber": 0, "ETag": "e"}], [{"PartNumber": 1, "ETag": ""}]):
        assert await code("POST", "/complete", json={"parts": parts}) == "VALIDATION_FAILED", parts
    assert await code("POST", "/complete", json={"parts": [{"PartNumber": 1, "ETag": "e"}]}) == "SEGMENTS_MISSING"
    assert await code("POST", "/complete", data=b"x", headers={"Content-Type": "application/json"}) == "BODY_NOT_JSON"
    other = await site.new_upload()
    differs = await site.as_("key of the owner", "GET", f"/s3/multipart/{other}")
    assert (differs.status, differs.code) == (409, "TRANSPORT_DIFFERS")


async def test_each_signature_counts_towards_the_rate_of_the_owner(site: Site) -> None:
    owner = replace(site, credentials={**site.credentials, "new": await site.key("new", Scope.UPLOAD)})
    made = (await create(owner, "new")).json
    numbers = ",".join(map(str, range(1, 101)))
    for _ in range(20):
        signed = await site.as_("no key", "GET", f"/s3/multipart/{made['uploadId']}/batch?partNumbers={numbers}")
        if signed.status != 200:
            break
    assert (signed.status, signed.code, signed.detail["what"]) == (429, "RATE_LIMITED", "segments")
