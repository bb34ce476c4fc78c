"""Retry decisions: a pure function from an error and its history to what happens next.

Guarantee: the decision is a returned value, never a side effect; jitter comes in as a number, so that a decision can be
repeated. Delays are exponential with full jitter between half and the whole of the step (so that a herd spreads out,
yet nobody retries at once), and never shorter than what the other side asked for (Retry-After, RFC 9110 section
10.2.3).

Two limits. What a stage itself cannot do is tried so many times. What it stands on being away is no fault of the
upload: the originals exist nowhere else, so that is waited for by the clock, however many attempts it takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from pipeline.core.errors import SluiceError


class Dependency(StrEnum):
    """What stages stand on, and what may come back by itself."""

    STORE = "store"
    DATABASE = "database"
    REDIS = "redis"
    DISK = "disk"


# Refused credentials are among them: a password that is set anew is mended by people, not by the next upload.
_AWAY: Mapping[str, Dependency] = {
    "STORE_UNAVAILABLE": Dependency.STORE,
    "STORE_AUTH_FAILED": Dependency.STORE,
    "DATABASE_UNAVAILABLE": Dependency.DATABASE,
    "REDIS_UNAVAILABLE": Dependency.REDIS,
    "TEMP_VOLUME_FULL": Dependency.DISK,
    "TEMP_VOLUME_FAILED": Dependency.DISK,
}


class Failure(Protocol):
    """What a decision reads of an error: a SluiceError, or a client's error. `retry_after_seconds` is optional."""

    @property
    def code(self) -> str: ...

    @property
    def retryable(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`max_attempts` in total, the first included; delays in seconds."""

    max_attempts: int
    base_seconds: float = 0.5
    cap_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class OutageBudget:
    """How long each dependency may be away without a break before an upload that needs it fails; in seconds."""

    store_seconds: float = 12 * 3600
    database_seconds: float = 24 * 3600
    disk_seconds: float = 600

    def seconds_for(self, error: SluiceError) -> float | None:
        """None: `error` says nothing of a dependency, so attempts are counted."""
        away = _AWAY.get(error.code)
        if away is None:
            return None
        # A failure that can be written down shows that Redis is back: never what an upload fails by, but for a bug.
        longest = max(self.store_seconds, self.database_seconds)
        seconds = {
            Dependency.STORE: self.store_seconds,
            Dependency.DATABASE: self.database_seconds,
            Dependency.DISK: self.disk_seconds,
        }
        return seconds.get(away, longest)


@dataclass(frozen=True, slots=True)
class Outage:
    """An unbroken row of failures that a dependency is to blame for: since its first one, and how many they are."""

    seconds: float
    failures: int


# Two hiccups with a night between them in which no worker ran are no outage.
_FEWEST_FAILURES = 4


@dataclass(frozen=True, slots=True)
class RetryAfter:
    """Try again after `seconds`."""

    seconds: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Do not try again; `code` says why."""

    code: str


def decide(error: Failure, attempt: int, policy: RetryPolicy, jitter: float) -> RetryAfter | GiveUp:
    """What follows attempt number `attempt` (from 1) ending in `error`; `jitter` is uniform in [0, 1)."""
    if not error.retryable or attempt >= policy.max_attempts:
        return GiveUp(error.code)
    step = min(policy.cap_seconds, policy.base_seconds * 2.0 ** min(attempt - 1, 60))  # beyond, floats overflow
    return RetryAfter(_delay(error, step, jitter))


def decide_outage(
    error: SluiceError, away: Outage, patience_seconds: float, policy: RetryPolicy, jitter: float
) -> RetryAfter | GiveUp:
    """What follows the latest failure of the row `away`.

    The pause is as long as the row: doubling, as `decide` does it, but by the clock. It never reaches beyond the end
    of the patience by more than what the other side asked for, so that there is a last attempt at that end.
    """
    left = patience_seconds - away.seconds
    if left <= 0 and away.failures >= _FEWEST_FAILURES:
        return GiveUp(error.code)
    pause = _delay(error, min(policy.cap_seconds, max(policy.base_seconds, away.seconds)), jitter)
    return RetryAfter(min(pause, max(left, _asked(error))) if left > 0 else pause)


def _delay(error: Failure, step: float, jitter: float) -> float:
    return max(_asked(error), step * (0.5 + jitter / 2))


def _asked(error: Failure) -> float:
    return getattr(error, "retry_after_seconds", None) or 0.0
