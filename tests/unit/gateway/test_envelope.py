"""The envelope: one shape, real status codes, Retry-After where waiting helps."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from aiohttp import web

from gateway.http.envelope import failure, plain_failure, retry_after, success
from gateway.http.request_ids import request_id
from pipeline.core.errors import RequestError, SluiceError, StoreUnavailable
from schemas.health import Alive

pytestmark = pytest.mark.unit


def read(response: web.Response) -> object:
    assert isinstance(response.body, bytes)
    return json.loads(response.body)


def test_success() -> None:
    response = success(Alive(), 201, {"Location": "x"})
    assert (response.status, response.headers["Location"]) == (201, "x")
    assert read(response) == {"success": True, "status": 201, "data": {"alive": True}}


def test_failure() -> None:
    response = failure(RequestError("UPLOAD_NOT_FOUND", upload_id="u"), "/v1/uploads/u", "r")
    assert response.status == 404
    assert read(response) == {
        "success": False,
        "status": 404,
        "error": {
            "code": "UPLOAD_NOT_FOUND",
            "message": "There is no upload u.",
            "path": "/v1/uploads/u",
            "request_id": "r",
            "detail": {"upload_id": "u"},
        },
    }


def test_detail_that_is_not_json_is_converted() -> None:
    detail = {"when": datetime(2026, 1, 1, tzinfo=UTC), "what": object(), "much": float("inf"), "some": {1}}
    body = read(failure(SluiceError("INTERNAL", **detail), "/", "r"))
    assert isinstance(body, dict)
    assert body["error"]["detail"]["when"].startswith("2026-01-01")
    assert body["error"]["detail"]["much"] is None


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (RequestError("UPLOAD_WAITING", queue_position=1, retry_after_seconds=1.2), 2),
        (RequestError("UPLOAD_WAITING", queue_position=1, retry_after_seconds=0), 1),
        (StoreUnavailable(retry_after_seconds=7, reason=""), 7),
        (SluiceError("REDIS_UNAVAILABLE", reason=""), 2),
        (SluiceError("TEMP_VOLUME_FULL", reason=""), 2),
        (SluiceError("INTERNAL"), 2),
        (SluiceError("STORE_AUTH_FAILED", reason=""), 2),
        (RequestError("SEGMENT_DIGEST_WRONG", algorithm="md5"), 1),
        (RequestError("BODY_TIMEOUT", timeout_seconds=1), 1),
        (RequestError("UPLOAD_NOT_FOUND", upload_id="u"), None),
        (RequestError("UPLOAD_WAITING", retry_after_seconds=float("nan")), 1),
    ],
)
def test_retry_after(error: SluiceError, seconds: int | None) -> None:
    assert retry_after(error) == seconds
    assert failure(error, "/", "r").headers.get("Retry-After") == (None if seconds is None else str(seconds))


def test_a_wrong_method_gets_the_allowed_ones() -> None:
    response = failure(RequestError("METHOD_NOT_ALLOWED", method="PUT", allowed="GET, HEAD"), "/", "r")
    assert response.headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize("sent", [None, "", "a b", "a\nb", "x" * 129, "ü"])
def test_a_request_id_that_cannot_be_logged_is_replaced(sent: str | None) -> None:
    assert request_id(sent) != sent
    assert request_id(sent) != request_id(sent)


def test_a_good_request_id_is_kept() -> None:
    assert request_id("trace:01-ab.c_D") == "trace:01-ab.c_D"


def test_an_error_for_clients_that_do_not_know_the_envelope() -> None:
    response = plain_failure(RequestError("UPLOAD_NOT_FOUND", upload_id="ü\r\nX: y"), "/s3/multipart/u", "r")
    body = read(response)
    assert isinstance(body, dict)
    assert body["error"]["code"] == "UPLOAD_NOT_FOUND"
    assert body["message"] == body["error"]["message"] + " (UPLOAD_NOT_FOUND)"
    assert (response.status, response.reason) == (404, "There is no upload ???X: y. (UPLOAD_NOT_FOUND)")
