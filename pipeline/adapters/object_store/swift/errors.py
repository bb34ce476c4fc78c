"""Error responses of Swift and Keystone, as errors of the catalogue.

Guarantee: the status decides. 401 and 403 concern our credentials (STORE_AUTH_FAILED), 404 the name
(STORE_OBJECT_MISSING). A transient status becomes StoreUnavailable with the store's Retry-After, any other is permanent
(STORE_REJECTED).
"""

from __future__ import annotations

import aiohttp

from pipeline.adapters.object_store.http.errors import reason_in_body
from pipeline.adapters.object_store.http.retry_after import retry_after_seconds
from pipeline.core.errors import StoreError, StoreUnavailable

# 408: we were slower than `client_timeout`. 409: an object with a newer timestamp is being written. 422: the bytes that
# arrived do not have the ETag we sent. 429, and Swift's own 498: the ratelimit middleware. 499: Swift believes that we
# disconnected.
TRANSIENT_STATUSES = frozenset({408, 409, 422, 429, 498, 499})


def is_transient(status: int) -> bool:
    return status >= 500 or status in TRANSIENT_STATUSES


async def refusal(response: aiohttp.ClientResponse, what: str, key: str) -> StoreError:
    """The error for an unexpected response. Reads at most 512 bytes of its body."""
    said = await reason_in_body(response)
    reason = f"{what}: {response.status} {response.reason or ''}".rstrip() + (f": {said}" if said else "")
    status = response.status
    if status in (401, 403):
        return StoreError("STORE_AUTH_FAILED", reason=reason)
    if status == 404:
        return StoreError("STORE_OBJECT_MISSING", key=key, reason=reason)
    if is_transient(status):
        return StoreUnavailable(retry_after_seconds=retry_after_seconds(response.headers), reason=reason)
    return StoreError("STORE_REJECTED", reason=reason)


async def login_refusal(response: aiohttp.ClientResponse, what: str) -> StoreError:
    """As `refusal`, for a login: every permanent error concerns our credentials or the URL they were sent to (Keystone
    responds 404 to an unknown application credential)."""
    error = await refusal(response, what, what)
    if isinstance(error, StoreUnavailable):
        return error
    return StoreError("STORE_AUTH_FAILED", reason=error.detail["reason"])
