"""The routes below /v1/status on a real gateway: they are true to what uploads do, and bounded."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.app import ALL_ROUTES
from pipeline.core.model import StageJob
from pipeline.core.stages import Stage
from tests.integration.gateway.conftest import BUDGET_BYTES, SEGMENT_BYTES, Gateway

pytestmark = pytest.mark.integration

SIZE = 150_000


async def _get(gateway: Gateway, path: str) -> Any:
    response = await gateway.client.request("GET", path)
    assert response.status == 200, response.body
    return response.data


async def _refused(gateway: Gateway, path: str, method: str = "GET") -> tuple[int, str | None]:
    response = await gateway.client.request(method, path)
    return response.status, response.code


async def _paused(gateway: Gateway) -> str:
    """An upload whose transfer has failed and pauses for minutes."""
    upload = await gateway.create()
    response = await gateway.client.request("PUT", f"/v1/uploads/{upload['id']}/segments/1", data=b"x" * SEGMENT_BYTES)
    assert response.status == 200, response.body
    parts = gateway.services._redis
    record = await parts.board.get(upload["id"])
    (job,) = (job for job in record.queued_jobs if job.stage is Stage.TRANSFER)
    await parts.queue.discard(job)
    await parts.stages.start(job, "worker")
    later: StageJob = await parts.stages.retry(job, "STORE_UNAVAILABLE", 300, outage=True)
    await parts.queue.enqueue(later, 300)
    name: str = upload["id"]
    return name


async def test_the_overview_follows_uploads(gateway: Gateway) -> None:
    admitted = await gateway.create(filename="first.mp4")
    waiting = await gateway.create(BUDGET_BYTES, filename="second.mp4")
    assert (admitted["status"], waiting["status"]) == ("admitted", "waiting")
    overview = await _get(gateway, "/v1/status")
    counts = {item["status"]: item["count"] for item in overview["statuses"] if item["count"]}
    assert counts == {"admitted": 1, "waiting": 1}
    (volume,) = overview["volumes"]
    assert (volume["budget"], volume["holding"], volume["waiting"]) == (BUDGET_BYTES, 1, 1)
    assert SIZE < volume["reserved"] < BUDGET_BYTES
    assert [(item["id"], item["filename"], item["owner"]) for item in volume["queue"]] == [
        (waiting["id"], "second.mp4", "default")
    ]
    assert overview["workers"] == [], "none runs here"


async def test_history_after_a_time(gateway: Gateway) -> None:
    await gateway.create()
    await gateway.services._redis.samples.keep(gateway.settings.volume)
    (volume,) = (await _get(gateway, "/v1/status"))["volumes"]
    (sample,) = volume["history"]
    (later,) = (await _get(gateway, f"/v1/status?history_after={sample['at']}"))["volumes"]
    assert later["history"] == []
    assert await _refused(gateway, "/v1/status?history_after=yesterday") == (422, "VALIDATION_FAILED")
    assert await _refused(gateway, "/v1/status?history_after=0.5") == (422, "VALIDATION_FAILED")
    assert await _refused(gateway, "/v1/status?unknown=1") == (422, "VALIDATION_FAILED")


async def test_a_search_goes_on_where_it_ended(gateway: Gateway) -> None:
    made = [(await gateway.create(1000, filename=f"Film {number}.mp4"))["id"] for number in range(5)]
    await gateway.create(1000, filename="other.mp4")
    found, path = [], "/v1/status/uploads?search=film&limit=2"
    page = await _get(gateway, path)
    assert page["examined"] == 3
    while True:
        found += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        page = await _get(gateway, f"{path}&cursor={page['next_cursor']}")
    assert found == made[::-1]
    by_id = await _get(gateway, f"/v1/status/uploads?search={made[0]}")
    assert ([item["id"] for item in by_id["items"]], by_id["examined"]) == ([made[0]], 1)
    failed = await _get(gateway, "/v1/status/uploads?search=other&status=failed")
    assert (failed["items"], failed["examined"], failed["next_cursor"]) == ([], 0, None)
    assert await _refused(gateway, "/v1/status/uploads?cursor=nonsense") == (400, "CURSOR_INVALID")
    first = await _get(gateway, path)
    other = f"/v1/status/uploads?search=other&limit=2&cursor={first['next_cursor']}"
    assert await _refused(gateway, other) == (400, "CURSOR_INVALID"), "of another search"
    assert await _refused(gateway, "/v1/status/uploads?search=") == (422, "VALIDATION_FAILED")


async def test_a_timeline(gateway: Gateway) -> None:
    name = await _paused(gateway)
    shown = await _get(gateway, f"/v1/status/uploads/{name}")
    stages = {item["stage"]: item for item in shown["stages"]}
    transfer = stages["transfer"]
    assert (transfer["state"], transfer["attempts"], transfer["outages"]) == ("queued", 1, 1)
    assert (transfer["error_code"], transfer["worker"]) == ("STORE_UNAVAILABLE", "worker")
    assert transfer["due_at"] > transfer["state_since"] >= transfer["started_at"]
    assert stages["assemble"]["state"] == "skipped"
    assert shown["upload"]["created_at"] <= shown["admitted_at"] <= shown["receiving_at"]
    assert (shown["received_at"], shown["ended_at"], shown["cleaned_at"]) == (None, None, None)
    await gateway.client.request("DELETE", f"/v1/uploads/{name}")
    assert (await _get(gateway, f"/v1/status/uploads/{name}"))["ended_at"] is not None
    assert await _refused(gateway, "/v1/status/uploads/none") == (404, "UPLOAD_NOT_FOUND")


async def test_a_stage_that_pauses_is_retried(gateway: Gateway) -> None:
    name = await _paused(gateway)
    path = f"/v1/status/uploads/{name}/stages/transfer/retry"
    answers = [(await gateway.client.request("POST", path)).data for _ in range(2)]
    assert answers == [
        {"id": name, "stage": "transfer", "state": "queued", "retried": True},
        {"id": name, "stage": "transfer", "state": "queued", "retried": False},
    ]
    jobs = await gateway.services._redis.queue.jobs(gateway.settings.volume, 10)
    assert [job.stage for job in jobs if job.upload_id == name and job.stage is Stage.TRANSFER] == [Stage.TRANSFER]
    assert await _refused(gateway, path.replace("transfer", "nonsense"), "POST") == (422, "VALIDATION_FAILED")
    await gateway.client.request("DELETE", f"/v1/uploads/{name}")
    assert await _refused(gateway, path, "POST") == (409, "UPLOAD_ENDED")


async def test_the_page_has_no_data_and_may_run_its_own_scripts_only(gateway: Gateway) -> None:
    await gateway.create(filename="secret.mp4")
    response = await gateway.client.request("GET", "/dashboard")
    assert response.status == 200
    assert b"secret" not in response.body
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'; script-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert response.headers["Cache-Control"] == "no-cache"
    assert [route.access.anyone for route in ALL_ROUTES if route.path == "/dashboard"] == [True]
