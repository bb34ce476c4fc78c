"""Uploads over HTTP with real services: create, show, list, cancel."""

from __future__ import annotations

import pytest

from tests.integration.gateway.conftest import BUDGET_BYTES, Gateway

pytestmark = pytest.mark.integration

FILE = {"filename": "a.mp4", "size": 150_000, "content_type": "video/mp4"}


async def test_a_new_upload_contains_all_that_a_client_needs(gateway: Gateway) -> None:
    response = await gateway.client.request("POST", "/v1/uploads", json={**FILE, "metadata": {"k": "v"}})
    assert response.status == 201
    upload = response.data
    assert upload["status"] == "admitted"
    assert (upload["segment_size"], upload["segment_count"]) == (65536, 3)
    assert upload["missing_segments"] == [[1, 3]]
    assert upload["metadata"] == {"k": "v"}
    assert upload["expires_at"] is not None
    assert upload["links"]["self"] == f"{gateway.url}/v1/uploads/{upload['id']}" == response.headers["Location"]
    shown = await gateway.client.request("GET", response.headers["Location"])
    assert shown.data["id"] == upload["id"]


async def test_repeating_an_idempotency_key_returns_the_same_upload(gateway: Gateway) -> None:
    key = {"Idempotency-Key": "a-key"}
    first = await gateway.client.request("POST", "/v1/uploads", json=FILE, headers=key)
    again = await gateway.client.request("POST", "/v1/uploads", json=FILE, headers=key)
    assert (first.status, again.status) == (201, 200)
    assert first.data["id"] == again.data["id"]
    other = await gateway.client.request("POST", "/v1/uploads", json={**FILE, "size": 1}, headers=key)
    assert (other.status, other.code) == (409, "IDEMPOTENCY_KEY_REUSED")


async def test_an_upload_that_does_not_fit_now_waits(gateway: Gateway) -> None:
    await gateway.create(BUDGET_BYTES)
    waiting = await gateway.create(BUDGET_BYTES)
    assert (waiting["status"], waiting["queue_position"]) == ("waiting", 1)
    response = await gateway.client.request("PUT", f"/v1/uploads/{waiting['id']}/segments/1", data=b"x" * 65536)
    assert (response.status, response.code) == (409, "UPLOAD_WAITING")
    assert int(response.headers["Retry-After"]) >= 1
    assert response.detail["queue_position"] == 1


async def test_a_file_larger_than_the_volume_gets_a_window(gateway: Gateway) -> None:
    """It reserves a part of the volume, in segments that are short enough for it."""
    giant = await gateway.create(100 * BUDGET_BYTES)
    assert giant["status"] == "admitted"
    assert 0 < giant["segment_size"] <= BUDGET_BYTES // 8
    assert giant["segment_size"] % 4096 == 0
    assert giant["segment_count"] == -(-100 * BUDGET_BYTES // giant["segment_size"]) <= 1_000


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"size": 1_000 * (BUDGET_BYTES // 2 + 1)}, 413, "SEGMENTS_TOO_LARGE_FOR_VOLUME"),
        ({"size": 10**13}, 413, "FILE_TOO_LARGE_FOR_STORE"),
        ({"size": 0}, 422, "VALIDATION_FAILED"),
        ({"size": "1"}, 422, "VALIDATION_FAILED"),
        ({"filename": "../a"}, 422, "VALIDATION_FAILED"),
        ({"filename": None}, 422, "VALIDATION_FAILED"),
        ({"surprise": 1}, 422, "VALIDATION_FAILED"),
        ({"digest": "sha-512=:AAAA:"}, 400, "DIGEST_NOT_SUPPORTED"),
    ],
)
async def test_a_request_that_can_never_succeed_is_refused(
    gateway: Gateway, change: dict[str, object], status: int, code: str
) -> None:
    response = await gateway.client.request("POST", "/v1/uploads", json={**FILE, **change})
    assert (response.status, response.code) == (status, code)
    if code == "VALIDATION_FAILED":
        assert [field["field"] for field in response.detail["fields"]] == list(change)
    listed = await gateway.client.request("GET", "/v1/uploads")
    assert listed.data["items"] == []


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "ü"])
async def test_an_invalid_idempotency_key_is_refused(gateway: Gateway, key: str) -> None:
    response = await gateway.client.request("POST", "/v1/uploads", json=FILE, headers={"Idempotency-Key": key})
    assert (response.status, response.code) == (422, "VALIDATION_FAILED")
    assert response.detail["fields"][0]["field"] == "Idempotency-Key"


async def test_pages_contain_every_upload_once(gateway: Gateway) -> None:
    created = [(await gateway.create(1000))["id"] for _ in range(5)]
    seen: list[str] = []
    query = "?limit=2"
    while query:
        page = (await gateway.client.request("GET", f"/v1/uploads{query}")).data
        seen += [item["id"] for item in page["items"]]
        query = f"?limit=2&cursor={page['next_cursor']}" if page["next_cursor"] else ""
    assert seen == created[::-1]


async def test_a_list_can_be_filtered(gateway: Gateway) -> None:
    await gateway.create(BUDGET_BYTES)
    waiting = await gateway.create(BUDGET_BYTES)
    page = (await gateway.client.request("GET", "/v1/uploads?status=waiting")).data
    assert [item["id"] for item in page["items"]] == [waiting["id"]]
    assert page["next_cursor"] is None


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("limit=0", 422, "VALIDATION_FAILED"),
        ("limit=201", 422, "VALIDATION_FAILED"),
        ("status=done", 422, "VALIDATION_FAILED"),
        ("sort=name", 422, "VALIDATION_FAILED"),
        ("cursor=nonsense", 400, "CURSOR_INVALID"),
    ],
)
async def test_a_wrong_query_is_refused(gateway: Gateway, query: str, status: int, code: str) -> None:
    response = await gateway.client.request("GET", f"/v1/uploads?{query}")
    assert (response.status, response.code) == (status, code)


async def test_cancelling_twice_is_harmless_and_ends_the_upload(gateway: Gateway) -> None:
    upload = await gateway.create()
    for _ in range(2):
        response = await gateway.client.request("DELETE", f"/v1/uploads/{upload['id']}")
        assert (response.status, response.data["status"]) == (200, "cancelled")
    put = await gateway.client.request("PUT", f"/v1/uploads/{upload['id']}/segments/1", data=b"x" * 65536)
    assert (put.status, put.code) == (409, "UPLOAD_ENDED")


@pytest.mark.parametrize("name", ["nope", "0198c1f2-0000-7000-8000-000000000000", "a:b", "%00", "x" * 300, "a%2Fb"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_an_unknown_upload(gateway: Gateway, method: str, name: str) -> None:
    response = await gateway.client.request(method, f"/v1/uploads/{name}")
    assert (response.status, response.code) == (404, "UPLOAD_NOT_FOUND")


async def test_metadata_has_at_most_16_kib_in_all(gateway: Gateway) -> None:
    fits = {f"{number:02}": "x" * 1022 for number in range(16)}
    await gateway.create(metadata=fits)
    for metadata in ({**fits, "k": ""}, {f"{number:02}": "é" * 600 for number in range(14)}):
        refused = await gateway.client.request("POST", "/v1/uploads", json={**FILE, "metadata": metadata})
        assert (refused.status, refused.code) == (422, "VALIDATION_FAILED")
        assert "16384 bytes" in str(refused.detail)
