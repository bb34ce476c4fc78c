"""What /openapi.json says is what the gateway does: requests made from it, with keys and with ids that exist."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.access import Scope
from tests.harness.cell import SEGMENT_BYTES, Cell
from tests.harness.generated_requests import Call, run
from tests.harness.keys import WITH_KEYS, as_caller, make_key
from tests.harness.media_samples import sample
from tests.harness.running import CellProcesses, cell_processes
from tests.harness.shared_stack import Servers

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

_EVENTS_TOKEN = "events" * 6
_SEED = int(os.environ.get("SEED", "1"))
_EXAMPLES = int(os.environ.get("EXAMPLES", "4"))
_OWNER = "alice"
_BUDGET_BYTES = 8 * 1024 * 1024
_BLOCKING_BYTES = 64 * 1024 * 1024


@pytest.fixture(scope="module")
def guarded(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CellProcesses]:
    with cell_processes(
        servers,
        tmp_path_factory.mktemp("generated"),
        auth="required",
        signing_secret=WITH_KEYS["signing_secret"],
        events_token=_EVENTS_TOKEN,
        temp_budget_bytes=_BUDGET_BYTES,
        temp_share=1,
        swift_tempurl_key="a-key-of-the-test",
        webhook_limit=10_000,
        trusted_proxies="127.0.0.1",  # whose requests without a valid credential are not limited
    ) as started:
        yield started


@pytest.fixture
async def alice(guarded: CellProcesses) -> AsyncIterator[Cell]:
    async with guarded.connected() as connected, as_caller(connected, _OWNER) as cell:
        yield cell


async def _contents(cell: Cell, count: int) -> list[str]:
    data = sample("mp4").read_bytes()
    views = await asyncio.gather(*(cell.upload(data, metadata={"n": str(number)}) for number in range(count)))
    return [view["id"] for view in views]


async def _uploads(cell: Cell) -> dict[str, list[str]]:
    """Ids by status. What schemathesis cancels has ids of its own."""
    data = sample("mp4").read_bytes()
    receiving = await cell.create(4 * SEGMENT_BYTES)
    await cell.put(receiving, 2, os.urandom(4 * SEGMENT_BYTES))
    granted = await cell.create(len(data), transport="direct")
    uppy = [await _from_uppy(cell) for _ in range(2)]
    cancelled = [await cell.create(1000) for _ in range(3)]
    for upload in cancelled[:2]:
        await cell.call("DELETE", f"/v1/uploads/{upload['id']}", expect=200)
    waiting = [await cell.create(_BUDGET_BYTES - SEGMENT_BYTES) for _ in range(3)]
    assert [upload["status"] for upload in waiting[1:]] == ["waiting", "waiting"]
    return {
        "receiving": [receiving["id"]],
        "granted": [granted["id"]],
        "uppy": uppy[:1],
        "uppy to cancel": uppy[1:],
        "ended": [upload["id"] for upload in cancelled[:2]],
        "to cancel": [cancelled[2]["id"], waiting[2]["id"]],
        "waiting": [waiting[1]["id"]],
    }


async def _from_uppy(cell: Cell) -> str:
    """An upload as Uppy creates it."""
    file = {"filename": "a.mp4", "type": "video/mp4"}
    async with cell.http.post(f"{cell.url}/s3/multipart", json=file) as response:
        assert response.status == 200, await response.text()
        return str((await response.json())["key"])


async def _webhook(cell: Cell) -> str:
    _, body, _ = await cell.call("POST", "/v1/webhooks", json={"url": "https://backend.example/"}, expect=201)
    return str(body["data"]["webhook"]["id"])


def _webhook_calls(webhook: str, to_delete: str) -> Sequence[Call]:
    path, urls = "/v1/webhooks/{webhook}", ["https://backend.example/sluice", "https://93.184.216.34/"]
    below = ("POST {}/rotate", "POST {}/test", "GET {}/deliveries", "POST {}/replay", "GET {}")
    return [
        Call("POST /v1/webhooks", {"body.url": urls}),
        Call(f"PATCH {path}", {"path.webhook": [webhook], "body.url": urls}),
        *(Call(name.format(path), {"path.webhook": [webhook]}) for name in below),
        Call(f"DELETE {path}", {"path.webhook": [to_delete]}),
    ]


def _calls(uploads: dict[str, list[str]], contents: list[str], to_delete: list[str]) -> Sequence[Call]:
    ended, receiving = uploads["ended"], uploads["receiving"]
    everything = [*receiving, *uploads["granted"], *ended, *uploads["waiting"], *contents]
    numbers = [1, 2, 3, 4]
    below_content = [f"GET /v1/contents/{{id}}{part}" for part in ("", "/download", "/thumbnail", "/segments")]
    types = ["video/mp4", "image/jpeg", "audio/ogg;codecs=opus", "application/octet-stream"]
    return [
        Call("POST /v1/uploads", {"body.content_type": types}),
        *(Call(f"{method} /v1/uploads/{{id}}", {"path.id": ids})
          for method, ids in (("GET", everything), ("DELETE", [*uploads["to cancel"], *ended]))),
        Call("POST /files/", {}),
        Call("PATCH /files/{id}", {"path.id": [*receiving, *ended], "header.Upload-Offset": ["0", "7"]}),
        *(Call(f"{method} /files/{{id}}", {"path.id": everything}) for method in ("GET", "POST")),
        Call("DELETE /files/{id}", {"path.id": ended}),
        Call("GET /v1/uploads/{id}/events", {"path.id": [*ended, *contents]}),
        Call("POST /v1/uploads/{id}/tickets", {"path.id": everything}),
        Call("GET /v1/uploads/{id}/thumbnail", {"path.id": everything}),
        Call("GET /assets/{name}", {"path.name": ["sluice-client.js", "base.css"]}),
        Call("PUT /v1/uploads/{id}/segments/{number}", {
            "path.id": [*receiving, *uploads["waiting"], *ended], "path.number": numbers,
        }),
        *(Call(f"POST /v1/uploads/{{id}}/{part}", {"path.id": [*uploads["granted"], *receiving]})
          for part in ("grants", "complete")),
        Call("GET /s3/params", {}),
        Call("POST /s3/multipart", {"body.type": types}),
        Call("DELETE /s3/multipart/{id}", {"path.id": [*uploads["uppy to cancel"], *ended]}),
        Call("GET /s3/multipart/{id}/{number}", {"path.id": uploads["uppy"], "path.number": numbers}),
        *(Call(name, {"path.id": [*uploads["uppy"], *uploads["granted"], *receiving]})
          for name in ("GET /s3/multipart/{id}", "GET /s3/multipart/{id}/batch", "POST /s3/multipart/{id}/complete")),
        *(Call(name, {"path.id": contents}) for name in (*below_content, "POST /v1/contents/{id}/links")),
        Call("GET /v1/contents/{id}/segments/{number}", {"path.id": contents, "path.number": numbers}),
        Call("DELETE /v1/contents/{id}", {"path.id": to_delete}),
        Call("GET /v1/status/uploads/{id}", {"path.id": everything}),
        Call("POST /v1/status/uploads/{id}/stages/{stage}/retry", {"path.id": [*receiving, *ended]}),
    ]  # fmt: skip


@pytest.mark.parametrize("caller", ["owner", "operator"])
async def test_the_description_is_true(alice: Cell, caller: str, tmp_path: Path) -> None:
    contents = await _contents(alice, 3)
    calls = [
        *_calls(await _uploads(alice), contents[:2], contents[2:]),
        *_webhook_calls(await _webhook(alice), await _webhook(alice)),
    ]
    scopes: Any = (Scope.UPLOAD, Scope.READ) if caller == "owner" else tuple(Scope)
    _, key = await make_key(alice.settings, _OWNER if caller == "owner" else "operator", *scopes)
    async with alice.http.get(f"{alice.url}/openapi.json") as response:
        document = await response.text()
    found, report = await run(
        alice.url, document, tmp_path, {"bearer": key, "store": _EVENTS_TOKEN}, calls, seed=_SEED, examples=_EXAMPLES
    )
    assert found == 0, report
    for upload_id in await _in_flight(alice):
        await alice.call("DELETE", f"/v1/uploads/{upload_id}")


async def _in_flight(cell: Cell) -> list[str]:
    found: list[str] = []
    for status in ("waiting", "granted", "admitted", "receiving"):
        _, body, _ = await cell.call("GET", f"/v1/uploads?limit=200&status={status}", expect=200)
        found += [item["id"] for item in body["data"]["items"]]
    return found
