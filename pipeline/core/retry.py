"""Retry decisions: a pure function from an error and its history to what happens next.

Guarantee: a decision is a returned value, never a side effect. Jitter is passed in as a number, so a decision can be
repeated. Pauses double from attempt to attempt up to a cap, are drawn between half of the step and the whole of it (so
that many callers spread out and none retries at once), and are never shorter than what the other side asked for
(Retry-After, RFC 9110 section 10.2.3).

There are two limits. An error that is known to be the upload's is limited by a number of attempts. An unavailable
dependency does not count against the upload's attempts, because the original exists nowhere else; it is limited by
time, the outage budget, however many attempts that takes. The same holds for what nobody expected (an exception that no
adapter has translated, a stage that does not end) and for a worker that cannot run its tools: the upload is not to
blame.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from pipeline.core.errors import SluiceError


class Dependency(StrEnum):
    """What stages depend on and what may become available again by itself, or by an operator's action. `worker`: the
    worker's own environment, such as its release, memory, threads and media tools."""

    STORE = "store"
    DATABASE = "database"
    REDIS = "redis"
    DISK = "disk"
    WORKER = "worker"


# Refused credentials are an outage too: an operator corrects a password, the next upload would fail in the same way. So
# is a row that PostgreSQL rejects: the gateway refuses values that cannot be stored, so the cause is a constraint, a
# trigger or a schema that somebody changed.
_OUTAGES: Mapping[str, Dependency] = {
    "STORE_UNAVAILABLE": Dependency.STORE,
    "STORE_AUTH_FAILED": Dependency.STORE,
    "DATABASE_UNAVAILABLE": Dependency.DATABASE,
    "DATABASE_REJECTED": Dependency.DATABASE,
    "REDIS_UNAVAILABLE": Dependency.REDIS,
    "TEMP_VOLUME_FULL": Dependency.DISK,
    "TEMP_VOLUME_FAILED": Dependency.DISK,
    "DESCRIPTORS_EXHAUSTED": Dependency.WORKER,
    "STAGE_CRASHED": Dependency.WORKER,
    "STAGE_TIMEOUT": Dependency.WORKER,
    "MEDIA_TOOL_FAILED": Dependency.WORKER,
}


class Failure(Protocol):
    """What a decision reads of an error: a SluiceError, or a client's error. `retry_after_seconds` is optional."""

    @property
    def code(self) -> str: ...

    @property
    def retryable(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`max_attempts` in total, including the first; pauses in seconds."""

    max_attempts: int
    base_seconds: float = 0.5
    cap_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class OutageBudget:
    """How long each dependency may be unavailable without a break before an upload that needs it fails; in seconds."""

    store_seconds: float = 12 * 3600
    database_seconds: float = 24 * 3600
    disk_seconds: float = 600
    worker_seconds: float = 24 * 3600

    def seconds_for(self, dependency: Dependency) -> float:
        """The budget of a dependency."""
        # Recording a failure takes Redis, so an upload fails by this budget only if there is a bug.
        longest = max(self.store_seconds, self.database_seconds)
        seconds = {
            Dependency.STORE: self.store_seconds,
            Dependency.DATABASE: self.database_seconds,
            Dependency.DISK: self.disk_seconds,
            Dependency.WORKER: self.worker_seconds,
        }
        return seconds.get(dependency, longest)


# A bug or a missing program lasts longer than a restart of a server, and each attempt repeats the whole stage.
_OUTAGE_CAP_SECONDS: Mapping[Dependency, float] = {Dependency.WORKER: 300.0}


def dependency_of(error: SluiceError) -> Dependency | None:
    """The dependency that `error` is about; None: it is about none, so attempts are counted."""
    return _OUTAGES.get(error.code)


def outage_policy(dependency: Dependency) -> RetryPolicy:
    """The pauses between attempts during an outage, which attempts do not limit."""
    return RetryPolicy(max_attempts=0, cap_seconds=_OUTAGE_CAP_SECONDS.get(dependency, RetryPolicy(0).cap_seconds))


@dataclass(frozen=True, slots=True)
class Outage:
    """Consecutive failures caused by a dependency: seconds since the first one, and how many there were."""

    seconds: float
    failures: int


# Two transient errors with a night between them in which no worker ran are not an outage.
_FEWEST_FAILURES = 4


@dataclass(frozen=True, slots=True)
class RetryAfter:
    """Try again after `seconds`."""

    seconds: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Do not try again; `code` says why."""

    code: str


def jittered(step_seconds: float, jitter: float) -> float:
    """A pause between half of `step_seconds` and the whole of it; `jitter` is uniform in [0, 1)."""
    return step_seconds * (0.5 + jitter / 2)


def decide(error: Failure, attempt: int, policy: RetryPolicy, jitter: float) -> RetryAfter | GiveUp:
    """What follows when attempt number `attempt` (from 1) ends in `error`; `jitter` is uniform in [0, 1)."""
    if not error.retryable or attempt >= policy.max_attempts:
        return GiveUp(error.code)
    step = min(policy.cap_seconds, policy.base_seconds * 2.0 ** min(attempt - 1, 60))  # beyond, floats overflow
    return RetryAfter(_pause(error, step, jitter))


def decide_outage(
    error: SluiceError, outage: Outage, budget_seconds: float, policy: RetryPolicy, jitter: float
) -> RetryAfter | GiveUp:
    """What follows the latest failure of `outage`; `jitter` is uniform in [0, 1).

    The step is as long as the outage so far, so pauses double as in `decide`, but by time. A pause does not reach
    beyond the end of the budget, so there is a last attempt at that end, unless the other side asked for a longer one.
    """
    left = budget_seconds - outage.seconds
    if left <= 0 and outage.failures >= _FEWEST_FAILURES:
        return GiveUp(error.code)
    pause = _pause(error, min(policy.cap_seconds, max(policy.base_seconds, outage.seconds)), jitter)
    return RetryAfter(min(pause, max(left, _asked(error))) if left > 0 else pause)


def _pause(error: Failure, step_seconds: float, jitter: float) -> float:
    return max(_asked(error), jittered(step_seconds, jitter))


def _asked(error: Failure) -> float:
    return getattr(error, "retry_after_seconds", None) or 0.0
