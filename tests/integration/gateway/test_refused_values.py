"""Values that PostgreSQL would refuse are refused by the gateway, with a 4xx: NUL, lone surrogates, numbers and times
out of range. None of them gets as far as DATABASE_REJECTED or a 500."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from gateway.api.contents import ContentQuery
from gateway.api.shared import PageQuery
from gateway.http.cursors import query_digest
from tests.integration.gateway.conftest import Gateway

pytestmark = pytest.mark.integration

_UPLOAD = {"filename": "a.mp4", "size": 10, "content_type": "video/mp4"}
_ID = "01890a5d-ac96-774b-bcce-b302099a8057"
_JSON = {"Content-Type": "application/json"}


def _bodies() -> dict[str, tuple[str, str]]:
    """Name -> path and body. json.dumps writes NUL and surrogates as escapes, as a client may."""
    found: dict[str, tuple[str, str]] = {}
    for name, text in {"NUL": "a\0b", "leading surrogate": "a\ud800", "trailing surrogate": "\udc00b"}.items():
        field: dict[str, Any]
        for field in ({"filename": text}, {"content_type": f"video/{text}"}, {"metadata": {text: "v"}}):
            found[f"{name} in {next(iter(field))}"] = ("/v1/uploads", json.dumps(_UPLOAD | field))
        found[f"{name} in a value"] = ("/v1/uploads", json.dumps(_UPLOAD | {"metadata": {"k": text}}))
        for field in ({"key": text}, {"key": "k", "bucket": text}, {"key": "k", "metadata": {text: "v"}}):
            found[f"{name} in {list(field)[-1]} of an import"] = ("/v1/contents/import", json.dumps(field))
    for size in ("9223372036854775808", "1e400", "-1", "NaN", "9007199254740993", "1.5"):
        found[f"size {size}"] = ("/v1/uploads", json.dumps(_UPLOAD).replace("10", size))
    return found


BODIES = _bodies()


@pytest.mark.parametrize("name", BODIES)
async def test_a_value_in_a_body_is_refused(gateway: Gateway, name: str) -> None:
    path, body = BODIES[name]
    response = await gateway.client.request("POST", path, data=body.encode(), headers=_JSON)
    assert response.status in (400, 413, 422), response.body
    assert response.code in {"VALIDATION_FAILED", "BODY_NOT_JSON", "FILE_TOO_LARGE_FOR_STORE"}


LISTS: dict[str, PageQuery] = {"/v1/contents": ContentQuery(), "/v1/leftovers": PageQuery()}


def _cursor(path: str, position: list[Any]) -> str:
    """The cursor of a position that the gateway itself would not encode."""
    text = json.dumps([query_digest(LISTS[path]), *position, None])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


POSITIONS: list[list[Any]] = [
    [253_402_300_800_000_000, _ID],
    [999_999_999_999_999_999, _ID],
    [9_999_999_999_999_999_999_999, _ID],
    [-1, _ID],
    [1, "not-a-uuid"],
    [1, f"{_ID}\0"],
    [1.5, _ID],
    ["1", _ID],
    [None, None],
]


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("position", POSITIONS, ids=str)
async def test_a_cursor_out_of_range_is_refused(gateway: Gateway, path: str, position: list[Any]) -> None:
    response = await gateway.client.request("GET", f"{path}?cursor={_cursor(path, position)}")
    assert (response.status, response.code) == (400, "CURSOR_INVALID")


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("moment", [0, 253_402_300_799_999_999])
async def test_the_first_and_the_last_moment_are_accepted(gateway: Gateway, path: str, moment: int) -> None:
    cursor = _cursor(path, [moment, _ID])
    assert (await gateway.client.request("GET", f"{path}?cursor={cursor}")).status == 200


REQUESTS: list[tuple[str, str, Any]] = [
    ("GET", "/v1/contents?kind=a%00b", 422),
    ("GET", "/v1/contents?limit=99999999999999999999", 422),
    ("GET", "/v1/contents?cursor=%00", 400),
    ("GET", "/v1/contents/%00", 404),
    ("GET", "/v1/contents/ffffffffffffffffffffffffffffffffff", 404),
    ("DELETE", "/v1/contents/%ED%A0%80", 404),
    ("GET", f"/v1/contents/{_ID}/segments/99999999999", 422),
]


@pytest.mark.parametrize(("method", "path", "status"), REQUESTS)
async def test_a_value_in_a_url_is_refused(gateway: Gateway, method: str, path: str, status: int) -> None:
    assert (await gateway.client.request(method, path)).status == status
