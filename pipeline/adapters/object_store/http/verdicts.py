"""What a response means for the request: the classes of refusals, and the class of every HTTP status.

Guarantee: each status has exactly one class, whatever the operation. Permanent and transient are told apart by the
table, so that a call which the server will never support is not retried. A status that is unknown counts by its
hundred: a 5xx is transient, a 4xx permanent. A 2xx or 1xx that was not asked for means that something else than the
store responded (a login page of a proxy, a maintenance page), and may be retried.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from pipeline.adapters.object_store.http.retry_after import retry_after_seconds
from pipeline.core.errors import StoreError, StoreUnavailable, StoreUnsupported


class Verdict(StrEnum):
    """Why a store did not do what was asked."""

    TRANSIENT = "transient"
    """It may succeed later."""

    CREDENTIALS = "credentials"
    """Our credentials or rights are refused."""

    MISSING = "missing"
    """The name does not exist."""

    SESSION_LOST = "session_lost"
    """The multipart upload does not exist."""

    MANIFEST = "manifest"
    """Segments of the manifest are missing or changed."""

    UNSUPPORTED = "unsupported"
    """The server does not have this operation and never will."""

    REJECTED = "rejected"
    """The request is wrong; the same request fails again."""


_BY_STATUS: Mapping[int, Verdict] = {
    401: Verdict.CREDENTIALS,
    403: Verdict.CREDENTIALS,
    404: Verdict.MISSING,
    405: Verdict.UNSUPPORTED,
    407: Verdict.CREDENTIALS,  # a proxy on the way wants to know who we are
    408: Verdict.TRANSIENT,  # we were slower than the server waits
    417: Verdict.TRANSIENT,  # no `Expect` here: the next request does without
    423: Verdict.TRANSIENT,
    425: Verdict.TRANSIENT,
    429: Verdict.TRANSIENT,
    501: Verdict.UNSUPPORTED,
    505: Verdict.UNSUPPORTED,
    506: Verdict.UNSUPPORTED,
    510: Verdict.UNSUPPORTED,
}


def verdict_of_status(status: int) -> Verdict:
    """The class of a status that was not expected."""
    known = _BY_STATUS.get(status)
    if known is not None:
        return known
    return Verdict.REJECTED if 300 <= status < 500 else Verdict.TRANSIENT


def refused(verdict: Verdict, reason: str, *, key: str, headers: Mapping[str, str], **detail: str) -> StoreError:
    """The error of the catalogue for a refusal. `key` names a missing object, `headers` may hold a Retry-After."""
    match verdict:
        case Verdict.TRANSIENT:
            return StoreUnavailable(retry_after_seconds=retry_after_seconds(headers), reason=reason, **detail)
        case Verdict.CREDENTIALS:
            return StoreError("STORE_AUTH_FAILED", reason=reason, **detail)
        case Verdict.MISSING:
            return StoreError("STORE_OBJECT_MISSING", key=key, reason=reason, **detail)
        case Verdict.SESSION_LOST:
            return StoreError("STORE_SESSION_LOST", reason=reason, **detail)
        case Verdict.MANIFEST:
            return StoreError("MANIFEST_REFUSED", reason=reason, **detail)
        case Verdict.UNSUPPORTED:
            return StoreUnsupported(reason=reason, **detail)
        case Verdict.REJECTED:
            return StoreError("STORE_REJECTED", reason=reason, **detail)
