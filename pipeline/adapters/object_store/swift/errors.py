"""Error responses of Swift and Keystone, as errors of the catalogue.

Guarantee: the status decides, by the table in `http.verdicts` and Swift's own additions to it below. 401 and 403
concern our credentials (STORE_AUTH_FAILED), 404 the name (STORE_OBJECT_MISSING). A transient status becomes
StoreUnavailable with the store's Retry-After (422: DigestRefused), an operation that the server does not have
StoreUnsupported, any other is permanent (STORE_REJECTED).
"""

from __future__ import annotations

from collections.abc import Mapping

import aiohttp

from pipeline.adapters.object_store.http.errors import reason_in_body
from pipeline.adapters.object_store.http.verdicts import Verdict, refused, verdict_of_status
from pipeline.core.errors import DigestRefused, StoreError

# 409: an object with a newer timestamp is being written. 422: the bytes that arrived do not have the ETag we sent.
# 498: the ratelimit middleware. 499: Swift believes that we disconnected.
SWIFT_STATUSES: Mapping[int, Verdict] = dict.fromkeys((409, 422, 498, 499), Verdict.TRANSIENT)


def swift_verdict(status: int) -> Verdict:
    return SWIFT_STATUSES.get(status) or verdict_of_status(status)


async def refusal(response: aiohttp.ClientResponse, what: str, key: str) -> StoreError:
    """The error for an unexpected response. Reads at most 512 bytes of its body."""
    said = await reason_in_body(response)
    reason = f"{what}: {response.status} {response.reason or ''}".rstrip() + (f": {said}" if said else "")
    if response.status == 422:
        return DigestRefused(reason=reason)
    return refused(swift_verdict(response.status), reason, key=key, headers=response.headers)


async def login_refusal(response: aiohttp.ClientResponse, what: str) -> StoreError:
    """As `refusal`, for a login: 404 and wrong requests concern our credentials or the URL that they were sent to
    (Keystone responds 404 to an unknown application credential)."""
    error = await refusal(response, what, what)
    about_us = swift_verdict(response.status) in (Verdict.MISSING, Verdict.REJECTED)
    return StoreError("STORE_AUTH_FAILED", reason=error.detail["reason"]) if about_us else error
