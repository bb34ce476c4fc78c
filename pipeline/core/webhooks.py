"""Webhooks: the events that endpoints are notified of, and when a delivery is attempted again.

Guarantee: an event has one id, however often the fact behind it is recorded: an upload is admitted, known, ready,
failed, expired or deleted once, and changed once by each replay. Decisions are pure functions of what happened; jitter
is passed in as a number.

Delays grow threefold from attempt to attempt, up to six hours, for three days. An endpoint whose deliveries fail one
after another is tried with one delivery at a time, after delays of its own, up to five minutes, so a dead endpoint with
many pending deliveries costs few requests. It is paused once it has failed for a while, or at once when it responds 410
(Standard Webhooks, "Operational considerations").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class EventType(StrEnum):
    """What endpoints can be notified of. `webhook.test` is sent on request only."""

    ADMITTED = "upload.admitted"
    MEDIA = "media.known"
    READY = "content.ready"
    CHANGED = "content.changed"
    FAILED = "upload.failed"
    EXPIRED = "upload.expired"
    DELETED = "content.deleted"
    TEST = "webhook.test"


SUBSCRIBED: Final[Sequence[EventType]] = tuple(kind for kind in EventType if kind is not EventType.TEST)
"""Those that an endpoint can ask for."""


class PauseReason(StrEnum):
    """Why an endpoint receives nothing: an operator paused it, it kept failing, or it responded 410."""

    REQUESTED = "requested"
    FAILING = "failing"
    GONE = "gone"


CAP_SECONDS: Final = 6 * 3600.0
GIVE_UP_SECONDS: Final = 3 * 24 * 3600.0
"""A delivery that has not succeeded after this time has failed."""
_GROWTH: Final = 3
_ENDPOINT_FAILURES: Final = 5
"""Consecutive failures from which on the endpoint as a whole is tried less often."""
_ENDPOINT_CAP_SECONDS: Final = 300.0
_ENDPOINT_SHARE: Final = 0.25
"""Its delay, as a fraction of the time for which it has failed."""
_GONE: Final = 410


def event_id(kind: EventType, upload_id: str, cause_id: str = "") -> str:
    """The id of an event. It has no full stop, which separates the parts of what is signed. `cause_id`: of what may
    happen to an upload more than once."""
    return "_".join(filter(None, (upload_id, kind.replace(".", "-"), cause_id)))


@dataclass(frozen=True, slots=True)
class Attempt:
    """What an endpoint did with a delivery. `status`: of its response; None: it sent none, and `error` says why.
    `retry_after_seconds`: what it asked for."""

    status: int | None
    error: str | None = None
    retry_after_seconds: float | None = None

    @property
    def delivered(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class RetryRules:
    """`first_seconds`: the delay after a delivery's first failure. `pause_seconds`: how long an endpoint may fail
    without a success before it is paused."""

    first_seconds: float = 5.0
    pause_seconds: float = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class AfterFailure:
    """What follows a failed attempt. `retry_seconds`: until the delivery's next attempt; None: it has failed.
    `endpoint_seconds`: until the endpoint's next delivery of any kind. `pause`: why it is paused, if it is."""

    retry_seconds: float | None
    endpoint_seconds: float
    pause: PauseReason | None


def after_failure(
    rules: RetryRules,
    attempt: Attempt,
    *,
    attempts: int,
    age_seconds: float,
    failures: int,
    failing_seconds: float,
    jitter: float,
) -> AfterFailure:
    """Decide after a failed attempt. `attempts`: of the delivery, this one included; `age_seconds`: since it was made;
    `failures`: consecutive ones of the endpoint, this one included, for `failing_seconds`; `jitter`: from 0 to 1."""
    delay = retry_seconds(rules, attempts, jitter)
    if attempt.retry_after_seconds is not None:
        delay = max(delay, min(attempt.retry_after_seconds, CAP_SECONDS))
    endpoint = 0.0
    if failures >= _ENDPOINT_FAILURES:
        # Not by their number: all that were in progress when the endpoint stopped fail at once.
        endpoint = min(_ENDPOINT_CAP_SECONDS, max(rules.first_seconds, failing_seconds * _ENDPOINT_SHARE))
    pause = None
    if attempt.status == _GONE:
        pause = PauseReason.GONE
    elif failures >= _ENDPOINT_FAILURES and failing_seconds >= rules.pause_seconds:
        pause = PauseReason.FAILING
    given_up = age_seconds + delay > GIVE_UP_SECONDS
    return AfterFailure(None if given_up else delay, endpoint, pause)


def retry_seconds(rules: RetryRules, attempts: int, jitter: float) -> float:
    """The delay after `attempts` failed ones: between four fifths of the step and the whole of it."""
    step = min(CAP_SECONDS, rules.first_seconds * float(_GROWTH ** min(attempts - 1, 30)))
    return step * (0.8 + 0.2 * jitter)
