"""Permanent or transient: the class of every status and of every documented code, for each dialect."""

from __future__ import annotations

from http import HTTPStatus

import pytest
from botocore.session import get_session

from pipeline.adapters.object_store.http.verdicts import Verdict, refused, verdict_of_status
from pipeline.adapters.object_store.s3.client import _METHODS
from pipeline.adapters.object_store.s3.errors import CODES, s3_verdict
from pipeline.adapters.object_store.swift.errors import swift_verdict
from pipeline.core.errors import StoreUnavailable, StoreUnsupported

pytestmark = pytest.mark.unit

UNSUPPORTED = {405, 501, 505, 506, 510}
CREDENTIALS = {401, 403, 407}
TRANSIENT_4XX = {408, 417, 423, 425, 429}
SWIFT_TRANSIENT = {409, 422, 498, 499}
STATUSES = sorted({status.value for status in HTTPStatus} | SWIFT_TRANSIENT | {299, 306, 499, 520, 599})


def expected(status: int) -> Verdict:
    if status in UNSUPPORTED:
        return Verdict.UNSUPPORTED
    if status in CREDENTIALS:
        return Verdict.CREDENTIALS
    if status == 404:
        return Verdict.MISSING
    if status in TRANSIENT_4XX or status < 300 or status >= 500:
        return Verdict.TRANSIENT
    return Verdict.REJECTED


@pytest.mark.parametrize("status", STATUSES)
def test_every_status_has_one_class(status: int) -> None:
    assert verdict_of_status(status) is expected(status)
    assert s3_verdict("", status) is expected(status)
    assert s3_verdict(str(status), status) is expected(status)
    assert swift_verdict(status) is (Verdict.TRANSIENT if status in SWIFT_TRANSIENT else expected(status))


@pytest.mark.parametrize("verdict", Verdict)
def test_only_what_may_succeed_later_is_retried(verdict: Verdict) -> None:
    error = refused(verdict, "why", key="k", headers={"Retry-After": "7"})
    assert isinstance(error, StoreUnavailable) == (verdict is Verdict.TRANSIENT)
    assert isinstance(error, StoreUnsupported) == (verdict is Verdict.UNSUPPORTED)
    if verdict in (Verdict.UNSUPPORTED, Verdict.REJECTED):
        assert (error.code, error.retryable) == ("STORE_REJECTED", False)
    if isinstance(error, StoreUnavailable):
        assert error.retry_after_seconds == 7


# "List of error codes" of the S3 API reference, and codes of Ceph, MinIO and Swift's s3api.
PERMANENT = """NotImplemented MethodNotAllowed XNotImplemented UnsupportedOperation"""
TRANSIENT = """InternalError OperationAborted RequestTimeout ServiceUnavailable SlowDown BadDigest IncompleteBody
    RequestTimeTooSkewed TooManyRequests ConditionalRequestConflict XAmzContentSHA256Mismatch QuotaExceeded"""
DENIED = """AccessDenied AccountProblem AllAccessDisabled AuthorizationHeaderMalformed ExpiredToken InvalidAccessKeyId
    InvalidToken SignatureDoesNotMatch InvalidSecurity NotSignedUp TokenRefreshRequired CredentialsNotSupported"""
GONE = "NoSuchKey NoSuchBucket NoSuchVersion"


@pytest.mark.parametrize(
    ("codes", "verdict"),
    [
        (PERMANENT, Verdict.UNSUPPORTED),
        (TRANSIENT, Verdict.TRANSIENT),
        (DENIED, Verdict.CREDENTIALS),
        (GONE, Verdict.MISSING),
        ("NoSuchUpload", Verdict.SESSION_LOST),
        ("InvalidPart InvalidPartOrder", Verdict.MANIFEST),
        ("EntityTooSmall EntityTooLarge InvalidArgument InvalidRequest MalformedXML KeyTooLongError", Verdict.REJECTED),
    ],
)
@pytest.mark.parametrize("status", [200, 400, 403, 409, 500, 501, 503])
def test_a_code_counts_whatever_the_status(codes: str, verdict: Verdict, status: int) -> None:
    for code in codes.split():
        assert s3_verdict(code, status) is verdict, code


@pytest.mark.parametrize("operation", [*_METHODS, "upload_part"])
def test_every_error_that_an_operation_of_ours_may_have_has_a_class(operation: str) -> None:
    model = get_session().get_service_model("s3").operation_model("".join(map(_capitalized, operation.split("_"))))
    ours = {"InvalidWriteOffset", "EncryptionTypeMismatch"}  # of appending, and of encryption contexts: never sent
    assert {shape.error_code for shape in model.error_shapes} - ours <= set(CODES)


def _capitalized(word: str) -> str:
    return {"v2": "V2"}.get(word, word.capitalize())


def test_an_unknown_code_counts_by_its_status() -> None:
    assert s3_verdict("SomethingNew", 503) is Verdict.TRANSIENT
    assert s3_verdict("SomethingNew", 501) is Verdict.UNSUPPORTED
    assert s3_verdict("SomethingNew", 400) is Verdict.REJECTED
