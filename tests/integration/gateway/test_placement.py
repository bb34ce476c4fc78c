"""Where the new uploads of an installation of two cells are created."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from deploy.cli.client import SluiceClient
from deploy.cli.errors import ApiError
from deploy.embedded.ports import ReservedPort
from pipeline.core.cells import cell_of
from pipeline.core.placement import in_order
from pipeline.settings import Settings
from pipeline.telemetry import REGISTRY
from schemas.uploads import CreateUpload
from tests.harness.cell import eventually
from tests.integration.gateway.conftest import BUDGET_BYTES, OPTIONS
from tests.integration.gateway.pair_of_cells import Pair, running_pair
from tests.integration.gateway.resumable import BODY, DRAFT, TUS
from tests.integration.gateway.site import Site

pytestmark = pytest.mark.integration

FILE = {"filename": "a.mp4", "size": 100_000, "content_type": "video/mp4"}
FETCHED = {"Sec-Fetch-Mode": "cors"}
OWNER = "key of the owner"
LENGTH = {"Upload-Length": "100000"}


@pytest.fixture(autouse=True)
def quick_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.uploads.cell_rooms.POLL_SECONDS", 0.02)
    monkeypatch.setattr("pipeline.uploads.cell_rooms.FRESH_SECONDS", 0.0)


@pytest.fixture
async def pair(settings: Settings, tmp_path: Path) -> AsyncIterator[Pair]:
    """The second cell has far more room."""
    async with running_pair(settings, OPTIONS, tmp_path, second={"temp_budget_bytes": 8 * BUDGET_BYTES}) as running:
        for cell, site in enumerate((running.first, running.second)):
            await site.as_(OWNER, "POST", f"/v1/uploads?cell={cell}", json=FILE)  # the disk is measured
        await seen(running)
        yield running


async def seen(pair: Pair) -> None:
    """Wait until each gateway has read what the other one reports."""

    async def same() -> bool:
        for cell, site in enumerate((pair.first, pair.second)):
            response = await site.with_(None, "GET", "/readyz")
            room = response.data["room"] if response.status == 200 else None
            free = 0 if room is None or room["draining"] or room["waiting"] else room["available"]
            if REGISTRY.get_sample_value("sluice_cell_room_bytes", {"cell": str(cell)}) != free:
                return False
        return True

    await eventually(same, 20, lambda: "each gateway to read the room of the other cell")


async def drain(pair: Pair, cell: int) -> None:
    redis = (pair.first, pair.second)[cell].services._redis
    assert await redis.draining.begin(pair.settings[cell].volume, "new")
    await seen(pair)


async def created(pair: Pair, site: Site, key: str | None = None, **more: Any) -> tuple[str, tuple[str, ...]]:
    """The id of a new upload, and the redirects before."""
    headers = {"Idempotency-Key": key} if key else {}
    found = await pair.follow(
        site, site.credentials[OWNER], "POST", "/v1/uploads?x=%20", json=FILE | more, headers=headers
    )
    assert found.response.status in (200, 201), found.response.body
    assert found.response.data["links"]["self"].startswith(pair.urls[cell_of(found.response.data["id"]) or 0])
    return found.response.data["id"], found.queries


async def test_a_creation_goes_to_the_cell_with_the_most_room(pair: Pair) -> None:
    name, queries = await created(pair, pair.first)
    assert (cell_of(name), queries) == (1, ("x=%20&cell=1",))
    name, queries = await created(pair, pair.second)
    assert (cell_of(name), queries) == (1, ())
    found = await pair.follow(pair.second, pair.first.credentials[OWNER], "POST", "/v1/uploads?cell=0", json=FILE)
    assert (cell_of(found.response.data["id"]), found.queries) == (0, ("cell=0",))
    for number in ("7", "-1", "x", ""):
        refused = await pair.first.as_(OWNER, "POST", f"/v1/uploads?cell={number}", json=FILE)
        assert (refused.status, refused.code) == (422, "VALIDATION_FAILED")


async def test_a_repeated_creation_finds_its_upload(pair: Pair) -> None:
    for number in range(4):
        key = f"key-{number}"
        name, queries = await created(pair, pair.first, key)
        home = in_order(f"owner alice {key}", (0, 1))[0]
        assert len(queries) <= 2
        assert (queries[:1] == ("x=%20&home=1",)) == (home == 1)
        for site in (pair.second, pair.first):
            again, queries = await created(pair, site, key)
            assert again == name
            assert len(queries) <= 2
    conflict = await pair.follow(
        pair.first,
        pair.first.credentials[OWNER],
        "POST",
        "/v1/uploads",
        json=FILE | {"size": 7},
        headers={"Idempotency-Key": "key-0"},
    )
    assert conflict.response.code == "IDEMPOTENCY_KEY_REUSED"


async def test_a_repetition_finds_its_upload_although_the_rooms_have_changed(pair: Pair) -> None:
    names = {f"key-{number}": (await created(pair, pair.first, f"key-{number}"))[0] for number in range(4)}
    await drain(pair, 1)
    for key, name in names.items():
        assert cell_of(name) == 1
        for site in (pair.first, pair.second):
            assert (await created(pair, site, key))[0] == name
    name, queries = await created(pair, pair.second, "new")
    assert (cell_of(name), len(queries) <= 2) == (0, True)
    assert (await created(pair, pair.first, "new"))[0] == name


async def test_two_at_once_with_one_key_are_one_upload(pair: Pair) -> None:
    for number in range(5):
        sites = (pair.first, pair.second, pair.first, pair.second)
        found = await asyncio.gather(*(created(pair, site, f"at-once-{number}") for site in sites))
        assert len({name for name, _ in found}) == 1


async def test_a_drained_cell_sends_creations_on_and_two_drained_ones_refuse(pair: Pair) -> None:
    await drain(pair, 1)
    name, queries = await created(pair, pair.second)
    assert (cell_of(name), queries) == (0, ("x=%20&cell=0",))
    # It was chosen a moment before it was drained.
    found = await pair.follow(pair.second, pair.first.credentials[OWNER], "POST", "/v1/uploads?cell=1", json=FILE)
    assert (cell_of(found.response.data["id"]), found.queries) == (0, ("cell=0&home=1",))
    created_here = await pair.follow(
        pair.second, pair.first.credentials[OWNER], "POST", "/files/", headers=TUS | LENGTH | BODY, data=b"1234"
    )
    assert (created_here.response.status, created_here.queries) == (201, ("cell=0",))
    uppy = await pair.second.as_(
        OWNER, "POST", "/s3/multipart", json={"filename": "a", "type": "video/mp4"}, allow_redirects=False
    )
    assert (uppy.status, uppy.headers["Location"]) == (307, f"{pair.urls[0]}/s3/multipart?cell=0")
    await drain(pair, 0)
    for path in ("/v1/uploads", "/v1/uploads?cell=1", "/v1/uploads?cell=0", "/v1/uploads?home=1"):
        found = await pair.follow(pair.second, pair.first.credentials[OWNER], "POST", path, json=FILE)
        assert found.response.code == "VOLUME_DRAINING"
        assert len(found.queries) <= 1


async def test_of_tus_clients_only_browsers_are_sent_to_more_room(pair: Pair) -> None:
    for headers in (TUS | LENGTH, DRAFT | LENGTH | {"Upload-Complete": "?0"}):
        for more, cell in (({}, 0), (FETCHED, 1)):
            found = await pair.follow(
                pair.first, pair.first.credentials[OWNER], "POST", "/files/", headers=headers | more
            )
            assert found.response.status == 201
            assert cell_of(found.response.headers["Sluice-Upload-Id"]) == cell
            assert found.response.headers["Location"].startswith(f"{pair.urls[cell]}/files/")
    with_body = await pair.follow(
        pair.first, pair.first.credentials[OWNER], "POST", "/files/", headers=TUS | LENGTH | BODY | FETCHED, data=b"12"
    )
    assert (cell_of(with_body.response.headers["Sluice-Upload-Id"]), with_body.queries) == (0, ())


async def test_the_uploads_of_a_permit_are_counted_in_one_cell(pair: Pair) -> None:
    for _ in range(3):
        permit = (await pair.first.as_(OWNER, "POST", "/v1/permits", json={"count": 2})).data["token"]
        cells = []
        for site in (pair.first, pair.second):
            found = await pair.follow(site, permit, "POST", "/v1/uploads", json=FILE)
            assert len(found.queries) <= 1
            cells.append(cell_of(found.response.data["id"]))
        assert cells[0] == cells[1]
        refused = await pair.follow(pair.first, permit, "POST", "/v1/uploads", json=FILE)
        assert refused.response.code == "PERMIT_EXCEEDED"


async def test_the_parts_of_a_file_are_in_one_cell_and_joined_there(pair: Pair) -> None:
    parts = []
    for site in (pair.first, pair.second):
        found = await pair.follow(
            site,
            site.credentials[OWNER],
            "POST",
            "/files/",
            headers=TUS | {"Upload-Length": "5", "Upload-Concat": "partial"},
        )
        parts.append(found.response.headers["Location"])
    home = in_order("owner alice", (0, 1))[0]
    assert [part.startswith(pair.urls[home]) for part in parts] == [True, True]
    other = (pair.second, pair.first)[home]
    final = await pair.follow(
        other, other.credentials[OWNER], "POST", "/files/", headers=TUS | {"Upload-Concat": f"final;{' '.join(parts)}"}
    )
    assert (final.response.code, len(final.queries)) == ("PARTIAL_UPLOAD_INCOMPLETE", 1)
    away = await pair.follow(
        other,
        other.credentials[OWNER],
        "POST",
        f"/files/?cell={1 - home}",
        headers=TUS | {"Upload-Length": "5", "Upload-Concat": "partial"},
    )
    concat = {"Upload-Concat": f"final;{parts[0]} {away.response.headers['Location']}"}
    apart = await pair.follow(other, other.credentials[OWNER], "POST", "/files/", headers=TUS | concat)
    assert (apart.response.status, apart.response.code) == (409, "PARTIAL_UPLOADS_APART")
    assert apart.response.detail == {"cells": "0, 1"}


async def test_an_object_is_imported_in_one_cell(pair: Pair) -> None:
    redirected = []
    for number in range(8):
        wanted = {"key": f"raw/{number}.mp4"}
        for cell, site in enumerate((pair.first, pair.second)):
            response = await site.as_(
                "key with `operate` only", "POST", "/v1/contents/import", json=wanted, allow_redirects=False
            )
            home = in_order(f"object sluice raw/{number}.mp4", (0, 1))[0]
            assert (response.status == 307) == (home != cell), response.body
            redirected.append(home != cell)
    assert redirected.count(True) == 8


async def test_a_cell_without_redis_sends_creations_to_one_that_has_it(settings: Settings, tmp_path: Path) -> None:
    silent = ReservedPort()
    try:
        lost = {"redis_url": SecretStr(f"redis://127.0.0.1:{silent.number}/0")}
        async with running_pair(settings, OPTIONS, tmp_path, first=lost) as pair:

            async def found() -> bool:
                return 1 in await pair.first.services.placement.rooms.ready()

            await eventually(found, 20, lambda: "the first gateway to find the second cell")
            for number in range(4):
                name, queries = await created(pair, pair.first, f"key-{number}")
                assert (cell_of(name), len(queries)) == (1, 1)
                assert (await created(pair, pair.second, f"key-{number}"))[0] == name
            assert cell_of((await created(pair, pair.first))[0]) == 1
            refused = await pair.follow(
                pair.first, pair.first.credentials[OWNER], "POST", "/v1/uploads?cell=0&home=1", json=FILE
            )
            assert refused.response.code == "REDIS_UNAVAILABLE"
    finally:
        silent.release()


async def test_the_command_line_follows(pair: Pair) -> None:
    key = pair.first.credentials[OWNER]
    async with SluiceClient(pair.urls[0], key=key) as client:
        for name in ("one", "two", "three"):
            view = await client.create(CreateUpload.model_validate(FILE), name)
            assert cell_of(view.id) == 1
            assert (await client.upload(view.id)).id == view.id
            assert (await client.create(CreateUpload.model_validate(FILE), name)).id == view.id
            await client.cancel(view.id)
    async with SluiceClient(pair.urls[0], key=pair.first.credentials["key of another owner"]) as client:
        with pytest.raises(ApiError, match="UPLOAD_NOT_FOUND"):
            await client.upload(view.id)
