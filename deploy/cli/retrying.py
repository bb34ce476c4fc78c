"""Whether a failed request is sent again, and when: a pure function, as in `pipeline.core.retry`.

Guarantee: only what may succeed later is repeated: no answer, 408, 429, 5xx (but 501 and 505), and the few refusals
that a repeat of the same bytes can mend. Every request of this client may be repeated: creation carries an
Idempotency-Key, a segment that is already there is not written again.
"""

from __future__ import annotations

from typing import Final

from deploy.cli.errors import ApiError, ClientError, ServerAwayError
from pipeline.core.retry import GiveUp, RetryAfter, RetryPolicy

PATIENT: Final = RetryPolicy(max_attempts=12, base_seconds=0.5, cap_seconds=30.0)
"""About three minutes: a gateway that is being replaced, a laptop that changes networks."""

FIRST_CONTACT: Final = RetryPolicy(max_attempts=4, base_seconds=0.5, cap_seconds=2.0)
"""A few seconds: a server that has not answered once is likely to be misspelt, and nothing is under way that could be
lost."""

_MENDED_BY_REPEATING: Final = frozenset({"SEGMENT_CUT_OFF", "SEGMENT_DIGEST_WRONG"})
_HARDLY_MENDED: Final = frozenset({"SEGMENT_DIGEST_WRONG"})
_HARDLY_MENDED_ATTEMPTS: Final = 3
_FINAL_5XX: Final = frozenset({501, 505})


def decide(error: ClientError, attempt: int, policy: RetryPolicy, jitter: float) -> RetryAfter | GiveUp:
    """What follows attempt number `attempt` (from 1) that ended in `error`; `jitter` is uniform in [0, 1).

    Delays double, spread between half and the whole of the step, and are never shorter than what Retry-After asked for.
    """
    code = error.code if isinstance(error, ApiError) else type(error).__name__
    allowed = min(policy.max_attempts, _HARDLY_MENDED_ATTEMPTS) if code in _HARDLY_MENDED else policy.max_attempts
    if attempt >= allowed or not may_succeed_later(error):
        return GiveUp(code)
    step = min(policy.cap_seconds, policy.base_seconds * 2.0 ** (attempt - 1))
    asked = error.retry_after_seconds if isinstance(error, ApiError) else None
    return RetryAfter(max(asked or 0.0, step * (0.5 + jitter / 2)))


def may_succeed_later(error: ClientError) -> bool:
    """Whether the same request can have another answer."""
    if isinstance(error, ServerAwayError):
        return True
    if not isinstance(error, ApiError):
        return False
    if error.code in _MENDED_BY_REPEATING or error.status in (408, 429):
        return True
    return error.status >= 500 and error.status not in _FINAL_5XX
