"""Files whose length is not known when their upload is created: the requirements of tus 1.0 (creation-defer-length) and
of the IETF draft, by section."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import Any

import pytest

from pipeline.settings import Settings
from tests.integration.gateway.conftest import BUDGET_BYTES, SEGMENT_BYTES, Gateway
from tests.integration.gateway.resumable import (
    BODY,
    SIZE,
    TUS,
    draft_create,
    draft_head,
    draft_patch,
    new_file,
    patch,
    status,
)
from tests.integration.gateway.truth import Response

pytestmark = pytest.mark.integration

MOST_BYTES = 4 * 1024 * 1024
_VERSIONS = pytest.mark.parametrize("version", [8, 6, 5])


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"deferred_bytes": MOST_BYTES})


async def deferred(gateway: Gateway, data: bytes | None = None, **headers: str) -> Response:
    sent = {**TUS, "Upload-Defer-Length": "1", **headers}
    return await gateway.client.request("POST", "/files/", headers=sent | (BODY if data else {}), data=data)


async def new_deferred(gateway: Gateway, data: bytes | None = None) -> str:
    return path_of(gateway, await deferred(gateway, data))


def path_of(gateway: Gateway, response: Response) -> str:
    assert response.status == 201, response.body
    return response.headers["Location"].removeprefix(gateway.url)


async def head(gateway: Gateway, path: str) -> tuple[str | None, str | None, str | None]:
    sent = (await gateway.client.request("HEAD", path, headers=TUS)).headers
    return sent.get("Upload-Offset"), sent.get("Upload-Length"), sent.get("Upload-Defer-Length")


async def parts(*data: bytes) -> AsyncIterator[bytes]:
    for part in data:
        yield part


async def test_head_says_that_the_length_is_not_known(gateway: Gateway) -> None:
    """Upload-Defer-Length: as long as the length is not known, the server MUST set it in all responses to HEAD."""
    path = await new_deferred(gateway)
    assert await head(gateway, path) == ("0", None, "1")
    assert (await patch(gateway, path, 0, b"x" * 100)).headers["Upload-Offset"] == "100"
    assert await head(gateway, path) == ("100", None, "1")
    shown = await status(gateway, path)
    assert (shown["deferred"], shown["missing_segments"], shown["bytes_received"]) == ("length", [], 100)
    assert (await gateway.client.request("GET", path, headers=TUS)).data["size"] is None


@pytest.mark.parametrize("value", ["0", "2", "true", ""])
async def test_another_value_is_refused(gateway: Gateway, value: str) -> None:
    """Upload-Defer-Length: it MUST be 1, otherwise the server SHOULD respond with 400."""
    response = await deferred(gateway, None, **{"Upload-Defer-Length": value})
    assert (response.status, response.code) == (400, "UPLOAD_HEADER_INVALID")


@pytest.mark.parametrize("size", [1, 1000, SEGMENT_BYTES, SEGMENT_BYTES + 1, SIZE])
@pytest.mark.parametrize("way", ["first", "last", "after"])
async def test_a_later_request_says_the_length(gateway: Gateway, size: int, way: str) -> None:
    """Creation: once the length is known, the client MUST set it in the next PATCH. It is sent with the first bytes,
    with the last ones, or after them."""
    data = os.urandom(size)
    path, middle = await new_deferred(gateway), size // 2
    length = {"Upload_Length": str(size)}
    assert (await patch(gateway, path, 0, data[:middle], **(length if way == "first" else {}))).status == 204
    assert (await patch(gateway, path, middle, data[middle:], **(length if way == "last" else {}))).status == 204
    if way == "after":
        assert await head(gateway, path) == (str(size), None, "1")
        assert (await patch(gateway, path, size, b"", **length)).status == 204
    assert await head(gateway, path) == (str(size), str(size), None)
    shown = await status(gateway, path)
    assert (shown["status"], shown["size"], shown["deferred"]) == ("processing", size, None)


async def test_the_length_comes_with_the_creation_of_the_next_request(gateway: Gateway) -> None:
    """Creation-with-upload: the beginning of the file may come with the creation."""
    response = await deferred(gateway, b"12345")
    assert response.headers["Upload-Offset"] == "5"
    path = path_of(gateway, response)
    assert (await patch(gateway, path, 5, b"6789", Upload_Length="9")).headers["Upload-Offset"] == "9"
    assert await head(gateway, path) == ("9", "9", None)


async def test_a_length_never_changes(gateway: Gateway) -> None:
    """Creation: once set, the length MUST NOT be changed."""
    path = await new_deferred(gateway)
    assert (await patch(gateway, path, 0, b"12345", Upload_Length="100")).status == 204
    for length in ("99", "101"):
        response = await patch(gateway, path, 5, b"6", Upload_Length=length)
        assert (response.status, response.code) == (400, "UPLOAD_LENGTH_DIFFERS")
    assert (await patch(gateway, path, 5, b"x" * 96)).code == "APPEND_TOO_LONG"
    assert (await patch(gateway, path, 5, b"6", Upload_Length="100")).status == 204
    assert await head(gateway, path) == ("6", "100", None)


@pytest.mark.parametrize(
    ("length", "data", "code"),
    [
        ("4", b"", "APPEND_TOO_LONG"),
        ("5", b"6", "APPEND_TOO_LONG"),
        ("x", b"6", "UPLOAD_HEADER_INVALID"),
        (str(MOST_BYTES + 1), b"6", "DEFERRED_TOO_LARGE"),
    ],
)
async def test_a_length_that_cannot_be(gateway: Gateway, length: str, data: bytes, code: str) -> None:
    """It is refused, and nothing has changed."""
    path = await new_deferred(gateway, b"12345")
    assert (await patch(gateway, path, 5, data, Upload_Length=length)).code == code
    assert await head(gateway, path) == ("5", None, "1")


async def test_an_empty_file(gateway: Gateway) -> None:
    path = await new_deferred(gateway)
    assert (await patch(gateway, path, 0, b"", Upload_Length="0")).code == "VALIDATION_FAILED"


class TestSmallVolume:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"deferred_bytes": Settings.model_fields["deferred_bytes"].default})

    async def test_the_largest_file_is_smaller(self, gateway: Gateway) -> None:
        """What fits through windows of the volume, in as many segments as the store accepts."""
        path = path_of(gateway, await draft_create(gateway, "?0", b"12345"))
        limit = (await draft_head(gateway, path)).headers["Upload-Limit"]
        assert f"max-size={1000 * BUDGET_BYTES // 4}" in limit
        assert (await draft_patch(gateway, path, 5, "?1", b"6")).headers["Upload-Complete"] == "?1"


class TestSmallFiles:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"deferred_bytes": 2 * SEGMENT_BYTES})

    @pytest.mark.parametrize("known", [True, False])
    async def test_a_file_that_is_too_large(self, gateway: Gateway, *, known: bool) -> None:
        """413, at once if the length of the body is known. What fits counts, and may be the whole file."""
        path, data, most = await new_deferred(gateway), os.urandom(SIZE), 2 * SEGMENT_BYTES
        response = await patch(gateway, path, 0, data if known else parts(data[:1000], data[1000:]))
        assert (response.status, response.code) == (413, "DEFERRED_TOO_LARGE")
        start = 0 if known else most
        assert await head(gateway, path) == (str(start), None, "1")
        assert (await patch(gateway, path, start, data[start:most], Upload_Length=str(most))).status == 204
        assert (await status(gateway, path))["status"] == "processing"


async def test_segments_with_a_number_need_the_length(gateway: Gateway) -> None:
    path = (await new_deferred(gateway)).replace("/files/", "/v1/uploads/")
    response = await gateway.client.request("PUT", f"{path}/segments/1", data=b"x" * SEGMENT_BYTES)
    assert (response.status, response.code) == (400, "UPLOAD_LENGTH_REQUIRED")


async def test_a_known_length_needs_no_field(gateway: Gateway) -> None:
    path = await new_file(gateway)
    assert (await head(gateway, path))[1:] == (str(SIZE), None)


async def draft_deferred(gateway: Gateway, version: int, data: Any = None) -> str:
    return path_of(gateway, await draft_create(gateway, "?0", data, version))


@_VERSIONS
@pytest.mark.parametrize("length", [{}, {"Upload_Length": "five"}, {"Upload_Length": "-5"}, {"Upload_Length": "1.0"}])
async def test_a_draft_creation_without_a_length(gateway: Gateway, version: int, length: dict[str, str]) -> None:
    """Upload-Length: an ill-formed field MUST be ignored; the length MAY be unknown. Offset retrieval: MUST include
    the length if it is known."""
    path = path_of(gateway, await draft_create(gateway, "?0", b"12345", version, **length))
    response = await draft_head(gateway, path, version)
    assert (response.headers["Upload-Offset"], response.headers["Upload-Complete"]) == ("5", "?0")
    assert "Upload-Length" not in response.headers
    assert f"max-size={MOST_BYTES}" in response.headers["Upload-Limit"]


@_VERSIONS
@pytest.mark.parametrize("size", [7, SEGMENT_BYTES, SIZE])
@pytest.mark.parametrize("chunked", [True, False])
async def test_the_last_append_fixes_the_length(gateway: Gateway, version: int, size: int, *, chunked: bool) -> None:
    """Upload-Complete: `?1` with the end of the file fixes its length, whether the body's length is known or not."""
    data = os.urandom(size)
    path, middle = await draft_deferred(gateway, version), size // 3
    first = await draft_patch(gateway, path, 0, "?0", data[:middle], version)
    assert (first.headers["Upload-Offset"], first.headers["Upload-Complete"]) == (str(middle), "?0")
    body = parts(data[middle:-1], data[-1:]) if chunked else data[middle:]
    last = await draft_patch(gateway, path, middle, "?1", body, version)
    assert (last.headers["Upload-Offset"], last.headers["Upload-Complete"]) == (str(size), "?1")
    response = await draft_head(gateway, path, version)
    assert (response.headers["Upload-Length"], response.headers["Upload-Complete"]) == (str(size), "?1")
    assert (await status(gateway, path))["status"] == "processing"


