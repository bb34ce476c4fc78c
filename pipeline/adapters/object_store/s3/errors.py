"""Errors of S3 and of its driver, as errors of the catalogue.

Guarantee: no error of botocore leaves the adapter. The store's own code decides ("Error responses" of the API
reference), or the status where the response has no code. A driver's error means that no response came.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from xml.etree import ElementTree

import aiohttp
from botocore import exceptions as boto

from pipeline.adapters.object_store.http.errors import driver_errors
from pipeline.adapters.object_store.http.retry_after import retry_after_seconds
from pipeline.core.errors import StoreError, StoreUnavailable

# Transient 4xx. 400: a slow connection, damaged bytes; 409: another request is working on the same name.
TRANSIENT_CODES = frozenset(
    {
        "RequestTimeout",
        "BadDigest",
        "IncompleteBody",
        "OperationAborted",
        "ConditionalRequestConflict",
        "RequestTimeTooSkewed",
        "SlowDown",
        "TooManyRequests",
        "XAmzContentSHA256Mismatch",
    }
)
AUTH_CODES = frozenset(
    {
        "AccessDenied",
        "AccountProblem",
        "AllAccessDisabled",
        "AuthorizationHeaderMalformed",
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidToken",
        "SignatureDoesNotMatch",
    }
)
MISSING_BUCKET = "NoSuchBucket"
MISSING_CODES = frozenset({"NoSuchKey", MISSING_BUCKET, "NotFound", "404"})
# Segments that are missing or changed: the manifest is refused.
MANIFEST_CODES = frozenset({"InvalidPart", "InvalidPartOrder"})
MISSING_SESSION_CODES = frozenset({"NoSuchUpload"})
_CREDENTIAL_ERRORS = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.TokenRetrievalError,
    boto.NoAuthTokenError,
)
_TRANSPORT_ERRORS = (
    boto.HTTPClientError,
    boto.ConnectionError,
    boto.IncompleteReadError,
    boto.ChecksumError,
    boto.FlexibleChecksumError,
)


def refusal(code: str, status: int, said: str, headers: Mapping[str, str], what: str, key: str) -> StoreError:
    """The error for an unexpected response. `store_code` in its detail is the store's own code."""
    reason = f"{what}: {status} {code} {said}".rstrip()
    if code in MISSING_SESSION_CODES:
        return StoreError("STORE_SESSION_LOST", reason=reason, store_code=code)
    if code in MANIFEST_CODES:
        return StoreError("MANIFEST_REFUSED", reason=reason, store_code=code)
    if code in TRANSIENT_CODES or status >= 500 or status in (408, 429):
        return StoreUnavailable(retry_after_seconds=retry_after_seconds(headers), reason=reason, store_code=code)
    if code in AUTH_CODES or status in (401, 403):
        return StoreError("STORE_AUTH_FAILED", reason=reason, store_code=code)
    if code in MISSING_CODES or status == 404:
        return StoreError("STORE_OBJECT_MISSING", key=key, reason=reason, store_code=code)
    return StoreError("STORE_REJECTED", reason=reason, store_code=code)


@contextmanager
def store_errors(what: str, key: str) -> Iterator[None]:
    """Translate every error of botocore and of the HTTP client that it uses."""
    try:
        with driver_errors(what):
            yield
    except boto.ClientError as error:
        response: Mapping[str, Any] = error.response
        facts = response.get("Error", {})
        metadata = response.get("ResponseMetadata", {})
        headers = {name.title(): value for name, value in metadata.get("HTTPHeaders", {}).items()}
        code, status = str(facts.get("Code", "")), int(metadata.get("HTTPStatusCode", 0))
        raise refusal(code, status, str(facts.get("Message", "")), headers, what, key) from error
    except _CREDENTIAL_ERRORS as error:
        raise StoreError("STORE_AUTH_FAILED", reason=f"{what}: {error}") from error
    except _TRANSPORT_ERRORS as error:
        raise StoreUnavailable(reason=f"{what}: {error}") from error
    except boto.BotoCoreError as error:
        raise StoreError("STORE_REJECTED", reason=f"{what}: {error}") from error


@contextmanager
def on_session() -> Iterator[None]:
    """For requests on an open multipart upload. They create no name of their own, so "missing" means the session, or
    the bucket with its sessions. Raises StoreError STORE_SESSION_LOST."""
    try:
        yield
    except StoreError as error:
        if error.code != "STORE_OBJECT_MISSING":
            raise
        raise StoreError(
            "STORE_SESSION_LOST", reason=error.detail["reason"], store_code=error.detail["store_code"]
        ) from error


async def response_refusal(response: aiohttp.ClientResponse, what: str, key: str) -> StoreError:
    """As `refusal`, for a request that did not go through botocore: the body is XML with Code and Message."""
    code = said = ""
    try:
        root = ElementTree.fromstring(await response.content.read(64 * 1024))  # noqa: S314  bounded, from the store
        code, said = root.findtext("Code", ""), root.findtext("Message", "")
    except ElementTree.ParseError:
        said = response.reason or ""
    return refusal(code, response.status, said, response.headers, what, key)
