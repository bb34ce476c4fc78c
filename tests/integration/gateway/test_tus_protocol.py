"""Each requirement of tus 1.0 that binds the server, by section: https://tus.io/protocols/resumable-upload."""

from __future__ import annotations

import hashlib
import os
from base64 import b64encode
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from pipeline.settings import Settings
from tests.integration.gateway.conftest import BUDGET_BYTES, Gateway
from tests.integration.gateway.resumable import BODY, SIZE, TUS, create, encoded, new_file, offset, patch
from tests.integration.gateway.truth import Response

pytestmark = pytest.mark.integration


def checksum(name: str, data: bytes) -> str:
    return f"{name} {b64encode(hashlib.new(name, data, usedforsecurity=False).digest()).decode()}"


@pytest.mark.parametrize("path", ["/files/", "/files", "/files/u"])
@pytest.mark.parametrize("version", ["1.0.0", "0.2.2", None])
async def test_options(gateway: Gateway, path: str, version: str | None) -> None:
    """OPTIONS: Tus-Version MUST be sent, Tus-Resumable MUST be ignored, Tus-Extension and Tus-Checksum-Algorithm list
    what works. There is no maximum size that all files share, so no Tus-Max-Size."""
    response = await gateway.client.request("OPTIONS", path, headers={"Tus-Resumable": version} if version else {})
    assert response.status == 200
    assert response.headers["Tus-Version"] == "1.0.0"
    extensions = (
        "creation,creation-with-upload,creation-defer-length,expiration,checksum,checksum-trailer,termination,"
        "concatenation"
    )
    assert response.headers["Tus-Extension"] == extensions
    assert response.headers["Tus-Checksum-Algorithm"] == "sha1,md5,sha256"
    assert "Tus-Resumable" not in response.headers


@pytest.mark.parametrize("version", ["0.2.2", "1.0", "", "1.0.0, 1.0.0"])
@pytest.mark.parametrize("method", ["POST", "HEAD", "PATCH", "DELETE"])
async def test_another_version_is_refused_and_nothing_is_done(gateway: Gateway, method: str, version: str) -> None:
    """Tus-Resumable: MUST be 412 with Tus-Version, and the request MUST NOT be processed."""
    path = await new_file(gateway)
    headers = {**BODY, "Tus-Resumable": version, "Upload-Length": "5", "Upload-Offset": "0"}
    response = await gateway.client.request(method, "/files/" if method == "POST" else path, headers=headers)
    assert (response.status, response.headers["Tus-Version"]) == (412, "1.0.0")
    assert await offset(gateway, path) == 0


async def _errors(gateway: Gateway) -> list[tuple[Response, int]]:
    path, send = await new_file(gateway), gateway.client.request
    return [
        (await send("HEAD", "/files/unknown", headers=TUS), 404),
        (await send("DELETE", "/files/unknown", headers=TUS), 404),
        (await patch(gateway, "/files/unknown", 0, b"x"), 404),
        (await patch(gateway, path, 5, b"x"), 409),
        (await patch(gateway, path, 0, b"x", Content_Type="text/plain"), 415),
        (await patch(gateway, path, 0, b"x", Content_Encoding="gzip"), 415),
        (await patch(gateway, path, 0, b"x" * (SIZE + 1)), 413),
        (await patch(gateway, path, 0, b"x", Upload_Offset="-1"), 400),
        (await patch(gateway, path, 0, b"x", Upload_Offset="1e3"), 400),
        (await patch(gateway, path, 0, b"x", Upload_Length="7"), 400),
        (await patch(gateway, path, 0, b"x", Upload_Checksum="sha1 " + b64encode(b"0" * 20).decode()), 460),
        (await patch(gateway, path, 0, b"x", Upload_Checksum="crc32 AAAAAA=="), 400),
        (await patch(gateway, path, 0, b"x", Upload_Checksum="sha1 x"), 400),
        (await send("POST", "/files/", headers=TUS), 400),
        (await create(gateway, 5, b"123456"), 413),
        (await create(gateway, Upload_Length="-1"), 400),
        (await create(gateway, Upload_Length="9" * 16), 400),
        (await create(gateway, Upload_Defer_Length="1"), 400),
        (await create(gateway, Upload_Concat="other"), 400),
        (await send("POST", "/files/", headers={**TUS, "Upload-Defer-Length": "2"}), 400),
        (await send("POST", path, headers=TUS), 400),
        (await send("PUT", path, headers=TUS), 405),
    ]


async def test_errors_have_their_status_and_no_offset(gateway: Gateway) -> None:
    """HEAD, PATCH, POST: statuses. Upload-Offset and Location would be taken for a success by some clients."""
    for response, expected in await _errors(gateway):
        assert response.status == expected, response.body
        assert response.headers["Tus-Resumable"] == "1.0.0"
        assert not {"Upload-Offset", "Location"} & set(response.headers)


async def test_an_error_changes_nothing(gateway: Gateway) -> None:
    """PATCH: a wrong offset MUST NOT modify the upload. Checksum: a chunk that differs MUST be discarded."""
    path = await new_file(gateway)
    await patch(gateway, path, 0, b"12345")
    for more in ({"Upload_Offset": "4"}, {"Upload_Checksum": checksum("sha1", b"other")}):
        assert (await patch(gateway, path, 5, b"x" * 70_000, **more)).status in (409, 460)
        assert await offset(gateway, path) == 5


