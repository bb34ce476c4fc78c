"""Whether this client sends a failed request again, and when: its policies, and a pure function over them.

Guarantee: only a request that may succeed later is repeated (`ClientError.retryable`). Where a limit of the server asks
to wait (429), the client waits for as long as it is asked to, and goes on. Every request of this client may be
repeated: creation carries an Idempotency-Key, and a segment that the gateway already has is not written again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from deploy.cli.errors import ClientError
from pipeline.core import retry
from pipeline.core.retry import GiveUp, RetryAfter, RetryPolicy

PATIENT: Final = RetryPolicy(max_attempts=12, base_seconds=0.5, cap_seconds=30.0)
"""About three minutes: enough for a gateway that is being replaced, or a laptop that changes networks."""

FIRST_CONTACT: Final = RetryPolicy(max_attempts=4, base_seconds=0.5, cap_seconds=2.0)
"""A few seconds, for a server that has never responded: its URL is probably wrong, and no upload can be lost yet."""

# Repeating helps when the bytes were damaged on the way; a proxy that alters every body will not change. A full window
# is no failure: the uploader sends other segments meanwhile, and this one when there is room.
_ATTEMPTS_BY_CODE: Final = {"SEGMENT_DIGEST_WRONG": 3, "SEGMENT_WINDOW_FULL": 1}


# Limits of the server, which say when to try again. However often they are met, nothing has failed.
_WAITS: Final = frozenset(
    {
        *("RATE_LIMITED", "QUEUE_FULL", "OWNER_LIMIT", "DAILY_LIMIT"),
        *("CONNECTION_LIMIT", "REQUEST_LIMIT", "STREAM_LIMIT", "DOWNLOAD_LIMIT"),
    }
)


def is_wait(error: ClientError) -> bool:
    """Whether the server asks this client to wait, which is no failed attempt."""
    return error.code in _WAITS


def decide(error: ClientError, attempt: int, policy: RetryPolicy, jitter: float) -> RetryAfter | GiveUp:
    """What follows attempt number `attempt` (from 1) that ended in `error`; `jitter` is uniform in [0, 1).

    See `pipeline.core.retry.decide`; some codes get fewer attempts than the policy allows, some as many as it takes.
    """
    if is_wait(error):
        return retry.decide(error, 1, replace(policy, max_attempts=2), jitter)
    allowed = min(policy.max_attempts, _ATTEMPTS_BY_CODE.get(error.code, policy.max_attempts))
    return retry.decide(error, attempt, replace(policy, max_attempts=allowed), jitter)
