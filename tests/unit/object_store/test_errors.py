"""Every driver error is translated, and error responses become errors of the catalogue."""

from __future__ import annotations

import aiohttp
import pytest
from botocore import exceptions as boto

from pipeline.adapters.object_store.http.errors import driver_errors
from pipeline.adapters.object_store.http.retry_after import LONGEST_SECONDS, retry_after_seconds
from pipeline.adapters.object_store.s3.errors import store_errors
from pipeline.core.errors import StoreError, StoreUnavailable

pytestmark = pytest.mark.unit


def family(kind: type[Exception]) -> list[type[Exception]]:
    """A class and all its subclasses, by name."""
    found = {kind}
    for child in kind.__subclasses__():
        found.update(family(child))
    return sorted(found, key=lambda each: each.__name__)


def blank(kind: type[Exception]) -> Exception:
    """An instance of `kind` without calling its constructor: only the type matters."""
    empty = type(kind.__name__, (kind,), {"__init__": lambda self: None, "__str__": lambda self: "some text"})
    error = empty()
    assert isinstance(error, kind)
    return error


def raise_blank(kind: type[Exception], what: str) -> None:
    with driver_errors(what):
        raise blank(kind)


@pytest.mark.parametrize("kind", family(aiohttp.ClientError))
def test_each_error_of_aiohttp_is_translated(kind: type[Exception]) -> None:
    with pytest.raises(StoreError, match="some text") as raised:
        raise_blank(kind, "PUT /x")
    is_wrong_setting = issubclass(kind, aiohttp.InvalidURL)
    assert raised.value.code == ("STORE_REJECTED" if is_wrong_setting else "STORE_UNAVAILABLE")


@pytest.mark.parametrize("error", [TimeoutError(), ConnectionResetError(104, "reset"), OSError("x"), BrokenPipeError()])
def test_each_error_of_the_system_may_be_retried(error: Exception) -> None:
    with pytest.raises(StoreUnavailable, match="PUT /x"), driver_errors("PUT /x"):
        raise error


@pytest.mark.parametrize("kind", family(boto.BotoCoreError))
def test_each_error_of_botocore_is_translated(kind: type[Exception]) -> None:
    with pytest.raises(StoreError, match="some text") as raised, store_errors("get_object", "k"):
        raise blank(kind)
    if issubclass(kind, boto.HTTPClientError | boto.ConnectionError):
        assert raised.value.code == "STORE_UNAVAILABLE"


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("NoSuchKey", 404, "STORE_OBJECT_MISSING"),
        ("404", 404, "STORE_OBJECT_MISSING"),
        ("NoSuchUpload", 404, "STORE_SESSION_LOST"),
        ("InvalidPart", 400, "MANIFEST_REFUSED"),
        ("EntityTooSmall", 400, "STORE_REJECTED"),
        ("SlowDown", 503, "STORE_UNAVAILABLE"),
        ("InternalError", 200, "STORE_UNAVAILABLE"),
        ("InternalError", 500, "STORE_UNAVAILABLE"),
        ("RequestTimeout", 400, "STORE_UNAVAILABLE"),
        ("AccessDenied", 403, "STORE_AUTH_FAILED"),
        ("SignatureDoesNotMatch", 403, "STORE_AUTH_FAILED"),
        ("InvalidRange", 416, "STORE_REJECTED"),
    ],
)
def test_each_s3_error_code_has_an_error_of_the_catalogue(code: str, status: int, expected: str) -> None:
    response = {
        "Error": {"Code": code, "Message": "some text"},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": {"retry-after": "3"}},
    }
    with pytest.raises(StoreError) as raised, store_errors("op", "k"):
        raise boto.ClientError(response, "Op")  # type: ignore[arg-type,unused-ignore]
    assert raised.value.code == expected
    if isinstance(raised.value, StoreUnavailable):
        assert raised.value.retry_after_seconds == 3


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": ""}, None),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": " 12 "}, 12.0),
        ({"Retry-After": "999999999"}, LONGEST_SECONDS),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "1.5"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "Sun, 06 Nov 1994 08:49:37 GMT"}, 0.0),
        ({"Retry-After": "Sun, 06 Nov 1994 08:49:37 GMT", "Date": "Sun, 06 Nov 1994 08:49:07 GMT"}, 30.0),
        ({"Retry-After": "Sun, 06 Nov 1994 08:49:37 GMT", "Date": "nonsense"}, 0.0),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_seconds(headers) == seconds
