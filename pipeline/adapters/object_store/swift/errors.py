"""What goes wrong between us and Swift or Keystone, as errors of the catalogue.

Guarantee: an answer is judged by its status: 401 and 403 are about us (STORE_AUTH_FAILED), 404 about the name
(STORE_OBJECT_MISSING), what may pass is StoreUnavailable with the store's Retry-After, the rest is refused for good
(STORE_REJECTED).
"""

from __future__ import annotations

import aiohttp

from pipeline.adapters.object_store.http.errors import first_words
from pipeline.adapters.object_store.http.retry_after import retry_after_seconds
from pipeline.core.errors import StoreError, StoreUnavailable

# 408: we were too slow for `client_timeout`; 409: an object with a newer timestamp is just being written; 422: the
# bytes that came do not have the ETag we sent; 429, and Swift's own 498: the ratelimit middleware; 499: Swift
# believes that we hung up.
PASSING_STATUSES = frozenset({408, 409, 422, 429, 498, 499})


async def refusal(response: aiohttp.ClientResponse, what: str, key: str) -> StoreError:
    """The error for an answer that was not wanted. Reads what the store has to say, at most 512 bytes of it."""
    said = await first_words(response)
    reason = f"{what}: {response.status} {response.reason or ''}".rstrip() + (f": {said}" if said else "")
    status = response.status
    if status in (401, 403):
        return StoreError("STORE_AUTH_FAILED", reason=reason)
    if status == 404:
        return StoreError("STORE_OBJECT_MISSING", key=key, reason=reason)
    if status >= 500 or status in PASSING_STATUSES:
        return StoreUnavailable(retry_after_seconds=retry_after_seconds(response.headers), reason=reason)
    return StoreError("STORE_REJECTED", reason=reason)


async def login_refusal(response: aiohttp.ClientResponse, what: str) -> StoreError:
    """As `refusal`, where we log in: whatever is refused for good is about our credentials, or about where we sent
    them (Keystone answers 404 to an application credential that it does not know)."""
    error = await refusal(response, what, what)
    if isinstance(error, StoreUnavailable):
        return error
    return StoreError("STORE_AUTH_FAILED", reason=error.detail["reason"])