@pytest.mark.parametrize("name", ["sha1", "md5", "sha256"])
@pytest.mark.parametrize("at_creation", [False, True])
async def test_checksums(gateway: Gateway, name: str, *, at_creation: bool) -> None:
    """Checksum: sha1 MUST be supported; the whole chunk MUST be verified; 204 or 460."""
    data = os.urandom(SIZE)
    sent = {"Upload_Checksum": checksum(name, data)}
    if at_creation:
        assert (await create(gateway, SIZE, data, **sent)).headers["Upload-Offset"] == str(SIZE)
        wrong = await create(gateway, SIZE, data[:-1] + b"x", **sent)
    else:
        path, other = await new_file(gateway), await new_file(gateway)
        assert (await patch(gateway, path, 0, data, **sent)).status == 204
        wrong = await patch(gateway, other, 0, data[:-1] + bytes([data[-1] ^ 1]), **sent)
    assert (wrong.status, "Location" in wrong.headers) == (460, False)


async def test_head(gateway: Gateway) -> None:
    """HEAD: MUST have Upload-Offset even if it is 0, Upload-Length, Cache-Control: no-store, and Upload-Metadata as it
    was sent."""
    sent = f"filename {encoded('a.mp4')},flag"
    path = await new_file(gateway, Upload_Metadata=sent)
    for reached in (0, SIZE):
        response = await gateway.client.request("HEAD", path, headers=TUS)
        assert response.status == 200
        assert response.headers["Upload-Offset"] == str(reached)
        assert response.headers["Upload-Length"] == str(SIZE)
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["Upload-Metadata"] == sent
        await patch(gateway, path, 0, os.urandom(SIZE))


async def test_creation(gateway: Gateway) -> None:
    """Creation: MUST be 201 with Location; aiotus needs an absolute one. Expiration: MUST have Upload-Expires, and so
    MUST every PATCH. Creation-with-upload: MUST have Upload-Offset. tuspy sends an empty Upload-Metadata."""
    response = await create(gateway, SIZE, b"12", Upload_Metadata="")
    assert (response.status, response.headers["Upload-Offset"]) == (201, "2")
    assert response.headers["Location"].startswith(f"{gateway.url}/files/")
    path = response.headers["Location"].removeprefix(gateway.url)
    patched = await patch(gateway, path, 2, b"345")
    assert (patched.status, patched.headers["Upload-Offset"], patched.body) == (204, "5", b"")
    for headers in (response.headers, patched.headers):
        assert parsedate_to_datetime(headers["Upload-Expires"])


@pytest.mark.parametrize("actual", ["POST", "GET", "DELETE"])
async def test_the_method_override_wins(gateway: Gateway, actual: str) -> None:
    """X-HTTP-Method-Override: MUST be taken as the method; the actual method MUST be ignored, if the
    path supports it at all."""
    path = await new_file(gateway)

    async def send(method: str, **more: Any) -> int:
        headers = {**TUS, **BODY, "Upload-Offset": "0", "X-HTTP-Method-Override": method}
        async with gateway.client.session.request(actual, gateway.url + path, headers=headers, **more) as response:
            return response.status

    assert await send("PATCH", data=b"1234567") == 204
    assert await send("HEAD") == 200
    assert await offset(gateway, path) == 7
    assert await send("PUT") == 405
    assert await send("DELETE") == 204


async def test_termination(gateway: Gateway) -> None:
    """Termination: MUST be 204, of an upload that is complete as well; then SHOULD be 404 or 410."""
    for data in (b"", os.urandom(SIZE)):
        path = await new_file(gateway)
        await patch(gateway, path, 0, data)
        assert (await gateway.client.request("DELETE", path, headers=TUS)).status == 204
        assert (await gateway.client.request("HEAD", path, headers=TUS)).status == 410
        assert (await patch(gateway, path, 0, b"x")).status == 410


async def test_a_body_of_unknown_length(gateway: Gateway) -> None:
    """tus-java-client sends no Content-Length. A body that goes on after the file's end MUST NOT change the length."""

    async def body() -> Any:
        yield b"1" * 1000
        yield b"2" * 1000

    path = await new_file(gateway, 2000)
    assert (await patch(gateway, path, 0, body())).headers["Upload-Offset"] == "2000"
    short = await new_file(gateway, 1500)
    assert (await patch(gateway, short, 0, body())).status == 413


class TestWithoutRoom:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"append_hold_seconds": 0.2})

    async def test_an_upload_that_waits(self, gateway: Gateway) -> None:
        """Creation and HEAD are served at once; PATCH is held, then 423, which clients repeat; later requests leave a
        byte each, so that the clients do not give up."""
        await gateway.create(BUDGET_BYTES)
        response = await create(gateway, BUDGET_BYTES, b"x" * 1000)
        assert (response.status, response.headers["Upload-Offset"]) == (201, "0")
        path = response.headers["Location"].removeprefix(gateway.url)
        offsets = []
        for _ in range(5):
            refused = await patch(gateway, path, await offset(gateway, path), b"x" * 500)
            assert (refused.status, refused.code) == (423, "APPEND_NO_ROOM")
            assert int(refused.headers["Retry-After"]) >= 1
            offsets.append(await offset(gateway, path))
        assert offsets[:3] == [0, 0, 0]
        assert offsets[-1] > 0
