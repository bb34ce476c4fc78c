"""Each requirement of draft-ietf-httpbis-resumable-upload that binds the server and applies here, by section. Interop
version 8, and 5 and 6 as tus-js-client speaks them."""

from __future__ import annotations

import hashlib
import os
from base64 import b64encode
from dataclasses import replace
from typing import Any

import pytest

from gateway.options import GatewayOptions
from tests.integration.gateway.conftest import OPTIONS, SEGMENT_BYTES, Gateway
from tests.integration.gateway.resumable import (
    DRAFT,
    SIZE,
    draft_create,
    draft_file,
    draft_head,
    draft_patch,
)

pytestmark = pytest.mark.integration

VERSIONS = [8, 6, 5, None]


@pytest.mark.parametrize("version", VERSIONS)
async def test_create_append_complete(gateway: Gateway, version: int | None) -> None:
    """Creation: MUST have Location and Upload-Limit. Offset: MUST have Upload-Offset, Upload-Complete, Upload-Length,
    Upload-Limit, SHOULD have no-store. Append: `?0` then `?1`, which MUST be answered by `?1`."""
    data, path = os.urandom(SIZE), await draft_file(gateway, SIZE, version)
    first = await draft_patch(gateway, path, 0, "?0", data[:100], version)
    assert (first.headers["Upload-Offset"], first.headers["Upload-Complete"]) == ("100", "?0")
    head = await draft_head(gateway, path, version)
    assert (head.status, head.headers["Upload-Offset"], head.headers["Upload-Complete"]) == (200, "100", "?0")
    assert (head.headers["Upload-Length"], head.headers["Cache-Control"]) == (str(SIZE), "no-store")
    assert "min-size=1" in head.headers["Upload-Limit"]
    assert ("expires=" if version in (5, 6) else "max-age=") in head.headers["Upload-Limit"]
    last = await draft_patch(gateway, path, 100, "?1", data[100:], version)
    assert (last.status, last.headers["Upload-Complete"]) == (201 if version in (5, 6) else 204, "?1")
    assert last.headers["Upload-Offset"] == str(SIZE)
    assert (await draft_head(gateway, path, version)).headers["Upload-Complete"] == "?1"
    again = await draft_patch(gateway, path, SIZE, "?1", b"", version)
    assert again.headers["Upload-Complete"] == "?1"


@pytest.mark.parametrize("version", [5, 6])
async def test_the_last_bytes_of_a_stream_say_that_more_follows(gateway: Gateway, version: int) -> None:
    path = await draft_file(gateway, 10, version)
    response = await draft_patch(gateway, path, 0, "?0", b"0123456789", version)
    assert (response.headers["Upload-Offset"], response.headers["Upload-Complete"]) == ("10", "?1")


async def test_a_creation_with_the_whole_file(gateway: Gateway) -> None:
    """`?1` and Content-Length say the length."""
    response = await draft_create(gateway, "?1", b"0123456789")
    assert (response.status, response.headers["Upload-Complete"]) == (201, "?1")
    head = await draft_head(gateway, response.headers["Location"].removeprefix(gateway.url))
    assert (head.headers["Upload-Length"], head.headers["Upload-Complete"]) == ("10", "?1")


@pytest.mark.parametrize(
    ("complete", "data", "headers", "code"),
    [
        ("?1", b"12345", {"Upload_Length": "100"}, "UPLOAD_LENGTH_DIFFERS"),
        ("?0", b"12345", {"Upload_Length": "4"}, "APPEND_TOO_LONG"),
        ("true", b"12345", {}, "UPLOAD_HEADER_INVALID"),
        ("?0", None, {"Upload_Length": "0"}, "VALIDATION_FAILED"),
        ("?1", None, {}, "VALIDATION_FAILED"),
    ],
)
async def test_creations_that_are_refused(
    gateway: Gateway, complete: str, data: bytes | None, headers: dict[str, Any], code: str
) -> None:
    """Two lengths MUST match. An empty file is no media."""
    response = await draft_create(gateway, complete, data, 8, **headers)
    assert (response.status, response.code, "Location" in response.headers) == (400, code, False)


async def test_parameters_of_a_structured_field_are_ignored(gateway: Gateway) -> None:
    response = await draft_create(gateway, "?0;a;b=1.5", Upload_Length='5; note="x"')
    assert response.status == 201


async def test_a_wrong_offset(gateway: Gateway) -> None:
    """MUST be 409 with `Upload-Complete: ?0` and the offset; the problem type has both offsets."""
    path = await draft_file(gateway)
    response = await draft_patch(gateway, path, 99, "?0", b"x")
    assert (response.status, response.headers["Content-Type"]) == (409, "application/problem+json")
    assert (response.headers["Upload-Offset"], response.headers["Upload-Complete"]) == ("0", "?0")
    assert response.json["type"] == "https://iana.org/assignments/http-problem-types#mismatching-upload-offset"
    assert (response.json["expected-offset"], response.json["provided-offset"]) == (0, 99)
    assert response.code == "APPEND_OFFSET_WRONG"


