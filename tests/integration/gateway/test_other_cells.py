"""A gateway that is asked for an upload of another cell redirects to that cell, and only there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr
from uuid6 import uuid7

from deploy.embedded.ports import ReservedPort
from gateway.app import ALL_ROUTES
from pipeline.core.cells import cell_of, in_cell
from pipeline.settings import Settings
from tests.integration.gateway.conftest import OPTIONS, ORIGIN
from tests.integration.gateway.pair_of_cells import Pair, running_pair
from tests.integration.gateway.resumable import BODY, DRAFT, TUS
from tests.integration.gateway.site import Site
from tests.integration.gateway.truth import Response
from tests.integration.gateway.wire import connect

pytestmark = pytest.mark.integration

OWNER = "key of the owner"


@pytest.fixture
async def pair(settings: Settings, tmp_path: Path) -> AsyncIterator[Pair]:
    async with running_pair(settings, OPTIONS, tmp_path) as running:
        yield running


async def unfollowed(pair: Pair, method: str, path: str, column: str = OWNER, **options: Any) -> Response:
    """What the first gateway responds."""
    return await pair.first.as_(column, method, path, allow_redirects=False, **options)


async def of_second(pair: Pair, **more: int) -> str:
    name = await created_in(pair.second, 1, **more)
    assert cell_of(name) == 1
    return name


async def created_in(site: Site, cell: int, size: int = 150_000) -> str:
    """The id of a new upload that its gateway creates without choosing a cell."""
    body = {"filename": "a.mp4", "size": size, "content_type": "video/mp4"}
    response = await site.as_(OWNER, "POST", f"/v1/uploads?cell={cell}", json=body)
    assert response.status == 201, response.body
    return str(response.data["id"])


async def followed(pair: Pair, method: str, path: str, column: str = OWNER, **options: Any) -> Response:
    """What a client receives that follows with its credential, as `sluice upload` does."""
    response = await unfollowed(pair, method, path, column, **options)
    assert response.status == 307
    assert response.headers["Location"].startswith(pair.urls[1])
    return await pair.second.as_(
        column, method, response.headers["Location"].removeprefix(pair.urls[1]), allow_redirects=False, **options
    )


_ROUTES = [route for route in ALL_ROUTES if route.names_upload and route.method != "OPTIONS"]


async def test_every_route_that_names_an_upload(pair: Pair) -> None:
    name = await of_second(pair)
    redirected = []
    for route in _ROUTES:
        path = route.path.replace("{id}", name).replace("{number}", "1").replace("{stage}", "transfer")
        column = "key with `operate` only" if route.path.startswith("/v1/status") else OWNER
        response = await unfollowed(pair, route.method, f"{path}?a=b&c=", column)
        assert response.status == 307, route
        assert response.headers["Location"] == f"{pair.urls[1]}{path}?a=b&c="
        assert response.code == "UPLOAD_IN_OTHER_CELL"
        assert response.detail == {"upload_id": name, "cell": 1, "url": pair.urls[1]}
        redirected.append(route)
    assert len(redirected) >= 19


async def test_path_and_query_are_kept_as_they_were_sent(pair: Pair) -> None:
    name = await of_second(pair)
    headers = {"Authorization": f"Bearer {pair.first.credentials[OWNER]}"}
    for sent in (
        f"/v1/uploads/{name}?a=%2f%20b&c&&d=+%C3%A9",
        f"/v1/uploads/%30{name[1:]}",
        f"http://x/files/{name}?b",
    ):
        async with connect(pair.urls[0]) as connection:
            await connection.begin("GET", sent, headers)
            head = await connection.head()
            assert (head.status, head.headers["location"]) == (307, pair.urls[1] + sent.removeprefix("http://x"))


async def test_a_client_that_follows_sends_a_segment_and_reads_its_upload(pair: Pair) -> None:
    name = await of_second(pair, size=10)
    sent = await followed(pair, "PUT", f"/v1/uploads/{name}/segments/1", data=b"0123456789")
    assert sent.status == 200
    found = await followed(pair, "GET", f"/v1/uploads/{name}")
    assert found.data["missing_segments"] == []
    assert found.data["links"]["self"] == f"{pair.urls[1]}/v1/uploads/{name}"
    cancelled = await followed(pair, "DELETE", f"/v1/uploads/{name}")
    assert cancelled.status in (200, 409)


async def test_tus_with_and_without_an_override(pair: Pair) -> None:
    headers = TUS | {"Upload-Length": "10"}
    created = await pair.second.as_(OWNER, "POST", "/files/", headers=headers)
    path = created.headers["Location"].removeprefix(pair.urls[1])
    for method, more in (("HEAD", {}), ("PATCH", BODY | {"Upload-Offset": "0"})):
        direct = await unfollowed(pair, method, path, headers=TUS | more)
        overridden = await unfollowed(pair, "POST", path, headers=TUS | more | {"X-HTTP-Method-Override": method})
        for response in (direct, overridden):
            assert (response.status, response.headers["Location"]) == (307, created.headers["Location"])
            assert response.headers["Tus-Resumable"] == "1.0.0"
            assert "Upload-Offset" not in response.headers
    appended = await followed(pair, "PATCH", path, headers=TUS | BODY | {"Upload-Offset": "0"}, data=b"0123456789")
    assert (appended.status, appended.headers["Upload-Offset"]) == (204, "10")
    shown = await unfollowed(pair, "HEAD", path, headers=DRAFT)
    assert (shown.status, shown.headers["Location"]) == (307, created.headers["Location"])


async def test_the_token_of_an_upload_and_a_ticket_are_kept(pair: Pair) -> None:
    name = await of_second(pair)
    equipped = await pair.first.with_tokens(name, await of_second(pair))
    ticket = equipped.credentials["ticket"]
    path = f"/v1/uploads/{name}/events?token={ticket}"
    response = await pair.first.with_(None, "GET", path, allow_redirects=False)
    assert (response.status, response.headers["Location"]) == (307, pair.urls[1] + path)
    assert str(ticket) not in response.body.decode()
    token = equipped.credentials["token of this upload"]
    path = f"/s3/multipart/{name}~{token}"
    response = await pair.first.with_(None, "DELETE", path, allow_redirects=False)
    assert (response.status, response.headers["Location"]) == (307, pair.urls[1] + path)
    assert str(token) not in response.body.decode()
    response = await equipped.as_("token of another upload", "GET", f"/v1/uploads/{name}", allow_redirects=False)
    assert (response.status, response.code) == (404, "UPLOAD_NOT_FOUND")


async def test_the_permit_that_created_it(pair: Pair) -> None:
    permit = (await pair.second.as_(OWNER, "POST", "/v1/permits", json={"count": 5})).data["token"]
    created = await pair.second.with_(permit, "POST", "/files/?cell=1", headers=TUS | {"Upload-Length": "10"})
    path = created.headers["Location"].removeprefix(pair.urls[1])
    response = await pair.first.with_(permit, "HEAD", path, headers=TUS, allow_redirects=False)
    assert (response.status, response.headers["Location"]) == (307, created.headers["Location"])


async def test_strangers_and_other_owners(pair: Pair) -> None:
    name = await of_second(pair)
    for column in ("no key", "wrong key", "expired key"):
        response = await unfollowed(pair, "GET", f"/v1/uploads/{name}", column)
        assert (response.status, "Location" in response.headers) == (401, False)
    nothing = str(in_cell(uuid7(), 1))
    for path in (f"/v1/uploads/{name}", f"/v1/uploads/{nothing}"):
        response = await unfollowed(pair, "GET", path, "key of another owner")
        assert (response.status, response.headers["Location"]) == (307, pair.urls[1] + path)
        response = await followed(pair, "GET", path, "key of another owner")
        assert (response.status, response.code) == (404, "UPLOAD_NOT_FOUND")


async def test_an_upload_that_this_cell_knows_is_served_here(settings: Settings, tmp_path: Path) -> None:
    """Ids of earlier releases name a cell by chance."""
    async with running_pair(settings, OPTIONS, tmp_path, first={"cell": 1}) as pair:
        name = await created_in(pair.first, 0, size=10)
        assert cell_of(name) == 1
        sent = await unfollowed(pair, "PUT", f"/v1/uploads/{name}/segments/1", data=b"0123456789")
        shown = await unfollowed(pair, "GET", f"/v1/uploads/{name}")
        assert (sent.status, shown.status) == (200, 200)


@pytest.mark.parametrize("cell", [0, 7])
async def test_ids_that_name_this_cell_or_none_are_looked_up_here(pair: Pair, cell: int) -> None:
    name = in_cell(uuid7(), cell)
    for text in (str(name), "x", str(UUID(int=name.int & ~(0xF << 76) | 4 << 76))):
        response = await unfollowed(pair, "GET", f"/v1/uploads/{text}")
        assert (response.status, response.code) == (404, "UPLOAD_NOT_FOUND")


async def test_no_body_is_asked_for(pair: Pair) -> None:
    name = await of_second(pair)
    key = pair.first.credentials[OWNER]
    headers = {"Authorization": f"Bearer {key}", "Expect": "100-continue", "Content-Length": "65536"}
    async with connect(pair.urls[0]) as connection:
        await connection.begin("PUT", f"/v1/uploads/{name}/segments/1", headers)
        head = await connection.head()
        assert (head.status, head.headers["connection"]) == (307, "close")
        await connection.closed()


async def test_a_body_that_is_sent_anyway_does_not_hide_the_redirect(pair: Pair) -> None:
    name = await of_second(pair, size=900_000)
    sent = await followed(pair, "PUT", f"/v1/uploads/{name}/segments/1", data=bytes(65536))
    assert sent.status == 200


async def test_pages_of_other_origins_may_follow(pair: Pair) -> None:
    name = await of_second(pair)
    response = await unfollowed(pair, "GET", f"/v1/uploads/{name}", headers={"Origin": ORIGIN})
    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "Location" in response.headers["Access-Control-Expose-Headers"]


async def test_without_redis_the_others_are_still_redirected(settings: Settings, tmp_path: Path) -> None:
    silent = ReservedPort()
    try:
        lost = {"redis_url": SecretStr(f"redis://127.0.0.1:{silent.number}/0")}
        async with running_pair(settings, OPTIONS, tmp_path, first=lost) as pair:
            name = await of_second(pair)
            found = await followed(pair, "GET", f"/v1/uploads/{name}")
            assert (found.status, found.data["id"]) == (200, name)
            own = await unfollowed(pair, "GET", f"/v1/uploads/{in_cell(uuid7(), 0)}")
            assert (own.status, own.code) == (503, "REDIS_UNAVAILABLE")
    finally:
        silent.release()
