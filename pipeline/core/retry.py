"""Retry decisions: a pure function from an error and its history to what happens next.

Guarantee: the decision is a returned value, never a side effect; jitter comes in as a number, so that a decision can be
repeated. Delays are exponential with full jitter between half and the whole of the step (so that a herd spreads out,
yet nobody retries at once), and never shorter than what the other side asked for (Retry-After, RFC 9110 section
10.2.3).
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.core.errors import SluiceError


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`max_attempts` in total, the first included; delays in seconds."""

    max_attempts: int
    base_seconds: float = 0.5
    cap_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class RetryAfter:
    """Try again after `seconds`."""

    seconds: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Do not try again; `code` says why."""

    code: str


def attempts_within(seconds: float, policy: RetryPolicy) -> int:
    """How many attempts it takes until their delays, at their longest, add up to `seconds`: at least two."""
    attempts, spent = 1, 0.0
    while spent < seconds or attempts < 2:
        spent += _step(attempts, policy)
        attempts += 1
    return attempts


def _step(attempt: int, policy: RetryPolicy) -> float:
    return min(policy.cap_seconds, policy.base_seconds * 2.0 ** min(attempt - 1, 60))  # beyond, floats overflow


def decide(error: SluiceError, attempt: int, policy: RetryPolicy, jitter: float) -> RetryAfter | GiveUp:
    """What follows attempt number `attempt` (from 1) ending in `error`; `jitter` is uniform in [0, 1)."""
    if not error.retryable or attempt >= policy.max_attempts:
        return GiveUp(error.code)
    step = _step(attempt, policy)
    asked = getattr(error, "retry_after_seconds", None) or 0.0
    return RetryAfter(max(asked, step * (0.5 + jitter / 2)))
