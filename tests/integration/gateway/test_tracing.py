"""The spans of requests: below that of the client, or of the request that created the upload."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import structlog
from opentelemetry.trace import StatusCode

from gateway.options import GatewayOptions
from pipeline.logs import Log
from pipeline.settings import Settings
from pipeline.tracing import add_ids
from tests.harness.tracing import SPAN_ID, TRACE_ID, TRACEPARENT, Spans, ids, parent, traced
from tests.integration.gateway.conftest import SEGMENT_BYTES, Gateway
from tests.integration.gateway.site import running_site

pytestmark = pytest.mark.integration

_CREATE = "POST /v1/uploads"
_PUT = "PUT /v1/uploads/{id}/segments/{number}"
_TUS = {"Tus-Resumable": "1.0.0"}
_OTHER_SPAN = "00f067aa0ba902b7"
_OTHER_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
async def spans() -> AsyncIterator[Spans]:
    async with traced() as found:
        yield found


async def _created(gateway: Gateway, traceparent: str | None = TRACEPARENT) -> str:
    body = {"filename": "a.mp4", "size": 3 * SEGMENT_BYTES, "content_type": "video/mp4"}
    headers = {} if traceparent is None else {"traceparent": traceparent}
    response = await gateway.client.request("POST", "/v1/uploads", json=body, headers=headers)
    assert response.status == 201, response.body
    name: str = response.data["id"]
    return name


async def _put(gateway: Gateway, upload_id: str, number: int, headers: dict[str, str] | None = None) -> None:
    path = f"/v1/uploads/{upload_id}/segments/{number}"
    response = await gateway.client.request("PUT", path, data=b"x" * SEGMENT_BYTES, headers=headers or {})
    assert response.status == 200, response.body


async def test_requests_of_an_upload_are_below_the_one_that_created_it(gateway: Gateway, spans: Spans) -> None:
    upload_id = await _created(gateway)
    await _put(gateway, upload_id, 1)
    created, put = spans.only(_CREATE), spans.only(_PUT)
    assert (ids(created)[0], parent(created)) == (TRACE_ID, SPAN_ID)
    assert (ids(put)[0], parent(put)) == (TRACE_ID, ids(created)[1])
    assert dict(put.attributes or {}) == {
        "http.request.method": "PUT",
        "http.route": "/v1/uploads/{id}/segments/{number}",
        "http.response.status_code": 200,
        "sluice.upload_id": upload_id,
        "sluice.segment": "1",
    }
    assert (created.attributes or {})["sluice.upload_id"] == upload_id


async def test_a_request_with_a_span_of_the_same_trace_is_below_that(gateway: Gateway, spans: Spans) -> None:
    upload_id = await _created(gateway)
    await _put(gateway, upload_id, 1, {"traceparent": f"00-{TRACE_ID}-{_OTHER_SPAN}-01"})
    assert (ids(spans.only(_PUT))[0], parent(spans.only(_PUT))) == (TRACE_ID, _OTHER_SPAN)


async def test_a_request_with_another_trace_stays_in_that_of_its_upload(gateway: Gateway, spans: Spans) -> None:
    upload_id = await _created(gateway)
    await _put(gateway, upload_id, 1, {"traceparent": f"00-{_OTHER_TRACE}-{_OTHER_SPAN}-01"})
    put = spans.only(_PUT)
    assert (ids(put)[0], parent(put)) == (TRACE_ID, ids(spans.only(_CREATE))[1])
    assert [f"{link.context.trace_id:032x}" for link in put.links] == [_OTHER_TRACE]


@pytest.mark.parametrize(
    "traceparent", [None, "", "nonsense", f"00-{'0' * 32}-{SPAN_ID}-01", f"ff-{TRACE_ID}-{SPAN_ID}-01"]
)
async def test_without_a_valid_traceparent_the_upload_begins_a_trace(
    gateway: Gateway, spans: Spans, traceparent: str | None
) -> None:
    upload_id = await _created(gateway, traceparent)
    await _put(gateway, upload_id, 1)
    created, put = spans.only(_CREATE), spans.only(_PUT)
    assert parent(created) is None
    assert (ids(put)[0], parent(put)) == ids(created)


async def test_a_client_that_does_not_sample_its_trace_gets_no_spans(gateway: Gateway, spans: Spans) -> None:
    upload_id = await _created(gateway, f"{TRACEPARENT[:-2]}00")
    await _put(gateway, upload_id, 1)
    assert spans.all() == []
    record = await gateway.services.lookup.detail(upload_id)
    assert (record.upload.traceparent or "").startswith(f"00-{TRACE_ID}-")


async def test_each_way_to_create_an_upload_has_a_span(gateway: Gateway, spans: Spans) -> None:
    headers = {**_TUS, "traceparent": TRACEPARENT, "Upload-Length": "5", "Upload-Metadata": "filetype dmlkZW8vbXA0"}
    response = await gateway.client.request("POST", "/files/", headers=headers)
    assert response.status == 201, response.body
    path = response.headers["Location"].removeprefix(gateway.url)
    patch = {**_TUS, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
    response = await gateway.client.request("PATCH", path, data=b"12345", headers=patch)
    assert response.status == 204, response.body
    body: dict[str, Any] = {"filename": "a.mp4", "type": "video/mp4", "metadata": {"size": "5"}, "size": 5}
    response = await gateway.client.request("POST", "/s3/multipart", json=body, headers={"traceparent": TRACEPARENT})
    assert response.status == 503, "no store runs here"
    tus, companion = spans.only("POST /files/"), spans.only("POST /s3/multipart")
    assert parent(tus) == parent(companion) == SPAN_ID
    assert parent(spans.only("PATCH /files/{id}")) == ids(tus)[1]
    assert (companion.attributes or {})["error.type"] == "STORE_UNAVAILABLE"
    assert [span.status.status_code for span in (tus, companion)] == [StatusCode.UNSET, StatusCode.ERROR]


async def test_an_error_is_in_the_span(gateway: Gateway, spans: Spans) -> None:
    upload_id = await _created(gateway)
    response = await gateway.client.request("PUT", f"/v1/uploads/{upload_id}/segments/9", data=b"x")
    assert response.status == 404
    found = spans.only(_PUT).attributes or {}
    assert (found["http.response.status_code"], found["error.type"]) == (404, "SEGMENT_OUT_OF_RANGE")


async def test_logs_carry_the_ids_of_the_span(gateway: Gateway, spans: Spans) -> None:
    with structlog.testing.capture_logs(processors=[add_ids]) as logged:
        await _created(gateway)
    found = {event["event"]: event for event in logged}
    for name in (Log.UPLOAD_CREATED, Log.REQUEST):
        assert (found[name]["trace_id"], found[name]["span_id"]) == ids(spans.only(_CREATE))


async def test_requests_on_one_connection_do_not_share_a_span(gateway: Gateway, spans: Spans) -> None:
    await _created(gateway)
    with structlog.testing.capture_logs(processors=[add_ids]) as logged:
        await gateway.client.request("GET", "/v1/uploads")
    assert [event for event in logged if "trace_id" in event] == []


async def test_strangers_make_no_spans(settings: Settings, options: GatewayOptions, spans: Spans) -> None:
    async with running_site(settings, options) as site:
        upload_id = await site.new_upload()
        assert len(spans.all()) == 1
        headers = {"traceparent": TRACEPARENT}
        for column in ("no key", "wrong key", "expired key"):
            refused = await site.as_(column, "GET", f"/v1/uploads/{upload_id}", headers=headers)
            assert refused.status == 401
        other = await site.as_("key of another owner", "GET", f"/v1/uploads/{upload_id}", headers=headers)
        assert other.status == 404
        notified = await site.as_("no key", "POST", "/v1/events/storage", json={"Records": []}, headers=headers)
        assert notified.status in (401, 404)
        assert len(spans.all()) == 1


async def test_an_upload_from_before_traces_were_on_has_requests_with_traces_of_their_own(gateway: Gateway) -> None:
    upload_id = await _created(gateway)
    async with traced() as spans:
        await _put(gateway, upload_id, 1)
        await _put(gateway, upload_id, 2, {"traceparent": TRACEPARENT})
    first, second = spans.named(_PUT)
    assert parent(first) is None
    assert (ids(second)[0], parent(second)) == (TRACE_ID, SPAN_ID)