@_VERSIONS
async def test_a_file_in_one_request_of_unknown_length(gateway: Gateway, version: int) -> None:
    """Upload creation: a body with `?1` is the whole file."""
    data = os.urandom(SIZE)
    response = await draft_create(gateway, "?1", parts(data[:1000], data[1000:]), version)
    assert (response.headers["Upload-Offset"], response.headers["Upload-Complete"]) == (str(SIZE), "?1")
    assert (await status(gateway, path_of(gateway, response)))["status"] == "processing"


@_VERSIONS
async def test_an_empty_end(gateway: Gateway, version: int) -> None:
    """An append without bytes ends a file that has some; an empty file is no media."""
    path = await draft_deferred(gateway, version, b"12345")
    assert (await draft_patch(gateway, path, 5, "?1", b"", version)).headers["Upload-Complete"] == "?1"
    empty = await draft_deferred(gateway, version)
    for body in (b"", parts()):
        assert (await draft_patch(gateway, empty, 0, "?1", body, version)).code == "VALIDATION_FAILED"


@_VERSIONS
async def test_an_empty_file_in_one_request(gateway: Gateway, version: int) -> None:
    assert (await draft_create(gateway, "?1", parts(), version)).code == "VALIDATION_FAILED"


@_VERSIONS
async def test_a_later_append_names_the_length(gateway: Gateway, version: int) -> None:
    """Upload-Length: it MAY be in any request, and MUST match the others."""
    path = await draft_deferred(gateway, version, b"12345")
    assert (await draft_patch(gateway, path, 5, "?0", b"6", version, Upload_Length="9")).status < 300
    assert (await draft_head(gateway, path, version)).headers["Upload-Length"] == "9"
    for complete, body in (("?1", b"12"), ("?1", parts(b"12"))):
        response = await draft_patch(gateway, path, 6, complete, body, version)
        assert (response.status, response.code) == (400, "UPLOAD_LENGTH_DIFFERS")


async def test_two_lengths_of_one_append_must_match(gateway: Gateway) -> None:
    path = await draft_deferred(gateway, 8)
    response = await draft_patch(gateway, path, 0, "?1", b"123", Upload_Length="4")
    assert (response.status, response.code) == (400, "UPLOAD_LENGTH_DIFFERS")
    assert response.json["type"].endswith("#inconsistent-upload-length")
    assert "Upload-Length" not in (await draft_head(gateway, path)).headers
