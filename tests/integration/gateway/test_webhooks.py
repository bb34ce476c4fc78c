"""Routes of webhooks: what they refuse, whose webhooks a caller sees, and the list of deliveries."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from deploy.access_table import OTHER, OWNER
from pipeline.core.access import Scope
from pipeline.settings import Settings
from tests.integration.gateway.conftest import OPTIONS, Gateway
from tests.integration.gateway.site import Site, running_site
from tests.integration.gateway.truth import Response

pytestmark = pytest.mark.integration

URL = "https://backend.example.com/sluice"
NOBODY = "00000000-0000-4000-8000-000000000000"
UPLOAD_ID = "0198c1f2-0000-7000-8000-000000000000"


@pytest.fixture
async def site(settings: Settings) -> AsyncIterator[Site]:
    async with running_site(settings, OPTIONS) as running:
        yield running


async def create(gateway: Gateway, **more: Any) -> Response:
    return await gateway.client.request("POST", "/v1/webhooks", json={"url": URL, **more})


async def new(gateway: Gateway, **more: Any) -> str:
    response = await create(gateway, **more)
    assert response.status == 201, response.body
    return str(response.data["webhook"]["id"])


async def ask(gateway: Gateway, method: str, path: str, expect: int = 200, **options: Any) -> Any:
    """`data` of the response, or the code of the error."""
    response = await gateway.client.request(method, f"/v1/webhooks/{path}", **options)
    assert response.status == expect, response.body
    return response.data if expect < 400 else response.code


# -- one webhook


async def test_the_life_of_a_webhook(gateway: Gateway) -> None:
    response = await create(gateway, events=["upload.failed", "content.ready", "content.ready"], note="a site")
    made, secret = response.data["webhook"], response.data["secret"]
    assert secret.startswith("whsec_")
    assert response.headers["Location"] == f"{gateway.url}/v1/webhooks/{made['id']}"
    assert (made["owner"], made["state"], made["events"]) == (None, "active", ["content.ready", "upload.failed"])
    shown = await gateway.client.request("GET", f"/v1/webhooks/{made['id']}")
    assert shown.data == made
    assert secret.encode() not in shown.body, "the secret is shown once"
    changed = await ask(gateway, "PATCH", made["id"], json={"paused": True, "note": ""})
    assert (changed["state"], changed["pause_reason"], changed["note"]) == ("paused", "requested", "")
    assert changed["events"] == made["events"], "what is left out stays"
    changed = await ask(gateway, "PATCH", made["id"], json={"paused": False, "events": []})
    assert (changed["state"], changed["pause_reason"], changed["events"]) == ("active", None, [])
    rotated = await ask(gateway, "POST", f"{made['id']}/rotate", json={})
    assert rotated["secret"] != secret
    assert rotated["webhook"]["previous_secret_until"] is not None
    rotated = await ask(gateway, "POST", f"{made['id']}/rotate", json={"overlap_seconds": 0})
    assert rotated["webhook"]["previous_secret_until"] is None
    assert (await ask(gateway, "DELETE", made["id"]))["id"] == made["id"]
    assert await ask(gateway, "DELETE", made["id"], expect=404) == "WEBHOOK_NOT_FOUND"


async def test_a_test_is_queued_and_listed(gateway: Gateway) -> None:
    webhook = await new(gateway)
    first = await ask(gateway, "POST", f"{webhook}/test", expect=202)
    second = await ask(gateway, "POST", f"{webhook}/test", expect=202)
    assert (first["type"], first["state"], first["attempts"]) == ("webhook.test", "pending", 0)
    page = await ask(gateway, "GET", f"{webhook}/deliveries?limit=1")
    assert [item["id"] for item in page["items"]] == [second["id"]], "newest first"
    rest = await ask(gateway, "GET", f"{webhook}/deliveries?limit=1&cursor={page['next_cursor']}")
    assert ([item["id"] for item in rest["items"]], rest["next_cursor"]) == ([first["id"]], None)
    assert (await ask(gateway, "GET", f"{webhook}/deliveries?state=failed"))["items"] == []
    assert (await ask(gateway, "GET", f"{webhook}/deliveries?state=pending"))["items"] != []
    assert (await ask(gateway, "GET", webhook))["pending"] == 2
    other = await new(gateway)
    wrong = f"{other}/deliveries?limit=1&cursor={page['next_cursor']}"
    assert await ask(gateway, "GET", wrong, expect=400) == "CURSOR_INVALID"
    assert (await ask(gateway, "GET", f"{other}/deliveries"))["items"] == [], "a test is for one webhook"


async def test_a_replay_leaves_out_what_is_pending(gateway: Gateway) -> None:
    webhook = await new(gateway)
    test = await ask(gateway, "POST", f"{webhook}/test", expect=202)
    wanted = {"deliveries": [test["id"]]}
    assert await ask(gateway, "POST", f"{webhook}/replay", expect=202, json=wanted) == {"queued": 0, "more": False}
    pool = gateway.services.contents.pool  # type: ignore[attr-defined]  # the real repository has one
    async with pool.connection() as connection:
        await connection.execute("UPDATE webhook_deliveries SET state = 'failed' WHERE id = $1", test["id"])
    for state, queued in (("delivered", 0), ("failed", 1)):
        found = await ask(gateway, "POST", f"{webhook}/replay", expect=202, json={**wanted, "state": state})
        assert found == {"queued": queued, "more": False}
    again = (await ask(gateway, "GET", f"{webhook}/deliveries"))["items"][0]
    assert (again["event_id"], again["state"]) == (test["event_id"], "pending")
    assert again["id"] > test["id"]


# -- what is refused


@pytest.mark.parametrize(
    "url",
    [
        *("http://backend.example/", "https://127.0.0.1/", "https://[::1]/", "https://10.0.0.1/", "https://[::ffff:a00:1]/"),
        *("https://169.254.169.254/latest", "https://user@backend.example/", "https://backend.example/#part"),
        *("https://[::1", "https://backend.example:99999/", "https:///path"),
    ],
)  # fmt: skip
async def test_a_url_that_may_not_be_called_is_refused(gateway: Gateway, url: str) -> None:
    assert (await create(gateway, url=url)).code == "WEBHOOK_URL_REFUSED"
    webhook = await new(gateway)
    assert await ask(gateway, "PATCH", webhook, expect=422, json={"url": url}) == "WEBHOOK_URL_REFUSED"
    assert (await ask(gateway, "GET", webhook))["url"] == URL


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({}, "url"),
        ({"url": "ftp://backend.example/"}, "url"),
        ({"url": "https://backend.example/a b"}, "url"),
        ({"url": "https://backend.example/" + "x" * 2000}, "url"),
        ({"url": URL, "events": ["content.lost"]}, "events.0"),
        ({"url": URL, "events": ["webhook.test"]}, "events.0"),
        ({"url": URL, "note": "x" * 201}, "note"),
        ({"url": URL, "note": "two\nlines"}, "note"),
        ({"url": URL, "owner": "a b"}, "owner"),
        ({"url": URL, "secret": "whsec_mine"}, "secret"),
    ],
)
async def test_an_invalid_body_names_its_field(gateway: Gateway, sent: dict[str, Any], field: str) -> None:
    response = await gateway.client.request("POST", "/v1/webhooks", json=sent)
    assert (response.status, response.code) == (422, "VALIDATION_FAILED")
    assert response.detail["fields"][0]["field"] == field


@pytest.mark.parametrize(
    "sent",
    [
        {"upload_id": "-" * 36},
        {"deliveries": [2**63]},
        {"deliveries": ["1"]},
        {"state": "pending"},
        {"since": "0001-01-01T00:00:00+14:00"},
        {"since": "2026-11-02T00:00:00Z", "until": "2026-11-01T00:00:00Z"},
        {"contents": True, "state": "failed"},
        {"owner": "ann"},
    ],
)
async def test_an_invalid_replay_is_refused(gateway: Gateway, sent: dict[str, Any]) -> None:
    webhook = await new(gateway)
    assert await ask(gateway, "POST", f"{webhook}/replay", expect=422, json=sent) == "VALIDATION_FAILED"


@pytest.mark.parametrize(
    "sent",
    [
        {"upload_id": UPLOAD_ID},
        {"contents": True, "owner": "nobody"},
        {"since": "0001-01-01T00:00:00Z", "until": "9999-12-31T23:59:59Z", "deliveries": [1]},
    ],
)
async def test_a_replay_without_matches_queues_nothing(gateway: Gateway, sent: dict[str, Any]) -> None:
    webhook = await new(gateway)
    assert await ask(gateway, "POST", f"{webhook}/replay", expect=202, json=sent) == {"queued": 0, "more": False}


@pytest.mark.parametrize("seconds", [-1, 604_801, 1.5, "60"])
async def test_an_overlap_has_limits(gateway: Gateway, seconds: Any) -> None:
    webhook = await new(gateway)
    sent = {"overlap_seconds": seconds}
    assert await ask(gateway, "POST", f"{webhook}/rotate", expect=422, json=sent) == "VALIDATION_FAILED"


@pytest.mark.parametrize("name", [NOBODY, "nonsense", "%00", "x" * 65])
async def test_what_names_no_webhook_is_not_found(gateway: Gateway, name: str) -> None:
    requests: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", "", {}),
        ("DELETE", "", {}),
        ("PATCH", "", {"json": {}}),
        ("POST", "/rotate", {"json": {}}),
        ("POST", "/test", {}),
        ("GET", "/deliveries", {}),
        ("POST", "/replay", {"json": {}}),
    ]
    for method, part, options in requests:
        assert await ask(gateway, method, f"{name}{part}", expect=404, **options) == "WEBHOOK_NOT_FOUND"


async def test_an_owner_has_so_many_webhooks(settings: Settings) -> None:
    async with running_site(settings.model_copy(update={"webhook_limit": 2}), OPTIONS) as site:
        key = await site.key(f"many-{uuid4()}", Scope.UPLOAD)
        made = [await site.with_(key, "POST", "/v1/webhooks", json={"url": URL}) for _ in range(3)]
        assert [response.status for response in made] == [201, 201, 409]
        assert made[2].code == "WEBHOOK_LIMIT"
        name = made[0].data["webhook"]["id"]
        assert (await site.with_(key, "DELETE", f"/v1/webhooks/{name}")).status == 200
        assert (await site.with_(key, "POST", "/v1/webhooks", json={"url": URL})).status == 201


async def test_tests_and_replays_have_a_rate_of_their_own(settings: Settings) -> None:
    limited = replace(OPTIONS, owner_requests_per_second=1000, owner_creations_per_second=1000)
    async with running_site(settings, limited) as site:
        path = f"/v1/webhooks/{await site.new_webhook()}"

        async def send(number: int) -> Response:
            part, sent = ("test", None) if number % 2 else ("replay", {"upload_id": UPLOAD_ID})
            return await site.as_("key of the owner", "POST", f"{path}/{part}", json=sent)

        found = await asyncio.gather(*(send(number) for number in range(100)))
        refused = [response for response in found if response.status == 429]
        assert 100 - len(refused) >= 20
        assert {(response.code, response.detail["what"]) for response in refused} == {("RATE_LIMITED", "webhooks")}
        assert (await site.as_("key with `operate` only", "POST", f"{path}/test")).status == 202


# -- whose webhooks a caller sees


async def test_a_list_has_the_webhooks_that_its_caller_sees(site: Site) -> None:
    mine, other = await site.new_webhook(), await site.new_webhook("key of another owner")
    everybody = await site.new_webhook("key with `operate` only")

    async def names(column: str, query: str = "") -> set[str]:
        found: set[str] = set()
        path = f"/v1/webhooks?limit=200{query}"
        while True:
            page = (await site.as_(column, "GET", path)).data
            found |= {item["id"] for item in page["items"]}
            if page["next_cursor"] is None:
                return found & {mine, other, everybody}
            path = f"/v1/webhooks?limit=200{query}&cursor={page['next_cursor']}"

    assert await names("key of the owner") == {mine}
    assert await names("key of another owner") == {other}
    assert await names("key of another owner", f"&owner={OWNER}") == set()
    assert await names("key with `operate` only") == {mine, other, everybody}
    assert await names("key with `operate` only", f"&owner={OTHER}") == {other}


async def test_a_webhook_of_another_owner_looks_like_none(site: Site) -> None:
    mine, everybody = await site.new_webhook(), await site.new_webhook("key with `operate` only")
    for name in (mine, everybody, NOBODY):
        for method, part, sent in (("GET", "", None), ("DELETE", "", None), ("PATCH", "", {}), ("POST", "/test", None)):
            path = f"/v1/webhooks/{name}{part}"
            response = await site.as_("key of another owner", method, path, json=sent)
            assert (response.status, response.code) == (404, "WEBHOOK_NOT_FOUND")
            assert response.detail == {"webhook_id": name}
    assert (await site.as_("key of the owner", "GET", f"/v1/webhooks/{mine}")).status == 200


async def test_only_operators_name_another_owner(site: Site) -> None:
    sent = {"url": URL, "owner": OTHER}
    refused = await site.as_("key of the owner", "POST", "/v1/webhooks", json=sent)
    assert (refused.status, refused.code) == (403, "ACCESS_DENIED")
    assert "operate" in refused.detail["needed"]
    allowed = await site.as_("key with `operate` only", "POST", "/v1/webhooks", json=sent)
    assert allowed.data["webhook"]["owner"] == OTHER
    own = await site.as_("key of the owner", "POST", "/v1/webhooks", json={"url": URL, "owner": OWNER})
    assert own.data["webhook"]["owner"] == OWNER
    unnamed = await site.as_("key of the owner", "POST", "/v1/webhooks", json={"url": URL})
    assert unnamed.data["webhook"]["owner"] == OWNER


async def test_a_page_of_an_allowed_origin_may_change_webhooks(gateway: Gateway) -> None:
    asked = {"Origin": "http://page.example", "Access-Control-Request-Method": "PATCH"}
    response = await gateway.client.request("OPTIONS", f"/v1/webhooks/{NOBODY}", headers=asked)
    allowed = response.headers["Access-Control-Allow-Methods"]
    assert {"GET", "PATCH", "DELETE"} <= {method.strip() for method in allowed.split(",")}