@pytest.mark.parametrize(("version", "status"), [(8, 410), (6, 200), (5, 200)])
async def test_more_than_the_announced_length(gateway: Gateway, version: int, status: int) -> None:
    """The offset MUST NOT exceed the length; since version 8 the upload MUST then be invalid."""
    path = await draft_file(gateway, 50, version)
    response = await draft_patch(gateway, path, 0, "?1", b"x" * 100, version)
    assert (response.status, response.headers["Upload-Complete"]) == (400, "?0")
    assert response.json["type"].endswith("#inconsistent-upload-length")
    assert (await draft_head(gateway, path, version)).status == status


async def test_another_length_is_refused(gateway: Gateway) -> None:
    path = await draft_file(gateway, 50)
    changes: tuple[dict[str, Any], ...] = ({"Upload_Length": "51"}, {})
    for headers in changes:
        response = await draft_patch(gateway, path, 0, "?1", b"x" * 49, 8, **headers)
        assert (response.status, response.code) == (400, "UPLOAD_LENGTH_DIFFERS")
        assert response.headers["Upload-Complete"] == "?0"
    assert (await draft_head(gateway, path)).headers["Upload-Offset"] == "0"


async def test_appends_that_are_refused(gateway: Gateway) -> None:
    path = await draft_file(gateway)
    assert (await draft_patch(gateway, path, 0, "?0", b"x", Content_Type="text/plain")).status == 415
    assert (await draft_patch(gateway, path, 0, "1", b"x")).status == 400
    assert (await draft_patch(gateway, path, 0, "?0", b"x", Upload_Offset="abc")).status == 400
    assert (await draft_patch(gateway, path, 0, "?0", b"x", 5, Content_Type="video/mp4")).status == 201


@pytest.mark.parametrize("name", ["Upload-Offset", "Upload-Complete", "Upload-Length"])
async def test_a_request_for_the_state_does_not_say_it(gateway: Gateway, name: str) -> None:
    """MUST be 400 in versions 5 and 6."""
    path = await draft_file(gateway)
    for method in ("HEAD", "DELETE"):
        sent = {**DRAFT, name: "?1" if name == "Upload-Complete" else "1"}
        assert (await gateway.client.request(method, path, headers=sent)).status == 400


@pytest.mark.parametrize(("version", "status"), [(8, 410), (6, 404), (5, 404)])
async def test_cancellation(gateway: Gateway, version: int, status: int) -> None:
    path = await draft_file(gateway, version=version)
    headers = {"Upload-Draft-Interop-Version": str(version)}
    assert (await gateway.client.request("DELETE", path, headers=headers)).status == 204
    assert (await draft_head(gateway, path, version)).status == status
    assert (await draft_patch(gateway, path, 0, "?0", b"x", version)).status == status


async def test_a_digest_of_the_body(gateway: Gateway) -> None:
    """Content-Digest: a mismatch SHOULD fail the transfer, and the bytes SHOULD NOT be appended."""
    path, data = await draft_file(gateway), os.urandom(SEGMENT_BYTES + 10)
    digest = f"sha-256=:{b64encode(hashlib.sha256(data).digest()).decode()}:"
    assert (await draft_patch(gateway, path, 0, "?0", b"x", Content_Digest=digest)).status == 400
    assert (await draft_patch(gateway, path, 0, "?0", data, Content_Digest=digest)).status == 204
    assert (await draft_head(gateway, path)).headers["Upload-Offset"] == str(len(data))


class TestLimits:
    @pytest.fixture
    def options(self) -> GatewayOptions:
        return replace(OPTIONS, append_limit_bytes=1000)

    async def test_they_are_announced_and_kept(self, gateway: Gateway) -> None:
        """OPTIONS MUST have Upload-Limit; 413 SHOULD have it."""

        async def body() -> Any:
            yield b"x" * 1000
            yield b"x"

        options = await gateway.client.request("OPTIONS", "/files/")
        assert options.headers["Upload-Limit"] == "min-size=1, max-append-size=1000"
        path = await draft_file(gateway)
        assert (await draft_patch(gateway, path, 0, "?0", b"x" * 1000)).status == 204
        for data in (b"x" * 1001, body()):
            response = await draft_patch(gateway, path, 1000, "?0", data)
            assert response.status == 413
            assert "max-append-size=1000" in response.headers["Upload-Limit"]
